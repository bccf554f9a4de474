"""Sweeps: trains every config with every seed that has no finished run yet.

`run` is what `regbench run` calls. In a script, call it under `if __name__ == "__main__":`, since
its worker processes import the script that started them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from regbench import datasets, plugins
from regbench.config import Experiment
from regbench.errors import RegbenchError
from regbench.execution import environment, main_guard
from regbench.execution.environment import Runtime
from regbench.execution.failures import Failure
from regbench.execution.local import EXECUTORS, Event, started
from regbench.runs import environments
from regbench.runs.folder import RunBusy, RunFolder
from regbench.runs.summary import Summary
from regbench.training import checkpoints
from regbench.training.train import Job, train

# A generous estimate: libraries take half a gigabyte, the rest is for feature maps and weights.
GPU_MEMORY_OF_A_RUN = 4 * 2**30
# Failures that are not recorded in the run folder: a folder in use belongs to the process that is
# training there, and a run that was asked to stop has not failed.
BUSY = RunBusy.__name__
NOT_WRITTEN_DOWN = (BUSY, "Stopped")


@dataclass
class Outcome:
    """The outcome of every requested run. `done` and `diverged` hold summaries.

    `skipped` and `diverged_before` were finished earlier. `busy` runs are being trained by another
    process and are skipped. `left` runs were not finished because an earlier failure stopped the
    sweep (`fail_fast`). `other_backends` maps each backend other than the requested one that
    finished runs earlier to the labels of those runs.
    """

    skipped: list[Experiment] = field(default_factory=list)
    diverged_before: list[Experiment] = field(default_factory=list)
    done: list[Summary] = field(default_factory=list)
    diverged: list[Summary] = field(default_factory=list)
    failed: list[tuple[Experiment, Failure]] = field(default_factory=list)
    busy: list[Experiment] = field(default_factory=list)
    left: list[Experiment] = field(default_factory=list)
    other_backends: dict[str, list[str]] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0 if every run finished with finite numbers, 1 if none did, 3 if some did.

        Runs that another process is training count as failures only if there are no others.
        """
        some = bool(self.done or self.skipped)
        if not self.failed and not self.diverged and not self.diverged_before:
            return 0 if some or not self.busy else 1
        return 3 if some else 1


class Observer:
    """Watches a sweep. Terminal displays override the methods they need; all do nothing here."""

    def begin(
        self, pending: Sequence[Experiment], skipped: Sequence[Experiment], workers: int
    ) -> None:
        """Handle the start, once, before the first run."""

    def see(self, experiment: Experiment, event: Event) -> None:
        """Handle an event of a run."""

    def reading(self, data: str) -> None:
        """Handle the start of reading or decoding a data set, before the first run."""

    def download(self, done: int, total: int) -> None:
        """Handle progress of a download: bytes done and total bytes."""

    def stopping(self) -> None:
        """Handle a request to stop, before the sweep waits for its workers."""

    def failing_fast(self) -> None:
        """Handle the first failure with `fail_fast`, before the sweep waits for its workers."""

    def end(self) -> None:
        """Handle the end, once, even if the sweep was interrupted."""


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
    probes: bool = True,
    fail_fast: bool = False,
    executor: str = "local",
    command: Sequence[str] = (),
    observer: Observer | None = None,
) -> Outcome:
    """Train every experiment that has no finished run in `results` yet; with `force`, all of them.

    `jobs` is the number of runs at a time and `threads` the number of CPU threads of each; by
    default a single run uses every core, and several share the machine with one thread each. An
    interrupted run resumes from its last checkpoint. `profile` writes `profile.json`; without
    `probes`, trained models are not examined. A failed or diverged run stops the others only with
    `fail_fast`. Raises RegbenchError if the sweep can't start.
    """
    main_guard.end_if_imported_by_worker()  # check this before reading the data
    results, observer = Path(results), observer or Observer()
    if executor not in EXECUTORS:
        raise RegbenchError(f"--executor: {plugins.unknown(executor, EXECUTORS)}")
    chosen = environment.choose_backend(backend)
    # Folders are named by config, hash and seed: a changed config never reuses an old run.
    outcome, pending = sort_out(experiments, results, force, chosen)
    for experiment in outcome.skipped:
        RunFolder.of(results, experiment).tidy()
    workers, cores = share_machine(len(pending), jobs, threads, device)
    planned = groups(pending, Runtime(chosen, device, cores), None if force else results)

    def events() -> Generator[tuple[Experiment, Event], None, None]:
        for own, group in planned.items():
            more = (own, list(command), force, profile, probes)
            work = [Job(each, results, *more) for each in group]
            workers, _ = share_machine(len(group), jobs, own.threads, device)
            running = EXECUTORS[executor](train, work, workers, own.variables())
            with contextlib.closing(running):
                for event in running:
                    yield group[event.job], event

    try:
        # Leaving the block closes the executor, which lets its workers write checkpoints.
        with _ahead(planned, executor, jobs, device), contextlib.closing(events()) as happening:
            # Data first: else each worker would download the same archive, or fail for lack of it.
            _fetch_data(pending, observer)
            observer.begin(pending, [*outcome.skipped, *outcome.diverged_before], workers)
            for experiment, event in happening:
                observer.see(experiment, event)
                if _ends(outcome, experiment, event, results):
                    pending.remove(experiment)
                if fail_fast and (outcome.failed or outcome.diverged):
                    observer.failing_fast()
                    break
    finally:
        observer.end()
    outcome.left = pending
    return outcome


