"""What the commands that train runs share: plans, progress, failures, how to resume."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regbench.cli.printing import complain, console, lasting_console, print_json

if TYPE_CHECKING:
    from regbench.config import Experiment
    from regbench.sweeps.sweep import Observer, Outcome


def print_plan(
    experiments: Sequence[Experiment], results: Path, as_json: bool, options: dict[str, Any]
) -> int:
    from regbench.sweeps import plan as planning
    from regbench.terminal import plan as plan_table

    own = {key: options[key] for key in ("backend", "device", "jobs", "threads", "force")}
    plan = planning.plan(experiments, results, **own)
    if as_json:
        print_json(plan.as_dict())
    else:
        console(stderr=False).print(plan_table.terminal(plan))
    for name, problem in plan.problems.items():
        complain(f"{name}: {problem}")
    return 1 if plan.problems else 0


def observer_for(quiet: bool) -> Observer:
    from regbench.sweeps import sweep
    from regbench.terminal import progress

    if quiet:
        return sweep.Observer()
    screen = lasting_console()
    display = progress.LiveProgress if screen.is_terminal else progress.PlainProgress
    return display(screen)


def print_failures(outcome: Outcome, results: Path) -> None:
    from regbench.runs.folder import RunFolder

    if outcome.diverged_before:
        names = ", ".join(f"{each.name} s{each.seed}" for each in outcome.diverged_before)
        complain(f"diverged before, not trained again: {names} (repeat with --force)")
    for experiment, failure in outcome.failed:
        details = RunFolder.of(results, experiment).current.path / "error.txt"
        more = f" (more in {details})" if details.exists() else ""
        complain(f"{experiment.name} s{experiment.seed}: {failure.message}{more}")


def resuming(command: Sequence[str]) -> str:
    """Return the command that goes on with what was interrupted; `--force` would begin anew."""
    import shlex

    return shlex.join(part for part in command if part != "--force")
