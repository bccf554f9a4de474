"""The format of a bundle: run folders in one zip file, with an index, read without unpacking it.

A bundle holds `<run>/<file>` for each file of each run, and `index.json`, which names every run
and gives the size and the SHA-256 of every file. A bundle may come from anywhere: anything that
`regbench bundle` does not write is refused, and every size is checked before it is used. zipfile
reads the directory at the end of the file. Members are read by the code below: zipfile would read
the directory again for each of them, or keep the file open.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import io
import json
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, BinaryIO, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from regbench.errors import RegbenchError
from regbench.runs.limits import Count
from regbench.text import one_line

INDEX = "index.json"
VERSION = 1
# Twenty thousand runs.
MAX_MEMBERS = 200_000
MAX_DIRECTORY_BYTES, MAX_INDEX_BYTES = 2**24, 2**25
# The limit for a bomb: what a run writes shrinks to a third or a tenth, zeros to a thousandth.
# Anything below MIN_BOMB_BYTES is harmless.
MAX_RATIO, MIN_BOMB_BYTES = 100, 2**28
# Starts with neither a dot nor a dash: it is not hidden, and can't lead to another folder.
PART = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
ENCRYPTED = 0x1 | 0x40 | 0x2000
LOCAL_HEADER = struct.Struct("<4s22xHH")
BROKEN = (
    zipfile.BadZipFile, zlib.error, struct.error, OSError, ValueError, EOFError, RuntimeError,
    OverflowError,
)  # fmt: skip


class Part(BaseModel):
    """Part of the index. Keys that this version does not know are ignored."""

    model_config = ConfigDict(frozen=True, strict=True)


class BundledFile(Part):
    """The size and the SHA-256 of a file."""

    bytes: Count
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class BundledRun(Part):
    """A run: its folder, its identity from its summary, and its files by name."""

    run: Annotated[str, Field(pattern=f"^{PART}$")]
    name: str
    config_hash: str
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    files: dict[Annotated[str, Field(pattern=f"^{PART}(/{PART}){{0,3}}$")], BundledFile]


class Index(Part):
    """The content of `index.json`. `left_out` names files that runs had and the bundle lacks."""

    version: Annotated[int, Field(ge=1)] = VERSION
    left_out: list[str]
    runs: list[BundledRun]

    def dump(self) -> str:
        """Return the text of `index.json`."""
        return json.dumps(self.model_dump(mode="json"), indent=1) + "\n"


class _Member(NamedTuple):
    """The offsets of a member's header and of the next one, and the sizes in between."""

    offset: int
    end: int
    compressed: int
    bytes: int
    crc: int


class Archive:
    """A bundle whose index has been read and matches the zip file."""

    def __init__(self, path: Path) -> None:
        """Read and check the directory and the index.

        Raises:
            RegbenchError: the file is not a bundle, or is damaged or hostile.
        """
        self.path = path
        try:
            with path.open("rb") as file:
                self._state = _state(file)
                self._members = _members(file)
            index = _index(self._inflated(INDEX, MAX_INDEX_BYTES))
            _check_agreement(index, self._members)
        except BROKEN as error:
            raise RegbenchError(_no_bundle(path, error)) from error
        self.index = index
        self.runs = {run.run: run for run in index.runs}

    def read(self, run: str, name: str, limit: int) -> bytes:
        """Return the content of a file of at most `limit` bytes. Raises OSError or ValueError."""
        known = self.runs.get(run)
        if known is None or name not in known.files:
            path = str(self.path / run / name)
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        expected = known.files[name]
        content = self._inflated(f"{run}/{name}", limit)
        received = hashlib.sha256(content).hexdigest()
        if received != expected.sha256:
            raise ValueError(
                f"expected the SHA-256 of the bundle's index, {expected.sha256:.8}..., "
                f"received {received:.8}...; get the bundle again"
            )
        return content

    def _inflated(self, name: str, limit: int) -> bytes:
        """Return a member's content, whose size and CRC are those of the directory."""
        member = self._members.get(name)
        if member is None:
            raise ValueError(f"it has no {name}")
        if member.bytes > limit:
            raise ValueError(f"expected at most {limit} bytes")
        with self.path.open("rb") as file:
            if _state(file) != self._state:
                raise ValueError("the bundle changed while it was read; give the command again")
            file.seek(member.offset)
            header = file.read(LOCAL_HEADER.size)
            signature, length, extra = LOCAL_HEADER.unpack(header)
            if signature != b"PK\3\4" or file.read(length) != name.encode():
                raise ValueError(f"{name} is not where the directory says")
            if file.seek(extra, os.SEEK_CUR) + member.compressed > member.end:
                raise ValueError(f"{name} reaches into what follows it")
            data = file.read(member.compressed)
        content = _inflate(data, member.bytes)
        if len(content) != member.bytes or zlib.crc32(content) != member.crc:
            raise ValueError(f"{name} is damaged: its size or checksum is another")
        return content


def member_name(run: str, name: str) -> str:
    """Return a file's name in a bundle. Raises ValueError for a name it can't hold."""
    if not re.fullmatch(f"{PART}(/{PART}){{1,4}}", f"{run}/{name}", re.ASCII):
        raise ValueError(
            f"expected a name of at most 128 letters, digits, _, . and -, received {run}/{name}"
        )
    return f"{run}/{name}"


