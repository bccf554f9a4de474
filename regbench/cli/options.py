"""Options that several commands share, and their types."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from regbench.cli import clusters


class SeedRange(click.ParamType[list[int]]):
    """A list of seeds: `0-4`, `0,3,7` or a mixture of both."""

    name = "seeds"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[int]:
        if isinstance(value, list):
            return value
        from regbench.config import seeds as ranges

        try:
            return ranges.parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class CountOrAuto(click.ParamType[int | None]):
    """A positive integer, or `auto` (None)."""

    name = "N|auto"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | None:
        if value == "auto":
            return None
        if not str(value).isdecimal() or int(str(value)) < 1:
            self.fail(f"expected a positive integer or auto, received {value!r}", param, ctx)
        return int(str(value))


class Duration(click.ParamType[int]):
    """A time such as `30m` or `1h30m`, in seconds."""

    name = "time"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        from regbench.execution import budget

        try:
            return value if isinstance(value, int) else budget.seconds(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


overrides = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key: train.epochs=5."
)
backend = click.option(
    "--backend",
    type=click.Choice(["tensorflow", "jax", "torch"]),
    help="Keras' backend.  [default: KERAS_BACKEND, else tensorflow]",
)
device = click.option(
    "--device", type=click.Choice(["auto", "cpu", "gpu"]), default="auto", show_default=True
)
threads = click.option(
    "--threads",
    type=CountOrAuto(),
    default="auto",
    show_default=True,
    help="CPU threads of each run.",
)
executor = click.option(
    "--executor",
    default="local",
    show_default=True,
    metavar="NAME",
    help="Where runs execute: local, ray, slurm, or a plugin's.",
)
seeds = click.option(
    "--seeds", type=SeedRange(), help="Seeds to train: 0-4 or 0,3,7.  [default: 0]"
)
epochs = click.option("--epochs", type=click.IntRange(1), help="Short for --set train.epochs=N.")
results_to_write = click.option(
    "--results",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder of the runs.  [default: results; with --smoke results/smoke]",
)
jobs = click.option(
    "--jobs", type=CountOrAuto(), default="auto", show_default=True, help="Runs at a time."
)
smoke = click.option("--smoke", is_flag=True, help="Run the pipeline on tiny data, in seconds.")
quiet = click.option("--quiet", is_flag=True, help="No progress; results and errors only.")
fail_fast = click.option(
    "--fail-fast/--keep-going",
    help="Stop at the first run that fails or diverges.  [default: continue with the others]",
)
dry_run = click.option(
    "--dry-run", is_flag=True, help="Show what would be trained and for how long; train nothing."
)
no_probes = click.option(
    "--no-probes",
    "probes",
    is_flag=True,
    flag_value=False,
    default=True,
    help="Do not examine the trained models; saves up to a tenth of the time.",
)
force = click.option("--force", is_flag=True, help="Train finished runs again.")
results_to_read = click.argument(
    "results", nargs=-1, required=True, metavar="RESULTS...", type=click.Path(path_type=Path)
)
baseline = click.option(
    "--baseline", metavar="NAME", help="The config to compare the others with.  [default: baseline]"
)


def _load_plugins(context: click.Context, option: click.Parameter, value: Sequence[Path]) -> None:
    if not context.resilient_parsing:
        from regbench import plugins

        plugins.load(*value)


plugins = click.option(
    "--plugin",
    "plugin_files",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    callback=_load_plugins,
    expose_value=False,
    help="Load techniques, data sets and more from a Python file.",
)
watch = click.option(
    "--watch", "watches", is_flag=True, help="Open a page in the browser that shows the runs live."
)
budget = click.option(
    "--budget",
    type=Duration(),
    metavar="TIME",
    help="Stop after this time, 30m or 1h30m; the same command resumes.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def training(command: clusters.Command) -> clusters.Command:
    """Add the options of `regbench.sweep.run`, and `--dry-run`, to a command that trains runs."""
    # Decorators apply from last to first: reversed, `--help` lists them in the order below.
    asked = (backend, device, executor, *clusters.OPTIONS, jobs, threads)
    for option in reversed((*asked, force, fail_fast, no_probes, dry_run)):
        command = option(command)
    return clusters.collected(command)
