"""Runs that end in the middle, on every backend that is installed: resumed, they are the same.

Each schedule and each technique, one of each kind first, in sweeps of two workers. JAX and torch
need not be in the environment: PYTHONPATH may name folders that have them.
"""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from regbench.config import Experiment
from regbench.execution.environment import BACKENDS, Runtime
from regbench.execution.local import local
from regbench.regularizers import REGULARIZERS
from regbench.regularizers.hooks import has_hook
from regbench.runs.folder import RunFolder
from regbench.training import checkpoints, compiled_epochs, steps, train
from regbench.training.train import Job
from tests.faults import victims
from tests.faults.report import Line, show
from tests.pairs import DATA, TECHNIQUES, experiment, plain

# A kind of technique is a hook: the first technique that has it stands for all.
KINDS = (
    "on_input", "before_activation", "after_activation", "after_block", "around_block",
    "before_dense", "kernel_penalty", "kernel_constraint", "optimizer", "batch", "averaging",
    "stop",
)  # fmt: skip
SCHEDULES: dict[str, dict[str, Any]] = {
    "constant": {},
    "cosine": {},
    "exponential": {"decay": 0.5},
    "step": {"decay": 0.5, "milestones": (1, 2)},
}
# The third of three steps is left when a run ends, in its last epoch but one.
TRAIN = {"epochs": 4, "batch_size": 20, "checkpoint_minutes": 1e-9}
LAST = "step 2 of epoch 3"


class Ended(RuntimeError):
    """A run was ended in the middle."""


def resumed(folder: Path, most: int) -> Iterator[Line]:
    """End and resume runs on each backend that is installed, at most so many."""
    runs = [*_of_schedules(), *_of_techniques()][:most]
    for backend in BACKENDS:
        fault = f"ended in the middle and resumed, on {backend}"
        if importlib.util.find_spec(backend) is None:
            yield Line(fault, 0, f"left out: {backend} is not installed", True)
        else:
            yield _line(fault, backend, runs, folder / backend)


def _of_techniques() -> Iterator[Experiment]:
    first = [name for kind in KINDS for name in _with_hook(kind)[:1]]
    for name in dict.fromkeys([*first, *TECHNIQUES]):
        network = "resnet20" if name in _with_hook("around_block") else "cnn"
        yield _named(experiment(name, network, train=TRAIN), name)


def _with_hook(kind: str) -> list[str]:
    return [name for name in TECHNIQUES if has_hook(REGULARIZERS[_toggle(name)], kind)]


def _toggle(technique: str) -> str:
    (name,) = TECHNIQUES[technique]
    return name


def _of_schedules() -> Iterator[Experiment]:
    for schedule, keys in SCHEDULES.items():
        yield plain("cnn", data=DATA, train=TRAIN | {"schedule": schedule} | keys).model_copy(
            update={"name": schedule}
        )


def _named(run: Experiment, name: str) -> Experiment:
    return run.model_copy(update={"name": name})


def _line(fault: str, backend: str, runs: Sequence[Experiment], folder: Path) -> Line:
    counts: Counter[str] = Counter()
    whole, halved = folder / "whole", folder / "halved"
    for function, results in ((end_in_the_middle, halved), (train.train, halved)):
        _train(function, backend, runs, results, counts)
    _train(train.train, backend, runs, whole, counts)
    for run in runs:
        try:
            same = victims.outcome(run, halved) == victims.outcome(run, whole)
        except (OSError, KeyError, ValueError) as error:
            same = False
            print(f"\n{backend}, {run.name}: {error}", file=sys.stderr)
        counts["different"] += not same
        if not same:
            print(f"\n{backend}, {run.name}: another run", file=sys.stderr)
    result = (
        f"{counts['ended']} ended, {counts['resumed']} resumed, {counts['different']} different, "
        f"{counts['failed']} failed"
    )
    fine = counts["ended"] == counts["resumed"] == len(runs)
    return Line(fault, len(runs), result, fine and not counts["different"] + counts["failed"])


def _train(
    function: Callable[..., Any],
    backend: str,
    runs: Sequence[Experiment],
    results: Path,
    counts: Counter[str],
) -> None:
    """Train in two fresh workers; count what they tell."""
    runtime = Runtime(backend, "cpu", 1)
    jobs = [Job(run, results, runtime, ["regbench", "run"], probes=False) for run in runs]
    for event in local(function, jobs, 2, runtime.variables()):
        name = runs[event.job].name
        if event.kind == "failed" and event.failure:
            ended = event.failure.error == Ended.__name__
            counts["ended" if ended else "failed"] += 1
            if not ended:
                print(f"\n{backend}, {name}: {event.failure.message:.500}", file=sys.stderr)
        counts["resumed"] += event.kind == "note" and LAST in event.figures["text"]
        show(f"{backend}, {results.name}: {name}: {event.kind}, {dict(counts)}")


def end_in_the_middle(job: Job, emit: Callable[[str, dict[str, Any]], None]) -> object:
    """Train in a worker, and raise after a checkpoint in the middle of an epoch."""
    compiled_epochs.MOST_STEPS = steps.MOST_STEPS = 1  # a checkpoint after each step
    checkpoints.COSTLY_SECONDS = float("inf")  # on a slow disk, too
    save = checkpoints.Checkpoints.save

    def save_and_end(self: Any, model: Any, position: Any, *further: Any, **more: Any) -> None:
        save(self, model, position, *further, **more)
        if str(position) == LAST:
            raise Ended(f"{RunFolder.of(job.results, job.experiment).path.name}: {position}")

    checkpoints.Checkpoints.save = save_and_end  # type: ignore[method-assign]
    try:
        return train.train(job, emit)
    finally:
        checkpoints.Checkpoints.save = save  # type: ignore[method-assign]
