"""The fingerprint of data: SHA-256 over pixels, labels, shapes, dtypes and class names.

Two runs compare only if they read the same data, and a name or a version does not prove that.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np

from regbench.datasets.splits import ARRAYS, VALIDATION_ARRAYS, Splits


def of(splits: Splits) -> str:
    """Return 64 hex digits that change with any pixel, label, shape, dtype or class name.

    They are the same on every machine, also on one that stores integers big end first.
    """
    # Validation examples count where there are any; without them the digest is that of before.
    names = ARRAYS + (VALIDATION_ARRAYS if splits.validation else ())
    little = (np.ascontiguousarray(getattr(splits, name)) for name in names)
    arrays = [array.astype(array.dtype.newbyteorder("<"), copy=False) for array in little]
    # The header gives every length, so that no bytes can pass from one array to the next.
    header = {
        "classes": list(splits.classes),
        "arrays": [
            [name, array.dtype.str, list(array.shape)]
            for name, array in zip(names, arrays, strict=True)
        ],
    }
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode() + b"\n")
    for array in arrays:
        digest.update(array.data)
    return digest.hexdigest()


def record(splits: Splits) -> dict[str, str]:
    """Return what a run records of its data.

    `pool` is the fingerprint of the whole data set, `examples` that of the training, test and
    validation examples that the run reads: its subsets, with the labels as noise left them.
    """
    examples = of(splits)
    return {"pool": splits.pool or examples, "examples": examples}
