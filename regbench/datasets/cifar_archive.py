"""Decodes the official archives of CIFAR-10 and CIFAR-100 without unpacking them to disk.

Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009;
https://www.cs.toronto.edu/~kriz/cifar.html describes the layouts, python and binary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from regbench.datasets import safe_pickle, tar_stream
from regbench.datasets.errors import DataError
from regbench.datasets.splits import Splits

SIDE = 32
IMAGE_BYTES = 3 * SIDE * SIDE
# Images as uint8 (n, 3072), the red plane first, and labels as int64 (n,).
Batch = tuple[NDArray[np.uint8], NDArray[np.int64]]
# Members that hold no images are smaller than this; one that holds images is limited by their size.
MAX_OTHER_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Contents:
    """The layout of the archives of one of the two sets.

    Attributes:
        title: the set's name.
        batches: the files with images, each with its number of images; the last is the test set.
        classes: their number.
        labels: the key of a batch's labels in the python archive.
        names: the key of the classes' names there.
        label_bytes: the bytes before an image in the binary archive; the last is the label.
        meta: the files with the classes' names, in the python and in the binary archive.
    """

    title: str
    batches: Mapping[str, int]
    classes: int
    labels: str
    names: str
    label_bytes: int
    meta: tuple[str, str]

    @property
    def max_member_bytes(self) -> int:
        """Twice the largest member."""
        return max(MAX_OTHER_BYTES, 2 * max(self.batches.values()) * (IMAGE_BYTES + 2))


CIFAR10 = Contents(
    title="CIFAR-10",
    batches={f"data_batch_{number}": 10_000 for number in range(1, 6)} | {"test_batch": 10_000},
    classes=10,
    labels="labels",
    names="label_names",
    label_bytes=1,
    meta=("batches.meta", "batches.meta.txt"),
)
CIFAR100 = Contents(
    title="CIFAR-100",
    batches={"train": 50_000, "test": 10_000},
    classes=100,
    labels="fine_labels",
    names="fine_label_names",
    label_bytes=2,  # a coarse one, of 20 superclasses, is the first
    meta=("meta", "fine_label_names.txt"),
)


def decode(path: Path, contents: Contents) -> Splits:
    """Return all images of an archive, batch after batch, in the order of the archive's records.

    Raises:
        DataError: the archive is damaged, incomplete, or not in one of the two layouts.
    """
    batches: dict[str, Batch] = {}
    classes: dict[str, tuple[str, ...]] = {}
    layouts = _layouts(contents)
    for member, content in tar_stream.members(path, contents.max_member_bytes):
        name = _file_name(path, member)
        if name in batches or name in classes:
            raise DataError(f"{path}: expected every file once, received {name} twice")
        where = f"{path}: {member!a}"
        for layout in layouts:
            if name in layout.batches:
                batches[name] = layout.batch(content, layout.batches[name], where)
            elif name == layout.meta:
                names = layout.classes(content, where)
                classes[name] = _checked_classes(names, contents.classes, where)
    for layout in layouts:
        if layout.meta in classes and all(name in batches for name in layout.batches):
            return _splits([batches[name] for name in layout.batches], classes[layout.meta])
    raise DataError(
        f"{path}: expected {', '.join(contents.batches)} and {contents.meta[0]} of an archive of "
        f"{contents.title}, python or binary, received "
        f"{', '.join(sorted([*batches, *classes])) or 'none of them'}"
    )


def _file_name(path: Path, member: str) -> str:
    """Return a member's name without its folder.

    Nothing is written, so a name that leads elsewhere does no harm; it is an error because an
    official archive has none.
    """
    place = PurePosixPath(member)
    if place.is_absolute() or ".." in place.parts:
        raise DataError(f"{path}: expected names inside the archive, received {member!a}")
    return place.name


def _splits(batches: list[Batch], classes: tuple[str, ...]) -> Splits:
    *train, test = batches
    train_images = np.concatenate([_images(planes) for planes, _ in train])
    train_labels = np.concatenate([labels for _, labels in train])
    return Splits(train_images, train_labels, _images(test[0]), test[1], classes)


def _images(planes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn planes (n, 3072) to images (n, 32, 32, 3)."""
    images = planes.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images)


@dataclass(frozen=True)
class _Layout:
    """A reader for one kind of archive: its files, each with its number of images."""

    batches: Mapping[str, int]
    meta: str
    batch: Callable[[bytes, int, str], Batch]
    classes: Callable[[bytes, str], Sequence[object]]


def _layouts(contents: Contents) -> tuple[_Layout, _Layout]:
    python = _Python(contents)
    binary = _Binary(contents)
    names = {f"{name}.bin": count for name, count in contents.batches.items()}
    return (
        _Layout(contents.batches, contents.meta[0], python.batch, python.classes),
        _Layout(names, contents.meta[1], binary.batch, binary.classes),
    )


@dataclass(frozen=True)
class _Python:
    """Pickled batches."""

    contents: Contents

    def batch(self, content: bytes, count: int, where: str) -> Batch:
        batch = _pickled(content, where)
        planes, labels = batch.get("data"), batch.get(self.contents.labels)
        if not isinstance(planes, np.ndarray) or planes.shape != (count, IMAGE_BYTES):
            received = getattr(planes, "shape", type(planes).__name__)
            raise DataError(
                f"{where}: data: expected ({count}, {IMAGE_BYTES}), received {received}"
            )
        if not isinstance(labels, list) or any(type(label) is not int for label in labels):
            raise DataError(f"{where}: {self.contents.labels}: expected a list of integers")
        most = self.contents.classes - 1
        if any(not 0 <= label <= most for label in labels):
            raise DataError(f"{where}: labels: expected 0 to {most}, received others")
        if len(labels) != count:
            raise DataError(f"{where}: labels: expected {count}, received {len(labels)}")
        return planes, np.array(labels, np.int64)

    def classes(self, content: bytes, where: str) -> Sequence[object]:
        names = _pickled(content, where).get(self.contents.names)
        return names if isinstance(names, list) else []


def _pickled(content: bytes, where: str) -> dict[str, object]:
    try:
        return safe_pickle.dictionary(content)
    except safe_pickle.UnsafePickle as error:
        raise DataError(
            f"{where}: expected a pickled dict of arrays, lists and bytes, received {error}"
        ) from error


@dataclass(frozen=True)
class _Binary:
    """Records of a label, or a coarse and a fine one, and an image."""

    contents: Contents

    def batch(self, content: bytes, count: int, where: str) -> Batch:
        before, most = self.contents.label_bytes, self.contents.classes - 1
        size = count * (before + IMAGE_BYTES)
        if len(content) != size:
            raise DataError(f"{where}: expected {size} bytes, received {len(content)}")
        records = np.frombuffer(content, np.uint8).reshape(count, before + IMAGE_BYTES)
        labels = records[:, before - 1].astype(np.int64)
        if labels.max() > most:
            raise DataError(f"{where}: labels: expected 0 to {most}, received {labels.max()}")
        return records[:, before:], labels

    def classes(self, content: bytes, where: str) -> Sequence[object]:
        return content.split()


def _checked_classes(names: Sequence[object], count: int, where: str) -> tuple[str, ...]:
    texts = [name.decode("latin1") if type(name) is bytes else name for name in names]
    found = tuple(text for text in texts if type(text) is str and text.isprintable())
    if not len(found) == len(texts) == len(set(found)) == count:
        raise DataError(f"{where}: expected the names of {count} classes, received others")
    return found
