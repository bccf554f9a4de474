"""SIGKILL of a worker in the middle of a sweep: every run finishes as it does when left alone."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

from regbench.config import Experiment
from regbench.execution.local import Event
from regbench.sweeps import sweep
from tests.faults import victims
from tests.faults.report import Line

EPOCHS = 6


class Killer(sweep.Observer):
    """Kills a worker when the run of some seed has trained an epoch; remembers what is repeated."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.repeated: list[int] = []
        self.notes: list[str] = []
        self.killed: int | None = None

    def see(self, experiment: Experiment, event: Event) -> None:
        if event.kind == "repeated":
            self.repeated.append(experiment.seed)
        elif event.kind == "note" and experiment.seed in self.repeated:
            self.notes.append(event.figures["text"])
        elif event.kind == "epoch" and event.figures["epoch"] == 1 and experiment.seed == self.seed:
            self.killed = self.killed or multiprocessing.active_children()[0].pid
            if self.killed and not self.repeated:
                os.kill(self.killed, signal.SIGKILL)


def run(folder: Path, count: int) -> tuple[Killer, sweep.Outcome, list[Experiment]]:
    """Run a sweep of two jobs at a time whose worker is killed in the middle."""
    runs = [victims.experiment(EPOCHS).with_seed(seed) for seed in range(count)]
    killer = Killer(count // 2)
    outcome = sweep.run(runs, folder, jobs=2, threads=1, device="cpu", observer=killer)
    return killer, outcome, runs


def different(runs: Sequence[Experiment], folder: Path, references: Path) -> list[str]:
    """Train the runs one by one; return the names of those that came out otherwise."""
    sweep.run(runs, references, jobs=1, threads=1, device="cpu")
    return [
        each.run_name
        for each in runs
        if victims.outcome(each, folder) != victims.outcome(each, references)
    ]


def kill_a_worker(folder: Path, count: int = 12) -> Iterator[Line]:
    """Kill a worker of a sweep of `count` runs; compare each run with one that ran alone."""
    killer, outcome, runs = run(folder / "sweep", count)
    left = multiprocessing.active_children()
    others = different(runs, folder / "sweep", folder / "alone")
    result = (
        f"{len(outcome.done)} runs finished, {len(killer.repeated)} repeated, "
        f"{len(others)} different, {len(left)} processes left"
    )
    passed = len(outcome.done) == count and len(killer.repeated) == 1 and not others and not left
    yield Line("SIGKILL of a worker of a sweep", count, result, passed)
