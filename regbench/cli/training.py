"""Training runs, for several commands: plans, progress, failures, how to resume."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from regbench.cli.json_schemas import versioned
from regbench.cli.printing import busy, complain, console, lasting_console, print_json, warn
from regbench.execution import signals

if TYPE_CHECKING:
    from regbench.config import Experiment
    from regbench.sweeps.options import Options
    from regbench.sweeps.sweep import Observer, Outcome


def print_plan(
    experiments: Sequence[Experiment], results: Path, as_json: bool, options: Options
) -> int:
    from regbench.sweeps import plan as planning
    from regbench.terminal import plan as plan_table

    configs = len({each.hash for each in experiments})
    what = f"{configs} config{'s' if configs > 1 else ''}"
    with busy(f"Measuring how fast this machine trains {what}: some seconds for each"):
        plan = planning.plan(
            experiments, results, backend=options["backend"], device=options["device"],
            jobs=options["jobs"], threads=options["threads"], force=options["force"],
            executor=options["executor"], cluster=options["cluster"],
        )  # fmt: skip
    if as_json:
        print_json(versioned(plan.as_dict()))
    else:
        console(stderr=False).print(plan_table.terminal(plan))
    print_other_backends(plan.other_backends, options["backend"])
    for name, problem in plan.problems.items():
        complain(f"{name}: {problem}")
    return 1 if plan.problems else 0


def observer_for(quiet: bool) -> Observer:
    from regbench.sweeps import sweep
    from regbench.terminal import progress

    if quiet:
        return sweep.Observer()
    screen = lasting_console()
    display = progress.LiveProgress if screen.is_terminal else progress.PlainProgress
    return display(screen)


def print_failures(outcome: Outcome, results: Path) -> None:
    from regbench.runs.files import ERROR
    from regbench.runs.folder import RunFolder

    if outcome.diverged_before:
        names = ", ".join(f"{each.name} s{each.seed}" for each in outcome.diverged_before)
        complain(f"diverged before, not trained again: {names} (repeat with --force)")
    for summary in outcome.done:
        if failed := summary.probes_failed:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
            warn(f"{summary.label}: probes failed: {reasons}")
    if outcome.busy:
        names = ", ".join(f"{each.name} s{each.seed}" for each in outcome.busy)
        warn(f"skipped, because another process is training: {names}; wait for it, or end it")
    for experiment, failure in outcome.failed:
        details = RunFolder.of(results, experiment).current.path / ERROR
        more = f" (more in {details})" if details.exists() else ""
        complain(f"{experiment.name} s{experiment.seed}: {failure.message}{more}")


def print_other_backends(finished: dict[str, list[str]], asked: str | None) -> None:
    """Warn of runs that were skipped because they were finished with another backend."""
    from regbench.execution import environment
    from regbench.text import listed

    for backend, names in finished.items():
        warn(
            f"finished with {backend}, and not trained with {environment.choose_backend(asked)}: "
            f"{listed(names)}; to train them, choose another folder with --results, "
            "or replace them with --force"
        )


def resuming(command: Sequence[str]) -> str:
    """Return the command that resumes, without `--force`, which would start over."""
    import shlex

    return shlex.join(part for part in command if part != "--force")


def print_interrupted(command: Sequence[str], error: KeyboardInterrupt) -> int:
    """Say how to resume after Ctrl-C or a signal; return the exit code."""
    click.echo(f"Interrupted. Resume with: {resuming(command)}", err=True)
    return signals.exit_code(error)


def check_folder_to_train(folder: Path) -> None:
    """Refuse a bundle in the place of a folder to train into."""
    if folder.is_file():
        raise click.UsageError(
            f"--results: expected a folder for training, received the file {folder}; "
            "--no-run judges the runs of a bundle"
        )


@contextlib.contextmanager
def watched(results: Path, wanted: bool) -> Iterator[None]:
    """Serve the live page of `results` during this block, from a process of its own."""
    if not wanted:
        yield
        return
    # `-m` looks in the current folder first, where a config from a stranger may lie beside modules:
    # only if this process imports from there, as `python -m regbench` does, may the server.
    safely = [] if str(Path.cwd()) in sys.path else ["-P"]
    # A session of its own: Ctrl-C is for the runs, which end in order before the page does.
    server = subprocess.Popen(
        [sys.executable, *safely, "-m", "regbench", "watch", str(results)], start_new_session=True
    )
    try:
        yield
    finally:
        server.terminate()
        server.wait()
