"""Snapshots of runs at any moment: finished, in progress, interrupted or failed.

`regbench.load` knows finished runs alone, since only those are compared. What is shown or exported
while runs go on also needs the others, as far as they have come.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from regbench import config
from regbench.config.experiment import NAME
from regbench.errors import RegbenchError, Warn
from regbench.runs import loading, storage
from regbench.runs import summary as summaries
from regbench.runs.files import COLUMNS, CONFIG, ERROR, HISTORY_FILE, SUMMARY
from regbench.runs.folder import RunFolder
from regbench.runs.summary import Summary
from regbench.text import one_line

RUN_NAME = re.compile(rf"({NAME})-([0-9a-f]{{8}})-s(\d{{1,19}})")

State = Literal["completed", "diverged", "failed", "in progress", "interrupted"]


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A run as it is now.

    `history` has a row per epoch so far, with the columns of `regbench.runs.files.COLUMNS`, NaN
    where the run does not have one. `config` has the config's values as `Experiment.brief` gives
    them. `summary` is None for a run that is not finished, and `began` the time when the run last
    started, in seconds since 1970.
    """

    folder: Path
    name: str
    config_hash: str
    seed: int
    config: Mapping[str, object]
    state: State
    history: NDArray[np.float64]
    summary: Summary | None
    began: float

    @property
    def key(self) -> str:
        """The run's name in its results folder, the same at any moment."""
        return config.run_name(self.name, self.config_hash, self.seed)

    @property
    def label(self) -> str:
        """The run as people read it: "dropout s0"."""
        return f"{self.name} s{self.seed}"

    @property
    def epochs(self) -> int:
        """The number of epochs that the config asks for."""
        train = self.config["train"]
        assert isinstance(train, dict)
        return int(train["epochs"])

    @property
    def is_over(self) -> bool:
        """True if nothing will change any more, unless someone starts the run again."""
        return self.state in ("completed", "diverged", "failed")

    def rows(self) -> Iterator[Mapping[str, float]]:
        """Yield each epoch's numbers by column, without those that were not measured."""
        for row in self.history.tolist():
            yield {
                column: value
                for column, value in zip(COLUMNS, row, strict=True)
                if value == value  # NaN is not equal to itself
            }


def snapshots(results: Iterable[Path], warn: Warn | None = None) -> list[Snapshot]:
    """Return every run of these results folders or bundles, finished or not.

    Args:
        results: results folders, bundles, or run folders.
        warn: called with a line for each run that can't be read.

    Raises:
        RegbenchError: a path does not exist, or a bundle is none.
    """
    found = []
    for folder in (run for path in results for run in loading.run_folders(path)):
        try:
            snapshot = _snapshot(folder)
        except (OSError, ValueError, RecursionError, csv.Error, RegbenchError) as error:
            if warn:
                warn(f"{one_line(str(folder))}: left out: {one_line(str(error))}")
            continue
        if snapshot:
            found.append(snapshot)
    return found


def _snapshot(folder: Path) -> Snapshot | None:
    """Return a run as it is now; None before its first files are there."""
    named = RUN_NAME.fullmatch(folder.name)
    if not named or not storage.exists(folder / CONFIG):
        return None
    # A finished run that is being trained again stays what it is until the new one is complete.
    stored = config.parse_stored(storage.text(folder, CONFIG), str(folder / CONFIG))
    name, config_hash, seed = named.groups()
    if stored.hash != config_hash:
        raise ValueError(f"{CONFIG} has the hash {stored.hash}, the folder another")
    summary = summaries.read(folder) if storage.exists(folder / SUMMARY) else None
    history = np.empty((0, len(COLUMNS)))
    if storage.exists(folder / HISTORY_FILE):
        history = loading.parse_history(storage.text(folder, HISTORY_FILE))
    began = storage.changed(folder / CONFIG) / 1e9
    state = _state(folder, summary)
    return Snapshot(
        folder, name, config_hash, int(seed), stored.brief(), state, history, summary, began
    )


# Files whose change changes what a snapshot shows.
SEEN = (CONFIG, HISTORY_FILE, SUMMARY, ERROR)


class Follower:
    """The runs of results folders at any moment; a look reads only those that have changed.

    `runs` holds the latest snapshot of each. `folders` returns the runs in a results folder.
    """

    def __init__(
        self,
        results: Sequence[Path],
        folders: Callable[[Path], Iterable[Path]] = loading.run_folders,
    ) -> None:
        self.runs: dict[Path, Snapshot] = {}
        self._results, self._folders = results, folders
        self._stamps: dict[Path, object] = {}

    def look(self, warn: Warn | None = None) -> tuple[list[Snapshot], list[Path]]:
        """Return the runs that are new or have changed, and the folders that are gone.

        `warn` is called with a line for each run that can't be read; the next look tries again,
        since a file may be about to be replaced.
        """
        found = [run for path in self._results for run in self._folders(path)]
        stamps = {run: _stamp(run) for run in found}
        changed = [run for run in found if stamps[run] != self._stamps.get(run)]
        gone = [run for run in self.runs if run not in stamps]
        for run in gone:
            del self.runs[run]
        fresh = snapshots(changed, warn)
        self.runs |= {each.folder: each for each in fresh}
        read = {each.folder for each in fresh}
        self._stamps = {
            run: stamp for run, stamp in stamps.items() if run in read or run not in changed
        }
        return fresh, gone


def _stamp(run: Path) -> object:
    """Return what changes whenever a file of the run does."""
    stamps = list[tuple[int, int] | None]()
    for name in SEEN:
        try:
            found = (run / name).stat()
            stamps.append((found.st_mtime_ns, found.st_size))
        except OSError:
            stamps.append(None)
    return tuple(stamps)


def state_now(run: Snapshot) -> State:
    """Return the state of a run that was not over: its process may have ended since."""
    return _state(run.folder, run.summary)


def _state(folder: Path, summary: Summary | None) -> State:
    if summary:
        return summary.status
    if RunFolder(folder).is_in_progress:
        return "in progress"
    return "failed" if storage.exists(folder / ERROR) else "interrupted"
