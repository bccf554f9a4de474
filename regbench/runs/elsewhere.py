"""Runs that regbench did not make: in a table, or in what another tool keeps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from regbench.errors import RegbenchError, Warn
from regbench.runs import tables, trackers
from regbench.runs.trackers.places import address
from regbench.runs.trackers.tracked_run import TrackedRun
from regbench.text import listed, one_line

if TYPE_CHECKING:
    import pandas

Seed = tuple[str, int]


def is_elsewhere(path: Path) -> bool:
    """True if the path is a table of runs, or holds what another tool kept."""
    return tables.is_table(path) or trackers.kind(path) is not None


def named(path: Path) -> str:
    """Return what is at such a path, for people."""
    kind = trackers.kind(path)
    return trackers.NAMES[kind] if kind else "a table of runs"


def read(path: Path, warn: Warn) -> tuple[pandas.DataFrame, list[str]]:
    """Return a frame with the columns of `RUN` and `HISTORY`, and the names of further metrics.

    Args:
        path: a table, see `regbench.runs.tables`, or a place of `regbench.runs.trackers`.
        warn: called with a line for everything that is left out, changed, or not known.

    Raises:
        RegbenchError: it can't be read; the line says what was expected.
    """
    kind = trackers.kind(path)
    if kind is None:
        return tables.read(path, warn)
    shown = one_line(address(path) or str(path))
    runs = _usable(trackers.read(path, kind), shown, warn)
    return tables.framed(
        _table(runs), path, warn, lambda row: _place([run for run in runs for _ in run.steps][row])
    )


def _place(run: TrackedRun) -> str:
    return f"the run {one_line(run.label)}"


def _usable(found: Sequence[TrackedRun], shown: str, warn: Warn) -> list[TrackedRun]:
    """Return the runs that are over, each name and seed once; say what is not known of them."""
    ended = [run for run in found if run.state != "unfinished" and run.steps]
    if len(ended) < len(found):
        left = [one_line(run.label) for run in found if run not in ended]
        warn(f"{shown}: left out, not finished or without numbers: {listed(left)}")
    if not ended:
        raise RegbenchError(f"{shown}: expected runs that are finished, received none")
    latest = {(run.name, _seed(run)): run for run in ended}
    if len(latest) < len(ended):
        kept = [id(run) for run in latest.values()]
        again = [one_line(run.label) for run in ended if id(run) not in kept]
        warn(f"{shown}: several runs of a name and seed: the last counts, not {listed(again)}")
    runs = list(latest.values())
    unknown = [one_line(run.label) for run in runs if run.seed is None]
    if unknown:
        warn(
            f"{shown}: no seed is recorded, so these make no pairs: {listed(unknown)}; record it "
            "as `seed` in a run's config, or end its name with -s0"
        )
    warn(
        f"{shown}: made elsewhere: runs of one seed are taken for pairs, and how their numbers "
        "were measured is not known; most tools measure train in training mode and during the "
        "epoch, so that a gap is another one than that of regbench"
    )
    return runs


def _seed(run: TrackedRun) -> int:
    return run.unknown_seed if run.seed is None else run.seed


def _table(runs: Sequence[TrackedRun]) -> pandas.DataFrame:
    """Return the tidy table: a row per run and step, in the last one every number's last value."""
    import pandas

    rows = []
    for run in runs:
        identity: dict[str, object] = {"name": run.name, "seed": _seed(run), "status": run.state}
        identity["config_hash"] = run.settings.get("config_hash")
        last: dict[str, float] = {}
        for step in sorted(run.steps):
            last |= run.steps[step]
            rows.append(identity | {"epoch": step} | run.steps[step])
        rows[-1] |= last
    table = pandas.DataFrame(rows)
    # Both are known: regbench computes the gap itself.
    if {"train_accuracy", "test_accuracy", "gap"} <= set(table):
        table = table.drop(columns="gap")
    return table.astype({"seed": np.int64, "epoch": np.int64})
