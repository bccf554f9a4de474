"""`regbench demo`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from regbench.cli import options
from regbench.cli.printing import busy, console, perhaps_unread, warn
from regbench.cli.run import SMOKE
from regbench.cli.training import (
    observer_for,
    print_failures,
    print_interrupted,
    print_other_backends,
)
from regbench.execution import signals

if TYPE_CHECKING:
    from regbench.studies.file import Study
    from regbench.studies.result import StudyResult
    from regbench.sweeps.options import PlanOptions

STUDY = "regbench:demo"
RESULTS = Path("results/demo")
# Takes seconds from start to end: two seeds of a network with a few hundred parameters.
TINY = (*SMOKE, "model.blocks=[4, 4]", "model.dense=[8]")
TINY_SEEDS = (0, 1)
# The part after the last run: reading, judging and drawing.
SECONDS_AFTER = 10.0
USUAL = ", which takes two to four minutes on two cores"
CURVES, REPORT = "curves.svg", "report.html"


@click.command()
@click.option(
    "--results",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder for the runs and the report.  "
    "[default: results/demo; with --smoke results/demo/smoke]",
)
@options.device
@options.jobs
@options.threads
@options.force
@options.smoke
@options.quiet
def demo(results: Path | None, smoke: bool, quiet: bool, **options: Unpack[PlanOptions]) -> int:
    """Train a baseline and three regularizers, five seeds each; see what they do.

    Nothing is downloaded. It takes about three minutes on two cores and ends with a table, verdicts
    on some claims, curves and a report. If you stop it, the same command resumes it.

    \b
    Examples:
      regbench demo
      regbench demo --results /tmp/demo
    """
    from regbench.execution import environment
    from regbench.studies import file as study_file
    from regbench.studies import run as studies

    asked = study_file.read(
        STUDY, seeds=TINY_SEEDS if smoke else None, overrides=TINY if smoke else ()
    )
    folder = results or (RESULTS / "smoke" if smoke else RESULTS)
    command, observer = environment.command_line(), observer_for(quiet)
    try:
        told = None if quiet else _announce(asked, folder, smoke, options)
        began = time.monotonic()  # the estimate is for what follows its announcement
        with signals.raised(observer.stopping):
            found = studies.run_study(
                asked, folder, warn=warn, command=command, observer=observer,
                probes=not smoke,  # of an untrained network they are meaningless
                **options,
            )  # fmt: skip
    except KeyboardInterrupt as error:
        return print_interrupted(command, error)
    assert found.outcome
    with perhaps_unread():
        print_other_backends(found.outcome.other_backends, None)
        print_failures(found.outcome, folder)
        if any(each.runs for each in found.variants):
            _print(found, folder)
        if told:
            _tell_time(time.monotonic() - began, told)
    return found.outcome.exit_code


def _announce(study: Study, folder: Path, smoke: bool, options: PlanOptions) -> float | None:
    """Print what is trained and for how long; return the seconds, None if nothing is to do."""
    from regbench.sweeps import plan as planning
    from regbench.sweeps import schedule
    from regbench.text import clock

    if not schedule.sort_out(study.experiments, folder, options["force"]).pending:
        return None
    screen, runs, seeds = console(stderr=True), len(study.experiments), len(study.seeds)
    screen.print(
        f"A baseline and {len(study.variants) - 1} regularizers, {seeds} seeds each: {runs} runs "
        f"of a small network on drawn images{'' if smoke else USUAL}."
    )
    with busy("Measuring how fast this machine trains them"):
        plan = planning.plan(study.experiments, folder, **options)
    if plan.seconds is None:  # the run itself will report why
        return None
    told = plan.seconds + SECONDS_AFTER
    screen.print(f"On this machine: about {clock(told)}, with {plan.jobs} runs at a time.")
    return told


def _print(result: StudyResult, folder: Path) -> None:
    """Print the table and the verdicts; write the curves and the report."""
    from regbench import figures, report, runs
    from regbench.analysis import compare
    from regbench.terminal import comparison
    from regbench.terminal import demo as sentences

    screen = console(stderr=False)
    wanted = {experiment.run_name for experiment in result.study.experiments}
    # Judging the runs has already warned of differences between them.
    loaded = runs.load(folder)
    loaded = loaded.only(loaded["run"].isin(wanted))
    rows = compare.compare(loaded, examples=False)
    screen.print(comparison.terminal(rows, screen.width))
    screen.print()
    screen.print(sentences.terminal(result))
    with busy("Drawing the curves and the report"):
        figures.save(figures.curves(loaded), folder / CURVES)
        report.write(loaded, folder / REPORT)
    click.echo(f"\nThe curves are in {folder / CURVES}.")
    click.echo(f"Open {folder / REPORT} in a browser: it shows the details behind these numbers.")


def _tell_time(seconds: float, told: float) -> None:
    from regbench.text import clock

    click.echo(f"That took {clock(seconds)}; the estimate was about {clock(told)}.", err=True)
