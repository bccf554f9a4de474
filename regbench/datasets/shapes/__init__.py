"""A data set that needs no network: ten kinds of shape, drawn by NumPy on cluttered backgrounds.

The set does not depend on a run's seed: 10,000 training and 2,000 test images of 32 x 32 pixels.
Sizes, angles, colors and clutter vary so much that a small network can memorize a thousand images
and still fail on new ones, which is its purpose.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from regbench.datasets import cache
from regbench.datasets.errors import DataError
from regbench.datasets.shapes import drawing, outlines
from regbench.datasets.shapes.drawing import draw
from regbench.datasets.shapes.outlines import OUTLINES
from regbench.datasets.splits import Splits

TRAIN, TEST = 10_000, 2_000
SEED = 20_231


def load(
    path: Path | None, sha256: str | None, progress: Callable[[int, int], None] | None = None
) -> Splits:
    """Return the whole set, drawn in under two seconds if it is not in the cache.

    Raises:
        DataError: a path or a checksum is given, which does not apply to this set.
    """
    for key, value in (("data.path", path), ("data.sha256", sha256)):
        if value:
            raise DataError(f"{key}: shapes is drawn, not read from a file; leave it out")
    try:
        return cache.splits("shapes", _key(), drawn)
    except (cache.CacheError, OSError):  # this set must work even if the cache does not
        return drawn()


def _key() -> str:
    """Return a digest of everything that determines the pixels.

    The source alone would miss a constant that a program sets, or a new random stream in another
    NumPy: so the digest includes an image of each class, drawn in some milliseconds. A version
    number would not do: if somebody forgot to raise it, old images would pass for new ones.

    Raises:
        OSError: the source is missing, as in an installation of compiled files only.
    """
    digest = hashlib.sha256(repr((TRAIN, TEST, SEED, tuple(OUTLINES), np.__version__)).encode())
    for module in (sys.modules[__name__], drawing, outlines):
        digest.update(inspect.getsource(module).encode())
    digest.update(draw(np.arange(len(OUTLINES)), np.random.default_rng(SEED)).data)
    return digest.hexdigest()


def drawn() -> Splits:
    """Draw the whole set."""
    return Splits(*_split(TRAIN, SEED), *_split(TEST, SEED + 1), tuple(OUTLINES))


def _split(count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    labels = np.arange(count, dtype=np.int64) % len(OUTLINES)
    return draw(labels, np.random.default_rng(seed)), labels
