"""The files of a run folder: their names, largest sizes, and the columns of the history."""

from __future__ import annotations

from collections.abc import Mapping

from regbench import config

SUMMARY = "summary.json"  # written last: its presence means that the run is complete
HISTORY_FILE = "history.csv"
CONFIG = "config.yaml"
ENVIRONMENT = "environment.json"
MODEL = "model.keras"
DETAILS = "probes.json"
PREDICTIONS = "predictions.csv"
PROFILE = "profile.json"
ERROR = "error.txt"
CHECKPOINTS = "checkpoint"  # a folder with everything that an interrupted run needs to resume
LOCK = ".lock"

# The files that an attempt writes; the sign of completion comes first, as it is removed first.
MADE = (SUMMARY, ERROR, HISTORY_FILE, MODEL, DETAILS, PREDICTIONS, PROFILE)
# Any of them shows that a run was started in a folder.
BEGUN = (SUMMARY, CONFIG, ERROR)
# The files with weights: the trained model, and a diverged run's checkpoints.
WEIGHTS = (CHECKPOINTS, MODEL)

# The most bytes that a reader accepts for each file, far more than any run writes: a damaged or
# hostile file must not fill the memory. Parsed, JSON takes thirty times its size.
LIMITS = {
    SUMMARY: 2**20,
    HISTORY_FILE: 2**26,
    CONFIG: config.MAX_BYTES,
    ENVIRONMENT: 2**20,
    DETAILS: 2**23,  # 256 histograms, or a confusion matrix of 200 classes
    PREDICTIONS: 2**26,  # five million examples
    PROFILE: 2**20,
}

HISTORY = (
    "epoch", "seconds", "learning_rate",
    "train_loss", "train_accuracy", "test_loss", "test_accuracy",
    "reported_loss", "reported_accuracy", "penalty",
    "train_evaluated", "test_evaluated",  # examples behind the row; 0 if none was measured
)  # fmt: skip
# The columns that follow if a config sets `data.validation_examples`.
VALIDATION = ("validation_loss", "validation_accuracy", "validation_evaluated")
COLUMNS = HISTORY + VALIDATION
# The columns that every version has written; others may be missing from an older history.
REQUIRED = (
    "epoch", "seconds", "learning_rate",
    "train_loss", "train_accuracy", "test_loss", "test_accuracy",
    "reported_loss", "reported_accuracy", "penalty",
)  # fmt: skip

# A row of the history: the number in each column, None where nothing was measured.
Row = Mapping[str, float | None]


def number(row: Row, column: str) -> float:
    """Return a number that the row has for certain, such as its epoch."""
    found = row[column]
    assert found is not None, column
    return found
