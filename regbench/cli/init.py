"""`regbench init`."""

from __future__ import annotations

from pathlib import Path

import click

from regbench.cli import plugin_file


@click.command()
@click.argument(
    "folder",
    metavar="[DIR]",
    required=False,
    type=click.Path(path_type=Path, file_okay=False),
)
@click.option(
    "--plugin",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write a plugin template: a technique, a data set and a network.",
)
def init(folder: Path | None, plugin: Path | None) -> None:
    """Write starter configs and studies into DIR (by default configs) for you to edit.

    With --plugin and no DIR, write only the plugin. Existing files are never overwritten.

    \b
    Examples:
      regbench init
      regbench init experiments
      regbench init --plugin my_plugin.py
    """
    if folder or not plugin:
        write_configs(folder or Path("configs"))
    if plugin:
        plugin_file.write(plugin)


def write_configs(folder: Path) -> None:
    """Write the shipped configs into a folder; print what was written and what to do next."""
    from regbench.config import shipped

    done = shipped.write_out(folder)
    if done.written:
        click.echo(
            f"Wrote {_files(done.written)} into {folder}: configs, "
            f"studies in {folder / shipped.STUDIES}, and papers in {folder / shipped.PAPERS}"
        )
    if done.unchanged:
        click.echo(f"Already there, unchanged: {_files(done.unchanged)}")
    click.echo(f"Next: regbench run {folder / 'quick.yaml'}")


def _files(paths: list[Path]) -> str:
    return f"{len(paths)} file{'' if len(paths) == 1 else 's'}"
