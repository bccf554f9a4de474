"""`regbench schema`."""

from __future__ import annotations

import click

from regbench.cli import json_schemas, options
from regbench.cli.printing import print_json


@click.command()
@click.argument(
    "kind", type=click.Choice(["config", "study", "paper", *json_schemas.KINDS]), default="config"
)
@options.plugins
def schema(kind: str) -> None:
    """Print the JSON Schema of a config, study or paper, or of what a command prints with --json.

    Editors check and complete YAML with the first three; programs check what they read with the
    others.

    \b
    Examples:
      regbench schema > configs/schema.json
      regbench schema study > configs/studies/schema.json
      regbench schema study-result
    """
    from regbench import config
    from regbench.studies import file as study_file

    if kind in json_schemas.KINDS:
        print_json(json_schemas.schema(kind))
        return
    if kind == "paper":
        from regbench.papers import file as papers

        print_json(papers.schema())
        return
    print_json(study_file.schema() if kind == "study" else config.schema())
