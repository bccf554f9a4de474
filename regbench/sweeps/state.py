"""Progress of a sweep and its remaining time, derived from the events of its runs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Literal

from regbench.config import Experiment
from regbench.execution.local import Event, Figures, makespan
from regbench.runs.folder import RunBusy

# With less of an epoch, an extrapolation is too uncertain.
LEAST_SHARE = 0.2

Status = Literal["waiting", "running", "done", "diverged", "failed", "elsewhere"]
Phase = Literal["starting", "training", "probing"]


class RunState:
    """Progress of one run: its latest history row, its curve so far and its speed.

    `done` counts epochs, with a fraction for the current one; `curve` maps an epoch to the test
    accuracy after it, where it was measured.
    """

    def __init__(self, experiment: Experiment) -> None:
        self.name, self.seed = experiment.name, experiment.seed
        self.config = experiment.hash
        self.epochs = experiment.train.epochs
        self.status: Status = "waiting"
        self.row: Figures = {"epoch": 0}
        self.curve: dict[int, float] = {}
        self.done = 0.0
        # Seconds of a finished run outside its epochs: start, compilation, probes.
        self.overhead: float | None = None
        self._started = 0.0
        # Progress and time when the run was first and last seen training.
        self._first: tuple[float, float] | None = None
        self._last: tuple[float, float] | None = None

    @property
    def phase(self) -> Phase:
        """The phase of a run that is under way. After the last epoch, only the probes remain."""
        if "train_accuracy" not in self.row:
            return "starting"
        return "probing" if self.row["epoch"] >= self.epochs else "training"

    @property
    def label(self) -> str:
        """The run's name for people, as "dropout s0"."""
        return f"{self.name} s{self.seed}"

    def see(self, event: Event) -> None:
        """Update the state from an event of this run."""
        if event.kind == "started":
            self.status, self._started = "running", time.monotonic()
            self._first = self._last = None
        elif event.kind == "repeated":
            self.status = "waiting"
        elif event.kind == "failed":
            # Another process is training it, so it is skipped here.
            busy = event.failure is not None and event.failure.error == RunBusy.__name__
            self.status = "elsewhere" if busy else "failed"
        elif event.kind == "done":
            self._end(event)
        else:
            self._move(event)

    def _move(self, event: Event) -> None:
        if event.kind == "epoch":
            if event.figures["train_accuracy"] is None:  # an epoch after which nothing is measured
                # Those of the last measurement stay on display until the next one.
                self.row = {
                    **event.figures,
                    "train_accuracy": self.row.get("train_accuracy"),
                    "test_accuracy": self.row.get("test_accuracy"),
                }
            else:
                self.row = event.figures
            if event.figures["test_accuracy"] is not None:
                self.curve[event.figures["epoch"]] = event.figures["test_accuracy"]
            self.done = float(event.figures["epoch"])
        elif event.kind == "step":
            epoch, step = event.figures["epoch"], event.figures["step"]
            self.done = epoch - 1 + step / event.figures["steps"]
        elif "done" in event.figures:  # it resumes at this epoch
            self.done = event.figures["done"]
        else:
            return
        self._last = self.done, time.monotonic()
        self._first = self._first or self._last

    def _end(self, event: Event) -> None:
        summary = event.result
        diverged = isinstance(summary, Mapping) and summary["status"] == "diverged"
        self.status = "diverged" if diverged else "done"
        pace = self.seconds_per_epoch
        if pace is not None and self._first:
            trained = (self.done - self._first[0]) * pace
            self.overhead = max(0.0, time.monotonic() - self._started - trained)

    @property
    def seconds_per_epoch(self) -> float | None:
        """Wall-clock seconds, measurement included; None until enough of an epoch is done."""
        if not self._first or not self._last or self._last[0] < self._first[0] + LEAST_SHARE:
            return None
        return (self._last[1] - self._first[1]) / (self._last[0] - self._first[0])

    def seconds_left(self, pace: float | None = None) -> float | None:
        """Return the seconds until the end of the last epoch, or None if no pace is known.

        `pace` is used as long as the run's own pace is unknown.
        """
        pace = self.seconds_per_epoch or pace
        if pace is None:
            return None
        since = time.monotonic() - self._last[1] if self._last else 0.0
        return max(0.0, (self.epochs - self.done) * pace - since)


class SweepState:
    """Progress of every run of a sweep."""

    def __init__(self, pending: Sequence[Experiment] = (), workers: int = 1) -> None:
        self.runs = {experiment.run_name: RunState(experiment) for experiment in pending}
        self.workers = workers

    def of(self, status: Status) -> list[RunState]:
        """Return the runs with this status, in the order in which they begin."""
        return [run for run in self.runs.values() if run.status == status]

    @property
    def seconds_left(self) -> float | None:
        """An estimate for all runs; None until an epoch of any run has been seen.

        A run that has not started is assumed to take as long as others of its config, or else as
        the mean of all configs.
        """
        pace = self._per_config(lambda run: run.seconds_per_epoch)
        if not pace:
            return None
        overhead = self._per_config(lambda run: run.overhead)

        def seconds(run: RunState) -> float:
            left = run.seconds_left(pace.get(run.config, fmean(pace.values())))
            return left or 0.0

        usual = fmean(overhead.values()) if overhead else 0.0
        waiting = [seconds(run) + overhead.get(run.config, usual) for run in self.of("waiting")]
        busy = [seconds(run) for run in self.of("running")]
        return makespan(waiting, busy + [0.0] * (self.workers - len(busy)))

    def summary(self) -> str:
        """Return "3 of 12 runs done, 1 failed, 2 running, 6 waiting"."""
        count = Counter(run.status for run in self.runs.values())
        others: tuple[Status, ...] = ("diverged", "failed", "elsewhere", "running", "waiting")
        parts = [f"{count['done']} of {len(self.runs)} runs done"]
        return ", ".join(parts + [f"{count[each]} {each}" for each in others if count[each]])

    def _per_config(self, number: Callable[[RunState], float | None]) -> dict[str, float]:
        """Return the mean of a number over those of a config's runs that have it."""
        known: dict[str, list[float]] = {}
        for run in self.runs.values():
            value = number(run)
            if value is not None:
                known.setdefault(run.config, []).append(value)
        return {config: fmean(values) for config, values in known.items()}
