"""Many runs: every config with every seed that has no finished run yet, through an executor.

`run` is what `regbench run` calls. In a script, call it under `if __name__ == "__main__":`, since
its worker processes import the script that started them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from regbench import datasets
from regbench.config import Experiment
from regbench.errors import RegbenchError
from regbench.execution import environment, main_guard
from regbench.execution.environment import Runtime
from regbench.execution.failures import Failure
from regbench.execution.local import EXECUTORS, Event
from regbench.runs import environments
from regbench.runs.folder import RunBusy, RunFolder
from regbench.runs.summary import Summary
from regbench.training import checkpoints
from regbench.training.train import Job, train

# A generous guess: libraries take half a gigabyte, the rest is for maps and weights.
GPU_MEMORY_OF_A_RUN = 4 * 2**30
# A folder in use belongs to the process that is training there; a run that was stopped is fine.
BUSY = RunBusy.__name__
NOT_WRITTEN_DOWN = (BUSY, "Stopped")


@dataclass
class Outcome:
    """What became of the runs that were asked for. `done` and `diverged` hold their summaries.

    Earlier finished are those that were `skipped` and those that `diverged_before`; `busy` are
    those that another process is training, to which they are left; `left` are those that a failure
    kept from their end, where the first one is to stop all. `other_backends` maps each backend that
    finished runs earlier, and is not the one asked for, to their labels.
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
        """0 where every run is finished and finite, 1 where none is, 3 where some are.

        Runs that are left to another process are no failure, unless there are no others.
        """
        some = bool(self.done or self.skipped)
        if not self.failed and not self.diverged and not self.diverged_before:
            return 0 if some or not self.busy else 1
        return 3 if some else 1


class Observer:
    """Watches a sweep; the terminal displays derive from it. Every method may be left as it is."""

    def begin(
        self, pending: Sequence[Experiment], skipped: Sequence[Experiment], workers: int
    ) -> None:
        """Called once, before the first run."""

    def see(self, experiment: Experiment, event: Event) -> None:
        """Called for every event of every run."""

    def reading(self, data: str) -> None:
        """Called before the first run with the name of each data set that is read, or decoded."""

    def download(self, done: int, total: int) -> None:
        """Called with bytes done and in all, while a data set is fetched before the first run."""

    def stopping(self) -> None:
        """Called when the sweep has been asked to stop, before it waits for its workers."""

    def failing_fast(self) -> None:
        """Called when the first failure is to stop the sweep, before it waits for its workers."""

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
    probes: bool = True,
    fail_fast: bool = False,
    executor: str = "local",
    command: Sequence[str] = (),
    observer: Observer | None = None,
) -> Outcome:
    """Train every experiment that has no finished run in `results` yet; with `force`, all of them.

    `jobs` is how many run at a time and `threads` how many CPU threads each of them uses; None
    lets one run use every core, and several share the machine with one thread each.
    A run that was interrupted resumes from its last checkpoint, with the number of threads that it
    began with, unless `force` is given. With `profile`, each run folder gets a `profile.json`: the
    seconds of each part of the run. Without `probes`, the trained models are not examined. A run
    that fails or diverges does not end the others, unless
    it is to `fail_fast`: then they stop with a checkpoint, and no other begins.
    Raises RegbenchError for what can't even begin.
    """
    main_guard.end_if_imported_by_worker()  # before it reads data a second time
    results, observer = Path(results), observer or Observer()
    chosen = environment.choose_backend(backend)
    outcome, pending = sort_out(experiments, results, force, chosen)
    for experiment in outcome.skipped:
        RunFolder.of(results, experiment).tidy()
    workers, cores = share_machine(len(pending), jobs, threads, device)
    runtime = Runtime(chosen, device, cores)

    def events() -> Generator[tuple[Experiment, Event], None, None]:
        for own, group in groups(pending, runtime, None if force else results).items():
            work = [
                Job(each, results, own, list(command), force, profile, probes) for each in group
            ]
            workers, _ = share_machine(len(group), jobs, own.threads, device)
            running = EXECUTORS[executor](train, work, workers, own.variables())
            with contextlib.closing(running):
                for event in running:
                    yield group[event.job], event

    try:
        _fetch_data(pending, observer)
        observer.begin(pending, [*outcome.skipped, *outcome.diverged_before], workers)
        with contextlib.closing(events()) as happening:
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
    """Return what is finished already, and what is to be trained; touch nothing.

    A run that is finished with another backend than the given one is finished all the same.
    """
    _check_distinct(experiments)
    outcome = Outcome()
    pending: list[Experiment] = []
    for experiment in experiments:
        folder = RunFolder.of(results, experiment)
        if force or not folder.is_complete or folder.is_being_replaced:
            pending.append(experiment)
            continue
        (outcome.diverged_before if folder.has_diverged else outcome.skipped).append(experiment)
        used = environments.read(folder.path).backend
        if backend and used and used != backend:
            label = f"{experiment.name} s{experiment.seed}"
            outcome.other_backends.setdefault(used, []).append(label)
    return outcome, pending


def groups(
    pending: Sequence[Experiment], runtime: Runtime, results: Path | None
) -> dict[Runtime, list[Experiment]]:
    """Return the runs by what they compute with: one that resumes keeps its number of threads.

    None for `results` lets every run start over.
    """
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
        observer.reading(data.name)
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


def _ends(outcome: Outcome, experiment: Experiment, event: Event, results: Path) -> bool:
    """Write down what became of a run whose end the event is; return whether it is one."""
    if event.kind == "done":
        summary = Summary.of(event.result)
        (outcome.diverged if summary.diverged else outcome.done).append(summary)
    elif event.kind == "failed" and event.failure and event.failure.error == BUSY:
        outcome.busy.append(experiment)
    elif event.kind == "failed" and event.failure:
        outcome.failed.append((experiment, event.failure))
        if event.failure.error not in NOT_WRITTEN_DOWN:
            with contextlib.suppress(OSError, RegbenchError):
                RunFolder.of(results, experiment).current.fail(event.failure.details)
    return event.kind in ("done", "failed")
