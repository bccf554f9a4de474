"""The schedule of a sweep: which runs are finished, and how the others share the machine.

`regbench.sweeps.sweep` carries it out, and `regbench.sweeps.plan` estimates how long that takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from regbench.config import Experiment
from regbench.errors import RegbenchError
from regbench.execution import environment
from regbench.execution.cluster import Capacity
from regbench.execution.environment import Runtime
from regbench.runs import environments
from regbench.runs.folder import RunFolder
from regbench.training import checkpoints

# A generous estimate: libraries take half a gigabyte, the rest is for feature maps and weights.
GPU_MEMORY_OF_A_RUN = 4 * 2**30


@dataclass(frozen=True)
class Resources:
    """What a sweep may use: the options of `regbench run` about the machine.

    `jobs` is the number of runs at a time and `threads` the number of CPU threads of each; None
    leaves them to `share`. `machines` are those of a cluster, None for this one.
    """

    backend: str | None = None
    device: str = "auto"
    jobs: int | None = None
    threads: int | None = None
    machines: Capacity | None = None

    def share(self, runs: int, threads: int | None = None) -> tuple[int, int]:
        """Return the number of runs at a time and the threads of each, for this many runs.

        On a GPU, as many runs share the card as fit in its memory, and they divide up the CPU
        cores. `threads` takes the place of the option.
        """
        if self.machines:
            return self.machines.share(runs, self.jobs, threads or self.threads)
        # Two processes of one thread each trained 1.3 to 1.6 times as many images per second as one
        # process of two threads: the operations of a small network are too short to be worth
        # splitting, and whatever runs between them (Python, loading a batch) keeps only one thread
        # busy.
        cores, jobs = environment.cores(), self.jobs
        threads = threads or self.threads
        if jobs is None:
            jobs = cores // threads if threads else cores
            on_gpu = self.device != "cpu" and runs > 1
            memory = environment.free_gpu_memory() if on_gpu else 0
            jobs = min(jobs, memory // GPU_MEMORY_OF_A_RUN or 1) if memory else jobs
        jobs = max(1, min(jobs, runs))
        if threads is None:
            # A single run has the machine to itself, and then more threads do help.
            threads = cores if runs <= 1 else max(1, cores // jobs)
        return jobs, threads


@dataclass(frozen=True)
class Group:
    """Runs that share a runtime, and how many of them run at a time."""

    runtime: Runtime
    experiments: Sequence[Experiment]
    workers: int


@dataclass(frozen=True)
class Schedule:
    """Every requested run: finished earlier, or in one of the groups, which follow each other.

    `skipped` and `diverged_before` were finished earlier. `other_backends` maps each backend other
    than the requested one that finished runs earlier to the labels of those runs. `workers` is the
    number of runs at a time where all share a runtime.
    """

    skipped: list[Experiment] = field(default_factory=list)
    diverged_before: list[Experiment] = field(default_factory=list)
    other_backends: dict[str, list[str]] = field(default_factory=dict)
    pending: list[Experiment] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    workers: int = 1


def schedule(
    experiments: Sequence[Experiment], results: Path, resources: Resources, force: bool = False
) -> Schedule:
    """Determine what remains to be trained and with what, without changing anything.

    Raises:
        RegbenchError: a run is requested twice.
    """
    backend = environment.choose_backend(resources.backend)
    found = sort_out(experiments, results, force, backend)
    workers, threads = resources.share(len(found.pending))
    runtime = Runtime(backend, resources.device, threads)
    groups = [
        Group(own, group, resources.share(len(group), own.threads)[0])
        for own, group in _by_runtime(found.pending, runtime, None if force else results).items()
    ]
    return replace(found, groups=groups, workers=workers)


def sort_out(
    experiments: Sequence[Experiment], results: Path, force: bool = False, backend: str = ""
) -> Schedule:
    """Return what is finished and what is pending, without groups.

    A run counts as finished even if another backend than the given one trained it.

    Raises:
        RegbenchError: a run is requested twice.
    """
    _check_distinct(experiments)
    found = Schedule()
    for experiment in experiments:
        folder = RunFolder.of(results, experiment)
        # Replacing a finished run (--force) may have been interrupted: then it is not finished,
        # although the old run is still in place.
        if force or not folder.is_complete or folder.is_being_replaced:
            found.pending.append(experiment)
            continue
        (found.diverged_before if folder.has_diverged else found.skipped).append(experiment)
        # Backends round differently and draw other dropout masks, so a sweep that mixes them is
        # worth a note, which the caller prints.
        used = environments.read(folder.path).backend
        if backend and used and used != backend:
            label = f"{experiment.name} s{experiment.seed}"
            found.other_backends.setdefault(used, []).append(label)
    return found


def _by_runtime(
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
