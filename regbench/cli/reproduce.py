"""`regbench reproduce`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from regbench.cli import options
from regbench.cli.json_schemas import versioned
from regbench.cli.printing import busy, console, perhaps_unread, print_json, warn
from regbench.cli.spent import check_budget, print_spent, stopping
from regbench.cli.training import (
    check_folder_to_train,
    observer_for,
    print_failures,
    print_interrupted,
    print_other_backends,
    print_plan,
)
from regbench.execution.budget import Spent

if TYPE_CHECKING:
    from regbench.papers.file import Paper
    from regbench.papers.result import PaperResult
    from regbench.sweeps.options import Options


@click.command()
@click.argument("paper", metavar="[NAME]", required=False)
@click.option("--profile", metavar="NAME", help="The profile to run.  [default: the paper's first]")
@options.overrides
@click.option("--seeds", type=options.SeedRange(), help="Seeds, instead of the profile's: 0-4.")
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of the runs; with --no-run also a bundle.  [default: results/papers/NAME]",
)
@options.training
@options.budget
@click.option("--no-run", is_flag=True, help="Judge the existing runs; train nothing.")
@click.option(
    "--publish",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write the runs as a bundle, the table and the verdicts into this folder, too.",
)
@click.option("--json", "form", flag_value="json", help="Print JSON.")
@click.option("--markdown", "form", flag_value="markdown", help="Print Markdown.")
@options.quiet
@options.plugins
def reproduce(
    paper: str | None,
    profile: str | None,
    overrides: tuple[str, ...],
    seeds: list[int] | None,
    results: Path | None,
    dry_run: bool,
    no_run: bool,
    publish: Path | None,
    form: str | None,
    quiet: bool,
    budget: int | None,
    **options: Unpack[Options],
) -> int:
    """Rebuild the published table NAME, and judge it against the printed numbers.

    Without NAME, list the tables and what they cost. The exit code is 1 if a number or a difference
    is contradicted, and 3 if some runs failed.

    \b
    Examples:
      regbench reproduce
      regbench reproduce srivastava2014-table9
      regbench reproduce srivastava2014-table9 --no-run --json
    """
    from regbench.papers import file as papers
    from regbench.papers import reproduce

    if paper is None:
        return _list(form)
    asked = papers.read(paper, profile, seeds, overrides)
    folder = results or reproduce.default_results(asked)
    if dry_run or not no_run:
        check_folder_to_train(folder)
    if dry_run:
        return print_plan(asked.study.experiments, folder, form == "json", options)
    if no_run:
        with busy("Judging the runs"):
            found = reproduce.judge(asked, folder, warn=warn)
    else:
        check_budget(budget, options)
        trained = _train(asked, folder, quiet, budget, options)
        if isinstance(trained, int):
            return trained
        found = trained
    if publish:
        reproduce.publish(found, folder, publish)
    with perhaps_unread():
        outcome = found.study.outcome
        if outcome:
            print_other_backends(outcome.other_backends, options["backend"])
            print_failures(outcome, folder)
        _print(found, form)
    return found.exit_code


def _train(
    asked: Paper, folder: Path, quiet: bool, budget: int | None, options: Options
) -> PaperResult | int:
    """Train what is missing and judge it; return an exit code if training was stopped."""
    from regbench.execution import environment
    from regbench.papers import reproduce

    command, observer = environment.command_line(), observer_for(quiet)
    options |= {"command": command, "observer": observer}
    try:
        with stopping(observer, budget):
            return reproduce.run_paper(asked, folder, warn=warn, **options)
    except Spent:
        return print_spent(asked.study.experiments, folder, command)
    except KeyboardInterrupt as error:
        return print_interrupted(command, error)


def _list(form: str | None) -> int:
    """Print the shipped papers."""
    from regbench.papers import reproduce
    from regbench.terminal import paper as tables

    found = reproduce.listed()
    if form == "json":
        print_json([asdict(each) for each in found])
    else:
        console(stderr=False).print(tables.papers(found))
    return 0


def _print(found: PaperResult, form: str | None) -> None:
    from regbench.papers import markdown
    from regbench.terminal import paper as tables

    if form == "json":
        print_json(versioned({**found.as_dict(), "exit_code": found.exit_code}))
    elif form == "markdown":
        click.echo(markdown.markdown(found), nl=False)
    else:
        console(stderr=False).print(tables.terminal(found))
