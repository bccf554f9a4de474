"""Writes folders of finished runs with made-up curves, to measure reading at scale.

python many_runs.py FOLDER COUNT [EPOCHS]
"""

import sys
from pathlib import Path

import numpy as np

from regbench import config, files
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
        folder.start(config.dump(experiment), {"threads": 1})
        rows = rng.uniform(size=(epochs + 1, len(HISTORY)))
        history = [
            dict(zip(HISTORY, row, strict=True)) | {"epoch": n} for n, row in enumerate(rows)
        ]
        _append_all(folder, history)
        last = {key: history[-1][key] for key in HISTORY if key.endswith(("_loss", "_accuracy"))}
        folder.finish(
            Summary.of(
                {"name": experiment.name, "config_hash": experiment.hash, "seed": seed}
                | {"status": "completed", "epochs": epochs, "parameters": 550_570}
                | last
            )
        )


def _append_all(folder: RunFolder, history: list[dict]) -> None:
    # Only the last call's file counts: the one before is overwritten.
    folder._rows = history[:-1]
    folder.append(history[-1])


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]), *map(int, sys.argv[3:]))
