"""Sweeps: trains every config with every seed that has no finished run yet.

`run` is what `regbench run` calls. In a script, call it under `if __name__ == "__main__":`, since
its worker processes import the script that started them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from regbench import datasets
from regbench.config import Experiment
from regbench.errors import RegbenchError
from regbench.execution import executors, main_guard
from regbench.execution.cluster import Cluster
from regbench.execution.failures import Failure
from regbench.execution.local import Event, Executor, started
from regbench.runs.folder import RunBusy, RunFolder
from regbench.runs.summary import Summary
from regbench.sweeps.schedule import Group, Resources, Schedule, schedule
from regbench.training.train import Job, train

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
    cluster: Cluster | None = None,
    command: Sequence[str] = (),
    observer: Observer | None = None,
) -> Outcome:
    """Train every experiment that has no finished run in `results` yet; with `force`, all of them.

    `jobs` is the number of runs at a time and `threads` the number of CPU threads of each; by
    default a single run uses every core, and several share the machine with one thread each. An
    interrupted run resumes from its last checkpoint. `profile` writes `profile.json`; without
    `probes`, trained models are not examined. A failed or diverged run stops the others only with
    `fail_fast`. `executor` says where runs execute, and `cluster` has the options of one for a
    cluster. Raises RegbenchError if the sweep can't start.
    """
    main_guard.end_if_imported_by_worker()  # check this before reading the data
    results, observer = Path(results), observer or Observer()
    cluster = cluster or Cluster()
    chosen = executors.chosen(executor, cluster, device)
    machines = executors.capacity(executor, cluster, device)
    resources = Resources(backend, device, jobs, threads, machines)
    # Folders are named by config, hash and seed: a changed config never reuses an old run.
    planned = schedule(experiments, results, resources, force)
    pending = list(planned.pending)
    outcome = _before(planned, results)
    more = (list(command), force, profile, probes)
    events = _events(planned.groups, chosen, results, more)
    try:
        # Leaving the block closes the executor, which lets its workers write checkpoints.
        with _ahead(planned.groups, executor), contextlib.closing(events) as happening:
            # Data first: else each worker would download the same archive, or fail for lack of it.
            _fetch_data(pending, observer)
            finished = [*outcome.skipped, *outcome.diverged_before]
            observer.begin(pending, finished, planned.workers)
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


def _before(planned: Schedule, results: Path) -> Outcome:
    """Return the outcome of runs that need no training, and tidy their folders."""
    for experiment in planned.skipped:
        RunFolder.of(results, experiment).tidy()
    return Outcome(
        skipped=planned.skipped,
        diverged_before=planned.diverged_before,
        other_backends=planned.other_backends,
    )


def _events(
    groups: Sequence[Group],
    executor: Executor,
    results: Path,
    more: tuple[list[str], bool, bool, bool],
) -> Generator[tuple[Experiment, Event], None, None]:
    """Execute one group after the other; yield each event with its run. `more` is for jobs."""
    for group in groups:
        work = [Job(each, results, group.runtime, *more) for each in group.experiments]
        running = executor(train, work, group.workers, group.runtime.variables())
        with contextlib.closing(running):
            for event in running:
                yield group.experiments[event.job], event


def _ahead(groups: Sequence[Group], executor: str) -> contextlib.AbstractContextManager[None]:
    """Start this machine's first workers now: they import Keras while the data is being read."""
    if executor != "local" or not groups:
        return contextlib.nullcontext()
    variables = groups[0].runtime.variables()
    return started(groups[0].workers, variables, ("regbench.training.train", "keras"))


def _fetch_data(pending: Sequence[Experiment], observer: Observer) -> None:
    """Decode every data set into the cache, so that missing data is one error before any run."""
    # One seed for each data set is enough: seeds only choose subsets of what is decoded.
    for data, seed in {each.data: each.seed_of("data") for each in pending}.items():
        observer.reading(data.name)
        datasets.load(data, seed, observer.download)


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
