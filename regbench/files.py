"""Files that are there whole or not at all, and reading that a damaged file can't exhaust."""

from __future__ import annotations

import os
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
        write(temporary)
        _sync(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def read(path: Path, limit: int) -> str:
    """Return a UTF-8 text file of at most `limit` bytes. Raises OSError or ValueError."""
    with path.open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"expected at most {limit} bytes")
    return content.decode("utf-8")


def _sync(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk."""
    if os.name == "nt" and path.is_dir():  # Windows can't open a folder
        return
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
