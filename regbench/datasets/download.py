"""Downloads one file that is known by its checksum from any of several sources.

A source can be slow, cut off, wrong or gone. The downloaded part is kept in a `.part` file, and
since all sources serve the same bytes, any of them can continue it, in this process or a later one.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from regbench.datasets import cache
from regbench.datasets.errors import DataError

CHUNK = 2**16
CONNECT_SECONDS, READ_SECONDS = 10, 30
# Below this average over a window the next source is tried; slow sources are retried if no other is
# left.
SLOW_BYTES_PER_SECOND, SLOW_WINDOW_SECONDS = 200_000, 15
# The number of times a source may cut the connection after it delivered something.
ATTEMPTS = 20

Progress = Callable[[int, int], None]


class DownloadFailed(DataError):
    """No source served the file; the text gives a reason for each."""


class _SourceFailed(Exception):
    """One source failed; the text gives the reason."""


class _Cut(_SourceFailed):
    """The connection ended early."""


class _TooSlow(_SourceFailed):
    pass


class _WrongFile(_SourceFailed):
    pass


@dataclass(frozen=True)
class Remote:
    """A file to download: its sources, and its checksum and size."""

    urls: tuple[str, ...]
    sha256: str
    size: int  # bytes


def download(remote: Remote, target: Path, progress: Progress | None = None) -> None:
    """Download the file to `target`, written atomically after its checksum is verified.

    If several processes need it, one downloads while the others wait.

    Args:
        progress: called with bytes done, including earlier attempts, and total bytes.

    Raises:
        DownloadFailed: no source served it; the downloaded part is kept for the next attempt.
        DataError: the folder of `target` cannot be written.
    """
    with cache.lock(target):
        if target.exists() and _digest(target) == remote.sha256:
            return
        part = target.with_name(target.name + ".part")
        try:
            _from_any(_Transfer(remote, part, progress or _silent))
            part.replace(target)
        except OSError as error:
            raise DataError(
                f"{part} cannot be written: {error.strerror or error}; free space there, "
                "or set REGBENCH_DATA to another folder"
            ) from error


def _silent(done: int, total: int) -> None:
    pass


def _from_any(transfer: _Transfer) -> None:
    """Try every source, then retry the slow ones without a speed limit."""
    reasons: dict[str, str] = {}
    slow: list[str] = []
    for url in transfer.remote.urls:
        try:
            return transfer.complete(url, SLOW_BYTES_PER_SECOND)
        except _SourceFailed as error:
            reasons[url] = str(error)
            if isinstance(error, _TooSlow):
                slow.append(url)
    for url in slow:
        try:
            return transfer.complete(url, 0)
        except _SourceFailed as error:
            reasons[url] = str(error)
    raise DownloadFailed(
        "; ".join(f"{urlsplit(url).netloc}: {reason}" for url, reason in reasons.items())
    )


class _Transfer:
    """One download into its `.part` file."""

    def __init__(self, remote: Remote, part: Path, progress: Progress) -> None:
        self.remote = remote
        self.part = part
        self.progress = progress

    def complete(self, url: str, slow: float) -> None:
        """Download the missing part from one source and verify the file. Raises _SourceFailed."""
        mixed = self.done > 0
        self._get_all(url, slow)
        if self._verified():
            return
        if mixed:  # the wrong bytes may come from another source
            self._get_all(url, slow)
            if self._verified():
                return
        raise _WrongFile("another file than expected")

    @property
    def done(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _verified(self) -> bool:
        """Return whether the part file is the complete file; delete it if it is wrong."""
        if _digest(self.part) == self.remote.sha256:
            return True
        self.part.unlink()
        return False

    def _get_all(self, url: str, slow: float) -> None:
        if self.done > self.remote.size:
            self.part.unlink()
        for attempt in range(1, ATTEMPTS + 1):
            before = self.done
            if before == self.remote.size:
                return
            try:
                self._get(url, before, slow)
            except _Cut:
                if self.done <= before or attempt == ATTEMPTS:
                    raise

    def _get(self, url: str, start: int, slow: float) -> None:
        """Append what one connection delivers, until the file is complete."""
        with _Connection(url, start) as connection:
            if not connection.continues(start, self.remote.size):
                start = 0
            with self.part.open("ab") as file:
                file.truncate(start)
                done = start
                for chunk in _fast_enough(connection.chunks(), slow):
                    done += len(chunk)
                    if done > self.remote.size:
                        raise _WrongFile("a larger file than expected")
                    file.write(chunk)
                    self.progress(done, self.remote.size)
                file.flush()
                os.fsync(file.fileno())
        if done < self.remote.size:
            raise _Cut(f"cut off after {done} of {self.remote.size} bytes")


class _Connection:
    """One GET request; any failure is _SourceFailed."""

    def __init__(self, url: str, start: int) -> None:
        # Compression in transit would change the meaning of a byte range.
        self.headers = {"Accept-Encoding": "identity", "User-Agent": "regbench"}
        if start:
            self.headers["Range"] = f"bytes={start}-"
        self.url = url

    def __enter__(self) -> _Connection:
        import requests

        try:
            self.response = requests.get(
                self.url,
                headers=self.headers,
                stream=True,
                timeout=(CONNECT_SECONDS, READ_SECONDS),
            )
        except requests.Timeout as error:
            raise _SourceFailed("no answer in time") from error
        except requests.RequestException as error:
            raise _SourceFailed("no connection") from error
        return self

    def __exit__(self, *_: object) -> None:
        self.response.close()

    def continues(self, start: int, size: int) -> bool:
        """Return whether the answer begins at `start`; False if it is the whole file.

        Raises:
            _SourceFailed: it is neither.
        """
        status, headers = self.response.status_code, self.response.headers
        if status == 206:
            if headers.get("Content-Range") != f"bytes {start}-{size - 1}/{size}":
                raise _WrongFile("another range than asked for")
            return True
        if status != 200:
            raise _SourceFailed(f"HTTP status {status}")
        if headers.get("Content-Length", str(size)) != str(size):
            raise _WrongFile(f"a file of {headers['Content-Length']} bytes instead of {size}")
        return start == 0

    def chunks(self) -> Iterator[bytes]:
        import urllib3

        try:
            # Unlike read, read1 returns the bytes that have arrived: a trickle differs from a
            # stall.
            while chunk := self.response.raw.read1(CHUNK, decode_content=False):
                yield chunk
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise _Cut("connection lost") from error


def _fast_enough(chunks: Iterator[bytes], slow: float) -> Iterator[bytes]:
    """Pass chunks on; raise _TooSlow if a time window averages less than `slow` per second."""
    since, received = time.monotonic(), 0
    for chunk in chunks:
        yield chunk
        received += len(chunk)
        seconds = time.monotonic() - since
        if seconds >= SLOW_WINDOW_SECONDS:
            if received < slow * seconds:
                raise _TooSlow(f"{received / seconds / 1000:.0f} kB/s")
            since, received = time.monotonic(), 0


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
