"""The command line: options and printing, and one call of the Python interface per command.

Heavy imports stay inside the commands, so that `regbench --help` is instant.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from regbench import failures, signals
from regbench.errors import RegbenchError

if TYPE_CHECKING:
    from rich.console import Console

    from regbench.sweep import Observer, Outcome

BACKENDS = click.Choice(["tensorflow", "jax", "torch"])
DEVICES = click.Choice(["auto", "cpu", "gpu"])
# The whole pipeline in seconds: nothing to download, and just enough examples to fill batches.
SMOKE = (
    "data.name=shapes",
    "data.path=null",
    "data.sha256=null",
    "data.train_examples=100",
    "data.test_examples=100",
    "train.epochs=2",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit; what the user can put right ends in one line on stderr."""
    try:
        code = cli.main(arguments, prog_name="regbench", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        code = signals.INTERRUPTED
    except RegbenchError as error:
        for line in str(error).splitlines():
            _complain("Error", line)
        code = error.exit_code
    except BrokenPipeError:  # regbench compare | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except (OSError, MemoryError) as error:
        _complain("Error", failures.message(error))
        code = 1
    sys.exit(code)


class _SeedRange(click.ParamType[list[int]]):
    """`0-4`, `0,3,7` or any mixture of both."""

    name = "seeds"

    def convert(self, value: Any, param: Any, ctx: Any) -> list[int]:
        if isinstance(value, list):
            return value
        seeds: list[int] = []
        for part in str(value).split(","):
            first, dash, last = part.strip().partition("-")
            if not first.isdecimal() or (dash and not last.isdecimal()):
                self.fail(f"expected seeds such as 0-4 or 0,3,7, received {value!r}", param, ctx)
            seeds += range(int(first), int(last or first) + 1)
        if not seeds or len(seeds) > len(set(seeds)):
            self.fail(f"expected distinct seeds, the lower end first, received {value!r}")
        return seeds


class _CountOrAuto(click.ParamType[int]):
    """A positive integer, or `auto` (None)."""

    name = "N|auto"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if value == "auto":
            return None
        if not str(value).isdecimal() or int(value) < 1:
            self.fail(f"expected a positive integer or auto, received {value!r}", param, ctx)
        return int(value)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="regbench")
def cli() -> None:
    """Does this regularizer help, by how much, and can I trust it?

    \b
    Start here:
      regbench run configs/baseline.yaml configs/dropout.yaml
      regbench compare results/
    """


@cli.command()
@click.argument("configs", nargs=-1, required=True, metavar="CONFIG...")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key: train.epochs=5."
)
@click.option("--seeds", type=_SeedRange(), help="Seeds to train: 0-4 or 0,3,7.  [default: 0]")
@click.option("--epochs", type=click.IntRange(1), help="Short for --set train.epochs=N.")
@click.option(
    "--results",
    default="results",
    show_default=True,
    type=click.Path(path_type=Path, file_okay=False),
)
@click.option(
    "--backend", type=BACKENDS, help="Keras' backend.  [default: KERAS_BACKEND, else tensorflow]"
)
@click.option("--device", type=DEVICES, default="auto", show_default=True)
@click.option(
    "--jobs", type=_CountOrAuto(), default="auto", show_default=True, help="Runs at a time."
)
@click.option(
    "--threads",
    type=_CountOrAuto(),
    default="auto",
    show_default=True,
    help="CPU threads of each run.",
)
@click.option("--force", is_flag=True, help="Repeat runs that are finished.")
@click.option("--profile", is_flag=True, help="Write and print where the time goes.")
@click.option("--smoke", is_flag=True, help="A tiny run of the same pipeline, in seconds.")
@click.option("--quiet", is_flag=True, help="No progress; results and errors only.")
def run(
    configs: tuple[str, ...],
    overrides: tuple[str, ...],
    seeds: list[int] | None,
    epochs: int | None,
    results: Path,
    smoke: bool,
    quiet: bool,
    **options: Any,
) -> int:
    """Train every CONFIG with every seed that has no finished run yet.

    \b
    Examples:
      regbench run configs/baseline.yaml configs/dropout.yaml
      regbench run configs/l2.yaml --set l2=1e-2 --seeds 0-4
      regbench run configs/*.yaml --smoke --results /tmp/smoke
    """
    from regbench import config, environment, sweep

    changed = list(overrides)
    changed += [f"train.epochs={epochs}"] if epochs else []
    changed += SMOKE if smoke else ()
    loaded = config.load_all(configs, changed)
    experiments = [each.with_seed(seed) for each in loaded for seed in (seeds or [each.seed])]
    command, observer = environment.command_line(), _observer(quiet)
    try:
        with signals.raised(observer.stopping):
            outcome = sweep.run(experiments, results, command=command, observer=observer, **options)
    except KeyboardInterrupt as error:
        click.echo(f"Interrupted. To go on: {_resuming(command)}", err=True)
        return signals.exit_code(error)
    _print_outcome(outcome, results, quiet)
    if options["profile"]:
        _print_profiles(outcome, results)
    return outcome.exit_code


