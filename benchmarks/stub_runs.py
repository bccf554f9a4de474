"""Runs that are not trained, to measure what everything around training costs.

`write` takes the place of `regbench.training.train.train`. Workers import it from here: this folder
must be on PYTHONPATH.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import many_runs
import numpy as np

from regbench import config
from regbench.config import Experiment
from regbench.runs.folder import RunFolder

# Variants and seeds by the number of runs. A matrix has at most 256 variants.
SHAPES = {10: (2, 5), 1_000: (100, 10), 20_000: (200, 100)}
EPOCHS = 30
# No download, and nothing to decode.
DATA = ("data.name=shapes", "data.train_examples=100", "data.test_examples=100")


def write(job: Any, emit: Any, seconds: float = 0.0, folders: bool = True) -> dict[str, Any]:
    """Wait for some seconds, then write a finished run, locked and synced as a trained one.

    Takes and returns what `train` does. Without `folders` nothing is written.
    """
    emit("begun", {})
    time.sleep(seconds)
    if not folders:
        return many_runs.summary(job.experiment, {}, EPOCHS).as_dict()
    rng = np.random.default_rng(job.experiment.seed)
    with RunFolder.of(job.results, job.experiment).writing() as folder:
        return many_runs.write_run(folder, job.experiment, rng, EPOCHS).as_dict()


def experiments(folder: Path, variants: int, seeds: int) -> tuple[list[str], list[Experiment]]:
    """Return the arguments of `regbench run` for so many runs, and the experiments they name."""
    paths = ["configs/baseline.yaml"]
    if variants > 1:
        strengths = ", ".join(f"{1e-5 * number:.5f}" for number in range(1, variants))
        baseline = Path("configs/baseline.yaml").resolve()
        file = folder / "many.yaml"
        file.write_text(f"extends: {baseline}\nmatrix:\n  l2: [{strengths}]\n")
        paths.append(str(file))
    named = [*paths, *(f"--set={each}" for each in DATA), "--seeds", f"0-{seeds - 1}"]
    return named, config.load_all(paths, DATA, list(range(seeds)))
