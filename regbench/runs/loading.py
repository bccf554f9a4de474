"""Finished runs: their folders to one tidy frame, whatever a damaged or hostile file says.

Nothing but the files of the run folders passes between the runs and those who read them.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from regbench import config
from regbench.errors import RegbenchError, Warn
from regbench.runs import storage
from regbench.runs import summary as summaries
from regbench.runs.files import (
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
from regbench.runs.limits import MOST
from regbench.runs.results import RUN, Results
from regbench.runs.summary import DataDigests, Summary
from regbench.text import one_line


def load(paths: str | Path | Iterable[str | Path], warn: Warn | None = None) -> Results:
    """Return every finished run: one tidy frame with a row per run and epoch, runs and configs.

    The frame's columns are those of `RUN` and `HISTORY`, and those of `VALIDATION` if any of the
    runs has them. Keys of `summary.json` and columns of
    `history.csv` that are not known here come from another version and are ignored.

    Args:
        paths: results folders, bundles, or run folders. A results folder's own bundle, `runs.zip`,
            is part of it. A results folder in a results folder is left out.
        warn: called with a line for each folder that is broken, unfinished or no run at all.

    Raises:
        RegbenchError: a path does not exist, or a bundle is none.
    """
    import pandas

    warn = warn or (lambda message: None)
    rows: list[tuple[Any, ...]] = []
    configs: dict[str, Mapping[str, object]] = {}
    for folder in _folders([paths] if isinstance(paths, str | Path) else paths):
        try:
            summary, history = _read(folder)
        except (OSError, ValueError, RecursionError) as error:
            warn(f"{one_line(str(folder))}: left out: {one_line(str(error))}")
            continue
        run = _run(folder, summary)
        rows += [(*run, *row) for row in history]
        if summary.config_hash not in configs:
            values = _config(folder, summary.config_hash, warn)
            if values is not None:
                configs[summary.config_hash] = values
    columns = [*RUN, *HISTORY, *VALIDATION]
    # Runs without validation examples have shorter rows, which pandas fills with NaN.
    longest = max(map(len, rows), default=len(columns) - len(VALIDATION))
    frame = pandas.DataFrame(rows, columns=columns[:longest])
    frame = frame.astype(dict.fromkeys(("seed", "parameters", "epoch"), "int64"))
    frame = frame.astype({"wall_seconds": "float64"})
    return Results(frame, configs)


def profile(results: Path, summary: Summary) -> dict[str, float]:
    """Return the `profile.json` of the run with this summary. Raises OSError or ValueError."""
    return json.loads(storage.text(results / summary.run_name, PROFILE))


def _run(folder: Path, summary: Summary) -> tuple[object, ...]:
    """Return the values of `RUN`."""
    data = summary.data or DataDigests()
    own = (summary.name, summary.config_hash, summary.seed, summary.status, summary.parameters)
    waited = math.nan if summary.wall_seconds is None else summary.wall_seconds
    return (str(folder.parent), folder.name, *own, data.pool, data.examples, waited)


def _folders(paths: Iterable[str | Path]) -> Iterator[Path]:
    """Yield the runs in results folders and bundles, by name, and run folders themselves."""
    for path in map(Path, paths):
        if storage.is_bundled(path):
            yield path
        elif storage.is_bundle(path):
            yield from storage.runs(path)
        elif not path.is_dir():
            raise RegbenchError(
                f"{one_line(str(path))}: no such folder; expected one that regbench run wrote"
            )
        elif _is_run(path):
            yield path
        else:
            visible = (each for each in path.iterdir() if not each.name.startswith("."))
            folders = [each for each in visible if each.is_dir() and not _holds_runs(each)]
            yield from sorted([*folders, *storage.runs(path)], key=lambda run: run.name)


def _is_run(folder: Path) -> bool:
    """Whether there are a run's files, or may be: a folder that can't be opened is reported."""
    try:
        return (folder / SUMMARY).exists() or (folder / CONFIG).exists()
    except OSError:
        return True


def _holds_runs(folder: Path) -> bool:
    """Whether this is a results folder of its own, as `--results results/seeds` makes it."""
    held = (*folder.glob(f"*/{CONFIG}"), *folder.glob(storage.BUNDLE))
    return not _is_run(folder) and bool(held)


def _read(folder: Path) -> tuple[Summary, list[tuple[float, ...]]]:
    """Return summary and history of a finished run. Raises ValueError where they don't agree."""
    if not storage.exists(folder / SUMMARY):
        raise ValueError(_unfinished(folder))
    try:
        summary = summaries.read(folder)
    except ValueError as error:
        raise ValueError(f"{SUMMARY} is damaged: {error}") from error
    try:
        history = list(_history(storage.text(folder, HISTORY_FILE)))
    except (ValueError, csv.Error) as error:
        raise ValueError(f"{HISTORY_FILE} is damaged: {error}") from error
    _check_agreement(summary, history)
    return summary, history


