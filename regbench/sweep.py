"""Many runs: every config with every seed that has no finished run yet, through an executor.

`run` is what `regbench run` calls. In a script, call it under `if __name__ == "__main__":`, since
its worker processes import the script that started them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from regbench import datasets, environment
from regbench.config import Experiment
from regbench.environment import Runtime
from regbench.errors import RegbenchError
from regbench.executors import EXECUTORS, Event, Failure
from regbench.runs import RunFolder
from regbench.train import Job, train

# A generous guess: libraries take half a gigabyte, the rest is for maps and weights.
GPU_MEMORY_OF_A_RUN = 4 * 2**30


@dataclass
class Outcome:
    """What became of the runs that were asked for. `done` and `diverged` hold their summaries."""

    skipped: list[Experiment] = field(default_factory=list)
    done: list[dict[str, Any]] = field(default_factory=list)
    diverged: list[dict[str, Any]] = field(default_factory=list)
    failed: list[tuple[Experiment, Failure]] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 where every run is finished and finite, 1 where none is, 3 where some are."""
        if not self.failed and not self.diverged:
            return 0
        return 3 if self.done or self.skipped else 1


class Observer:
    """Watches a sweep; the terminal displays derive from it. Every method may be left as it is."""

    def begin(
        self, pending: Sequence[Experiment], skipped: Sequence[Experiment], workers: int
    ) -> None:
        """Called once, before the first run."""

    def see(self, experiment: Experiment, event: Event) -> None:
        """Called for every event of every run."""

    def download(self, done: int, total: int) -> None:
        """Called with bytes done and in all, while a data set is fetched before the first run."""

    def end(self) -> None:
        """Called once at the end, also of an interrupted sweep."""


def run(
    experiments: Sequence[Experiment],
    results: Path | str = "results",
    *,
    backend: str | None = None,
    device: str = "auto",
    jobs: int | None = None,
    threads: int | None = None,
    force: bool = False,
    profile: bool = False,
    executor: str = "local",
    command: Sequence[str] = (),
    observer: Observer | None = None,
) -> Outcome:
    """Train every experiment that has no finished run in `results` yet; with `force`, all of them.

    `jobs` is how many run at a time and `threads` how many CPU threads each of them uses; None
    lets one run use every core, and several share the machine with one thread each. With
    `profile`, each run folder gets a `profile.json`: the seconds of each part of the run.
    A run that fails does not end the others. Raises RegbenchError for what can't even begin.
    """
    results, observer = Path(results), observer or Observer()
    _check_distinct(experiments)
    outcome = Outcome()
    pending: list[Experiment] = []
    for experiment in experiments:
        finished = RunFolder.of(results, experiment).is_complete and not force
        (outcome.skipped if finished else pending).append(experiment)

    workers, each = share_machine(len(pending), jobs, threads, device)
    runtime = Runtime(environment.choose_backend(backend), device, each)
    work = [Job(experiment, results, runtime, list(command), profile) for experiment in pending]
    try:
        _fetch_data(pending, observer)
        observer.begin(pending, outcome.skipped, workers)
        with contextlib.closing(
            EXECUTORS[executor](train, work, workers, runtime.variables())
        ) as events:
            for event in events:
                observer.see(pending[event.job], event)
                _note(outcome, pending[event.job], event, results)
    finally:
        observer.end()
    return outcome


def share_machine(
    runs: int, jobs: int | None, threads: int | None, device: str = "cpu"
) -> tuple[int, int]:
    """Return (runs at a time, threads of each). Processes of one thread train the most images.

    On a GPU as many runs share it as fit into its memory, each with its share of the cores.
    """
    cores = environment.cores()
    if jobs is None:
        jobs = cores // threads if threads else cores
        memory = 0 if device == "cpu" or runs <= 1 else environment.free_gpu_memory()
        jobs = min(jobs, memory // GPU_MEMORY_OF_A_RUN or 1) if memory else jobs
    jobs = max(1, min(jobs, runs))
    if threads is None:
        threads = cores if runs <= 1 else max(1, cores // jobs)
    return jobs, threads


def _fetch_data(pending: Sequence[Experiment], observer: Observer) -> None:
    """Decode every data set to the cache: what is missing is one error, before any run starts."""
    for data, seed in {experiment.data: experiment.seed for experiment in pending}.items():
        datasets.load(data, seed, observer.download)


def _check_distinct(experiments: Sequence[Experiment]) -> None:
    seen: set[tuple[str, str, int]] = set()
    for experiment in experiments:
        key = experiment.name, experiment.hash, experiment.seed
        if key in seen:
            raise RegbenchError(
                f"{experiment.name} with seed {experiment.seed} was asked for twice; name it once"
            )
        seen.add(key)


def _note(outcome: Outcome, experiment: Experiment, event: Event, results: Path) -> None:
    if event.kind == "done":
        diverged = event.result["status"] == "diverged"
        (outcome.diverged if diverged else outcome.done).append(event.result)
    elif event.kind == "failed" and event.failure:
        outcome.failed.append((experiment, event.failure))
        # A folder in use belongs to the process that is training there.
        if event.failure.error != "RunBusy":
            with contextlib.suppress(OSError, RegbenchError):
                RunFolder.of(results, experiment).fail(event.failure.details)
