"""`regbench study`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from regbench.cli import options
from regbench.cli.printing import busy, console, perhaps_unread, print_json, warn
from regbench.cli.training import (
    observer_for,
    print_failures,
    print_other_backends,
    print_plan,
    resuming,
    watched,
)
from regbench.execution import signals
from regbench.text import listed

if TYPE_CHECKING:
    from regbench.studies.file import Study
    from regbench.studies.result import StudyResult


@click.command()
@click.argument("path", metavar="STUDY")
@click.option("--profile", metavar="NAME", help="The profile to run.  [default: the file's first]")
@options.overrides
@click.option("--seeds", type=options.SeedRange(), help="Seeds, instead of the profile's: 0-4.")
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of the runs, or with --no-run a bundle.  [default: results/studies/STUDY]",
)
@options.training
@click.option("--no-run", is_flag=True, help="Judge the existing runs; train nothing.")
@click.option("--json", "form", flag_value="json", help="Print JSON.")
@click.option("--markdown", "form", flag_value="markdown", help="Print Markdown.")
@options.quiet
@options.watch
@options.plugins
def study(
    path: str,
    profile: str | None,
    overrides: tuple[str, ...],
    seeds: list[int] | None,
    results: Path | None,
    dry_run: bool,
    no_run: bool,
    form: str | None,
    quiet: bool,
    watches: bool,
    **options: Any,
) -> int:
    """Train the missing runs of a STUDY and print a verdict on each claim.

    The exit code is 1 if a claim is contradicted and 3 if some runs failed.

    \b
    Examples:
      regbench study configs/studies/overfitting.yaml
      regbench study configs/studies/overfitting.yaml --profile full --seeds 0-19
      regbench study configs/studies/overfitting.yaml --no-run --json
    """
    from regbench.execution import environment
    from regbench.studies import file as study_file
    from regbench.studies import run as studies

    asked = study_file.read(path, profile, seeds, overrides)
    folder = results or studies.default_results(asked)
    if folder.is_file() and (dry_run or not no_run):
        raise click.UsageError(
            f"--results: expected a folder for training, received the file {folder}; "
            "--no-run judges the runs of a bundle"
        )
    if dry_run:
        return _plan(asked, folder, form == "json", options)
    if no_run:
        with busy("Judging the runs"):
            found = studies.judge(asked, folder, warn=warn)
    else:
        command, observer = environment.command_line(), observer_for(quiet)
        options |= {"command": command, "observer": observer}
        try:
            with watched(folder, watches), signals.raised(observer.stopping):
                found = studies.run_study(asked, folder, warn=warn, **options)
        except KeyboardInterrupt as error:
            click.echo(f"Interrupted. Resume with: {resuming(command)}", err=True)
            return signals.exit_code(error)
    with perhaps_unread():
        if found.outcome:
            print_other_backends(found.outcome.other_backends, options["backend"])
            print_failures(found.outcome, folder)
        _print(found, form)
    return found.exit_code


def _plan(asked: Study, folder: Path, as_json: bool, options: dict[str, Any]) -> int:
    """Print the plan of the runs; of a contest that is not decided, that of its trials."""
    from regbench.studies import trials

    if asked.contest is None:
        return _plan_runs(asked, folder, as_json, options)
    own = trials.folder(folder)
    if trials.missing(asked.contest, own):
        finals = len(asked.experiments)
        warn(f"these are the trials; {finals} finals follow, of the winners that are not known yet")
        return print_plan(asked.contest.runs, own, as_json, options)
    decided = trials.settled(asked, trials.read(asked.contest, own))
    return _plan_runs(decided, folder, as_json, options)


def _plan_runs(study: Study, folder: Path, as_json: bool, options: dict[str, Any]) -> int:
    """Print what would be trained; of a study with looks, the most, and how few it could be."""
    from regbench.studies import looks
    from regbench.studies import run as studies

    if study.looks is None:
        return print_plan(study.experiments, folder, as_json, options)
    least, most = looks.planned(study, studies.judge(study, folder).verdicts)
    code = print_plan(most, folder, as_json, options)
    counts = listed([str(each) for each in study.looks.looks], most=20)
    click.echo(
        f"At least {len(least)} runs and at most these {len(most)}: looks at {counts} seeds, "
        "until every claim is decided",
        err=as_json,
    )
    return code


def _print(result: StudyResult, form: str | None) -> None:
    from regbench.studies import markdown
    from regbench.terminal import study as study_tables

    if form == "json":
        print_json(result.as_dict())
    elif form == "markdown":
        click.echo(markdown.markdown(result), nl=False)
    else:
        console(stderr=False).print(study_tables.terminal(result))