def open_archive(path: Path) -> Archive:
    """Return the bundle at `path`, read once until the file changes. Raises RegbenchError."""
    try:
        with path.open("rb") as file:
            state = _state(file)
    except BROKEN as error:
        raise RegbenchError(_no_bundle(path, error)) from error
    return _opened(path, state)


@functools.lru_cache(maxsize=8)
def _opened(path: Path, state: tuple[int, ...]) -> Archive:
    return Archive(path)


def _state(file: BinaryIO) -> tuple[int, ...]:
    """Return a value that changes with the file. Raises ValueError for a device or a pipe."""
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("expected a regular file")
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _inflate(data: bytes, size: int) -> bytes:
    """Inflate `data`, but at most one byte more than `size`."""
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, size + 1)
    except zlib.error as error:
        raise ValueError(f"its compressed data is damaged: {error}") from error


class _Directory(io.BufferedReader):
    """A file that refuses reads of a zip directory so large that it would fill the memory."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > MAX_DIRECTORY_BYTES:
            raise ValueError(f"expected a directory of at most {MAX_DIRECTORY_BYTES} bytes")
        return super().read(size)


def _members(file: BinaryIO) -> dict[str, _Member]:
    """Return every member by its name. Raises ValueError for anything a bundle can't have."""
    directory = _Directory(io.FileIO(file.fileno(), closefd=False))
    with zipfile.ZipFile(directory) as archive:
        infos, end = archive.infolist(), archive.start_dir
    if len(infos) > MAX_MEMBERS:
        raise ValueError(f"expected at most {MAX_MEMBERS} members, received {len(infos)}")
    for info in infos:
        _check_kind(info)
    _check_names([info.orig_filename for info in infos])
    most = max(MIN_BOMB_BYTES, MAX_RATIO * os.fstat(file.fileno()).st_size)
    if sum(info.file_size for info in infos) > most:
        raise ValueError(f"expected at most {most} bytes in a file of its size: a bomb")
    return _apart(infos, end)


def _check_kind(info: zipfile.ZipInfo) -> None:
    name, kind = info.orig_filename, stat.S_IFMT(info.external_attr >> 16)
    if info.flag_bits & ENCRYPTED:
        raise ValueError(f"{name}: expected no encryption")
    if info.compress_type != zipfile.ZIP_DEFLATED:
        raise ValueError(f"{name}: expected deflate as the compression")
    if kind not in (0, stat.S_IFREG):
        raise ValueError(f"{name}: expected a file, received a link, folder or device")
    # Deflate adds five bytes to a block that does not shrink; anything more is padding.
    if info.compress_size > info.file_size + info.file_size // 1000 + 64:
        raise ValueError(f"{name}: expected fewer compressed bytes for its {info.file_size}")


def _check_names(names: Sequence[str]) -> None:
    """Refuse names that would collide on a disk, including one that ignores case.

    The index ensures that each is a plain path of a file in a run.
    """
    folded = {name.casefold() for name in names}
    if len(folded) < len(names):
        raise ValueError("expected each name once, received one twice")
    for name in folded:
        parts = name.split("/")
        if any("/".join(parts[:length]) in folded for length in range(1, len(parts))):
            raise ValueError(f"{name}: expected no file inside a file")


def _apart(infos: Sequence[zipfile.ZipInfo], end: int) -> dict[str, _Member]:
    """Return the members after checking that none overlaps another or the directory."""
    members = {}
    for info in sorted(infos, key=lambda each: -each.header_offset):
        header = LOCAL_HEADER.size + len(info.orig_filename)
        if info.header_offset < 0 or info.header_offset + header + info.compress_size > end:
            raise ValueError(f"{info.orig_filename}: expected members that do not overlap")
        members[info.orig_filename] = _Member(
            info.header_offset, end, info.compress_size, info.file_size, info.CRC
        )
        end = info.header_offset
    return members


def _index(content: bytes) -> Index:
    try:
        values = json.loads(content)
        version = values.get("version") if isinstance(values, dict) else None
        if isinstance(version, int) and version > VERSION:
            raise ValueError(f"it is of version {version}; read it with a newer regbench")
        return Index.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"{INDEX} is damaged: {where:.200}: {first['msg']}") from error
    except RecursionError as error:
        raise ValueError(f"{INDEX} is damaged: {error}") from error


def _check_agreement(index: Index, members: dict[str, _Member]) -> None:
    if len({run.run for run in index.runs}) < len(index.runs):
        raise ValueError(f"{INDEX} is damaged: expected each run once")
    listed = {
        f"{run.run}/{name}": file.bytes for run in index.runs for name, file in run.files.items()
    }
    stored = {name: member.bytes for name, member in members.items() if name != INDEX}
    if listed != stored:
        name = min(name for name, _ in listed.items() ^ stored.items())
        raise ValueError(f"{INDEX} and the zip file do not agree on {name}")


def _no_bundle(path: Path, error: BaseException) -> str:
    reason = getattr(error, "strerror", None) or error
    return (
        f"{one_line(str(path))}: expected a file that regbench bundle wrote, received another or "
        f"a damaged one: {one_line(f'{reason!s:.300}')}"
    )
