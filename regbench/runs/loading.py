"""Loads finished runs into one tidy frame, safely even from damaged or hostile files.

Runs and their readers communicate only through the files of the run folders.
"""

from __future__ import annotations

import csv
import functools
import io
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from regbench import config
from regbench.errors import RegbenchError, Warn
from regbench.runs import collection, elsewhere, environments, reading_cache, storage
from regbench.runs import summary as summaries
from regbench.runs.files import (
    COLUMNS,
    CONFIG,
    ERROR,
    HISTORY,
    HISTORY_FILE,
    PROFILE,
    REQUIRED,
    SUMMARY,
    VALIDATION,
)  # fmt: skip
from regbench.runs.folder import RunFolder
from regbench.runs.limits import MOST, MOST_SECONDS
from regbench.runs.reading_cache import Entry, ReadingCache, RunValues
from regbench.runs.results import RUN, Results
from regbench.runs.summary import DataDigests, Summary
from regbench.text import one_line

if TYPE_CHECKING:
    import pandas

# The place of the config's hash in `Entry.run`, which leaves out the results folder.
CONFIG_HASH = RUN.index("config_hash") - 1
SECONDS = COLUMNS.index("seconds")


@collection.paused()
def load(
    paths: str | Path | Iterable[str | Path],
    warn: Warn | None = None,
    with_tables: bool = True,
    ends: bool = False,
) -> Results:
    """Return every finished run: one tidy frame with a row per run and epoch, runs and configs.

    The frame's columns are those of `RUN` and `HISTORY`, and those of `VALIDATION` if any of the
    runs has them. Keys of `summary.json` and columns of `history.csv` that are not known here come
    from another version and are ignored. What was read from a results folder of many runs is kept
    in it: see `regbench.runs.reading_cache`.

    Args:
        paths: results folders, bundles, run folders, or runs that other tools made: tables (see
            `regbench.runs.tables`) and what trackers keep (`regbench.runs.trackers`). A results
            folder's own bundle, `runs.zip`, is part of it. A results folder inside a results folder
            is skipped.
        warn: called with a line for each folder that is broken, unfinished or no run at all.
        with_tables: whether runs made elsewhere are accepted; they lack the files of a run.
        ends: whether only the last epoch of each run is wanted, with the seconds of all of them.
            The frame then has a row for each run instead of one for each epoch.

    Raises:
        RegbenchError: a path does not exist, or a bundle is none.
    """
    reader = _Reader(warn or (lambda message: None), ends)
    for path in map(Path, [paths] if isinstance(paths, str | Path) else paths):
        if with_tables and elsewhere.is_elsewhere(path):
            reader.read_elsewhere(path)
            continue
        folders = run_folders(path)
        with reading_cache.opened(path, len(folders)) as cache:
            for folder in folders:
                reader.read(folder, cache)
    return reader.results()


class _Reader:
    """Collects the content of run folders, and warns of those that are left out."""

    def __init__(self, warn: Warn, ends: bool = False) -> None:
        self._warn = warn
        self._ends = ends
        self._read: list[tuple[Path, Entry]] = []
        self._configs: dict[str, Mapping[str, object]] = {}
        self._tables: list[tuple[pandas.DataFrame, list[str]]] = []
        self._elsewhere: list[Path] = []

    def read(self, folder: Path, cache: ReadingCache) -> None:
        """Read a finished run, or find it in the cache."""
        state = cache.state(folder)
        known = cache.get(folder, state)
        try:
            entry = known or _read(folder)
        except (OSError, ValueError, RecursionError) as error:
            self._warn(f"{one_line(str(folder))}: left out: {one_line(str(error))}")
            return
        if entry is not known:
            cache.put(folder, state, entry)
        self._note_config(folder, str(entry.run[CONFIG_HASH]), cache)
        self._read.append((folder, entry))

    def read_elsewhere(self, path: Path) -> None:
        """Read runs that another tool made."""
        self._tables.append(elsewhere.read(path, self._warn))
        self._elsewhere.append(path)

    def results(self) -> Results:
        """Return the collected runs."""
        runs = [(str(folder.parent), *entry.run) for folder, entry in self._read]
        histories = [entry.history for _, entry in self._read]
        frame = _frame(runs, [_end(each) for each in histories] if self._ends else histories)
        recorded = {
            run[:2]: each.environment for run, (_, each) in zip(runs, self._read, strict=True)
        }
        if not self._tables:
            return Results(frame, self._configs, recorded)
        import pandas

        frames = [*([frame] if runs else []), *(each for each, _ in self._tables)]
        measures = dict.fromkeys(name for _, names in self._tables for name in names)
        joined = pandas.concat(frames, ignore_index=True)
        places = tuple(dict.fromkeys(str(path) for path in self._elsewhere))
        return Results(joined, self._configs, recorded, tuple(measures), places)

    def _note_config(self, folder: Path, config_hash: str, cache: ReadingCache) -> None:
        """Read the config of the first run that has it, or find it in the cache."""
        if config_hash in self._configs:  # it stands for all
            return
        state = cache.config_state(folder)
        known = cache.config(folder, config_hash, state)
        values = _config(folder, config_hash, self._warn) if known is None else known
        if values is None:
            return
        self._configs[config_hash] = values
        if known is None:
            cache.put_config(folder, config_hash, state, values)


