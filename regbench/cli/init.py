"""`regbench init`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument(
    "folder",
    metavar="[DIR]",
    default="configs",
    type=click.Path(path_type=Path, file_okay=False),
)
def init(folder: Path) -> None:
    """Write the starter configs and studies into DIR (by default configs), to be edited.

    No file is ever overwritten.

    \b
    Examples:
      regbench init
      regbench init experiments
    """
    write_configs(folder)


def write_configs(folder: Path) -> None:
    """Write the shipped configs into a folder; say what was written, and what to do next."""
    from regbench.config import shipped

    done = shipped.write_out(folder)
    if done.written:
        click.echo(
            f"Wrote {_files(done.written)} into {folder}: configs, "
            f"and studies in {folder / shipped.STUDIES}"
        )
    if done.unchanged:
        click.echo(f"There already, unchanged: {_files(done.unchanged)}")
    click.echo(f"Next: regbench run {folder / 'quick.yaml'}")


def _files(paths: list[Path]) -> str:
    return f"{len(paths)} file{'' if len(paths) == 1 else 's'}"
