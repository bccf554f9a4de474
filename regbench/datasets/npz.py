"""Reads NumPy's .npz archives of unknown origin: arrays of numbers and texts, never a pickle.

NumPy's own reader allocates an array as large as its header claims before it reads a byte. Here
every size is first checked against the size of the file.
"""

from __future__ import annotations

import io
import math
import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, TypeAlias

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from regbench import files
from regbench.datasets.errors import DataError

# The limit for a bomb: deflate hardly shrinks images, but zeros to a thousandth.
MAX_RATIO, MIN_BOMB_BYTES = 100, 2**28
# Twenty arrays have a directory of two kilobytes.
MAX_DIRECTORY_BYTES = 2**16
ENCRYPTED = 0x1 | 0x40 | 0x2000
Loaded: TypeAlias = "NDArray[np.generic[object]]"  # of any type that an `Array` allows
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
# The errors that zipfile, NumPy and the header parser raise.
BROKEN = (
    zipfile.BadZipFile, zlib.error, struct.error, OSError, ValueError, EOFError, RuntimeError,
    OverflowError, MemoryError, SyntaxError, TypeError, NotImplementedError, tokenize.TokenError,
)  # fmt: skip


@dataclass(frozen=True)
class Array:
    """The requirements for an array: its kind of dtype ("u1" is uint8) and its dimensions."""

    kinds: tuple[str, ...]
    dimensions: tuple[int, ...]
    optional: bool = False


def read(path: Path, expected: Mapping[str, Array]) -> dict[str, Loaded]:
    """Return the arrays of an archive by their names; those that are optional may be missing.

    Raises:
        DataError: the archive is damaged, hostile or contains anything but the expected arrays.
    """
    try:
        with files.open_regular(path) as file:
            return _read(file, expected)
    except BROKEN as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: expected an .npz of plain arrays: {reason!s:.300}") from error


def _read(file: BinaryIO, expected: Mapping[str, Array]) -> dict[str, Loaded]:
    with zipfile.ZipFile(_Directory(io.FileIO(file.fileno(), closefd=False))) as archive:
        members = {info.orig_filename.removesuffix(".npy"): info for info in archive.infolist()}
        _check_names(archive.infolist(), members, expected)
        total = sum(info.file_size for info in members.values())
        most = max(MIN_BOMB_BYTES, MAX_RATIO * os.fstat(file.fileno()).st_size)
        if total > most:
            raise ValueError(
                f"expected at most {most} bytes in a file of its size, a bomb has more"
            )
        return {
            name: _array(archive, members[name], each)
            for name, each in expected.items()
            if name in members
        }


class _Directory(io.BufferedReader):
    """A file that refuses reads of a zip directory so large that it would fill the memory."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > MAX_DIRECTORY_BYTES:
            raise ValueError(f"expected a directory of at most {MAX_DIRECTORY_BYTES} bytes")
        return super().read(size)


def _check_names(
    infos: list[zipfile.ZipInfo],
    members: Mapping[str, zipfile.ZipInfo],
    expected: Mapping[str, Array],
) -> None:
    needed = [name for name, each in expected.items() if not each.optional]
    unknown = [name for name in members if name not in expected]
    missing = [name for name in needed if name not in members]
    if unknown or missing or len(infos) > len(members):
        said = ", ".join(f"{name[:40]!a}" for name in list(members)[:20]) or "none"
        raise ValueError(f"expected the arrays {', '.join(expected)}, each once, received {said}")
    for name, info in members.items():
        if info.flag_bits & ENCRYPTED or info.compress_type not in METHODS:
            raise ValueError(f"{name}: expected no encryption, and deflate or no compression")


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, expected: Array) -> Loaded:
    """Return a member's array; memory is allocated only after its size has been verified."""
    with archive.open(info) as stream:
        shape, fortran, dtype = _header(stream, info)
        name = info.orig_filename
        if dtype.hasobject or dtype.subdtype or dtype.names or not _is(dtype, expected.kinds):
            kinds = " or ".join(expected.kinds)
            raise ValueError(f"{name}: expected a dtype of {kinds}, received {dtype!s:.60}")
        if len(shape) not in expected.dimensions or min(shape, default=1) < 1:
            sides = " or ".join(map(str, expected.dimensions))
            raise ValueError(f"{name}: expected {sides} dimensions, received the shape {shape}")
        size = math.prod(shape) * dtype.itemsize
        if stream.tell() + size != info.file_size:
            held = info.file_size - stream.tell()
            raise ValueError(f"{name}: the shape {shape} needs {size} bytes, received {held}")
        content = stream.read(size)
        if len(content) != size or stream.read(1):
            raise ValueError(f"{name}: expected {size} bytes, received another number")
    array = np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")
    return np.ascontiguousarray(array)


def _header(
    stream: IO[bytes], info: zipfile.ZipInfo
) -> tuple[tuple[int, ...], bool, np.dtype[np.generic[object]]]:
    version = npy.read_magic(stream)
    if version not in HEADERS:
        raise ValueError(f"{info.orig_filename}: expected version 1.0 or 2.0, received {version}")
    return HEADERS[version](stream)


def _is(dtype: np.dtype[np.generic[object]], kinds: tuple[str, ...]) -> bool:
    return dtype.kind in kinds or dtype.str.lstrip("|<>=") in kinds