def _unfinished(folder: Path) -> str:
    if storage.exists(folder / ERROR):
        return f"the run failed; {ERROR} says why"
    if RunFolder(folder).is_in_progress:
        return "the run is in progress"
    if storage.exists(folder / CONFIG):
        return "the run is not finished; the command that started it resumes it"
    return "not a run's folder"


def _history(text: str) -> Iterator[tuple[float, ...]]:
    if not text.endswith("\n"):
        raise ValueError("expected a line end after the last row")
    lines = csv.reader(io.StringIO(text))
    header = next(lines, [])
    columns = HISTORY + (VALIDATION if set(VALIDATION) <= set(header) else ())
    places, usual = _places(header, columns), tuple(header) == columns
    underscores = "_" in text.partition("\n")[2]
    rows = []
    for number, line in enumerate(lines):
        if len(line) != len(header) or line[places[0]] != str(number):
            raise ValueError(f"expected epoch {number} in line {number + 2}")
        cells = line if usual else [line[place] if place >= 0 else "" for place in places]
        if underscores and any("_" in cell for cell in cells):  # Python would read 1_0 as a number
            raise ValueError("expected numbers, received _")
        rows.append((number, *(float(cell) if cell else math.nan for cell in cells[1:])))
    _check_bounds(rows, columns)
    yield from rows


def _places(header: list[str], columns: tuple[str, ...]) -> list[int]:
    """Return where each of the columns is; -1 for one that an older version did not write."""
    counts = {column: header.count(column) for column in columns}
    if any(counts[column] > 1 or (column in REQUIRED and not counts[column]) for column in columns):
        raise ValueError(f"expected the columns {','.join(columns)}, each once")
    return [header.index(column) if counts[column] else -1 for column in columns]


def _check_bounds(rows: list[tuple[float, ...]], columns: tuple[str, ...]) -> None:
    """Refuse finite numbers that no network has. A diverged run's last row is not finite."""
    import numpy as np

    shares = np.array([column.endswith("accuracy") for column in columns])
    numbers = np.array(rows).reshape(-1, len(columns))  # ten thousand runs: not one by one
    lowest, highest = np.where(shares, 0.0, -MOST), np.where(shares, 1.0, MOST)
    bad = np.isfinite(numbers) & ((numbers < lowest) | (numbers > highest))
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(f"{columns[column]}: unexpected value {numbers[row, column]:g}")


def _check_agreement(summary: Summary, history: list[tuple[float, ...]]) -> None:
    """Compare the last row with the summary: a file that lost its end must not go unnoticed."""
    if not history or history[-1][0] != summary.epochs:
        raise ValueError(f"{HISTORY_FILE} is damaged: expected {summary.epochs} epochs")
    last = dict(zip(HISTORY, history[-1], strict=False))
    for key in ("train_loss", "train_accuracy", "test_loss", "test_accuracy"):
        told = getattr(summary, key)
        if told != last[key] if math.isfinite(last[key]) else not math.isnan(told):
            raise ValueError(f"{HISTORY_FILE} and {SUMMARY} do not agree on {key}")


def _config(folder: Path, config_hash: str, warn: Warn) -> Mapping[str, object] | None:
    """Return the resolved config of a run, or None if it can't be trusted."""
    path = folder / CONFIG
    try:
        experiment = config.parse_stored(storage.text(folder, CONFIG), str(path))
    except RegbenchError as error:
        reason = str(error).splitlines()[0]
    except (OSError, ValueError) as error:
        reason = f"{path}: can't be read: {getattr(error, 'strerror', None) or error}"
    else:
        if experiment.hash == config_hash:
            return experiment.brief()
        reason = f"{path}: it is not the config that {SUMMARY} was made with"
    warn(f"{one_line(reason)}; what the config changes is not shown")
    return None
