"""Options of the executors for clusters, which a command receives as one `Cluster`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

# Its parameters are the options that decorators add to it, which no type can follow.
Command = Callable[..., Any]


class SlurmOptions(click.ParamType[dict[str, str]]):
    """Options of sbatch: `partition=gpu,time=2h`."""

    name = "options"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, str]:
        if isinstance(value, dict):
            return value
        found = {}
        for part in str(value).split(","):
            name, equals, content = part.partition("=")
            if not equals or not name.strip():
                self.fail(f"expected KEY=VALUE,KEY=VALUE, received {value!r}", param, ctx)
            found[name.strip()] = content.strip()
        return found


OPTIONS = (
    click.option(
        "--address",
        metavar="HOST:PORT",
        help="The cluster of --executor ray.  [default: Ray is started on this machine]",
    ),
    click.option(
        "--gpus",
        type=click.FloatRange(0, min_open=True),
        metavar="SHARE",
        help="GPUs of each run, with --executor ray: 0.25 for four runs on one.",
    ),
    click.option(
        "--slurm",
        type=SlurmOptions(),
        default={},
        metavar="KEY=VALUE,...",
        help="Options of sbatch for --executor slurm: partition=gpu,time=2h,gpus=1.",
    ),
    click.option(
        "--detach",
        is_flag=True,
        help="Submit the jobs of --executor slurm and end; the same command tells how they are.",
    ),
)


def collected(command: Command) -> Command:
    """Let a command receive its options for clusters as `cluster`."""

    @functools.wraps(command)
    def call(*arguments: Any, **options: Any) -> Any:
        from regbench.execution.cluster import Cluster

        own = {name: options.pop(name) for name in ("address", "gpus", "slurm", "detach")}
        return command(*arguments, cluster=Cluster(**own), **options)

    return call
