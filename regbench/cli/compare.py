"""`regbench compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from regbench.cli import by_origin, options, reading
from regbench.cli.printing import busy, console, print_json, warn
from regbench.errors import RegbenchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from regbench.analysis.rows import ConfigRow
    from regbench.runs import Results


# More columns of another tool's table are not shown unless they are asked for.
MOST_MEASURES = 6
# Columns that mean the same everywhere.
ELSEWHERE = (
    "test_accuracy", "test_loss", "train_accuracy", "train_loss", "validation_accuracy",
    "validation_loss",
)  # fmt: skip


@click.command()
@options.results_to_read
@by_origin.option
@options.baseline
@click.option("--json", "form", flag_value="json", help="Print JSON.")
@click.option("--csv", "form", flag_value="csv", help="Print CSV.")
@click.option("--markdown", "form", flag_value="markdown", help="Print a Markdown table.")
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the train and test curves to FILE.svg, .pdf, .png or .html.",
)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    help="A metric to show with its statistics, or accuracy or loss, also to plot.",
)
@click.option(
    "--sort",
    metavar="NAME",
    help="Sort by name or a metric, best first; -NAME: worst first. The baseline stays on top.",
)
@click.option(
    "--changes",
    is_flag=True,
    help="Show what each config changes, and the test accuracy or each --metric.",
)
@click.option(
    "--intervals",
    is_flag=True,
    help="Show what intervals cover: seeds, new test images, new training samples.",
)
@options.plugins
def compare(
    results: tuple[Path, ...],
    baseline: str | None,
    form: str | None,
    plot: Path | None,
    metrics: tuple[str, ...],
    sort: str | None,
    changes: bool,
    intervals: bool,
    apart: bool | None,
) -> None:
    """Compare finished runs: means, 95% intervals, differences paired by seed.

    \b
    Examples:
      regbench compare results/
      regbench compare results/ --plot curves.svg
      regbench compare results/ --metric test_accuracy --sort test_accuracy
      regbench compare results/ --intervals
      regbench compare results/ --json | jq '.[] | {name, gap}'
      regbench compare elsewhere.csv --metric accuracy
      regbench compare mlruns/
      regbench compare anna.zip ben.zip cleo.zip
    """
    from regbench.analysis import compare as comparison
    from regbench.analysis import evidence

    if by_origin.wanted(results, apart):
        if plot or changes or intervals:
            one = "--plot, --changes and --intervals show one set of runs"
            raise click.UsageError(f"{one}; add --together, or name one bundle")
        by_origin.compare(results, baseline, form, metrics, sort)
        return
    if plot:  # only a drawing needs what figures import
        from regbench import figures

        figures.check_format(plot)
    with busy("Reading the runs"):
        # What is asked for beyond the table may need the epochs in between.
        loaded = reading.load(results, with_tables=True, ends=not (plot or metrics or sort))
    shown = evidence.spelled_out(metrics or _measured(loaded), loaded.measures)
    by = evidence.sort_key(sort or "name", loaded.measures)
    asked = list(dict.fromkeys([*shown, *([] if by == "name" else [by])]))
    examples = form is not None or intervals or "test_accuracy" in shown
    examples &= not loaded.elsewhere
    powered = None if form else [*evidence.DIFFERENCES, *shown]  # a terminal shows no more
    with busy("Comparing the runs"):
        compared = comparison.compare(loaded, baseline, asked, warn, examples, powered)
    rows: Sequence[ConfigRow] = compared
    if sort:
        rows = evidence.ordered(rows, sort)
    _print(rows, form, shown, changes, intervals)
    if plot:
        if loaded.frame["test_accuracy"].isna().all() and loaded.frame["test_loss"].isna().all():
            raise RegbenchError("--plot draws train and test curves, which no run here has")
        loss = any(name.endswith("loss") for name in metrics)
        with busy("Drawing the curves"):
            figures.save(figures.curves(loaded, metric="loss" if loss else "accuracy"), plot)
        click.echo(f"The curves are in {plot}", err=True)


def _measured(loaded: Results) -> list[str]:
    """Return what to show unasked of runs made elsewhere, if the usual table has too little."""
    known = [
        name for name in ELSEWHERE if name in loaded.frame and loaded.frame[name].notna().any()
    ]
    if not loaded.elsewhere or not (loaded.measures or "test_accuracy" not in known):
        return []
    return [*known, *loaded.measures[:MOST_MEASURES]]


def _print(
    rows: Sequence[ConfigRow], form: str | None, shown: list[str], changes: bool, intervals: bool
) -> None:
    from regbench.analysis import evidence
    from regbench.runs import collection
    from regbench.terminal import comparison, significance

    with collection.paused():
        if form == "json":
            print_json([row.as_dict() for row in rows])
        elif form == "csv":
            click.echo(comparison.comma_separated(rows), nl=False)
        elif form == "markdown":
            click.echo(comparison.markdown(rows), nl=False)
            for name in shown or evidence.differing(rows):
                click.echo(f"\n{significance.markdown(rows, name)}", nl=False)
        else:
            screen = console(stderr=False)
            for part in significance.view(rows, shown, changes, screen.width, intervals):
                screen.print(part)
