"""Files written atomically, and reading that a damaged file can't exhaust."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path


def write(path: Path, text: str) -> None:
    """Write a text file: under a temporary name, synced, then renamed."""
    replace(path, lambda temporary: temporary.write_text(text, encoding="utf-8", newline=""))


def replace(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a file under a temporary name with the same suffix, then put it at `path`.

    A crash at any moment leaves what was at `path` before, or the new file, and nothing between.
    """
    temporary = path.with_name(f".{path.stem}.tmp{path.suffix}")
    try:
        temporary.unlink(missing_ok=True)  # what a crash left, or a link that was planted
        write(temporary)
        _sync(temporary)
        temporary.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        _name(error, path, temporary)
        raise
    _sync(path.parent)


def replace_folder(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a folder under a temporary name, then put it at `path`.

    As for a file, but that a folder which is there already is removed first: a crash may leave
    neither of the two.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        make_folder(path.parent)
        remove(temporary)  # what a crash left, or a link that was planted
        temporary.mkdir()
        write(temporary)
        for file in temporary.iterdir():
            _sync(file)
        _sync(temporary)
        remove(path)
        temporary.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            remove(temporary)
        _name(error, path, temporary)
        raise
    _sync(path.parent)


def make_folder(path: Path) -> None:
    """Make a folder, and those above it that are missing; wait until their names are on the disk.

    Without that, a power failure could lose a folder with all that was synced inside of it.
    """
    missing = [each for each in (path, *path.parents) if not each.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for each in reversed(missing):
        _sync(each.parent)


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that it holds; of a link the link alone."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def read(path: Path, limit: int) -> str:
    """Return a UTF-8 text file of at most `limit` bytes. Raises OSError or ValueError."""
    with path.open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"expected at most {limit} bytes")
    return content.decode("utf-8")


def _name(error: BaseException, path: Path, temporary: Path) -> None:
    """Let an error that names no file, as that of a full disk, or a temporary one name `path`."""
    own = (None, str(temporary))
    if isinstance(error, OSError) and error.errno and error.filename in own:
        error.filename = str(path)


def _sync(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk."""
    if os.name == "nt" and path.is_dir():  # Windows can't open a folder
        return
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
