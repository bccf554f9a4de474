"""Runs that other tools kept: MLflow, TensorBoard, W&B and trackio, read without these libraries.

Every tool has a module here with a function `(place) -> runs`, where a run is a `TrackedRun`. They
become the same tidy table that a CSV file holds: see `regbench.runs.tables`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from regbench.errors import RegbenchError
from regbench.runs.trackers import places
from regbench.runs.trackers.tracked_run import TrackedRun
from regbench.text import one_line

# The modules are imported when used. Names for people.
NAMES = {
    "mlflow": "an MLflow store",
    "mlflow_server": "an MLflow server",
    "tensorboard": "a TensorBoard folder",
    "trackio": "a trackio database",
    "wandb": "W&B files",
}


def kind(path: Path) -> str | None:
    """Return which tool's runs are there, a key of `NAMES`; None if it is none of these."""
    return places.kind(path)


def read(path: Path, kind: str) -> list[TrackedRun]:
    """Return the runs that a tool kept at a path, those that started first coming first.

    Raises:
        RegbenchError: it can't be read, or holds no run; the line says what was expected.
    """
    reader: Callable[[Path], list[TrackedRun]] = import_module(f"{__name__}.{kind}").runs
    shown = one_line(places.address(path) or str(path))
    try:
        found = reader(path)
    except (OSError, ValueError) as error:
        reason = one_line(str(error).strip().partition("\n")[0])
        raise RegbenchError(f"{shown}: expected {NAMES[kind]}, received: {reason}") from error
    if not any(run.steps for run in found):
        raise RegbenchError(f"{shown}: expected runs with numbers in {NAMES[kind]}, received none")
    return found
