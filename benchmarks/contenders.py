"""The rivals: each a function that trains the same network on the same images, and its speed.

Speeds are images per second of training, from the second epoch on: compiling is not training.
"""

from __future__ import annotations

import csv
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from regbench import config, datasets
from regbench.datasets import cache
from regbench.execution import environment

HERE = Path(__file__).parent
IMAGES, BATCH, EPOCHS = 4_096, 128, 3
DATA = ["data.name=shapes", f"data.train_examples={IMAGES}", "data.test_examples=100"]
# Multiply-adds count as two. The first layer needs no gradient of its input.
FORWARD = {"conv": 75_694_080 + 1_769_472, "dense": 2 * (2048 * 128 + 128 * 10)}
TRAINING = 3 * sum(FORWARD.values()) - 1_769_472
# What a plain script does not set is not set for it either. OPENBLAS_CORETYPE would pin NumPy's
# kernels to those of another processor.
UNSET = ("KERAS_BACKEND", "OMP_NUM_THREADS", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


class Bench:
    """The place of one benchmark: its temporary folder, its data and the Pythons it runs."""

    def __init__(self, folder: Path, torch_python: str | None) -> None:
        self.folder = folder
        self.users_cache = cache.folder()
        self.torch_python = torch_python
        self.data = folder / "images.npz"
        os.environ["REGBENCH_DATA"] = str(folder / "cache")  # not the user's
        splits = datasets.load(config.load("configs/baseline.yaml", DATA).data, seed=0)
        np.savez(self.data, images=splits.train_images, labels=splits.train_labels)

    def python(self, *arguments: str, python: str = sys.executable) -> str:
        """Run a Python in a process of its own; return what it printed."""
        variables = {key: value for key, value in os.environ.items() if key not in UNSET}
        command = [python, *arguments]
        done = subprocess.run(command, env=variables, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
        return done.stdout

    def regbench(self, *arguments: str) -> str:
        """Run the regbench command."""
        return self.python("-m", "regbench", *arguments)


def keras_fit(bench: Bench) -> float:
    return _of_script(bench.python(str(HERE / "keras_fit.py"), str(bench.data), str(1 + EPOCHS)))


def pytorch_loop(bench: Bench) -> float:
    if bench.torch_python is None:
        raise SystemExit("bench: this row compares with PyTorch: name a Python with --torch-python")
    script = [str(HERE / "pytorch_loop.py"), str(bench.data), str(1 + EPOCHS)]
    return _of_script(bench.python(*script, python=bench.torch_python))


def one_run(bench: Bench) -> float:
    return _regbench_runs(bench, runs=1)


def run_per_core(bench: Bench) -> float:
    return _regbench_runs(bench, runs=environment.cores())


def sgemm_limit(bench: Bench) -> float:
    found = json.loads(bench.python(str(HERE / "gemm.py")))
    return found["gflops"] * 1e9 / TRAINING


CONTENDERS: dict[str, Callable[[Bench], float]] = {
    "Keras fit": keras_fit,
    "PyTorch loop": pytorch_loop,
    "regbench, one run": one_run,
    "regbench, a run per core": run_per_core,
    "sgemm limit": sgemm_limit,
}


def _of_script(printed: str) -> float:
    found: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return found["images"] / statistics.median(found["seconds"][1:])


def _regbench_runs(bench: Bench, runs: int) -> float:
    """Return the sum of the speeds of runs that train side by side."""
    results = bench.folder / f"runs-{runs}"
    changes = [f"--set={each}" for each in (*DATA, f"train.batch_size={BATCH}")]
    count = ["--seeds", f"0-{runs - 1}", "--epochs", str(1 + EPOCHS)]
    where = ["--results", str(results), "--quiet", "--force", "--device", "cpu"]
    bench.regbench("run", "configs/baseline.yaml", *changes, *count, *where)
    return sum(map(_speed, results.glob("*/history.csv")))


def _speed(history: Path) -> float:
    with history.open() as file:
        seconds = [float(row["seconds"]) for row in csv.DictReader(file)]
    return IMAGES / statistics.median(seconds[2:])
