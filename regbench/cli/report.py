"""`regbench report`."""

from __future__ import annotations

from pathlib import Path

import click

from regbench.cli import by_origin, options, reading
from regbench.cli.printing import busy, warn


@click.command()
@options.results_to_read
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default="report.html",
    show_default=True,
    metavar="FILE",
)
@by_origin.option
@options.baseline
@click.option(
    "--figures",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Also write each figure as SVG and PNG, as wide as a paper's column.",
)
@options.plugins
def report(
    results: tuple[Path, ...],
    output: Path,
    baseline: str | None,
    folder: Path | None,
    apart: bool | None,
) -> None:
    """Write a web page about finished runs: table, interactive curves, gap ledger, probes.

    The page works offline and can be printed.

    \b
    Examples:
      regbench report results/ -o report.html
      regbench report results/ --figures figures/
    """
    from regbench import figures
    from regbench import report as page

    with busy("Reading the runs") as status:
        loaded = reading.load(results, with_tables=True)
        separate = by_origin.load(results) if by_origin.wanted(results, apart) else None
        status.update("Drawing the report: some seconds for each figure")
        page.write(loaded, output, baseline, warn=warn, separate=separate)
    click.echo(f"The report is in {output}", err=True)
    if folder:
        with busy(f"Drawing the figures into {folder}"):
            paths = figures.save_all(loaded, folder, baseline)
        click.echo(f"{len(paths)} figures are in {folder}", err=True)
