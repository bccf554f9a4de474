"""How long a person waits, from a command to the finished folders, against plain Keras scripts.

Each function returns the numbers of its rows in `BARS`, one for each round. `Scale` says how much
is trained; the rivals train exactly as much.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from contenders import HERE, Bench

from regbench import config, datasets
from regbench.studies import file as studies

ONE = "`regbench run configs/baseline.yaml` on CIFAR-10, against a plain Keras script"
SEVEN = "seven configs as one command, against seven plain Keras scripts"
DEMO = "`regbench demo`, against the same 20 trainings as plain Keras scripts"
OUTSIDE = "share of time outside training steps, default CIFAR-10 config"
WARM = "share of time outside training steps, `configs/quick.yaml` in a warm worker"
# The configs, and what a script is told for the same network.
CONFIGS = {
    "baseline": [],
    "l1": ["--l1=1e-4"],
    "l2": ["--l2=5e-4"],
    "dropout": ["--dropout=0.5"],
    "batch_norm": ["--batch-norm"],
    "average_pooling": ["--average-pooling"],
    "all": ["--l2=5e-4", "--batch-norm", "--dropout=0.5"],
}


@dataclass(frozen=True)
class Scale:
    """How much is trained; `data` is CIFAR-10's archive or folder, by default the cache's.

    `epochs` are those of one run, `epochs_of_each` those of each of several configs. Fewer than the
    25 of the configs give start and end of a run more weight than they have.
    """

    data: Path | None
    epochs: int = 10
    epochs_of_each: int = 10
    demo_epochs: int = 30
    quick_epochs: int = 20
    seeds: int = 5
    rounds: int = 1

    def note(self) -> str:
        """Return what was trained, for the table."""
        return (
            f"{self.epochs} epochs of one run on CIFAR-10, {self.epochs_of_each} of each of seven "
            f"(the configs say 25); {self.demo_epochs} epochs and {self.seeds} seeds of each of "
            f"the demo's variants (30 and 5), {self.quick_epochs} epochs of quick.yaml (20); "
            f"rounds: {self.rounds}."
        )


def one_run(bench: Bench, scale: Scale) -> dict[str, list[float]]:
    """Return the ratio for one config, and the share of its time outside of training steps."""
    data, changes = _cifar(bench, scale)
    ratios, shares = [], []
    for number in range(scale.rounds):
        results = bench.folder / f"one-{number}"
        ours = _run(bench, results, ["baseline"], [*changes, f"--epochs={scale.epochs}"])
        theirs = _script(bench, data, [f"--epochs={scale.epochs}"])
        ratios.append(theirs / ours)
        shares.append(_outside(results))
    return {ONE: ratios, OUTSIDE: shares}


def seven_configs(bench: Bench, scale: Scale) -> dict[str, list[float]]:
    data, changes = _cifar(bench, scale)
    epochs, ratios = f"--epochs={scale.epochs_of_each}", []
    for number in range(scale.rounds):
        ours = _run(bench, bench.folder / f"seven-{number}", [*CONFIGS], [*changes, epochs])
        theirs = sum(_script(bench, data, [*own, epochs]) for own in CONFIGS.values())
        ratios.append(theirs / ours)
    return {SEVEN: ratios}


def demo(bench: Bench, scale: Scale) -> dict[str, list[float]]:
    """Return the ratio of the demo's time to that of its trainings as scripts.

    A scaled demo is its study with fewer epochs or seeds, without the demo's report.
    """
    study = studies.read("regbench:demo")
    base = study.experiments[0]
    data = _saved(bench, base, "demo.npz")
    blocks = [str(each) for each in base.model.blocks]
    usual = ["--blocks", *blocks, "--convolutions=1", "--batch=25", "--rate=3e-3", "--cosine"]
    usual += [f"--epochs={scale.demo_epochs}"]
    variants = [[], ["--l1=5e-5"], ["--l2=1e-3"], ["--dropout=0.3"]]
    whole = scale.demo_epochs == base.train.epochs and scale.seeds == len(study.seeds)
    ratios = []
    for number in range(scale.rounds):
        results = str(bench.folder / f"demo-{number}")
        began = time.perf_counter()
        if whole:
            bench.regbench("demo", "--results", results, "--device=cpu")
        else:
            scaled = [f"--seeds=0-{scale.seeds - 1}", f"--set=train.epochs={scale.demo_epochs}"]
            command = ["study", "configs/studies/demo.yaml", "--results", results, "--device=cpu"]
            bench.regbench(*command, *scaled)
        ours = time.perf_counter() - began
        theirs = sum(
            _script(bench, data, [*usual, *own, f"--seed={seed}"])
            for own in variants
            for seed in range(scale.seeds)
        )
        ratios.append(theirs / ours)
    return {DEMO: ratios}


def warm_worker(bench: Bench, scale: Scale) -> dict[str, list[float]]:
    """Return the share of the second run of a worker, which has imported and drawn already."""
    shares = []
    for number in range(scale.rounds):
        results = bench.folder / f"warm-{number}"
        more = ["--seeds=0-1", "--jobs=1", f"--epochs={scale.quick_epochs}"]
        _run(bench, results, ["quick"], more)
        shares.append(_outside(results, seed=1))
    return {WARM: shares}


def _run(bench: Bench, results: Path, configs: list[str], more: list[str]) -> float:
    """Return the seconds of a command that trains configs."""
    named = [f"configs/{name}.yaml" for name in configs]
    where = ["--results", str(results), "--quiet", "--device=cpu", "--profile"]
    began = time.perf_counter()
    bench.regbench("run", *named, *where, *more)
    return time.perf_counter() - began


def _script(bench: Bench, data: Path, more: list[str]) -> float:
    """Return the seconds of a plain script."""
    folder = bench.folder / "script"
    began = time.perf_counter()
    bench.python(str(HERE / "keras_script.py"), str(data), str(folder), *more)
    seconds = time.perf_counter() - began
    shutil.rmtree(folder)
    return seconds


def _outside(results: Path, seed: int = 0) -> float:
    """Return the share of a run's time that is not in compiled training steps."""
    (profile,) = results.glob(f"*-s{seed}/profile.json")
    seconds = json.loads(profile.read_text())
    return 1 - float(seconds["step"]) / float(seconds["total"])


def _cifar(bench: Bench, scale: Scale) -> tuple[Path, list[str]]:
    """Return the images for a script, and the options that make a run read the same ones."""
    changes = []
    if scale.data:
        changes = [f"data.path={scale.data.resolve()}"]
        if scale.data.is_file():
            with scale.data.open("rb") as file:
                changes.append(f"data.sha256={hashlib.file_digest(file, 'sha256').hexdigest()}")
    elif found := sorted(bench.users_cache.rglob("cifar-10-*.tar.gz")):
        return _cifar(bench, replace(scale, data=found[0]))
    else:
        raise SystemExit("bench: no CIFAR-10 archive in the cache; name one with --data")
    saved = _saved(bench, config.load("configs/baseline.yaml", changes), "cifar.npz")
    return saved, [f"--set={each}" for each in changes]


def _saved(bench: Bench, experiment: config.Experiment, name: str) -> Path:
    """Return the images of an experiment as a file for a script, and decode them for the runs."""
    path = bench.folder / name
    if not path.exists():
        splits = datasets.load(experiment.data, seed=0)
        np.savez(
            path,
            train_images=splits.train_images,
            train_labels=splits.train_labels,
            test_images=splits.test_images,
            test_labels=splits.test_labels,
        )
    return path
