"""`regbench tune`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from regbench.cli import options
from regbench.cli.json_schemas import versioned
from regbench.cli.printing import console, perhaps_unread, print_json
from regbench.cli.spent import check_budget, print_spent, stopping
from regbench.cli.training import observer_for, print_interrupted, print_plan
from regbench.execution.budget import Spent

if TYPE_CHECKING:
    from regbench.studies.trials import ContestResult
    from regbench.sweeps.options import Options


@click.command()
@click.argument("path", metavar="CONFIG")
@options.overrides
@click.option(
    "--tune",
    "dimensions",
    multiple=True,
    required=True,
    metavar="KEY=SCALE:VALUES",
    help="Values to try: train.learning_rate=log:1e-4:1e-2. Scales: log, uniform, integer, choice.",
)
@click.option(
    "--trials", type=click.IntRange(2, 1000), default=16, show_default=True, help="Points to try."
)
@click.option(
    "--metric",
    type=click.Choice(["validation_loss", "validation_accuracy"]),
    default="validation_loss",
    show_default=True,
    help="What decides.",
)
@click.option(
    "--trial-seeds",
    type=click.IntRange(1, 100),
    default=1,
    show_default=True,
    help="Seeds of each trial.",
)
@click.option(
    "--results",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("results/trials"),
    show_default=True,
    metavar="DIR",
    help="Folder of the trials.",
)
@options.training
@options.budget
@options.as_json
@options.quiet
@options.plugins
def tune(
    path: str,
    overrides: tuple[str, ...],
    dimensions: tuple[str, ...],
    trials: int,
    metric: str,
    trial_seeds: int,
    results: Path,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    budget: int | None,
    **options: Unpack[Options],
) -> int:
    """Search good values for a CONFIG, judged on validation examples.

    The test set is not read: train the winner with seeds of its own, and then compare it. A
    finished trial is not trained again, and more trials extend a search. A budget of time that is
    spent before every trial is finished chooses no winner.

    \b
    Examples:
      regbench tune dropout --set data.validation_examples=500 \\
        --tune train.learning_rate=log:1e-4:1e-2 --tune dropout.dense=uniform:0.1:0.7
      regbench tune l2 --set data.validation_examples=0.1 --tune l2=choice:1e-4:1e-3:1e-2
    """
    from regbench.execution import environment
    from regbench.studies import contest as contests
    from regbench.studies import trials as trial_runs

    tuning = contests.Tuning.model_validate(
        {"trials": trials, "metric": metric, "seeds": trial_seeds}
    )
    contest = contests.of_config(path, overrides, dimensions, tuning)
    if dry_run:
        return print_plan(contest.runs, results, as_json, options)
    command, observer = environment.command_line(), observer_for(quiet)
    check_budget(budget, options)
    options |= {"command": command, "observer": observer}
    try:
        with stopping(observer, budget):
            trial_runs.train(contest, results, **options)
    except Spent:
        # Trials that were chosen by their speed would make an unfair contest.
        if trial_runs.missing(contest, results):
            return print_spent(contest.runs, results, command)
    except KeyboardInterrupt as error:
        return print_interrupted(command, error)
    found = trial_runs.read(contest, results)
    with perhaps_unread():
        _print(found, as_json)
        if not quiet:
            click.echo(f"Train the winner with: {_training(path, overrides, found)}", err=True)
    return 0


def _print(found: ContestResult, as_json: bool) -> None:
    from regbench.terminal import contest as tables

    if as_json:
        print_json(versioned(found.as_dict()))
    else:
        console(stderr=False).print(tables.terminal(found))


def _training(path: str, overrides: tuple[str, ...], found: ContestResult) -> str:
    """Return the command that trains the winner with seeds that no trial had."""
    from regbench.text import changes

    values = [changes({key: value}) for key, value in found.searches[0].best.values.items()]
    own = [part for each in (*overrides, *values) for part in ("--set", each)]
    return shlex.join(["regbench", "run", path, *own, "--seeds", "0-4"])
