"""MNIST and sets in its format: four IDX files of 28 x 28 gray images and labels."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from regbench.datasets import cache, checksums, idx, npz
from regbench.datasets.download import Remote
from regbench.datasets.errors import DataError
from regbench.datasets.npz import Array
from regbench.datasets.published import Place, Published
from regbench.datasets.splits import Splits

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
SHAPES: Mapping[str, tuple[int, ...]] = {
    TRAIN_IMAGES: (60_000, 28, 28),
    TRAIN_LABELS: (60_000,),
    TEST_IMAGES: (10_000, 28, 28),
    TEST_LABELS: (10_000,),
}
# The arrays in Keras' copy of MNIST, in the order of `SHAPES`.
NPZ = ".npz"
KERAS = {
    "x_train": Array(("u1",), (3,)),
    "y_train": Array(("u1",), (1,)),
    "x_test": Array(("u1",), (3,)),
    "y_test": Array(("u1",), (1,)),
}


@dataclass(frozen=True)
class File:
    """One of the four files: SHA-256 of its content, and SHA-256 and size of the published gzip."""

    content: str
    gzip: str
    size: int


@dataclass(frozen=True)
class IdxFiles(Published):
    """A data set of four IDX files.

    They are verified by their content, so it does not matter how, or whether, they are compressed.
    Keras keeps the same arrays in an .npz.

    Attributes:
        classes: names of the classes.
        contents: the SHA-256 of each file's content, by its name.
        folders: where other programs may keep the files, or the .npz.
        raw: the folder in which torchvision keeps them, inside its root.
        shapes: of the array in each file.
    """

    classes: tuple[str, ...]
    contents: Mapping[str, str]
    folders: Callable[[], list[Path]]
    raw: str
    shapes: Mapping[str, tuple[int, ...]]

    def home(self) -> Path:
        """Return the set's folder in the cache."""
        return cache.folder() / self.name

    def places(self) -> list[Place]:
        """Return the set's folder in the cache, then those of other programs."""
        return [_in(folder) for folder in (self.home(), *self.folders())]

    def given(self, path: Path) -> Place:
        """Return the files in the folder `path`, or in the subfolders that torchvision makes."""
        inside = [path, path / "raw", path / self.raw / "raw"]
        found = next((place for place in map(_in, inside) if place.is_complete), None)
        if found is None:
            raise DataError(
                f"data.path: expected a folder with {', '.join(self.shapes)}, each as it is or "
                f"with .gz, received {path}, which lacks some of them"
            )
        return found

    def verified(self, place: Place, accepted: tuple[str, ...]) -> str:
        """Return the SHA-256 of the four contents. Raises DataError if it is not accepted."""
        found = self._sums(place)
        key = combined(found)
        if key not in accepted:
            others = [name for name in found if found[name] != self.contents[name]]
            raise DataError(
                f"{place.path}: expected files whose contents have SHA-256 {' or '.join(accepted)} "
                f"together, received {key} ({', '.join(others) or 'the official ones'}); to use "
                f"these files anyway, set data.sha256 to {key}"
            )
        return key

    def decode(self, place: Place) -> Splits:
        """Return all images, of shape (n, 28, 28, 1). Raises DataError if one is damaged."""
        arrays = self._arrays(place).values()
        train_images, train_labels, test_images, test_labels = arrays
        return Splits(
            _images(train_images), train_labels.astype(np.int64),
            _images(test_images), test_labels.astype(np.int64), self.classes,
        )  # fmt: skip

    def downloaded_to(self, files: Mapping[str, Remote]) -> Place:
        """Return the set's folder in the cache."""
        return _in(self.home())

    def _sums(self, place: Place) -> dict[str, str]:
        """Return the SHA-256 of each content, which an .npz has without the headers."""
        if place.path.suffix == NPZ:
            return {
                name: hashlib.sha256(idx.header(array.shape) + array.tobytes()).hexdigest()
                for name, array in self._arrays(place).items()
            }
        return {
            name: checksums.of_content(file, functools.partial(self._content, name))
            for name, file in zip(self.shapes, place.files, strict=True)
        }

    def _arrays(self, place: Place) -> dict[str, NDArray[np.uint8]]:
        """Return the four arrays, in the order of `shapes`."""
        if place.path.suffix == NPZ:
            found = npz.read(place.path, KERAS)
            # All of them are uint8, which the archive was checked for.
            arrays = (found[name].astype(np.uint8, copy=False) for name in KERAS)
            return dict(zip(self.shapes, arrays, strict=True))
        return {
            name: idx.array(self._content(name, file), shape)
            for (name, shape), file in zip(self.shapes.items(), place.files, strict=True)
        }

    def _content(self, name: str, path: Path) -> bytes:
        return idx.content(path, self.shapes[name])


def published(
    name: str,
    title: str,
    classes: tuple[str, ...],
    files: Mapping[str, File],
    mirrors: tuple[str, ...],
    folders: Callable[[], list[Path]],
    raw: str,
    shapes: Mapping[str, tuple[int, ...]] = SHAPES,
) -> IdxFiles:
    """Return a set whose files each of `mirrors` serves, gzipped."""
    remotes = {
        f"{each}.gz": Remote(
            tuple(f"{mirror}/{each}.gz" for mirror in mirrors), file.gzip, file.size
        )
        for each, file in files.items()
    }
    contents = {each: file.content for each, file in files.items()}
    releases = {combined(contents): remotes}
    return IdxFiles(name, title, releases, classes, contents, folders, raw, shapes)


def combined(contents: Mapping[str, str]) -> str:
    """Return one SHA-256 for the SHA-256 sums of the four contents, in the order of `SHAPES`."""
    return hashlib.sha256("\n".join(contents[name] for name in SHAPES).encode()).hexdigest()


def _in(folder: Path) -> Place:
    """Return the four files of a folder, each compressed or not; or the .npz that this is."""
    if folder.suffix == NPZ:
        return Place(folder, (folder,))
    return Place(folder, tuple(_either(folder / name) for name in SHAPES))


def _either(path: Path) -> Path:
    zipped = path.with_name(path.name + ".gz")
    return path if path.is_file() and not zipped.is_file() else zipped


def _images(planes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return planes[..., None]
