"""Writes files atomically, and reads them within limits that a damaged file can't exceed."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import io
import os
import shutil
import stat
import sys
from collections.abc import Callable
from pathlib import Path

# The flag of renameat2 on Linux, and of renamex_np on macOS, where it is called RENAME_SWAP.
AT_FDCWD, EXCHANGE = -100, 2


class NotRegular(OSError):
    """A pipe or a device where a file is expected."""


def write(path: Path, text: str) -> None:
    """Write a text file: under a temporary name, synced, then renamed."""
    replace(path, lambda temporary: temporary.write_text(text, encoding="utf-8", newline=""))


def replace(path: Path, write: Callable[[Path], object]) -> None:
    """Call `write` for a temporary name with the same suffix, then move the file to `path`.

    A crash at any moment leaves either the old file or the new one at `path`, complete.
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
    """Call `write` to fill a folder under a temporary name, then move it to `path`.

    As for a file, except that an existing folder is removed first: a crash can leave neither. The
    parent folder is made where it is missing, but not the one above.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.parent.stat()  # or a removed run folder would come back, half empty
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


def add_folder(path: Path, write: Callable[[Path], object]) -> None:
    """Call `write` to fill a folder under a temporary name, then move it to `path`, which is free.

    `write` syncs what it writes. Raises OSError if `path` has been taken in the meantime.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        make_folder(path.parent)
        remove(temporary)  # what a crash left, or a link that was planted
        temporary.mkdir()
        write(temporary)
        temporary.rename(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            remove(temporary)
        _name(error, path, temporary)
        raise
    _sync(path.parent)


def swap_folders(one: Path, other: Path) -> None:
    """Swap the names of two folders in one parent, atomically if the system can do that.

    Otherwise there is a moment at which `one` does not exist.
    """
    if not _exchange(one, other):
        aside = other.with_name(f"{other.name}.old")
        remove(aside)  # what a crash left
        one.replace(aside)
        other.replace(one)
        aside.replace(other)
    _sync(one.parent)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two names by a system call that Python lacks; return whether it worked."""
    names = os.fsencode(one), os.fsencode(other)
    try:
        if sys.platform == "linux":
            libc = ctypes.CDLL(None, use_errno=True)
            failed = libc.renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], EXCHANGE)
        elif sys.platform == "darwin":
            libc = ctypes.CDLL(None, use_errno=True)
            failed = libc.renamex_np(*names, EXCHANGE)
        else:
            return False
    except AttributeError:  # an old C library
        return False
    number = ctypes.get_errno()
    if failed and number not in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
        raise OSError(number, os.strerror(number), str(one))
    return not failed


def make_folder(path: Path) -> None:
    """Create a folder and its missing parents; wait until their names are on the disk.

    Otherwise a power failure could lose a folder with everything that was synced inside it.
    """
    missing = [each for each in (path, *path.parents) if not each.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for each in reversed(missing):
        _sync(each.parent)


def remove(path: Path) -> None:
    """Remove a file, or a folder with everything in it; of a link, only the link itself."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def read(path: Path, limit: int) -> str:
    """Return a UTF-8 text file of at most `limit` bytes. Raises OSError or ValueError."""
    return read_bytes(path, limit).decode("utf-8")


def read_bytes(path: Path, limit: int) -> bytes:
    """Return a file of at most `limit` bytes. Raises OSError or ValueError."""
    descriptor, size = _descriptor(path)
    try:
        # Two calls at most, unless the file grows meanwhile. Asking for `limit` would reserve that.
        content, step = b"", max(size + 1, 2**16)
        while more := os.read(descriptor, min(step, limit + 1 - len(content))):
            content += more
    finally:
        os.close(descriptor)
    if len(content) > limit:
        raise ValueError(f"expected at most {limit} bytes")
    return content


def open_regular(path: Path) -> io.BufferedReader:
    """Open a file for reading.

    Raises:
        NotRegular: it is a pipe or a device, which can keep a reader waiting, or have no end.
        OSError: it can't be opened; IsADirectoryError for a folder.
    """
    descriptor, _ = _descriptor(path)
    return os.fdopen(descriptor, "rb")


def _descriptor(path: Path) -> tuple[int, int]:
    """Return a descriptor of a regular file, and its size. Raises what `open_regular` does."""
    reason = "expected a regular file, received a pipe or a device"
    try:
        descriptor = os.open(
            path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        )
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.EOPNOTSUPP):  # a socket, or a device without a driver
            raise NotRegular(errno.EINVAL, reason, str(path)) from error
        raise
    try:
        found = os.fstat(descriptor)
        mode = found.st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise NotRegular(errno.EINVAL, reason, str(path))
        return descriptor, found.st_size
    except BaseException:
        os.close(descriptor)
        raise


def _name(error: BaseException, path: Path, temporary: Path) -> None:
    """Make an error name `path` if it names no file (as on a full disk) or a temporary one."""
    own = (None, str(temporary))
    if isinstance(error, OSError) and error.errno and error.filename in own:
        error.filename = str(path)


def _sync(path: Path) -> None:
    """Wait until a file, or a folder's list of entries, is on the disk."""
    if os.name == "nt" and path.is_dir():  # Windows can't open a folder
        return
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