def _end(history: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the last row of a history, (1, columns), with the seconds of all its epochs."""
    last = history[-1:].copy()
    seconds = history[:, SECONDS]
    known = (seconds >= 0) & (seconds <= MOST_SECONDS)
    last[0, SECONDS] = math.fsum(seconds[known].tolist())
    return last


def _frame(
    runs: Sequence[tuple[object, ...]], histories: list[NDArray[np.float64]]
) -> pandas.DataFrame:
    """Return a row per run and epoch, from the values of `RUN` and those of `HISTORY`."""
    import pandas

    described = pandas.DataFrame(runs, columns=[*RUN])
    numbers = np.concatenate([np.empty((0, len(COLUMNS))), *histories])
    rows = np.repeat(np.arange(len(runs)), [len(each) for each in histories])
    columns = {name: described[name].array.take(rows) for name in RUN}
    validated = not np.isnan(numbers[:, len(HISTORY) :]).all()
    shown = COLUMNS if validated else HISTORY
    columns |= {name: numbers[:, place] for place, name in enumerate(shown)}
    frame = pandas.DataFrame(columns)
    frame = frame.astype(dict.fromkeys(("seed", "parameters", "epoch"), "int64"))
    return frame.astype({"wall_seconds": "float64"})


def profile(results: Path, summary: Summary) -> dict[str, float]:
    """Return the `profile.json` of the run with this summary. Raises OSError or ValueError."""
    return json.loads(storage.text(results / summary.run_name, PROFILE))


def _run(folder: Path, summary: Summary) -> RunValues:
    """Return the values of `RUN`, but for the results folder."""
    data = summary.data or DataDigests()
    own = (summary.name, summary.config_hash, summary.seed, summary.status, summary.parameters)
    waited = math.nan if summary.wall_seconds is None else summary.wall_seconds
    return (folder.name, *own, data.pool, data.examples, waited)


def run_folders(path: Path) -> list[Path]:
    """Return the runs in a results folder or a bundle, by name, or the run folder itself."""
    if elsewhere.is_elsewhere(path):
        raise RegbenchError(
            f"{one_line(str(path))}: expected run folders or a bundle, received "
            f"{elsewhere.named(path)}, which has too little for this; it can be compared with: "
            "regbench compare"
        )
    if storage.is_bundled(path):
        return [path]
    if storage.is_bundle(path):
        return storage.runs(path)
    if not path.is_dir():
        raise RegbenchError(
            f"{one_line(str(path))}: no such folder; expected one that regbench run wrote"
        )
    if _is_run(path):
        return [path]
    with os.scandir(path) as entries:
        names = [each.name for each in entries if each.name[0] != "." and _is_folder(each)]
    folders = [folder for name in names if not _holds_runs(folder := path / name)]
    return sorted([*folders, *storage.runs(path)], key=lambda run: run.name)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _is_run(folder: Path) -> bool:
    """True if the folder has a run's files, or can't be opened and must be reported."""
    # Most folders are finished runs; a path object more for each would take longer than the call.
    if os.path.exists(f"{folder}{os.sep}{SUMMARY}"):  # noqa: PTH110
        return True
    try:
        return (folder / SUMMARY).exists() or (folder / CONFIG).exists()
    except OSError:
        return True


def _holds_runs(folder: Path) -> bool:
    """True if this is a separate results folder, as `--results results/seeds` makes one."""
    if _is_run(folder):
        return False
    return any(folder.glob(f"*/{CONFIG}")) or any(folder.glob(storage.BUNDLE))


def _read(folder: Path) -> Entry:
    """Return the content of a finished run's files. Raises ValueError if they contradict."""
    if not storage.exists(folder / SUMMARY):
        raise ValueError(_unfinished(folder))
    try:
        summary = summaries.read(folder)
    except ValueError as error:
        raise ValueError(f"{SUMMARY} is damaged: {error}") from error
    try:
        history = parse_history(storage.text(folder, HISTORY_FILE))
    except (ValueError, csv.Error) as error:
        raise ValueError(f"{HISTORY_FILE} is damaged: {error}") from error
    _check_agreement(summary, history)
    return Entry(_run(folder, summary), history, environments.read(folder))


def _unfinished(folder: Path) -> str:
    if storage.exists(folder / ERROR):
        return f"the run failed; {ERROR} says why"
    if RunFolder(folder).is_in_progress:
        return "the run is in progress"
    if storage.exists(folder / CONFIG):
        return "the run is not finished; the command that started it resumes it"
    return "not a run's folder"


def parse_history(text: str) -> NDArray[np.float64]:
    """Return (epochs, `COLUMNS`). Raises ValueError or csv.Error."""
    if not text.endswith("\n"):
        raise ValueError("expected a line end after the last row")
    rows = _plain_rows(text)
    found = _any_rows(text) if rows is None else rows
    # Runs without validation examples have fewer columns.
    history = np.full((len(found), len(COLUMNS)), math.nan)
    history[:, : found.shape[1]] = found
    _check_bounds(history)
    return history


def _plain_rows(text: str) -> NDArray[np.float64] | None:
    """Read a history in the format of this version, three times as fast; None for any other."""
    header, _, body = text.partition("\n")
    columns = COLUMNS if header.endswith(VALIDATION[-1]) else HISTORY
    if header != ",".join(columns) or "_" in body or '"' in body or "\r" in body:
        return None
    lines, commas = body.count("\n"), len(columns) - 1
    if {line.count(",") for line in body[:-1].split("\n")} != {commas}:
        return None
    cells = body[:-1].replace("\n", ",").split(",")
    if cells[:: len(columns)] != [str(number) for number in range(lines)]:
        return None
    try:
        numbers = [float(cell) if cell else math.nan for cell in cells]
    except ValueError:
        return None
    return np.array(numbers).reshape(lines, len(columns))


def _any_rows(text: str) -> NDArray[np.float64]:
    """Read a history of any version; raises ValueError or csv.Error for an invalid one."""
    lines = csv.reader(io.StringIO(text))
    header = next(lines, [])
    columns = HISTORY + (VALIDATION if set(VALIDATION) <= set(header) else ())
    places = _places(header, columns)
    underscores = "_" in text.partition("\n")[2]
    rows = []
    for number, line in enumerate(lines):
        if len(line) != len(header) or line[places[0]] != str(number):
            raise ValueError(f"expected epoch {number} in line {number + 2}")
        cells = [line[place] if place >= 0 else "" for place in places]
        if underscores and any("_" in cell for cell in cells):  # Python would read 1_0 as a number
            raise ValueError("expected numbers, received _")
        rows.append((number, *(float(cell) if cell else math.nan for cell in cells[1:])))
    return np.array(rows, np.float64).reshape(-1, len(columns))


def _places(header: list[str], columns: tuple[str, ...]) -> list[int]:
    """Return the index of each column; -1 for one that an older version did not write."""
    counts = {column: header.count(column) for column in columns}
    if any(counts[column] > 1 or (column in REQUIRED and not counts[column]) for column in columns):
        raise ValueError(f"expected the columns {','.join(columns)}, each once")
    return [header.index(column) if counts[column] else -1 for column in columns]


def _check_bounds(history: NDArray[np.float64]) -> None:
    """Refuse finite numbers that no network has. A diverged run's last row is not finite."""
    lowest, highest = _bounds(COLUMNS)
    bad = np.isfinite(history) & ((history < lowest) | (history > highest))
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(f"{COLUMNS[column]}: unexpected value {history[row, column]:g}")


@functools.cache
def _bounds(columns: tuple[str, ...]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the lowest and the highest value of each column."""
    shares = np.array([column.endswith("accuracy") for column in columns])
    return np.where(shares, 0.0, -MOST), np.where(shares, 1.0, MOST)


def _check_agreement(summary: Summary, history: NDArray[np.float64]) -> None:
    """Compare the last row with the summary, to detect a truncated file."""
    if not len(history) or history[-1][0] != summary.epochs:
        raise ValueError(f"{HISTORY_FILE} is damaged: expected {summary.epochs} epochs")
    last = dict(zip(COLUMNS, history[-1].tolist(), strict=True))
    for key in ("train_loss", "train_accuracy", "test_loss", "test_accuracy"):
        told = getattr(summary, key)
        if told != last[key] if math.isfinite(last[key]) else not math.isnan(told):
            raise ValueError(f"{HISTORY_FILE} and {SUMMARY} do not agree on {key}")


def _config(folder: Path, config_hash: str, warn: Warn) -> Mapping[str, object] | None:
    """Return the resolved config of a run in brief, or None if it can't be trusted."""
    path = folder / CONFIG
    try:
        found = config.parse_stored(storage.text(folder, CONFIG), str(path))
    except RegbenchError as error:
        reason = str(error).splitlines()[0]
    except (OSError, ValueError) as error:
        reason = f"{path}: can't be read: {getattr(error, 'strerror', None) or error}"
    else:
        if found.hash == config_hash:
            return found.brief()
        reason = f"{path}: it is not the config that {SUMMARY} was made with"
    warn(f"{one_line(reason)}; what the config changes is not shown")
    return None
