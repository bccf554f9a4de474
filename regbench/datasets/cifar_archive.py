"""Decoding CIFAR-10's official archives, python and binary, without unpacking them to disk.

Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009;
https://www.cs.toronto.edu/~kriz/cifar.html describes both layouts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regbench.datasets import safe_pickle, tar_stream
from regbench.datasets.errors import DataError
from regbench.datasets.splits import Splits

SIDE = 32
IMAGE_BYTES = 3 * SIDE * SIDE
CLASSES = 10
BATCH = 10_000  # images in each batch
BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
# Twice the largest member of either archive.
MAX_MEMBER_BYTES = 64 * 2**20

# Images as uint8 (BATCH, 3072), the red plane first, and labels as int64 (BATCH,).
Batch = tuple[NDArray[np.uint8], NDArray[np.int64]]


def decode(path: Path) -> Splits:
    """Return all images of an archive, batch after batch, in the order of the archive's records.

    Raises:
        DataError: the archive is damaged, incomplete, or not in one of the two layouts.
    """
    batches: dict[str, Batch] = {}
    classes: dict[str, tuple[str, ...]] = {}
    for member, content in tar_stream.members(path, MAX_MEMBER_BYTES):
        name = _file_name(path, member)
        if name in batches or name in classes:
            raise DataError(f"{path}: expected every file once, received {name} twice")
        where = f"{path}: {member!a}"
        for layout in LAYOUTS:
            if name in layout.batches:
                batches[name] = layout.batch(content, where)
            elif name == layout.meta:
                classes[name] = _checked_classes(layout.classes(content, where), where)
    for layout in LAYOUTS:
        if layout.meta in classes and all(name in batches for name in layout.batches):
            return _splits([batches[name] for name in layout.batches], classes[layout.meta])
    raise DataError(
        f"{path}: expected data_batch_1 to 5, test_batch and batches.meta of a CIFAR-10 archive, "
        f"python or binary, received {', '.join(sorted([*batches, *classes])) or 'none of them'}"
    )


def _file_name(path: Path, member: str) -> str:
    """Return a member's name without its folder.

    Nothing is written, so a name that leads elsewhere does no harm; it is an error because the
    archive can't be that of CIFAR-10.
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


def _python_batch(content: bytes, where: str) -> Batch:
    batch = _pickled(content, where)
    planes, labels = batch.get("data"), batch.get("labels")
    if not isinstance(planes, np.ndarray) or planes.shape != (BATCH, IMAGE_BYTES):
        received = getattr(planes, "shape", type(planes).__name__)
        raise DataError(f"{where}: data: expected ({BATCH}, {IMAGE_BYTES}), received {received}")
    if not isinstance(labels, list) or any(type(label) is not int for label in labels):
        raise DataError(f"{where}: labels: expected a list of integers")
    if any(not 0 <= label < CLASSES for label in labels):
        raise DataError(f"{where}: labels: expected 0 to {CLASSES - 1}, received others")
    if len(labels) != BATCH:
        raise DataError(f"{where}: labels: expected {BATCH}, received {len(labels)}")
    return planes, np.array(labels, np.int64)


def _python_classes(content: bytes, where: str) -> list[Any]:
    names = _pickled(content, where).get("label_names")
    return names if isinstance(names, list) else []


def _pickled(content: bytes, where: str) -> dict[str, Any]:
    try:
        return safe_pickle.dictionary(content)
    except safe_pickle.UnsafePickle as error:
        raise DataError(
            f"{where}: expected a pickled dict of arrays, lists and bytes, received {error}"
        ) from error


def _binary_batch(content: bytes, where: str) -> Batch:
    """Read records of 3,073 bytes, each a label and an image."""
    size = BATCH * (1 + IMAGE_BYTES)
    if len(content) != size:
        raise DataError(f"{where}: expected {size} bytes, received {len(content)}")
    records = np.frombuffer(content, np.uint8).reshape(BATCH, 1 + IMAGE_BYTES)
    labels = records[:, 0].astype(np.int64)
    if labels.max() >= CLASSES:
        raise DataError(f"{where}: labels: expected 0 to {CLASSES - 1}, received {labels.max()}")
    return records[:, 1:], labels


def _binary_classes(content: bytes, where: str) -> list[Any]:
    return content.split()


def _checked_classes(names: list[Any], where: str) -> tuple[str, ...]:
    texts = [name.decode("latin1") if type(name) is bytes else name for name in names]
    usable = all(type(text) is str and text.isprintable() for text in texts)
    if not usable or len(texts) != CLASSES or len(set(texts)) != CLASSES:
        raise DataError(f"{where}: expected the names of {CLASSES} classes, received others")
    return tuple(texts)


@dataclass(frozen=True)
class _Layout:
    """The file names of an archive, and how to read the files."""

    batches: tuple[str, ...]
    meta: str
    batch: Callable[[bytes, str], Batch]
    classes: Callable[[bytes, str], list[Any]]


LAYOUTS = (
    _Layout(BATCHES, "batches.meta", _python_batch, _python_classes),
    _Layout(
        tuple(f"{name}.bin" for name in BATCHES),
        "batches.meta.txt",
        _binary_batch,
        _binary_classes,
    ),
)
