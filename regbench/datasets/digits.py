"""Digits: 1,797 handwritten digits of 8 x 8 pixels, gray, which come with scikit-learn.

The first 1,297 are for training and the last 500 for testing, unshuffled: neighbors may be by the
same writer, and having one writer on both sides would make the test easier. A gray level of 0 to 16
is spread over 0 to 255.
Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np

from regbench.datasets import cache, fingerprint
from regbench.datasets.errors import DataError
from regbench.datasets.splits import Splits
from regbench.text import one_line

TEST = 500
LEVELS = 16
# The fingerprint of scikit-learn's images, which are the same since its first versions.
SHA256 = "02843dca1149da548686edacda0824a90546e1f5b3c6bbe592858759df4db280"


def load(
    path: Path | None, sha256: str | None, progress: Callable[[int, int], None] | None = None
) -> Splits:
    """Return the whole set, from the cache, or from scikit-learn.

    Raises:
        DataError: a path or a checksum is given, which does not apply to this set; scikit-learn is
            missing, can't be imported, or has different images.
    """
    for key, value in (("data.path", path), ("data.sha256", sha256)):
        if value:
            raise DataError(f"{key}: digits comes with scikit-learn, not from a file; leave it out")
    return cache.splits("digits", SHA256, decode, "scikit-learn")


def installed() -> Path | None:
    """Return the folder of scikit-learn, which has the images; None if it is missing."""
    found = importlib.util.find_spec("sklearn")
    return Path(found.origin).parent if found and found.origin else None


def decode() -> Splits:
    """Return scikit-learn's images.

    Raises:
        DataError: it is missing, can't be imported, or has different images.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        problem = "needs scikit-learn"
        if installed():  # without a package that it needs itself, or built for another Python
            problem = f"can't import the installed scikit-learn ({one_line(str(error))})"
        raise DataError(
            f"data.name: digits {problem}: pip install 'regbench[digits]', or use the "
            "embedded data set, --set data.name=shapes"
        ) from error
    found = load_digits()
    images = np.rint(found.images * (255 / LEVELS)).astype(np.uint8)[..., None]
    labels = found.target.astype(np.int64)
    splits = Splits(
        images[:-TEST], labels[:-TEST], images[-TEST:], labels[-TEST:], tuple("0123456789")
    )
    actual = fingerprint.of(splits)
    if actual != SHA256:
        raise DataError(
            f"data.name: digits: expected images of fingerprint {SHA256}, received {actual} from "
            "the installed scikit-learn; install another version of it"
        )
    return splits
