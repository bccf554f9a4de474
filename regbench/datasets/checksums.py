"""SHA-256 sums of files, cached so that a large archive is read once and not at every start."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

from regbench import files
from regbench.datasets import cache
from regbench.datasets.errors import DataError

# More than any data set that fits in memory; a file with holes can claim any size, and takes hours.
MAX_BYTES = 2**36
MAX_STORE_BYTES = 2**24


def sha256(path: Path) -> str:
    """Return the file's SHA-256 in hex, from the cache if the file has not changed.

    Raises:
        DataError: the file cannot be read.
    """
    return _once(path, str(path.resolve()), _of_file)


def of_content(path: Path, read: Callable[[Path], bytes]) -> str:
    """Return the SHA-256 of a file's content as `read` returns it, such as inflated.

    Raises:
        DataError: the file cannot be read.
    """

    def digest(file: Path) -> str:
        return hashlib.sha256(read(file)).hexdigest()

    return _once(path, f"content of {path.resolve()}", digest)


def _of_file(path: Path) -> str:
    with files.open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_BYTES:
            raise DataError(f"{path}: expected at most {MAX_BYTES} bytes, received {size}")
        return hashlib.file_digest(file, "sha256").hexdigest()


def _once(path: Path, name: str, digest: Callable[[Path], str]) -> str:
    """Return a digest of the file, cached under `name` until the file changes."""
    try:
        state = cache.settled_state(path)
        known = _remembered().get(name)
        if state and isinstance(known, list) and known[:-1] == state:
            return str(known[-1])
        found = digest(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if state:
        _remember(name, [*state, found])
    return found


def _store() -> Path:
    return cache.folder() / "checksums.json"


def _remembered() -> dict[str, object]:
    try:
        content = json.loads(files.read(_store(), MAX_STORE_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _remember(name: str, entry: list[int | str]) -> None:
    """Add an entry; if the cache cannot be written, the next start reads the file again."""
    with contextlib.suppress(OSError, DataError), cache.lock(_store()):
        temporary = _store().with_suffix(".tmp")
        temporary.write_text(json.dumps(_remembered() | {name: entry}), encoding="utf-8")
        temporary.replace(_store())


def verified(path: Path, accepted: tuple[str, ...]) -> str:
    """Return the file's SHA-256 if it is one of `accepted`, or if `accepted` is empty.

    Raises:
        DataError: it is not accepted, or the file cannot be read.
    """
    actual = sha256(path)
    if accepted and actual not in accepted:
        raise DataError(
            f"{path}: expected SHA-256 {' or '.join(accepted)}, received {actual}; "
            f"to use this file anyway, set data.sha256 to {actual}"
        )
    return actual
