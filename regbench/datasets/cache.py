"""A cache of decoded data sets: .npy files that later runs map instead of decoding again."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import tempfile
import time
import tokenize
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TypedDict, TypeVar

import numpy as np
from numpy.typing import NDArray

from regbench import files
from regbench.datasets import fingerprint
from regbench.datasets.errors import DataError
from regbench.datasets.splits import ARRAYS, Splits

# Part of every entry's name: raise it when a decoder changes what it returns. Entries of format 1
# have no fingerprint, so they can't be verified.
FORMAT = 2
# A file system's clock may tick only every two seconds: within that time a second change could
# leave a file's times as they are.
SETTLED_SECONDS = 2.0
# Longer than any decoding takes: older temporary files are leftovers of a killed process.
ABANDONED_SECONDS = 86_400.0
# The names of a hundred thousand classes.
MAX_DESCRIPTION_BYTES = 2**24
# Errors that reading a damaged entry raises: it is decoded again.
DAMAGED = (
    *(OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, ArithmeticError),
    *(MemoryError, RecursionError, SyntaxError, tokenize.TokenError, DataError),
)

log = logging.getLogger(__name__)

Number = TypeVar("Number", np.uint8, np.int64)


class Description(TypedDict, total=False):
    """What is recorded with an entry, in `description.json`.

    `checked` has the state of each file when it was last verified.
    """

    source: str
    key: str
    classes: list[str]
    shapes: dict[str, list[int]]
    fingerprint: str
    checked: dict[str, list[int] | None]


class CacheError(DataError):
    """The cache folder cannot be written."""


def folder() -> Path:
    """Return the cache folder: `REGBENCH_DATA`, else the platform's cache folder.

    Raises CacheError for a user without a home: the platform's folder would be one in the current
    folder, where a stranger's files may be, the key of the cache of results among them.
    """
    import platformdirs

    chosen = os.environ.get("REGBENCH_DATA")
    try:
        if chosen:
            return Path(chosen).expanduser()
        found = Path(platformdirs.user_cache_dir("regbench"))
    except RuntimeError:
        found = Path(str(chosen))
    if not found.is_absolute():
        raise CacheError(
            f"expected a cache folder in your home, received {found}: no home folder is known; "
            "set REGBENCH_DATA to a folder of your own"
        )
    return found


def entry(dataset: str, key: str) -> Path:
    """Return the place of the decoded arrays of a data set with this content key."""
    return folder() / dataset / f"{key}-v{FORMAT}"


def splits(dataset: str, key: str, decode: Callable[[], Splits], source: str = "") -> Splits:
    """Map the decoded arrays; call `decode` first if they are missing, damaged or changed.

    Of several processes, one decodes while the others wait. `source` is recorded for `find`.

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
        if place.exists():
            log.warning("%s: not what was decoded, damaged or changed since; decoding again", place)
        decoded = decode()
        with _explained(place):
            _write(place, decoded, {"source": source, "key": key})
    ready = read(place)
    if ready is None:
        raise CacheError(f"{place}: could not be read back; is the disk full or failing?")
    return ready


def read(place: Path) -> Splits | None:
    """Map an entry read-only; None if it is missing, incomplete, damaged or changed.

    Pixels and labels are verified with the fingerprint of what was decoded. That takes 0.2 to 0.6 s
    for CIFAR-10, so only files that changed since the last check are verified.
    """
    try:
        about = description(place)
        states = {name: settled_state(place / f"{name}.npy") for name in ARRAYS}  # before the check
        shapes = about["shapes"]
        found = Splits(
            _mapped(place / "train_images.npy", np.uint8, shapes["train_images"]),
            _mapped(place / "train_labels.npy", np.int64, shapes["train_labels"]),
            _mapped(place / "test_images.npy", np.uint8, shapes["test_images"]),
            _mapped(place / "test_labels.npy", np.int64, shapes["test_labels"]),
            classes=tuple(about["classes"]),
            pool=about["fingerprint"],
        )
        if None in states.values() or about.get("checked") != states:
            if fingerprint.of(found) != found.pool:
                return None
            _remember(place, about | {"checked": states})
        return found
    except DAMAGED:
        return None


