"""`regbench inspect`."""

from __future__ import annotations

import click

from regbench.cli import json_schemas, options
from regbench.cli.printing import busy, console, print_json


@click.command()
@click.argument("config_path", metavar="CONFIG")
@options.overrides
@click.option(
    "--baseline", metavar="CONFIG", help="The config to compare with.  [default: baseline.yaml]"
)
@options.backend
@options.device
@options.threads
@click.option("--no-time", is_flag=True, help="Skip the measurement of an epoch's time.")
@options.as_json
@options.plugins
def inspect(
    config_path: str,
    overrides: tuple[str, ...],
    baseline: str | None,
    no_time: bool,
    as_json: bool,
    backend: str | None,
    device: str,
    threads: int | None,
) -> None:
    """Show the layers of CONFIG, their cost, and advice; nothing is trained.

    \b
    Examples:
      regbench inspect configs/dropout.yaml
      regbench inspect configs/l2.yaml --set l2=0.1 --no-time
    """
    from regbench import config
    from regbench.inspection import inspect as inspection
    from regbench.terminal import inspection as layer_table

    experiment = config.load(config_path, overrides)
    reference = config.load(baseline) if baseline else None
    doing = "Building the network" if no_time else "Building the network and timing some batches"
    with busy(doing):
        found = inspection.inspect(
            experiment, reference, backend=backend, device=device, threads=threads,
            measure_time=not no_time,
        )  # fmt: skip
    if as_json:
        print_json(json_schemas.versioned(found.as_dict()))
    else:
        console(stderr=False).print(layer_table.terminal(found))
