"""The plugin of `regbench init --plugin`: a copy of the template beside this module."""

from __future__ import annotations

from pathlib import Path

import click

TEMPLATE = Path(__file__).with_name("plugin_template.py")


def write(path: Path) -> None:
    """Write the template and print how to check it. Raises UsageError if the file exists."""
    from regbench import files

    if path.exists():
        raise click.UsageError(f"--plugin: {path} exists already; choose another name")
    if path.suffix != ".py":
        raise click.UsageError(f"--plugin: expected a name that ends in .py, received {path}")
    text = TEMPLATE.read_text(encoding="utf-8")
    files.write(path, text.replace("my_plugin.py", path.name))
    click.echo(f"Wrote {path}. Check it with: regbench doctor --plugin {path}", err=True)
