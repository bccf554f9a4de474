"""The fingerprint of data: SHA-256 over pixels, labels, shapes, dtypes and class names.

Two runs are comparable only if they read the same data, which a name or version can't prove.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np

from regbench.datasets.splits import ARRAYS, VALIDATION_ARRAYS, Splits


def of(splits: Splits) -> str:
    """Return 64 hex digits that change with any pixel, label, shape, dtype or class name.

    They are the same on every machine, even a big-endian one.
    """
    # Validation examples count only if there are any, so that older digests stay valid.
    names = ARRAYS + (VALIDATION_ARRAYS if splits.validation else ())
    little = (np.ascontiguousarray(getattr(splits, name)) for name in names)
    arrays = [array.astype(array.dtype.newbyteorder("<"), copy=False) for array in little]
    # The header has every length, so that no bytes can move between arrays unnoticed.
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
    """Return the fingerprints that a run records.

    `pool` is the fingerprint of the whole data set, `examples` that of the training, test and
    validation examples that the run reads: its subsets, with the labels as noise left them.
    """
    examples = of(splits)
    return {"pool": splits.pool or examples, "examples": examples}
