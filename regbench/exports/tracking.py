"""Sends runs to a tracker: those that are there, and with `follow` all that happens next."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from regbench.analysis.gap import gap
from regbench.config.changes import leaves
from regbench.errors import Warn
from regbench.runs import live
from regbench.runs.live import Snapshot

SECONDS_BETWEEN_LOOKS = 2.0


class Session(Protocol):
    """One run in a tracker."""

    def log(self, epoch: int, numbers: Mapping[str, float], at: float) -> None:
        """Record the numbers of an epoch, measured `at` seconds since 1970."""

    def finish(self, run: Snapshot) -> None:
        """Record how the run ended, and its files."""


class Tracker(Protocol):
    """A tool that keeps runs."""

    def begin(self, run: Snapshot, settings: Mapping[str, object]) -> Session:
        """Open a run, empty, whether or not an earlier export has left one of this name."""

    def close(self) -> None:
        """Write what is still in memory."""


@dataclass
class _Export:
    """A run on its way: how many epochs the tracker has, and when the latest was measured."""

    session: Session
    began: float
    epochs: int = 0
    finished: bool = False
    seconds: float = field(default=0.0)


def export(
    results: Sequence[Path],
    tracker: Tracker,
    *,
    follow: bool = False,
    warn: Warn | None = None,
    looked: Callable[[int, int], None] = lambda runs, open_runs: None,
) -> int:
    """Send every run to a tracker; return their number.

    Args:
        results: results folders, bundles, or run folders.
        tracker: where they go.
        follow: also send what happens from now on, until interrupted.
        warn: called once with a line for each run that can't be read.
        looked: called after each look with the number of runs sent and of those not finished.
    """
    exports: dict[tuple[Path, str], _Export] = {}
    warned = set[str]()

    def warn_once(message: str) -> None:
        if warn and message not in warned:
            warned.add(message)
            warn(message)

    follower = live.Follower(results)
    try:
        while True:
            for run in follower.look(warn_once)[0]:
                if follow or run.summary:
                    _update(exports, tracker, run)
            looked(len(exports), sum(not each.finished for each in exports.values()))
            if not follow:
                return len(exports)
            time.sleep(SECONDS_BETWEEN_LOOKS)
    finally:
        tracker.close()


def settings(run: Snapshot) -> dict[str, object]:
    """Return a run's config as dotted keys, with name, seed and hash."""
    identity = {"name": run.name, "seed": run.seed, "config_hash": run.config_hash}
    return identity | dict(leaves(run.config))


def numbers(row: Mapping[str, float]) -> dict[str, float]:
    """Return the measured numbers of an epoch, and the gap."""
    found = {column: value for column, value in row.items() if column != "epoch"}
    if {"train_accuracy", "test_accuracy"} <= found.keys():
        found["gap"] = gap(found["train_accuracy"], found["test_accuracy"])
    return found


def _update(exports: dict[tuple[Path, str], _Export], tracker: Tracker, run: Snapshot) -> None:
    key = (run.folder.parent, run.key)
    known = exports.get(key)
    # A run that started over has fewer epochs than were sent: it is sent again, whole.
    if known is None or (known.began != run.began and len(run.history) < known.epochs):
        exports[key] = known = _Export(tracker.begin(run, settings(run)), run.began)
    for row in list(run.rows())[known.epochs :]:
        known.seconds += row["seconds"]
        known.session.log(int(row["epoch"]), numbers(row), run.began + known.seconds)
        known.epochs += 1
    if run.is_over and not known.finished:
        known.session.finish(run)
    known.finished = run.is_over
