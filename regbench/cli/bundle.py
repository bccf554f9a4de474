"""`regbench bundle`."""

from __future__ import annotations

from pathlib import Path

import click

from regbench.cli import options
from regbench.cli.printing import warn


@click.command()
@options.results_to_read
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="PATH",
    help="The file to write, or with --extract the folder.",
)
@click.option("--no-models", is_flag=True, help="Leave out model.keras and checkpoints.")
@click.option("--extract", is_flag=True, help="Extract the run folders of bundles.")
def bundle(results: tuple[Path, ...], output: Path, no_models: bool, extract: bool) -> None:
    """Put finished runs into one file, which every command that reads results accepts.

    The same runs give the same bytes. A file named runs.zip in a results folder belongs to it: its
    runs count like those in folders.

    \b
    Examples:
      regbench bundle results/ -o runs.zip
      regbench bundle results/seeds --no-models -o results/seeds/runs.zip
      regbench compare runs.zip
      regbench bundle --extract runs.zip -o results/
    """
    from regbench.runs import bundle as bundles

    if not extract:
        if output.is_dir():
            raise click.UsageError(f"--output: expected a file, received the folder {output}")
        made = bundles.write(results, output, models=not no_models, warn=warn)
        size = output.stat().st_size
        click.echo(
            f"{_count(made.runs, 'run')} in {output}: {_count(made.files, 'file')} of "
            f"{made.bytes:,} bytes in {size:,}",
            err=True,
        )
        return
    if no_models:
        raise click.UsageError("--no-models cannot be combined with --extract")
    for path in results:
        found = bundles.extract(path, output)
        there = f"; {len(found.unchanged)} already existed" if found.unchanged else ""
        click.echo(f"{_count(len(found.written), 'run')} of {path} in {output}{there}", err=True)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
