"""Budgets of time: stop training when one is spent, and say what is left and how to resume."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from regbench.execution import budget, signals

if TYPE_CHECKING:
    from regbench.config import Experiment
    from regbench.sweeps.options import Options
    from regbench.sweeps.sweep import Observer


@contextlib.contextmanager
def stopping(observer: Observer, seconds: int | None) -> Iterator[None]:
    """Stop the runs of this block in order: for a signal, or once the seconds have passed."""
    with signals.raised(observer.stopping), budget.limited(seconds, observer.stopping):
        yield


def check_budget(seconds: int | None, options: Options) -> None:
    """Refuse a budget with `--force`: what resumes would not know which runs are new."""
    if seconds and options["force"]:
        raise click.UsageError("--budget cannot be combined with --force, which starts over")


def print_spent(experiments: Sequence[Experiment], results: Path, command: Sequence[str]) -> int:
    """Say on stderr which of the runs are left; return the exit code.

    It is 0 unless a run failed or diverged: stopping at that time is what was asked for.
    """
    from regbench.cli.training import resuming
    from regbench.runs.folder import RunFolder
    from regbench.sweeps import schedule
    from regbench.text import listed

    found = schedule.sort_out(experiments, results)
    left = [f"{each.name} s{each.seed}" for each in found.pending]
    if not left:
        click.echo("The time is up, and every run is finished.", err=True)
    else:
        click.echo(
            f"The time is up: {len(left)} of {len(experiments)} runs are left ({listed(left)}). "
            f"Resume with: {resuming(command)}",
            err=True,
        )
    folders = [RunFolder.of(results, each).current for each in found.pending]
    if not found.diverged_before and not any(each.has_failed for each in folders):
        return 0
    return 3 if found.skipped else 1
