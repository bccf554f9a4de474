"""`regbench init`."""

from __future__ import annotations

from pathlib import Path

import click

TEMPLATE = Path(__file__).with_name("plugin_template.py")


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
    write_plugin(plugin)
    click.echo(f"Wrote {plugin}. Check it with: regbench doctor --plugin {plugin}", err=True)


def write_plugin(path: Path) -> None:
    """Write the template of a plugin. Raises UsageError where there is such a file already."""
    from regbench import files

    if path.exists():
        raise click.UsageError(f"--plugin: {path} exists already; choose another name")
    if path.suffix != ".py":
        raise click.UsageError(f"--plugin: expected a name that ends in .py, received {path}")
    text = TEMPLATE.read_text(encoding="utf-8")
    files.write(path, text.replace("my_plugin.py", path.name))
