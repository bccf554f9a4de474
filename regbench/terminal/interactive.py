"""Training from a notebook or a script, with progress that suits the place.

    runs = regbench.run(["baseline", "dropout"], seeds=range(5))
    result = regbench.study("overfitting")

In a notebook's cell both work as they stand. In a script, call them under
`if __name__ == "__main__":`, since worker processes import the script that starts them; without
the guard the script ends with a line that says so.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

from regbench import config, runs
from regbench.config import Experiment
from regbench.config import seeds as ranges
from regbench.errors import RegbenchError, Warn
from regbench.execution import main_guard
from regbench.runs import Results, storage
from regbench.studies import run as studies
from regbench.studies.result import StudyResult
from regbench.sweeps import sweep
from regbench.sweeps.options import Options, RunOptions
from regbench.sweeps.sweep import Observer, Outcome
from regbench.text import listed


def run(
    configs: str | Path | Experiment | Sequence[str | Path | Experiment],
    results: str | Path = "results",
    *,
    seeds: Sequence[int] | str | None = None,
    overrides: Sequence[str] = (),
    progress: bool = True,
    **options: Unpack[RunOptions],
) -> Results:
    """Train every config with every seed that has no finished run yet; return these runs.

    Args:
        configs: config files, names of shipped ones, or experiments of `regbench.config.load`.
        results: the folder of the runs.
        seeds: seeds, or a range such as "0-4"; by default the one of each config.
        overrides: changes to every config, such as "train.epochs=5".
        progress: whether to show a bar in a notebook's cell, and lines on stderr elsewhere.
        options: see `regbench.sweep.run`: backend, device, jobs, threads and so on.

    Raises:
        ConfigError: a config is invalid; the message has a line for each error.
        RegbenchError: a run failed; the others are finished, and the same call repeats only this.
    """
    main_guard.end_if_imported_by_worker()
    experiments = _experiments(configs, overrides, seeds)
    if progress:
        options.setdefault("observer", observer())
    outcome = sweep.run(experiments, results, **options)
    if outcome.failed:
        raise RegbenchError(_failures(outcome, len(experiments)))
    found = [storage.find(Path(results), each.run_name) for each in experiments]
    return runs.load([each for each in found if each])


def study(
    path: str | Path,
    profile: str | None = None,
    results: str | Path | None = None,
    *,
    seeds: Sequence[int] | None = None,
    overrides: Sequence[str] = (),
    warn: Warn | None = None,
    progress: bool = True,
    **options: Unpack[Options],
) -> StudyResult:
    """Train the missing runs of a study, judge its claims, and write the verdicts beside the runs.

    Args:
        path: the study's file, or the name of a shipped one.
        profile: the name of one of its profiles; by default the first.
        results: the folder of its runs; by default `results/studies/<study>`, or
            `results/studies/<study>-<profile>` with another profile than the file's first.
        seeds: seeds to train instead of the profile's.
        overrides: changes to every variant, such as "train.epochs=5".
        warn: called with a line for each results folder that can't be read.
        progress: whether to show a bar in a notebook's cell, and lines on stderr elsewhere.
        options: see `regbench.sweep.run`: backend, device, jobs, threads, observer and so on.

    Raises:
        ConfigError: the file is invalid; the message has a line for each error.
        RegbenchError: the study can't start.
    """
    main_guard.end_if_imported_by_worker()
    if progress:
        options.setdefault("observer", observer())
    return studies.run(
        path,
        profile,
        results,
        seeds=seeds,
        overrides=overrides,
        warn=warn,
        **options,
    )


def in_a_notebook() -> bool:
    """True in a cell of Jupyter, VS Code or Colab; not in a terminal's IPython."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and hasattr(shell, "kernel")


def observer() -> Observer:
    """Return what shows progress here: a bar in a cell, a table or lines on stderr."""
    if in_a_notebook():
        from regbench.terminal.cell_progress import CellProgress

        return CellProgress()
    from rich.console import Console

    from regbench.terminal.progress import LiveProgress, PlainProgress

    screen = Console(stderr=True)
    return (LiveProgress if screen.is_terminal else PlainProgress)(screen)


def _experiments(
    configs: str | Path | Experiment | Sequence[str | Path | Experiment],
    overrides: Sequence[str],
    seeds: Sequence[int] | str | None,
) -> list[Experiment]:
    """Return the experiments in the order of the configs; files are read together."""
    asked = [configs] if isinstance(configs, str | Path | Experiment) else list(configs)
    own = ranges.parse(seeds) if isinstance(seeds, str) else None if seeds is None else [*seeds]
    files = [each for each in asked if not isinstance(each, Experiment)]
    made = [each for each in asked if isinstance(each, Experiment)]
    if made and overrides:
        raise RegbenchError(
            "overrides: expected configs by file or name, received experiments; give the "
            "overrides to regbench.config.load"
        )
    read = config.load_all(files, overrides, own) if files else []
    return read + [each.with_seed(seed) for each in made for seed in own or [each.seed]]


def _failures(outcome: Outcome, runs: int) -> str:
    told = [f"{each.name} s{each.seed}: {failure.message}" for each, failure in outcome.failed]
    return f"{len(told)} of {runs} runs failed: {listed(told)}; the same call repeats only these"