def sort_out(
    experiments: Sequence[Experiment], results: Path, force: bool = False, backend: str = ""
) -> tuple[Outcome, list[Experiment]]:
    """Return what has finished already and what remains to be trained, without changing anything.

    A run counts as finished even if another backend than the given one trained it.
    """
    _check_distinct(experiments)
    outcome = Outcome()
    pending: list[Experiment] = []
    for experiment in experiments:
        folder = RunFolder.of(results, experiment)
        # Replacing a finished run (--force) may have been interrupted: then it is not finished,
        # although the old run is still in place.
        if force or not folder.is_complete or folder.is_being_replaced:
            pending.append(experiment)
            continue
        (outcome.diverged_before if folder.has_diverged else outcome.skipped).append(experiment)
        # Backends round differently and draw other dropout masks, so a sweep that mixes them is
        # worth a note, which the caller prints.
        used = environments.read(folder.path).backend
        if backend and used and used != backend:
            label = f"{experiment.name} s{experiment.seed}"
            outcome.other_backends.setdefault(used, []).append(label)
    return outcome, pending


def groups(
    pending: Sequence[Experiment], runtime: Runtime, results: Path | None
) -> dict[Runtime, list[Experiment]]:
    """Group the runs by runtime: a run that resumes keeps the number of threads it started with.

    With None for `results`, every run starts over.
    """
    # More threads split a sum into other parts, and the last bits of the result change: a run that
    # resumed with another number would not end as it would have without the interruption.
    by_runtime: dict[Runtime, list[Experiment]] = {}
    for experiment in pending:
        folder = RunFolder.of(results, experiment) if results else None
        began_with = checkpoints.threads(folder.current.checkpoints) if folder else None
        own = replace(runtime, threads=began_with or runtime.threads)
        by_runtime.setdefault(own, []).append(experiment)
    return by_runtime


def share_machine(
    runs: int, jobs: int | None, threads: int | None, device: str = "cpu"
) -> tuple[int, int]:
    """Return the number of runs at a time and the threads of each.

    On a GPU, as many runs share the card as fit in its memory, and they divide up the CPU cores.
    """
    # Two processes of one thread each trained 1.3 to 1.6 times as many images per second as one
    # process of two threads: the operations of a small network are too short to be worth splitting,
    # and whatever runs between them (Python, loading a batch) keeps only one thread busy.
    cores = environment.cores()
    if jobs is None:
        jobs = cores // threads if threads else cores
        memory = 0 if device == "cpu" or runs <= 1 else environment.free_gpu_memory()
        jobs = min(jobs, memory // GPU_MEMORY_OF_A_RUN or 1) if memory else jobs
    jobs = max(1, min(jobs, runs))
    if threads is None:
        # A single run has the machine to itself, and then more threads do help.
        threads = cores if runs <= 1 else max(1, cores // jobs)
    return jobs, threads


def _ahead(
    planned: Mapping[Runtime, Sequence[Experiment]], executor: str, jobs: int | None, device: str
) -> contextlib.AbstractContextManager[None]:
    """Start this machine's first workers now: they import Keras while the data is being read."""
    if executor != "local" or not planned:
        return contextlib.nullcontext()
    runtime, group = next(iter(planned.items()))
    workers, _ = share_machine(len(group), jobs, runtime.threads, device)
    return started(workers, runtime.variables(), ("regbench.training.train", "keras"))


def _fetch_data(pending: Sequence[Experiment], observer: Observer) -> None:
    """Decode every data set into the cache, so that missing data is one error before any run."""
    # One seed for each data set is enough: seeds only choose subsets of what is decoded.
    for data, seed in {each.data: each.seed_of("data") for each in pending}.items():
        observer.reading(data.name)
        datasets.load(data, seed, observer.download)


def _check_distinct(experiments: Sequence[Experiment]) -> None:
    # Two experiments with the same folder would block each other, and one would be lost.
    seen: set[tuple[str, str, int]] = set()
    for experiment in experiments:
        key = experiment.name, experiment.hash, experiment.seed
        if key in seen:
            raise RegbenchError(
                f"{experiment.name} with seed {experiment.seed} was requested twice; name it once"
            )
        seen.add(key)


def _ends(outcome: Outcome, experiment: Experiment, event: Event, results: Path) -> bool:
    """Record the outcome if the event ends its run; return whether it does."""
    if event.kind == "done":
        summary = Summary.of(event.result)
        (outcome.diverged if summary.diverged else outcome.done).append(summary)
    # Two sweeps may share a results folder, on one machine or several: each trains what the other
    # has not locked.
    elif event.kind == "failed" and event.failure and event.failure.error == BUSY:
        outcome.busy.append(experiment)
    elif event.kind == "failed" and event.failure:
        outcome.failed.append((experiment, event.failure))
        if event.failure.error not in NOT_WRITTEN_DOWN:
            # The traceback goes to the run's folder. If the disk is what failed, the sweep still
            # reports the failure at its end.
            with contextlib.suppress(OSError, RegbenchError):
                RunFolder.of(results, experiment).current.fail(event.failure.details)
    return event.kind in ("done", "failed")
