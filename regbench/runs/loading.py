"""Finished runs: their folders to one tidy frame, whatever a damaged or hostile file says.

Nothing but the files of the run folders passes between the runs and those who read them.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regbench import config
from regbench.config import run_name
from regbench.errors import RegbenchError
from regbench.runs import storage
from regbench.runs.folder import HISTORY, MAX_BYTES, RunFolder
from regbench.runs.limits import MOST, SUMMARY_BYTES
from regbench.text import one_line

if TYPE_CHECKING:
    import pandas

# What the frame has in front of the history's columns. The last two are the SHA-256 of the data set
# that the run read and of the examples that it chose; missing where a run recorded none.
RUN = (
    "results", "run", "name", "config_hash", "seed", "status", "parameters",
    "data_pool", "data_examples",
)  # fmt: skip
# The columns that every version has written; others may be missing from an older history.
REQUIRED = (
    "epoch", "seconds", "learning_rate",
    "train_loss", "train_accuracy", "test_loss", "test_accuracy",
    "reported_loss", "reported_accuracy", "penalty",
)  # fmt: skip
STATUSES = ("completed", "diverged")

Warn = Callable[[str], None]


def load(paths: str | Path | Iterable[str | Path], warn: Warn | None = None) -> pandas.DataFrame:
    """Return every finished run as one tidy frame, a row per run and epoch.

    Its columns are those of `RUN` and `HISTORY`; `frame.attrs["configs"]` maps each config hash to
    the resolved config, as `Experiment.brief` gives it. Keys of `summary.json` and columns of
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
    configs: dict[str, dict[str, Any]] = {}
    for folder in _folders([paths] if isinstance(paths, str | Path) else paths):
        try:
            summary, history = _read(folder)
        except (OSError, ValueError, RecursionError) as error:
            warn(f"{one_line(str(folder))}: left out: {one_line(str(error))}")
            continue
        run = _run(folder, summary)
        rows += [(*run, *row) for row in history]
        if summary["config_hash"] not in configs:
            values = _config(folder, summary["config_hash"], warn)
            if values is not None:
                configs[summary["config_hash"]] = values
    frame = pandas.DataFrame(rows, columns=[*RUN, *HISTORY])
    frame = frame.astype(dict.fromkeys(("seed", "parameters", "epoch"), "int64"))
    frame.attrs["configs"] = configs
    return frame


def profile(results: Path, summary: Mapping[str, Any]) -> dict[str, float]:
    """Return the `profile.json` of the run with this summary. Raises OSError or ValueError."""
    name = run_name(summary["name"], summary["config_hash"], summary["seed"])
    return json.loads(text_of(results / name, "profile.json"))


def text_of(folder: Path, name: str, limit: int = MAX_BYTES) -> str:
    """Return the text of the file `name` of a run folder. Raises OSError or ValueError."""
    return storage.read(folder / name, limit)


def _run(folder: Path, summary: dict[str, Any]) -> tuple[Any, ...]:
    """Return the values of `RUN`."""
    data = summary.get("data") or {}
    own = (summary[key] for key in ("name", "config_hash", "seed", "status", "parameters"))
    return (str(folder.parent), folder.name, *own, data.get("pool"), data.get("examples"))


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
        return (folder / "summary.json").exists() or (folder / "config.yaml").exists()
    except OSError:
        return True


def _holds_runs(folder: Path) -> bool:
    """Whether this is a results folder of its own, as `--results results/seeds` makes it."""
    held = (*folder.glob("*/config.yaml"), *folder.glob(storage.BUNDLE))
    return not _is_run(folder) and bool(held)


def _read(folder: Path) -> tuple[dict[str, Any], list[tuple[float, ...]]]:
    """Return summary and history of a finished run. Raises ValueError where they don't agree."""
    if not storage.exists(folder / "summary.json"):
        raise ValueError(_unfinished(folder))
    try:
        summary = json.loads(text_of(folder, "summary.json", SUMMARY_BYTES))
    except ValueError as error:
        raise ValueError(f"summary.json is damaged: {error}") from error
    _check_summary(summary)
    try:
        history = list(_history(text_of(folder, "history.csv")))
    except (ValueError, csv.Error) as error:
        raise ValueError(f"history.csv is damaged: {error}") from error
    _check_agreement(summary, history)
    return summary, history


def _unfinished(folder: Path) -> str:
    if storage.exists(folder / "error.txt"):
        return "the run failed; error.txt says why"
    if RunFolder(folder).is_in_progress:
        return "the run is in progress"
    if storage.exists(folder / "config.yaml"):
        return "the run is not finished; the command that started it resumes it"
    return "not a run's folder"


