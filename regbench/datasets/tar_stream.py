"""Reads a tar archive of unknown origin, front to back, without unpacking it to disk."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn, Self

from regbench import files
from regbench.datasets.errors import DataError

# Far more than any data set that fits into the memory of one machine.
MAX_MEMBERS = 5_000_000
# The limit for a bomb: images hardly shrink when compressed, zeros a thousandfold and more.
# Anything below MIN_BOMB_BYTES is harmless.
MAX_RATIO, MIN_BOMB_BYTES = 100, 2**28
# A header's own payload, such as a long name; tarfile would read gigabytes of it into memory.
MAX_HEADER_BYTES = 2**20
MAX_HEADERS = 8
BROKEN = (tarfile.TarError, EOFError, OSError, lzma.LZMAError, zlib.error, ValueError)
_Stream = gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile | io.BufferedReader
# The first bytes of a compressed file. Unlike tarfile's streams, these readers verify its checksum.
READERS: dict[bytes, Callable[[Path], _Stream]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
    b"]\x00\x00": lzma.open,
}


def members(path: Path, max_bytes: int) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of every regular file of an archive, in the archive's order.

    Args:
        path: a tar file, bare or compressed with gzip, bzip2 or xz.
        max_bytes: the largest file to expect; anything larger is an error, before it is read.

    Raises:
        DataError: the archive is damaged or a bomb, or a member is a link, a device or too large.
    """
    try:
        with _decompressed(path) as decompressed:
            stream = _Bounded(decompressed, path)
            # "r|" never seeks back, so that an archive is decompressed once.
            with _Archive.open(  # type: ignore[call-overload]
                fileobj=stream, mode="r|", tarinfo=_Header
            ) as archive:
                yield from _members(path, archive, max_bytes)
            while stream.read(2**20):  # the checksum comes last
                pass
    except BROKEN as error:
        raise DataError(
            f"{path}: expected a complete tar archive, received a damaged or truncated one "
            f"({error}); get it again"
        ) from error


def _decompressed(path: Path) -> _Stream:
    with files.open_regular(path) as file:
        start = file.read(6)
    readers = [reader for magic, reader in READERS.items() if start.startswith(magic)]
    return readers[0](path) if readers else path.open("rb")


def _members(path: Path, archive: _Archive, max_bytes: int) -> Iterator[tuple[str, bytes]]:
    count = 0
    while member := archive.next():
        count += 1
        archive.headers = 0
        # tarfile remembers every header, a kilobyte each; a stream never needs one again.
        archive.members.clear()  # type: ignore[attr-defined]
        if count > MAX_MEMBERS:
            raise DataError(f"{path}: expected at most {MAX_MEMBERS} members, received more")
        if member.isdir():
            continue
        if not member.isreg():
            raise DataError(
                f"{path}: expected files and folders, received a link or device: {member.name!a}"
            )
        if member.size > max_bytes:
            raise DataError(
                f"{path}: {member.name!a}: expected at most {max_bytes} bytes, "
                f"received {member.size}"
            )
        file = archive.extractfile(member)
        yield member.name, file.read() if file else b""


class _Bounded:
    """The decompressed archive, headers included, limited by the size of its file."""

    def __init__(self, stream: _Stream, path: Path) -> None:
        self._stream = stream
        self._path = path
        self._most = self._left = max(MIN_BOMB_BYTES, MAX_RATIO * path.stat().st_size)

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes. Raises DataError if the archive is a bomb."""
        chunk = self._stream.read(size)
        self._left -= len(chunk)
        if self._left < 0:
            raise DataError(
                f"{self._path}: expected at most {self._most} bytes in an archive of its size, "
                "received more: a decompression bomb"
            )
        return chunk


class _Archive(tarfile.TarFile):
    """An archive that counts the headers that it reads for one member."""

    headers = 0


class _Header(tarfile.TarInfo):
    """A header that raises an error when damaged, where tarfile would see the archive's end.

    It also refuses features that no archive of images needs, but an attacker does.
    """

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        # A member may have a header for its long name and one for its times; tarfile reads them
        # one inside the other, and keeps them all.
        assert isinstance(archive, _Archive)
        archive.headers += 1
        if archive.headers > MAX_HEADERS:
            raise EOFError(f"more than {MAX_HEADERS} headers for one member")
        return super().fromtarfile(archive)

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            header = super().frombuf(buf, encoding, errors)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise EOFError(f"bad header: {error}") from error
        if header.type == tarfile.XGLTYPE:
            # tarfile keeps its content, and each global header may add more.
            raise EOFError("a global header, as git archive writes it; repack the files with tar")
        if not header.isreg() and header.size > MAX_HEADER_BYTES:
            raise EOFError(f"a header of {header.size} bytes")
        return header

    def _no_sparse(self, *ignored: object) -> NoReturn:
        raise EOFError("a file with holes; repack the files without --sparse")

    # tarfile reads their maps before anything can be checked.
    _proc_sparse = _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = _no_sparse
