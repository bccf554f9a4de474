"""`regbench export`."""

from __future__ import annotations

from pathlib import Path

import click

from regbench.cli import options, reading
from regbench.cli.printing import busy, console, warn
from regbench.exports import FORMATS, TABLES

PAPER = ("latex", "markdown")


@click.command()
@options.results_to_read
@click.option("--to", "form", type=click.Choice(FORMATS), required=True, help="What to write.")
@click.option(
    "-o",
    "--output",
    metavar="PATH",
    help="The folder to write; for latex and markdown a file; for mlflow also an address.  "
    "[default: stdout for latex and markdown]",
)
@options.baseline
@click.option(
    "--follow", is_flag=True, help="Also send what happens from now on, until Ctrl-C (trackers)."
)
@options.plugins
def export(
    results: tuple[Path, ...], form: str, output: str | None, baseline: str | None, follow: bool
) -> None:
    """Export runs to another tool, or as tables.

    csv and parquet are tidy tables of runs and epochs; latex and markdown are a table for a paper;
    tensorboard, mlflow, wandb and trackio get every run with its config and its epochs. Exporting
    again replaces what an earlier export wrote, except for wandb and trackio, which add runs.

    \b
    Examples:
      regbench export results/ --to parquet -o tables
      regbench export results/ --to latex -o table.tex
      regbench export results/ --to tensorboard -o logs --follow
      regbench export results/ --to mlflow -o http://localhost:5000
    """
    if output is None and form not in PAPER:
        raise click.UsageError(f"--to {form} needs --output, where to write")
    if follow and form in TABLES:
        raise click.UsageError(f"--follow cannot be combined with --to {form}, a finished table")
    if baseline and form not in PAPER:
        raise click.UsageError(f"--baseline is for --to {' and '.join(PAPER)}")
    if form in PAPER:
        _paper(results, form, output, baseline)
    elif form in TABLES:
        _tidy(results, form, Path(output or ""))
    else:
        _track(results, form, output or "", follow)


def _paper(results: tuple[Path, ...], form: str, output: str | None, baseline: str | None) -> None:
    from regbench import files
    from regbench.exports import paper

    with busy("Comparing the runs"):
        loaded = reading.load(results, with_tables=True)
        write = paper.latex if form == "latex" else paper.markdown
        text = write(loaded, baseline, warn)
    if output is None:
        click.echo(text, nl=False)
        return
    files.write(Path(output), text)
    click.echo(f"The table is in {output}", err=True)


def _tidy(results: tuple[Path, ...], form: str, output: Path) -> None:
    from regbench.exports import tidy

    with busy("Reading the runs"):
        loaded = reading.load(results, with_tables=True)
    written = (tidy.csv if form == "csv" else tidy.parquet)(loaded, output)
    click.echo(f"The tables are in {' and '.join(map(str, written))}", err=True)


def _track(results: tuple[Path, ...], form: str, output: str, follow: bool) -> None:
    from regbench import exports
    from regbench.exports import tracking

    opened = exports.tracker(form)(output)
    screen = console(stderr=True)
    seen = [(0, 0)]

    def looked(runs: int, unfinished: int) -> None:
        if follow and (runs, unfinished) != seen[-1]:
            screen.print(f"{runs} runs in {output}, {unfinished} of them not finished")
        seen.append((runs, unfinished))

    if follow:
        screen.print("Following; end with Ctrl-C")
    try:
        tracking.export(results, opened, follow=follow, warn=warn, looked=looked)
    except KeyboardInterrupt:  # the only way to end --follow, and nothing is lost
        if not follow:
            raise
    runs = seen[-1][0]
    click.echo(f"{runs} {'run' if runs == 1 else 'runs'} in {output}", err=True)
