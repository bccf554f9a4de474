"""Decoded data sets, kept as .npy files that later starts map instead of decoding again."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from regbench.datasets.errors import DataError
from regbench.datasets.splits import Splits

ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")
# Part of every entry's name: raise it when a decoder changes what it returns.
FORMAT = 1


class CacheError(DataError):
    """The cache folder cannot be written."""


def folder() -> Path:
    """Return the cache folder: `REGBENCH_DATA`, else the platform's cache folder."""
    import platformdirs

    chosen = os.environ.get("REGBENCH_DATA")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("regbench"))


def entry(dataset: str, key: str) -> Path:
    """Return where the decoded arrays of a data set with this content key are, or will be."""
    return folder() / dataset / f"{key}-v{FORMAT}"


def splits(dataset: str, key: str, decode: Callable[[], Splits], source: str = "") -> Splits:
    """Map the decoded arrays; call `decode` first where they are missing or damaged.

    Of several processes one decodes while the others wait. `source` is recorded for `find`.

    Raises:
        DataError: `decode` failed.
        CacheError: the cache folder cannot be written.
    """
    place = entry(dataset, key)
    # Without the lock: an entry appears whole, and a cache may be read-only.
    ready = read(place)
    if ready:
        return ready
    with lock(place):
        ready = read(place)
        if ready:
            return ready
        decoded = decode()
        with _explained(place):
            _write(place, decoded, {"source": source, "key": key})
    ready = read(place)
    if ready is None:
        raise CacheError(f"{place}: could not be read back; is the disk full or failing?")
    return ready


def read(place: Path) -> Splits | None:
    """Map an entry read-only; None where it is missing, incomplete or damaged."""
    try:
        about = description(place)
        arrays = {name: np.load(place / f"{name}.npy", "r").view(np.ndarray) for name in ARRAYS}
        if any(list(array.shape) != about["shapes"][name] for name, array in arrays.items()):
            return None
        return Splits(**arrays, classes=tuple(about["classes"]))
    except (OSError, ValueError, KeyError, TypeError, EOFError, DataError):
        return None


def description(place: Path) -> dict[str, Any]:
    """Return what was recorded with an entry: classes, shapes, source, key."""
    return json.loads((place / "description.json").read_text(encoding="utf-8"))


@contextlib.contextmanager
def lock(place: Path) -> Iterator[None]:
    """Hold the lock of a place in the cache, making its parent; wait for other processes."""
    import filelock

    with _explained(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        held = filelock.FileLock(place.with_name(place.name + ".lock"))
        held.acquire()
    try:
        yield
    finally:
        held.release()


@contextlib.contextmanager
def _explained(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CacheError(
            f"the cache folder {place.parent} cannot be written: {error.strerror or error}; "
            "set REGBENCH_DATA to a folder that can"
        ) from error


def _write(place: Path, content: Splits, about: dict[str, Any]) -> None:
    """Write an entry under a temporary name, sync it, and rename it over whatever was there."""
    temporary = Path(tempfile.mkdtemp(prefix=".decoding-", dir=place.parent))
    try:
        shapes = {name: list(getattr(content, name).shape) for name in ARRAYS}
        about = about | {"classes": list(content.classes), "shapes": shapes}
        for name in ARRAYS:
            with (temporary / f"{name}.npy").open("wb") as file:
                np.save(file, getattr(content, name))
                _sync(file)
        with (temporary / "description.json").open("w", encoding="utf-8") as file:
            json.dump(about, file)
            _sync(file)
        shutil.rmtree(place, ignore_errors=True)  # what `read` refused
        temporary.rename(place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _sync(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())
