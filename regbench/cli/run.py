"""`regbench run`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from regbench.cli import options
from regbench.cli.printing import console, perhaps_unread
from regbench.cli.spent import check_budget, print_spent, stopping
from regbench.cli.training import (
    observer_for,
    print_failures,
    print_interrupted,
    print_other_backends,
    print_plan,
    resuming,
    watched,
)
from regbench.execution.budget import Spent

if TYPE_CHECKING:
    from regbench.sweeps.options import RunOptions
    from regbench.sweeps.sweep import Outcome

# The whole pipeline in seconds: no download, and just enough examples to fill the batches.
SMOKE = (
    "data.name=shapes",
    "data.path=null",
    "data.sha256=null",
    "data.train_examples=100",
    "data.test_examples=100",
    "train.epochs=2",
)


@click.command()
@click.argument("configs", nargs=-1, required=True, metavar="CONFIG...")
@options.overrides
@options.seeds
@options.epochs
@options.results_to_write
@options.training
@options.budget
@options.as_json
@click.option("--profile", is_flag=True, help="Print where the time goes.")
@options.smoke
@options.quiet
@options.watch
@options.plugins
def run(
    configs: tuple[str, ...],
    overrides: tuple[str, ...],
    seeds: list[int] | None,
    epochs: int | None,
    results: Path | None,
    smoke: bool,
    quiet: bool,
    watches: bool,
    dry_run: bool,
    as_json: bool,
    budget: int | None,
    **options: Unpack[RunOptions],
) -> int:
    """Train every CONFIG with every seed that has no finished run yet.

    \b
    Examples:
      regbench run configs/baseline.yaml configs/dropout.yaml
      regbench run configs/l2.yaml --set l2=1e-2 --seeds 0-4
      regbench run configs/*.yaml --smoke --results /tmp/smoke
      regbench run configs/*.yaml --seeds 0-4 --dry-run
      regbench run configs/*.yaml --seeds 0-4 --budget 30m
    """
    from regbench import config
    from regbench.execution import environment
    from regbench.sweeps import sweep

    changed = list(overrides)
    changed += [f"train.epochs={epochs}"] if epochs else []
    experiments = config.load_all(configs, changed, seeds, SMOKE if smoke else ())
    # A smoke run is meaningless as a result, so keep it apart from real runs.
    results = results or Path("results/smoke" if smoke else "results")
    if dry_run:
        return print_plan(experiments, results, as_json, options)
    if as_json:
        raise click.UsageError("--json needs --dry-run; regbench compare --json reads results")
    command, observer = environment.command_line(), observer_for(quiet)
    check_budget(budget, options)
    options |= {"command": command, "observer": observer}
    try:
        with watched(results, watches), stopping(observer, budget):
            outcome = sweep.run(experiments, results, **options)
    except Spent:
        return print_spent(experiments, results, command)
    except KeyboardInterrupt as error:
        return print_interrupted(command, error)
    print_other_backends(outcome.other_backends, options["backend"])
    with perhaps_unread():
        print_outcome(outcome, results, quiet)
        if outcome.left:
            count = f"{len(outcome.left)} of {len(experiments)} runs"
            cluster = options["cluster"]
            _print_left(count, command, detached=bool(cluster and cluster.detach))
        if options["profile"]:
            print_profiles(outcome, results)
    return outcome.exit_code


def _print_left(count: str, command: Sequence[str], *, detached: bool) -> None:
    """Say why runs are left, and which command finishes them."""
    if detached:
        text = f"{count} are with SLURM. Ask again with: {resuming(command)}"
    else:
        text = f"Stopped at the first failure, with {count} left. Resume with: {resuming(command)}"
    click.echo(text, err=True)


def print_outcome(outcome: Outcome, results: Path, quiet: bool) -> None:
    """Print each run's numbers to stdout, and failures and the next command to stderr."""
    from regbench.terminal.progress import result_line

    # If both streams are one terminal, the live display has already printed these lines.
    if quiet or not (sys.stdout.isatty() and sys.stderr.isatty()):
        for summary in [*outcome.done, *outcome.diverged]:
            click.echo(result_line(summary))
    print_failures(outcome, results)
    if not quiet and (outcome.done or outcome.skipped):
        click.echo(f"Compare them with: regbench compare {results}", err=True)


def print_profiles(outcome: Outcome, results: Path) -> None:
    from regbench import runs
    from regbench.terminal import comparison

    profiles = []
    for summary in [*outcome.done, *outcome.diverged]:
        # None if another process has finished the run without a profile.
        with contextlib.suppress(FileNotFoundError):
            profiles.append((summary, runs.profile(results, summary)))
    if profiles:
        console(stderr=False).print(comparison.profiles(profiles))
