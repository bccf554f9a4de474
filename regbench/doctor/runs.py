"""Rules that only a run can show: evaluation draws nothing, and an interrupted run resumes exactly.

Both train, in this process, a network of a few units on a few dozen drawn images.
"""

from __future__ import annotations

import contextlib
import csv
import os
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from regbench import datasets
from regbench.config import Experiment
from regbench.doctor.check import Check
from regbench.execution import signals
from regbench.execution.environment import Runtime
from regbench.execution.local import Emit
from regbench.models import evaluate
from regbench.models.build import build, compile_model
from regbench.runs.files import HISTORY_FILE
from regbench.runs.folder import RunFolder
from regbench.training.train import Job, train

# Times differ from run to run; everything else has to be equal.
TIMES = ("seconds",)


def evaluation(name: str, experiment: Experiment, runtime: Runtime) -> Check:
    """Measure a network twice: the same outputs, and every variable as it was."""
    splits = datasets.load(experiment.data, experiment.seed)
    model = build(experiment, splits.train_images.shape[1:], len(splits.classes))
    compile_model(model, experiment, 1)
    before = [np.array(variable) for variable in model.variables]
    first, again = (evaluate.predict(model, splits.test_images) for _ in range(2))
    moved = sum(
        not np.array_equal(old, np.array(new))
        for old, new in zip(before, model.variables, strict=True)
    )
    apart = float(np.abs(first - again).max())
    measured = f"outputs differ by {apart:.2g}, {moved} variables moved"
    return Check(
        name, "evaluation draws nothing", measured, "0 and 0", passed=apart == 0 and moved == 0
    )


def resume(name: str, experiment: Experiment, runtime: Runtime) -> Check:
    """Train to the end, and again with an interruption in the first epoch: the same history."""
    with tempfile.TemporaryDirectory(prefix="regbench-doctor-") as folder:
        whole, parts = Path(folder, "whole"), Path(folder, "parts")
        _train(experiment, runtime, whole, lambda kind, figures: None)
        with contextlib.suppress(signals.Stopped):
            _train(experiment, runtime, parts, _interrupt)
            return Check(name, "resume is exact", "the run could not be interrupted", "", False)
        _train(experiment, runtime, parts, lambda kind, figures: None)
        rows = [_history(experiment, each) for each in (whole, parts)]
    numbers = [value for row in rows[0] for value in row]
    others = [value for row in rows[1] for value in row]
    differ = sum(one != other for one, other in zip(numbers, others, strict=False))
    differ += abs(len(numbers) - len(others))
    measured = f"{differ} of {len(numbers)} numbers of the history differ"
    return Check(name, "resume is exact", measured, "0", passed=not differ)


CHECKS = {"evaluation": evaluation, "resume": resume}


def _train(
    experiment: Experiment,
    runtime: Runtime,
    results: Path,
    emit: Emit,
) -> None:
    with signals.postponed():
        train(Job(experiment, results, runtime, [], probes=False), emit)


def _interrupt(kind: str, figures: Mapping[str, float | str | None]) -> None:
    """Ask the run to stop: after its first step, which compiles, or at the end of an epoch."""
    if kind == "step" or (kind == "epoch" and figures["epoch"] == 1):
        os.kill(os.getpid(), signal.SIGTERM)


def _history(experiment: Experiment, results: Path) -> list[list[str]]:
    path = RunFolder.of(results, experiment).path / HISTORY_FILE
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [[value for key, value in row.items() if key not in TIMES] for row in rows]
