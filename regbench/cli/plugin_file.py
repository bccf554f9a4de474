"""What `regbench init --plugin` writes: the template beside this module, under another name."""

from __future__ import annotations

from pathlib import Path

import click

TEMPLATE = Path(__file__).with_name("plugin_template.py")


def write(path: Path) -> None:
    """Write a plugin to start from, and say so. Raises UsageError for a file that is there."""
    from regbench import files

    if path.exists():
        raise click.UsageError(f"--plugin: {path} exists already; choose another name")
    if path.suffix != ".py":
        raise click.UsageError(f"--plugin: expected a name that ends in .py, received {path}")
    text = TEMPLATE.read_text(encoding="utf-8")
    files.write(path, text.replace("my_plugin.py", path.name))
    click.echo(f"Wrote {path}. Check it with: regbench doctor --plugin {path}", err=True)
