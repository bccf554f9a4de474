"""Plans a sweep: what it would train and how long that would take, without writing any result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from regbench.config import Experiment
from regbench.execution import environment
from regbench.execution.environment import Runtime
from regbench.execution.failures import Failure
from regbench.execution.local import makespan
from regbench.runs.folder import RunFolder
from regbench.sweeps import estimate, sweep
from regbench.sweeps.estimate import Pace
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

    `other_backends` finished some of the runs earlier, as in `sweep.Outcome`.
    """

    runs: list[PlannedRun]
    jobs: int
    seconds: float | None
    other_backends: dict[str, list[str]] = field(default_factory=dict)

    @property
    def problems(self) -> dict[str, str]:
        """Why a config can't be trained, by its name."""
        return {run.name: run.problem for run in self.runs if run.problem}

    def as_dict(self) -> dict[str, Any]:
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
) -> Plan:
    """Determine what `sweep.run` would train with the same arguments, and how long that takes.

    Takes a few seconds for every unfinished config: see `estimate.calibrate`.
    """
    results = Path(results)
    chosen = environment.choose_backend(backend)
    outcome, pending = sweep.sort_out(experiments, results, force, chosen)
    workers, cores = sweep.share_machine(len(pending), jobs, threads, device)
    runtime = Runtime(chosen, device, cores)
    runs = {each.run_name: _skipped(each, "finished") for each in outcome.skipped}
    runs |= {each.run_name: _skipped(each, "diverged") for each in outcome.diverged_before}
    seconds = 0.0
    for own, group in sweep.groups(pending, runtime, None if force else results).items():
        workers_of_group, _ = sweep.share_machine(len(group), jobs, own.threads, device)
        paces = estimate.calibrate(group, own, workers_of_group)
        for each in group:
            position = None if force else _position(results, each)
            runs[each.run_name] = _to_train(each, results, position, paces[each.hash], own.threads)
        planned = [runs[each.run_name] for each in group]
        starts = [pace.start for pace in paces.values() if isinstance(pace, Pace)]
        times = [run.seconds for run in planned if run.seconds is not None]
        start = max(starts, default=0.0)
        seconds += makespan(times, [start] * min(workers_of_group, len(times)))
    ordered = [runs[each.run_name] for each in experiments]
    incomplete = any(run.problem for run in ordered)
    return Plan(ordered, workers, None if incomplete else seconds, outcome.other_backends)


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
