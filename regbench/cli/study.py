"""`regbench study`."""

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
    watched,
)
from regbench.execution.budget import Spent
from regbench.text import listed

if TYPE_CHECKING:
    from regbench.studies.file import Study
    from regbench.studies.next_step import NextStep
    from regbench.studies.result import StudyResult
    from regbench.sweeps.options import Options


@click.command()
@click.argument("path", metavar="STUDY")
@click.option("--profile", metavar="NAME", help="The profile to run.  [default: the file's first]")
@options.overrides
@click.option("--seeds", type=options.SeedRange(), help="Seeds, instead of the profile's: 0-4.")
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of the runs; with --no-run also a bundle, a folder of bundles, or runs that "
    "another tool made, whose names are those of the variants.  "
    "[default: results/studies/STUDY, or STUDY-PROFILE for another profile than the first]",
)
@options.training
@options.budget
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
    budget: int | None,
    **options: Unpack[Options],
) -> int:
    """Train the missing runs of a STUDY and print a verdict on each claim.

    The exit code is 1 if a claim is contradicted and 3 if some runs failed.

    \b
    Examples:
      regbench study configs/studies/overfitting.yaml
      regbench study configs/studies/overfitting.yaml --profile full --seeds 0-19
      regbench study configs/studies/overfitting.yaml --no-run --json
      regbench study configs/studies/overfitting.yaml --no-run --results submissions/
    """
    from regbench.execution import environment
    from regbench.studies import file as study_file
    from regbench.studies import next_step, submissions
    from regbench.studies import run as studies

    asked = study_file.read(path, profile, seeds, overrides)
    folder = results or studies.default_results(asked)
    if dry_run or not no_run:
        check_folder_to_train(folder)
    if dry_run:
        return _plan(asked, folder, form == "json", options)
    command = environment.command_line()
    if no_run and (handed_in := submissions.bundles(folder)):
        return _judge_each(asked, handed_in, form)
    if no_run:
        found = _judged(asked, folder)
    else:
        check_budget(budget, options)
        observer = observer_for(quiet)
        options |= {"command": command, "observer": observer}
        try:
            with watched(folder, watches), stopping(observer, budget):
                found = studies.run_study(asked, folder, warn=warn, **options)
        except Spent:
            return _judge_in_time(asked, folder, form, command)
        except KeyboardInterrupt as error:
            return print_interrupted(command, error)
    with perhaps_unread():
        if found.outcome:
            print_other_backends(found.outcome.other_backends, options["backend"])
            print_failures(found.outcome, folder)
        _print(found, form, next_step.after(found, folder, command))
    return found.exit_code


def _plan(asked: Study, folder: Path, as_json: bool, options: Options) -> int:
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


def _plan_runs(study: Study, folder: Path, as_json: bool, options: Options) -> int:
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


def _judge_in_time(asked: Study, folder: Path, form: str | None, command: list[str]) -> int:
    """Judge the runs that a budget of time allowed, without writing the verdicts down.

    Seeds that are missing are no seeds added later: the number of seeds was fixed before.
    """
    from regbench.studies import next_step, trials
    from regbench.studies import run as studies

    if asked.contest and trials.missing(asked.contest, trials.folder(folder)):
        return print_spent(asked.contest.runs, trials.folder(folder), command)
    with busy("Judging the runs"):
        found = studies.judge(asked, folder, warn=warn)
    code = print_spent(found.study.experiments, folder, command)
    step = next_step.after(found, folder, command)
    with perhaps_unread():
        _print(found, form, step)
    return found.exit_code or code


def _judged(asked: Study, folder: Path) -> StudyResult:
    """Judge the runs in a folder, and warn if it has none of the study's."""
    from regbench.studies import other_runs
    from regbench.studies import run as studies

    with busy("Judging the runs"):
        found = studies.judge(asked, folder, warn=warn)
        if reason := other_runs.note(asked, folder):
            warn(reason)
    return found


def _judge_each(asked: Study, paths: list[Path], form: str | None) -> int:
    """Print the verdicts on each bundle; exit code 1 if one could not be judged at all."""
    from regbench.studies import submissions
    from regbench.terminal import origins

    with busy("Judging the bundles"):
        found = submissions.judge(asked, paths, warn)
    if form == "json":
        content = {"study": asked.name, "question": asked.question}
        print_json(versioned({**content, "submissions": [each.as_dict() for each in found]}))
    elif form == "markdown":
        click.echo(origins.submissions_markdown(asked.question, found), nl=False)
    else:
        console(stderr=False).print(origins.submissions(asked.question, found))
    return 1 if any(each.problem for each in found) else 0


def _print(result: StudyResult, form: str | None, step: NextStep) -> None:
    from regbench.studies import markdown
    from regbench.terminal import study as study_tables

    if form == "json":
        more = {"exit_code": result.exit_code, "next": asdict(step)}
        print_json(versioned({**result.as_dict(), **more}))
    elif form == "markdown":
        click.echo(markdown.markdown(result), nl=False)
    else:
        console(stderr=False).print(study_tables.terminal(result))
