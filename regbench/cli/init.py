"""`regbench init`."""

from __future__ import annotations

from pathlib import Path

import click

from regbench.cli import plugin_file


@click.command()
@click.option(
    "--plugin",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="FILE",
    help="Write a plugin to start from: a technique, a data set and a network.",
)
def init(plugin: Path) -> None:
    """Write files to start from.

    \b
    Examples:
      regbench init --plugin my_plugin.py
      regbench doctor --plugin my_plugin.py
    """
    plugin_file.write(plugin)