@cli.command()
@click.argument(
    "results", nargs=-1, required=True, metavar="RESULTS...", type=click.Path(path_type=Path)
)
@click.option(
    "--baseline", metavar="NAME", help="What the others are compared with.  [default: baseline]"
)
@click.option("--json", "form", flag_value="json", help="Print JSON.")
@click.option("--csv", "form", flag_value="csv", help="Print CSV.")
@click.option("--markdown", "form", flag_value="markdown", help="Print a Markdown table.")
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the train and test curves to FILE.svg, .png or .html.",
)
@click.option(
    "--metric", type=click.Choice(["accuracy", "loss"]), default="accuracy", help="What to plot."
)
def compare(
    results: tuple[Path, ...],
    baseline: str | None,
    form: str | None,
    plot: Path | None,
    metric: str,
) -> None:
    """Compare finished runs: means, 95% intervals, differences paired by seed.

    \b
    Examples:
      regbench compare results/
      regbench compare results/ --plot curves.svg
      regbench compare results/ --json | jq '.[] | {name, gap}'
    """
    from regbench import compare as comparison
    from regbench import runs, tables

    frame = runs.load(results, warn=_warn)
    rows = comparison.compare(frame, baseline=baseline)
    if form == "json":
        _print_json(rows)
    elif form == "csv":
        click.echo(tables.comma_separated(rows), nl=False)
    elif form == "markdown":
        click.echo(tables.markdown(rows), nl=False)
    else:
        console = _console(stderr=False)
        console.print(tables.terminal(rows, console.width))
    if plot:
        from regbench import figures

        figures.save(figures.curves(frame, metric=metric), plot)
        click.echo(f"The curves are in {plot}", err=True)


@cli.command()
@click.argument(
    "results", nargs=-1, required=True, metavar="RESULTS...", type=click.Path(path_type=Path)
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default="report.html",
    show_default=True,
    metavar="FILE",
)
@click.option(
    "--baseline", metavar="NAME", help="What the others are compared with.  [default: baseline]"
)
@click.option(
    "--figures",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write each figure as SVG and PNG too, as wide as a paper's column.",
)
def report(
    results: tuple[Path, ...], output: Path, baseline: str | None, folder: Path | None
) -> None:
    """Write one web page of finished runs: table, interactive curves, gap ledger, probes.

    The page works offline, fetches nothing and can be printed.

    \b
    Examples:
      regbench report results/ -o report.html
      regbench report results/ --figures figures/
    """
    from regbench import figures, runs
    from regbench import report as page

    frame = runs.load(results, warn=_warn)
    page.write(frame, output, baseline, warn=_warn)
    click.echo(f"The report is in {output}", err=True)
    if folder:
        paths = figures.save_all(frame, folder)
        click.echo(f"{len(paths)} figures are in {folder}", err=True)


