"""Image folders: any data set kept as `{train,test}/<class>/*.{png,jpg,jpeg}`, or a tar of one.

Of PNGs with 16 bits per channel, gray or color, the upper 8 bits are kept. If all images are gray,
the set has one channel; a single color image makes it three.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from regbench.datasets import cache, checksums, tar_stream
from regbench.datasets.errors import DataError
from regbench.datasets.splits import Splits
from regbench.files import read_bytes

SPLITS = ("train", "test")
SUFFIXES = (".png", ".jpg", ".jpeg")
LAYOUT = "{train,test}/<class>/*.{png,jpg,jpeg}"
# Decompression bombs: limits per image file, per image and for all the pixels together.
MAX_FILE_BYTES = 64 * 2**20
MAX_PIXELS = 2**22
MAX_TOTAL_BYTES = 16 * 2**30
# Part of a cache entry's name: raise it when the same files are decoded to different pixels. Since
# 2, gray images have one channel.
DECODING = 2
# As Pillow calls black and white, gray, and gray with an alpha channel, which is dropped.
GRAY = ("1", "L", "LA")


@dataclass(frozen=True, order=True)
class _Name:
    """The position of an image in the data set; sorting positions sorts the images."""

    split: str
    label: str
    file: str


def load(
    path: Path | None, sha256: str | None, progress: Callable[[int, int], None] | None = None
) -> Splits:
    """Return all images of the folder or tar at `path`; classes are sorted folder names.

    Raises:
        DataError: no path, another layout, images of several sizes or that cannot be decoded, or a
            tar whose SHA-256 is not `sha256`.
    """
    if path is None:
        raise DataError(f"data.path: image_folder needs a folder or a tar archive holding {LAYOUT}")
    if path.is_dir():
        return _load_folder(path, sha256)
    actual = checksums.verified(path, (sha256,) if sha256 else ())
    return _cached(actual, lambda: _decode(_tar_images(path), path), path)


def _load_folder(path: Path, sha256: str | None) -> Splits:
    if sha256:
        raise DataError(f"data.sha256: {path} is a folder, which has no checksum; leave it out")
    try:
        files = sorted(_folder_files(path))
        key = hashlib.sha256(str(path.resolve()).encode(errors="surrogateescape"))
        for name, file in files:
            state = file.stat()
            # A copy can have the original's modification time (cp -p), but not its inode and ctime.
            times = state.st_mtime_ns, state.st_ctime_ns
            key.update(repr((name, state.st_size, state.st_ino, *times)).encode())
            if state.st_size > MAX_FILE_BYTES:
                raise DataError(
                    f"{path}: {name.file!a}: expected at most {MAX_FILE_BYTES} bytes, "
                    f"received {state.st_size}"
                )
        images = ((name, read_bytes(file, MAX_FILE_BYTES)) for name, file in files)
        return _cached(key.hexdigest(), lambda: _decode(images, path), path)
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read: {error.strerror}") from error


def _cached(key: str, decode: Callable[[], Splits], path: Path) -> Splits:
    return cache.splits("image_folder", f"{key}-{DECODING}", decode, str(path))


def _folder_files(path: Path) -> Iterator[tuple[_Name, Path]]:
    """Yield the images of a folder; an image at another depth than the layout's is an error.

    So is a link out of the folder: reports show training images, and a stranger's folder must not
    make them show other files of this machine.
    """
    root = path.resolve()
    for split in SPLITS:
        for file in _entries(path / split, depth=3) if (path / split).is_dir() else ():
            name = _parse(file.relative_to(path).as_posix())
            if name and file.is_file():
                if not file.resolve().is_relative_to(root):
                    raise DataError(
                        f"{path}: expected images inside the folder, received a link out of "
                        f"it: {name.split}/{name.label!a}/{name.file!a}; copy what it leads to"
                    )
                yield name, file


def _entries(folder: Path, depth: int) -> Iterator[Path]:
    """Yield the entries of a folder and its subfolders, except hidden ones.

    Raises OSError if a folder can't be listed, which `glob` would silently skip.
    """
    for entry in folder.iterdir():
        if entry.name.startswith("."):
            continue
        yield entry
        if depth > 1 and entry.is_dir():
            yield from _entries(entry, depth - 1)


def _tar_images(path: Path) -> Iterator[tuple[_Name, bytes]]:
    """Yield the images of a tar, which may have one folder around `train` and `test`."""
    outer: PurePosixPath | None = None
    for member, content in tar_stream.members(path, MAX_FILE_BYTES):
        inner = PurePosixPath(member)
        top = PurePosixPath()
        if inner.parts and inner.parts[0] not in SPLITS:
            top, inner = PurePosixPath(inner.parts[0]), PurePosixPath(*inner.parts[1:])
        name = _parse(inner.as_posix())
        if not name:
            continue
        if outer not in (None, top):
            raise DataError(f"{path}: expected one data set, received {outer} and {top}")
        outer = top
        yield name, content


def _parse(name: str) -> _Name | None:
    """Return the position of an image; None for any other file, hidden ones included."""
    parts = name.split("/")
    hidden = any(part.startswith(".") for part in parts)
    if hidden or parts[0] not in SPLITS or not name.lower().endswith(SUFFIXES):
        return None
    if len(parts) != 3:
        raise DataError(f"expected images in {LAYOUT}, received {name!a}")
    if not parts[1].isprintable():
        raise DataError(f"expected a class name in printable characters, received {parts[1]!a}")
    return _Name(*parts)


@dataclass
class _Collected:
    """Images in order of arrival, as bytearrays because their number is unknown."""

    names: list[_Name] = field(default_factory=list)
    pixels: bytearray = field(default_factory=bytearray)
    channels: int = 1

    def add(self, name: _Name, pixels: NDArray[np.uint8]) -> None:
        """Add an image (height, width, 1 or 3)."""
        self.reach(pixels.shape[2])
        self.names.append(name)
        self.pixels += np.broadcast_to(pixels, (*pixels.shape[:2], self.channels)).tobytes()

    def reach(self, channels: int) -> None:
        """Give every image three channels once a color image follows gray ones."""
        if channels > self.channels:
            self.pixels = bytearray(np.repeat(np.frombuffer(self.pixels, np.uint8), channels))
            self.channels = channels


def _decode(images: Iterable[tuple[_Name, bytes]], path: Path) -> Splits:
    """Decode every image, in any order, to arrays sorted by class and file name."""
    collected = {split: _Collected() for split in SPLITS}
    first: tuple[_Name, tuple[int, ...]] | None = None
    total = 0
    for name, content in images:
        pixels = _pixels(content, f"{path}: {name.split}/{name.label}/{name.file!a}")
        first = first or (name, pixels.shape)
        if pixels.shape[:2] != first[1][:2]:
            raise DataError(_other_size(path, name, pixels.shape, *first))
        total += 3 * pixels.shape[0] * pixels.shape[1]  # gray images take as much beside color
        if total > MAX_TOTAL_BYTES:
            raise DataError(f"{path}: more than {MAX_TOTAL_BYTES} bytes of pixels")
        collected[name.split].add(name, pixels)
    if any(len(set(split.names)) < len(split.names) for split in collected.values()):
        raise DataError(f"{path}: expected every file once, received one of the same name twice")
    missing = [split for split in SPLITS if not collected[split].names]
    if first is None or missing:
        raise DataError(f"{path}: expected {LAYOUT}, received no images in {' or '.join(missing)}")
    classes = sorted({name.label for split in collected.values() for name in split.names})
    shape = *first[1][:2], max(split.channels for split in collected.values())
    train, test = (_sorted(collected[split], classes, shape) for split in SPLITS)
    return Splits(*train, *test, tuple(classes))


def _sorted(
    collected: _Collected, classes: list[str], shape: tuple[int, ...]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    collected.reach(shape[2])
    images = np.frombuffer(collected.pixels, np.uint8).reshape(-1, *shape)
    order = sorted(range(len(images)), key=collected.names.__getitem__)
    numbers = {label: number for number, label in enumerate(classes)}
    labels = np.array([numbers[collected.names[index].label] for index in order], np.int64)
    return images[order], labels


def decoded(content: bytes, where: str) -> NDArray[np.uint8]:
    """Return one image as uint8 (height, width, 1 or 3). Raises DataError, which names `where`."""
    return _pixels(content, where)


def _pixels(content: bytes, where: str) -> NDArray[np.uint8]:
    """Decode one image to uint8 (height, width, 1 or 3); of 16 bits the upper 8 are kept."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DataError(
                    f"{where}: expected at most {MAX_PIXELS} pixels, "
                    f"received {image.width} x {image.height}"
                )
            if image.mode.startswith("I"):  # gray, which Pillow would clip instead of scaling
                return (np.asarray(image) >> 8).astype(np.uint8)[..., None]
            if image.mode in GRAY:
                return np.asarray(image.convert("L"))[..., None]
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{where}: cannot be decoded: {error}") from error


def _other_size(
    path: Path, name: _Name, shape: tuple[int, ...], first: _Name, expected: tuple[int, ...]
) -> str:
    return (
        f"{path}: expected images of one size, received "
        f"{first.split}/{first.label}/{first.file!a} of {expected[1]} x {expected[0]} pixels and "
        f"{name.split}/{name.label}/{name.file!a} of {shape[1]} x {shape[0]}"
    )
