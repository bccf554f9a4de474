"""Reads IDX files: a header with the shape, then the bytes of the array; often gzipped.

Source: Y. LeCun, C. Cortes, C. Burges, The MNIST Database of Handwritten Digits,
http://yann.lecun.com/exdb/mnist describes the format.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from regbench import files
from regbench.datasets.errors import DataError

GZIP = b"\x1f\x8b"
UINT8 = 8


def header(shape: tuple[int, ...]) -> bytes:
    """Return the header of an array of bytes of this shape."""
    return struct.pack(f">HBB{len(shape)}I", 0, UINT8, len(shape), *shape)


def content(path: Path, shape: tuple[int, ...]) -> bytes:
    """Return all bytes of a file, inflated if it is gzipped, for an array of this shape.

    It never reads more than that shape needs.

    Raises:
        DataError: the file cannot be read, is damaged, or has another shape.
    """
    size = len(header(shape)) + math.prod(shape)
    try:
        with files.open_regular(path) as file:
            zipped = file.read(len(GZIP)) == GZIP
            file.seek(0)
            stream = gzip.GzipFile(fileobj=file) if zipped else file
            found = stream.read(len(header(shape)))
            _check_header(path, found, shape)
            found += stream.read(size - len(found) + 1)  # and gzip's checksum
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}; get it again") from error
    if len(found) != size:
        received = "more" if len(found) > size else len(found)
        raise DataError(f"{path}: expected {size} bytes, received {received}; get it again")
    return found


def array(found: bytes, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return the array in the content of a file."""
    return np.frombuffer(found, np.uint8, offset=len(header(shape))).reshape(shape)


def _check_header(path: Path, found: bytes, shape: tuple[int, ...]) -> None:
    if found == header(shape):
        return
    raise DataError(
        f"{path}: expected an IDX file of bytes of shape {shape}, with the header "
        f"{header(shape).hex()}, received {found.hex() or 'nothing'}; for images of your own set "
        "data.name to arrays or image_folder"
    )