@cli.command()
@click.argument("config_path", metavar="CONFIG")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key: train.epochs=5."
)
@click.option(
    "--baseline", metavar="CONFIG", help="What to compare with.  [default: as baseline.yaml]"
)
@click.option(
    "--backend", type=BACKENDS, help="Keras' backend.  [default: KERAS_BACKEND, else tensorflow]"
)
@click.option("--device", type=DEVICES, default="auto", show_default=True)
@click.option("--threads", type=_CountOrAuto(), default="auto", show_default=True)
@click.option("--no-time", is_flag=True, help="Do not measure the time of an epoch.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def inspect(
    config_path: str,
    overrides: tuple[str, ...],
    baseline: str | None,
    no_time: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Show the layers of CONFIG, what they cost, and advice; nothing is trained.

    \b
    Examples:
      regbench inspect configs/dropout.yaml
      regbench inspect configs/l2.yaml --set l2=0.1 --no-time
    """
    from regbench import config, inspection, layer_table

    experiment = config.load(config_path, overrides)
    reference = config.load(baseline) if baseline else None
    found = inspection.inspect(experiment, reference, measure_time=not no_time, **options)
    if as_json:
        _print_json(found.as_dict())
    else:
        _console(stderr=False).print(layer_table.terminal(found))


@cli.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def data(name: str | None, as_json: bool) -> None:
    """Show what of each data set is on this machine; first fetch and verify NAME, if given.

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
        _print_json([item.as_dict() for item in items])
    for item in [] if as_json else items:
        size = f"{item.bytes / 1e6:.1f} MB" if item.bytes else ""
        click.echo(f"{item.dataset:<13} {item.state:<8} {size:>9}  {item.path}")


@cli.command()
def schema() -> None:
    """Print the JSON Schema of a config, for editors that check and complete YAML.

    \b
    Example:
      regbench schema > configs/schema.json
    """
    from regbench import config

    _print_json(config.schema())


def _fetch(name: str) -> None:
    from regbench.datasets import inventory
    from regbench.download_bar import DownloadBar

    bar = DownloadBar(_console(stderr=True))
    try:
        inventory.fetch(name, bar.show)
    finally:
        bar.end()


def _observer(quiet: bool) -> Observer:
    from regbench import progress, sweep

    if quiet:
        return sweep.Observer()
    console = _console(stderr=True)
    display = progress.LiveProgress if console.is_terminal else progress.PlainProgress
    return display(console)


def _console(stderr: bool) -> Console:
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)


def _print_outcome(outcome: Outcome, results: Path, quiet: bool) -> None:
    """Print the numbers of every run on stdout; failures and what to do next on stderr."""
    from regbench.progress import result_line

    # On one terminal the live display has printed each line as its run ended.
    if quiet or not (sys.stdout.isatty() and sys.stderr.isatty()):
        for summary in [*outcome.done, *outcome.diverged]:
            click.echo(result_line(summary))
    for experiment, failure in outcome.failed:
        details = results / experiment.run_name / "error.txt"
        more = f" (more in {details})" if details.exists() else ""
        _complain("Error", f"{experiment.name} s{experiment.seed}: {failure.message}{more}")
    if not quiet and (outcome.done or outcome.skipped):
        click.echo(f"Compare them with: regbench compare {results}", err=True)


def _print_profiles(outcome: Outcome, results: Path) -> None:
    from regbench import runs, tables

    summaries = [*outcome.done, *outcome.diverged]
    profiles = [(each, runs.profile(results, each)) for each in summaries]
    if profiles:
        _console(stderr=False).print(tables.profiles(profiles))


def _resuming(command: Sequence[str]) -> str:
    """Return the command that goes on with what was interrupted; `--force` would begin anew."""
    import shlex

    return shlex.join(part for part in command if part != "--force")


def _print_json(content: Any) -> None:
    import json

    click.echo(json.dumps(content, indent=2, allow_nan=False))


def _warn(message: str) -> None:
    _complain("Warning", message)


def _complain(kind: str, text: str) -> None:
    """Say what is wrong in one line; names of files must not control the terminal."""
    from regbench.yaml12 import one_line

    click.echo(f"{kind}: {one_line(text)}", err=True)
