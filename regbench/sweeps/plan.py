"""Plans a sweep: what it would train and how long that would take, without writing any result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from regbench.config import Experiment
from regbench.execution import environment, executors
from regbench.execution.cluster import Cluster
from regbench.execution.failures import Failure
from regbench.execution.local import makespan
from regbench.runs.folder import RunFolder
from regbench.sweeps import estimate
from regbench.sweeps.estimate import Pace
from regbench.sweeps.schedule import Resources, schedule
from regbench.training import checkpoints
from regbench.training.checkpoints import Position

State = Literal["finished", "diverged", "interrupted", "failed", "to do"]


@dataclass(frozen=True)
class PlannedRun:
    """A requested run. "finished" and "diverged" runs are skipped, all others are trained.

    An "interrupted" or "failed" run resumes in `epoch` after `step` updates; both are 0 for a new
    run. `seconds` is a worker's time: None if there is nothing to do, or if `problem` says why the
    config can't be trained.
    """

    name: str
    config_hash: str
    seed: int
    state: State
    epoch: int
    step: int
    epochs: int
    threads: int | None = None
    seconds: float | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Plan:
    """All requested runs. `seconds` is the time of the whole sweep; None if it can't finish.

    `other_backends` finished some of the runs earlier, as in `regbench.sweeps.schedule.Schedule`.
    `machines` names the cluster that the runs share; None for this machine.
    """

    runs: list[PlannedRun]
    jobs: int
    seconds: float | None
    other_backends: dict[str, list[str]] = field(default_factory=dict)
    machines: str | None = None

    @property
    def problems(self) -> dict[str, str]:
        """Why a config can't be trained, by its name."""
        return {run.name: run.problem for run in self.runs if run.problem}

    def as_dict(self) -> dict[str, object]:
        """Return what `--json` prints."""
        return asdict(self)


def plan(
    experiments: Sequence[Experiment],
    results: Path | str = "results",
    *,
    backend: str | None = None,
    device: str = "auto",
    jobs: int | None = None,
    threads: int | None = None,
    force: bool = False,
    executor: str = "local",
    cluster: Cluster | None = None,
) -> Plan:
    """Determine what `sweep.run` would train with the same arguments, and how long that takes.

    Takes a few seconds for every unfinished config: see `estimate.calibrate`. A cluster's nodes are
    assumed to be as fast as this machine.
    """
    results = Path(results)
    machines = executors.capacity(executor, cluster or Cluster(), device)
    resources = Resources(backend, device, jobs, threads, machines)
    planned = schedule(experiments, results, resources, force)
    runs = {each.run_name: _skipped(each, "finished") for each in planned.skipped}
    runs |= {each.run_name: _skipped(each, "diverged") for each in planned.diverged_before}
    seconds = 0.0
    for group in planned.groups:
        # As many processes as a cluster runs at a time would only slow this machine down.
        most = max(1, environment.cores() // group.runtime.threads) if machines else group.workers
        at_a_time = min(group.workers, most)
        paces = estimate.calibrate(group.experiments, group.runtime, at_a_time)
        threads_of_group = group.runtime.threads
        for each in group.experiments:
            position = None if force else _position(results, each)
            pace = paces[each.hash]
            runs[each.run_name] = _to_train(each, results, position, pace, threads_of_group)
        trained = [runs[each.run_name] for each in group.experiments]
        starts = [pace.start for pace in paces.values() if isinstance(pace, Pace)]
        times = [run.seconds for run in trained if run.seconds is not None]
        start = max(starts, default=0.0)
        seconds += makespan(times, [start] * min(group.workers, len(times)))
    ordered = [runs[each.run_name] for each in experiments]
    incomplete = any(run.problem for run in ordered)
    total = None if incomplete else seconds
    where = str(machines) if machines else None
    return Plan(ordered, planned.workers, total, planned.other_backends, where)


def _skipped(experiment: Experiment, state: State) -> PlannedRun:
    epochs = experiment.train.epochs
    return PlannedRun(experiment.name, experiment.hash, experiment.seed, state, epochs, 0, epochs)


def _position(results: Path, experiment: Experiment) -> Position | None:
    found = checkpoints.peek(RunFolder.of(results, experiment).current.checkpoints)
    return found.position if found else None


def _to_train(
    experiment: Experiment,
    results: Path,
    position: Position | None,
    pace: Pace | Failure,
    threads: int,
) -> PlannedRun:
    known, epochs = position or Position(), experiment.train.epochs
    state: State = "interrupted" if position else "to do"
    if RunFolder.of(results, experiment).current.has_failed:
        state = "failed"
    problem = seconds = None
    if isinstance(pace, Failure):
        problem = pace.message
    else:
        done = (known.epoch - 1 if position else 0) + known.seconds / (pace.training or 1.0)
        seconds = pace.of_run(max(0.0, epochs - done), position is None)
    return PlannedRun(
        experiment.name,
        experiment.hash,
        experiment.seed,
        state,
        known.epoch,
        known.step,
        epochs,
        threads,
        seconds,
        problem,
    )
