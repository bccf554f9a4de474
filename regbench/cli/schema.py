"""`regbench schema`."""

from __future__ import annotations

import click

from regbench.cli import options
from regbench.cli.printing import print_json


@click.command()
@click.argument("kind", type=click.Choice(["config", "study"]), default="config")
@options.plugins
def schema(kind: str) -> None:
    """Print the JSON Schema of a config or a study, for editors that check and complete YAML.

    \b
    Examples:
      regbench schema > configs/schema.json
      regbench schema study > configs/studies/schema.json
    """
    from regbench import config
    from regbench.studies import file as study_file

    print_json(study_file.schema() if kind == "study" else config.schema())