def _check_summary(summary: Any) -> None:
    valid = isinstance(summary, dict) and {
        "name": isinstance(summary.get("name"), str) and re.fullmatch(config.NAME, summary["name"]),
        "config_hash": isinstance(summary.get("config_hash"), str)
        and re.fullmatch(r"[0-9a-f]{8}", summary["config_hash"]),
        "seed": _is_count(summary.get("seed")),
        "status": summary.get("status") in STATUSES,
        "epochs": _is_count(summary.get("epochs")),
        "parameters": _is_count(summary.get("parameters")),
        "data": _is_fingerprint(summary.get("data")),
    }
    if not valid:
        raise ValueError("summary.json is damaged: expected a mapping")
    for key, fine in valid.items():
        if not fine:
            received = json.dumps(summary.get(key))
            raise ValueError(f"summary.json is damaged: {key}: unexpected value {received:.60}")


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _is_fingerprint(data: Any) -> bool:
    """Whether this is what a run recorded of its data; nothing at all in those of version 0.1."""
    if data is None:
        return True
    digests = [data.get("pool"), data.get("examples")] if isinstance(data, dict) else [0]
    return all(
        each is None or (isinstance(each, str) and re.fullmatch(r"[0-9a-f]{64}", each))
        for each in digests
    )


def _history(text: str) -> Iterator[tuple[float, ...]]:
    if not text.endswith("\n"):
        raise ValueError("expected a line end after the last row")
    lines = csv.reader(io.StringIO(text))
    header = next(lines, [])
    places, usual = _places(header), tuple(header) == HISTORY
    underscores = "_" in text.partition("\n")[2]
    rows = []
    for number, line in enumerate(lines):
        if len(line) != len(header) or line[places[0]] != str(number):
            raise ValueError(f"expected epoch {number} in line {number + 2}")
        cells = line if usual else [line[place] if place >= 0 else "" for place in places]
        if underscores and any("_" in cell for cell in cells):  # Python would read 1_0 as a number
            raise ValueError("expected numbers, received _")
        rows.append((number, *(float(cell) if cell else math.nan for cell in cells[1:])))
    _check_bounds(rows)
    yield from rows


def _places(header: list[str]) -> list[int]:
    """Return where each column of `HISTORY` is; -1 for one that an older version did not write."""
    counts = {column: header.count(column) for column in HISTORY}
    if any(counts[column] > 1 or (column in REQUIRED and not counts[column]) for column in HISTORY):
        raise ValueError(f"expected the columns {','.join(HISTORY)}, each once")
    return [header.index(column) if counts[column] else -1 for column in HISTORY]


def _check_bounds(rows: list[tuple[float, ...]]) -> None:
    """Refuse finite numbers that no network has. A diverged run's last row is not finite."""
    import numpy as np

    shares = np.array([column.endswith("accuracy") for column in HISTORY])
    numbers = np.array(rows).reshape(-1, len(HISTORY))  # ten thousand runs: not one by one
    lowest, highest = np.where(shares, 0.0, -MOST), np.where(shares, 1.0, MOST)
    bad = np.isfinite(numbers) & ((numbers < lowest) | (numbers > highest))
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(f"{HISTORY[column]}: unexpected value {numbers[row, column]:g}")


def _check_agreement(summary: dict[str, Any], history: list[tuple[float, ...]]) -> None:
    """Compare the last row with the summary: a file that lost its end must not go unnoticed."""
    if not history or history[-1][0] != summary["epochs"]:
        raise ValueError(f"history.csv is damaged: expected {summary['epochs']} epochs")
    last = dict(zip(HISTORY, history[-1], strict=True))
    for key in ("train_loss", "train_accuracy", "test_loss", "test_accuracy"):
        expected = last[key] if math.isfinite(last[key]) else None
        if summary.get(key) != expected:
            raise ValueError(f"history.csv and summary.json do not agree on {key}")


def _config(folder: Path, config_hash: str, warn: Warn) -> dict[str, Any] | None:
    """Return the resolved config of a run, or None if it can't be trusted."""
    path = folder / "config.yaml"
    try:
        experiment = config.parse(storage.read(path, config.MAX_BYTES), str(path))
    except RegbenchError as error:
        reason = str(error).splitlines()[0]
    except (OSError, ValueError) as error:
        reason = f"{path}: can't be read: {getattr(error, 'strerror', None) or error}"
    else:
        if experiment.hash == config_hash:
            return experiment.brief()
        reason = f"{path}: it is not the config that summary.json was made with"
    warn(f"{one_line(reason)}; what the config changes is not shown")
    return None
