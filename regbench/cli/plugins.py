"""`regbench plugins`."""

from __future__ import annotations

import click

from regbench.cli import options
from regbench.cli.printing import print_json


@click.command()
@options.plugins
@options.as_json
def plugins(as_json: bool) -> None:
    """List the loaded plugins: what each registers, its location and its SHA-256.

    Plugins are loaded from --plugin, the variable REGBENCH_PLUGINS, and the entry points of
    installed packages.

    \b
    Examples:
      regbench plugins --plugin my_plugin.py
      REGBENCH_PLUGINS=my_plugin.py regbench plugins
    """
    from regbench import plugins as registry
    from regbench.text import one_line

    found = registry.loaded()
    if as_json:
        print_json([each.as_dict() for each in found])
        return
    for plugin in found:
        click.echo(f"{plugin.name}  {one_line(plugin.place)}  SHA-256 {plugin.sha256}")
        for kind, name in plugin.registered:
            click.echo(f"  {kind:<12} {name}")
    if not found:
        click.echo(f"no plugin is loaded; {registry.HINT}", err=True)
