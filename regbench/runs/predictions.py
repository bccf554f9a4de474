"""Predictions for each test example: written by a run, read to compare two runs.

`predictions.csv` has a row per example of the test set, in its order: its label, and the class that
the model finds likeliest.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from regbench.runs import storage
from regbench.runs.files import PREDICTIONS

HEADER = "label,predicted"


def write(path: Path, labels: NDArray[np.int64], predicted: NDArray[np.int64]) -> None:
    """Write labels (n,) and predicted classes (n,) as two columns."""
    lines = (f"{label},{guess}\n" for label, guess in zip(labels, predicted, strict=True))
    path.write_text(f"{HEADER}\n{''.join(lines)}", encoding="ascii", newline="")


def read(folder: Path) -> NDArray[np.int64] | None:
    """Return (n, 2): label and predicted class of each test example; None without the file.

    Raises:
        ValueError: the file is damaged.
    """
    try:
        text = storage.text(folder, PREDICTIONS)
    except FileNotFoundError:
        return None
    if not re.fullmatch(rf"{HEADER}\n(\d{{1,9}},\d{{1,9}}\n)*", text, re.ASCII):
        raise ValueError(f"{PREDICTIONS} is damaged: expected rows of {HEADER}, two integers each")
    numbers = text.partition("\n")[2].replace("\n", ",")
    return np.fromstring(numbers, np.int64, sep=",").reshape(-1, 2)
