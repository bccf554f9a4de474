"""`regbench data`."""

from __future__ import annotations

import click

from regbench.cli import options
from regbench.cli.printing import console, print_json


@click.command()
@click.argument("name", required=False)
@options.as_json
@options.plugins
def data(name: str | None, as_json: bool) -> None:
    """Show which data sets are on this machine; given a NAME, fetch and verify it first.

    \b
    Examples:
      regbench data
      regbench data cifar10
    """
    from regbench.datasets import inventory

    if name:
        _fetch(name)
    items = inventory.where()
    if as_json:
        print_json([item.as_dict() for item in items])
    for item in [] if as_json else items:
        size = f"{item.bytes / 1e6:.1f} MB" if item.bytes else ""
        click.echo(f"{item.dataset:<13} {item.state:<17} {size:>9}  {item.path}")


def _fetch(name: str) -> None:
    from regbench.datasets import inventory
    from regbench.terminal.download import DownloadBar

    bar = DownloadBar(console(stderr=True))
    try:
        inventory.fetch(name, bar.show)
    finally:
        bar.end()