def _mapped(path: Path, kind: type[Number], shape: list[int]) -> NDArray[Number]:
    """Map an array of this type and shape read-only.

    Raises OSError for a pipe, or one of `DAMAGED`.
    """
    with files.open_regular(path) as file:
        np.lib.format.read_magic(file)  # an archive of arrays would be opened as one
    with np.errstate(over="raise"):  # of the sizes in its header
        array: NDArray[Number] = np.load(path, "r").view(np.ndarray)
    if array.dtype != kind or list(array.shape) != shape:
        raise ValueError(f"{path}: another array than the one described")
    return array


def description(place: Path) -> Description:
    """Return what was recorded with an entry: classes, shapes, fingerprint, source, key."""
    return json.loads(files.read(place / "description.json", MAX_DESCRIPTION_BYTES))


def settled_state(path: Path) -> list[int] | None:
    """Return the state that reveals a change of the file: its size, inode and times of change.

    It includes the time of the last change of any kind (ctime), which no program can set back. None
    if the file changed so recently that another change might go unnoticed. Raises OSError.
    """
    state = path.stat()
    if time.time_ns() - max(state.st_mtime_ns, state.st_ctime_ns) < SETTLED_SECONDS * 1e9:
        return None
    return [state.st_size, state.st_ino, state.st_mtime_ns, state.st_ctime_ns]


def _remember(place: Path, about: Description) -> None:
    """Record which files were checked, unless a further change might go unnoticed."""
    if None in about["checked"].values():
        return
    with contextlib.suppress(OSError):  # if it can't be written, the next start checks again
        # Several processes may do this at once, each with its own temporary name.
        temporary = place / f".checked-{os.getpid()}-{time.monotonic_ns()}"
        try:
            temporary.write_text(json.dumps(about), encoding="utf-8")
            temporary.replace(place / "description.json")
        finally:
            temporary.unlink(missing_ok=True)


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


def _write(place: Path, content: Splits, about: Description) -> None:
    """Write an entry under a temporary name, sync it, and rename it over whatever was there.

    The caller holds the lock of `place`.
    """
    _remove_abandoned(place)
    temporary = Path(tempfile.mkdtemp(prefix=_prefix(place), dir=place.parent))
    try:
        about = about | {
            "classes": list(content.classes),
            "shapes": {name: list(getattr(content, name).shape) for name in ARRAYS},
            "fingerprint": fingerprint.of(content),
        }
        for name in ARRAYS:
            with (temporary / f"{name}.npy").open("wb") as file:
                np.save(file, getattr(content, name))
                _sync(file)
        with (temporary / "description.json").open("w", encoding="utf-8") as file:
            json.dump(about, file)
            _sync(file)
        shutil.rmtree(place, ignore_errors=True)  # an entry that `read` refused
        temporary.rename(place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _prefix(place: Path) -> str:
    return f".decoding-{place.name}-"


def _remove_abandoned(place: Path) -> None:
    """Remove leftovers of processes that were killed while decoding.

    Under the lock, nobody else is writing this entry, so files with its name are abandoned; those
    of other entries are once they are old and nobody holds their lock. A clock that was set, by a
    day and more, makes new ones old too.
    """
    for path in place.parent.glob(".decoding-*"):
        with contextlib.suppress(OSError):
            if path.name.startswith(_prefix(place)):
                shutil.rmtree(path, ignore_errors=True)
            elif time.time() - path.stat().st_mtime > ABANDONED_SECONDS:
                other = path.name.removeprefix(".decoding-").rpartition("-")[0]
                _remove_unlocked(path, place.with_name(f"{other}.lock"))


def _remove_unlocked(path: Path, held: Path) -> None:
    """Remove a temporary folder unless a process holds the lock of its entry."""
    import filelock

    with contextlib.suppress(filelock.Timeout):
        free = filelock.FileLock(held, timeout=0) if held.exists() else contextlib.nullcontext()
        with free:
            shutil.rmtree(path, ignore_errors=True)


def _sync(file: IO[bytes] | IO[str]) -> None:
    file.flush()
    os.fsync(file.fileno())
