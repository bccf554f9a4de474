"""`regbench compare`."""

from __future__ import annotations

from pathlib import Path

import click

from regbench.cli import options
from regbench.cli.printing import console, print_json, warn


@click.command()
@options.results_to_read
@options.baseline
@click.option("--json", "form", flag_value="json", help="Print JSON.")
@click.option("--csv", "form", flag_value="csv", help="Print CSV.")
@click.option("--markdown", "form", flag_value="markdown", help="Print a Markdown table.")
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the train and test curves to FILE.svg, .png or .html.",
)
@click.option(
    "--metric", type=click.Choice(["accuracy", "loss"]), default="accuracy", help="What to plot."
)
def compare(
    results: tuple[Path, ...],
    baseline: str | None,
    form: str | None,
    plot: Path | None,
    metric: str,
) -> None:
    """Compare finished runs: means, 95% intervals, differences paired by seed.

    \b
    Examples:
      regbench compare results/
      regbench compare results/ --plot curves.svg
      regbench compare results/ --json | jq '.[] | {name, gap}'
    """
    from regbench import compare as comparison
    from regbench import runs, tables

    frame = runs.load(results, warn=warn)
    rows = comparison.compare(frame, baseline=baseline)
    if form == "json":
        print_json(rows)
    elif form == "csv":
        click.echo(tables.comma_separated(rows), nl=False)
    elif form == "markdown":
        click.echo(tables.markdown(rows), nl=False)
    else:
        screen = console(stderr=False)
        screen.print(tables.terminal(rows, screen.width))
    if plot:
        from regbench import figures

        figures.save(figures.curves(frame, metric=metric), plot)
        click.echo(f"The curves are in {plot}", err=True)
