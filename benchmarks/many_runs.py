"""Writes folders of finished runs with made-up curves, to measure reading at scale.

python many_runs.py FOLDER COUNT [EPOCHS]
"""

import sys
from pathlib import Path

import numpy as np

from regbench import config, files
from regbench.config import Experiment
from regbench.runs.files import HISTORY
from regbench.runs.folder import RunFolder
from regbench.runs.summary import Summary

SEEDS = 5


def write(results: Path, count: int, epochs: int = 30) -> None:
    """Write `count` runs, five seeds of each config, the first of which is the baseline."""
    files._sync = lambda path: None  # 10,000 runs to read once need to survive no power failure
    rng = np.random.default_rng(0)
    for number in range(count):
        variant, seed = divmod(number, SEEDS)
        overrides = [f"name=l2_{variant}", f"l2={variant * 1e-5}"] if variant else []
        experiment = config.load("configs/baseline.yaml", [*overrides, f"seed={seed}"])
        folder = RunFolder.of(results, experiment)
        folder.path.mkdir(parents=True)
        write_run(folder, experiment, rng, epochs)


def write_run(
    folder: RunFolder, experiment: Experiment, rng: np.random.Generator, epochs: int
) -> Summary:
    """Write a finished run with random curves into its folder, and return its summary."""
    folder.start(config.dump(experiment), {"threads": 1})
    rows = rng.uniform(size=(epochs + 1, len(HISTORY)))
    history = [dict(zip(HISTORY, row, strict=True)) | {"epoch": n} for n, row in enumerate(rows)]
    _append_all(folder, history)
    finished = summary(experiment, history[-1], epochs)
    folder.finish(finished)
    return finished


def summary(experiment: Experiment, last: dict, epochs: int) -> Summary:
    """Return the summary of a finished run with this last row of its history."""
    figures = {key: last.get(key, 0.5) for key in HISTORY if key.endswith(("_loss", "_accuracy"))}
    return Summary.of(
        {"name": experiment.name, "config_hash": experiment.hash, "seed": experiment.seed}
        | {"status": "completed", "epochs": epochs, "parameters": 550_570}
        | figures
    )


def _append_all(folder: RunFolder, history: list[dict]) -> None:
    # Only the last call's file counts: the one before is overwritten.
    folder._rows = history[:-1]
    folder.append(history[-1])


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]), *map(int, sys.argv[3:]))
