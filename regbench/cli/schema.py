"""`regbench schema`."""

from __future__ import annotations

import click

from regbench.cli.printing import print_json


@click.command()
def schema() -> None:
    """Print the JSON Schema of a config, for editors that check and complete YAML.

    \b
    Example:
      regbench schema > configs/schema.json
    """
    from regbench import config

    print_json(config.schema())
