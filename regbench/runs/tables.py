"""Runs of other tools, from a tidy table: a CSV or Parquet file with a row per run or epoch.

    name,seed,accuracy,f1
    baseline,0,0.81,0.79
    ours,0,0.84,0.80

`name` says which method a run belongs to, and runs of one seed are pairs. `epoch` is optional: the
last one of a run counts. Every other column of numbers is a metric. Columns named as in a run's
history (`test_accuracy`) mean the same as there, and what `regbench export` writes is read whole.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from regbench.config import NAME
from regbench.errors import RegbenchError, Warn
from regbench.runs import storage
from regbench.runs.files import COLUMNS, HISTORY, VALIDATION
from regbench.runs.limits import MOST
from regbench.runs.results import RUN
from regbench.text import listed, one_line

if TYPE_CHECKING:
    import pandas

MOST_BYTES = 2**28
MOST_ROWS = 5_000_000
# pandas takes minutes for hundreds of thousands, and a table of runs has dozens.
MOST_COLUMNS = 10_000
NEEDED = ("name", "seed")
DIGEST = {
    "config_hash": "[0-9a-f]{8}",
    "data_pool": "[0-9a-f]{64}",
    "data_examples": "[0-9a-f]{64}",
}


def _line(row: int) -> str:
    return f"line {row + 2}"  # after the header, and from 1


def is_table(path: Path) -> bool:
    """True if the path is a file with the suffix of a table."""
    return path.suffix.lower() in storage.TABLES and path.is_file()


def read(path: Path, warn: Warn) -> tuple[pandas.DataFrame, list[str]]:
    """Return a frame with the columns of `RUN` and `HISTORY`, and the names of further metrics.

    What a table does not say is missing: numbers are NaN, `parameters` is 0.

    Args:
        path: the file.
        warn: called with a line for columns that are left out, names that are changed, and for
            what is not known of such runs.

    Raises:
        RegbenchError: the file is not such a table; the line says what was expected.
    """
    shown = one_line(str(path))
    frame, measured = framed(_written(path, shown), path, warn)
    warn(
        f"{shown}: made elsewhere: runs of one seed are taken for pairs, and how their numbers "
        "were measured is not known"
    )
    return frame, measured


def framed(
    written: pandas.DataFrame, path: Path, warn: Warn, place: Callable[[int], str] = _line
) -> tuple[pandas.DataFrame, list[str]]:
    """Return a tidy table as `read` does.

    Args:
        written: the table.
        path: where it is from.
        warn: called with a line for columns that are left out and names that are changed.
        place: tells people where a row is.

    Raises:
        RegbenchError: it is not such a table.
    """
    shown = one_line(str(path))
    _check_columns(written, shown, place)
    frame = _identity(written, path, warn, place)
    numeric = [
        name
        for name in map(str, written.columns)
        if name not in (*RUN, "epoch") and _is_numeric(written[name])
    ]
    skipped = [each for each in map(str, written.columns) if each not in (*numeric, *RUN, "epoch")]
    if skipped:
        warn(f"{shown}: not numbers, left out: {listed([one_line(each) for each in skipped])}")
    measured = [name for name in numeric if name not in COLUMNS]
    for name in dict.fromkeys([*HISTORY, *VALIDATION, *measured]):
        if name in numeric:
            frame[name] = written[name].astype("float64").to_numpy()
            _check_numbers(frame[name].to_numpy(), name, shown, place)
        elif name not in frame and name not in VALIDATION:
            frame[name] = np.nan
    if not numeric:
        raise RegbenchError(f"{shown}: expected a column of numbers beside name and seed")
    return frame, measured


def _written(path: Path, shown: str) -> pandas.DataFrame:
    """Return the table as it is in the file."""
    import pandas

    if path.stat().st_size > MOST_BYTES:
        raise RegbenchError(f"{shown}: expected at most {MOST_BYTES >> 20} MB")
    readers: dict[str, Callable[[Path], pandas.DataFrame]] = {
        ".csv": lambda file: pandas.read_csv(
            file, dtype={"name": "str"}, index_col=False, nrows=MOST_ROWS + 1
        ),
        ".parquet": pandas.read_parquet,
    }
    try:
        if path.suffix.lower() == ".csv":
            _check_width(path, shown)
        with warnings.catch_warnings():
            # Longer rows than the header's would be cut with no more than a warning.
            warnings.simplefilter("error", pandas.errors.ParserWarning)
            table = readers[path.suffix.lower()](path)
    except ImportError as error:
        raise RegbenchError(
            f"{shown}: reading Parquet needs pyarrow: pip install 'regbench[parquet]'"
        ) from error
    # The errors of pandas and pyarrow are among these.
    except (ValueError, OSError, MemoryError, pandas.errors.ParserWarning) as error:
        reason = one_line(str(error).strip().partition("\n")[0])
        raise RegbenchError(f"{shown}: expected a table, received: {reason}") from error
    if len(table) > MOST_ROWS:
        raise RegbenchError(f"{shown}: expected at most {MOST_ROWS:,} rows")
    if table.empty:
        raise RegbenchError(f"{shown}: expected rows, received none")
    return table


def _check_width(path: Path, shown: str) -> None:
    """Refuse a CSV file whose first line has too many columns, before pandas reads it."""
    with path.open("rb") as file:
        columns = file.readline().count(b",") + 1
    if columns > MOST_COLUMNS:
        raise RegbenchError(f"{shown}: expected at most {MOST_COLUMNS:,} columns")


def _check_columns(table: pandas.DataFrame, shown: str, place: Callable[[int], str]) -> None:
    lacking = [name for name in NEEDED if name not in table.columns]
    if lacking:
        raise RegbenchError(
            f"{shown}: expected the columns name and seed, with a row per run, and numbers to "
            f"compare; received {listed([one_line(str(each)) for each in table.columns])}"
        )
    for name, least in (("seed", 0), ("epoch", 0)):
        if name not in table.columns:
            continue
        values = table[name]
        whole = _is_numeric(values) and not values.isna().any() and (values % 1 == 0).all()
        if not whole or values.min() < least or values.max() >= 2**63:
            raise RegbenchError(
                f"{shown}: {name}: expected whole numbers from {least} in every row"
            )
    if table["name"].isna().any():
        where = place(int(np.flatnonzero(table["name"].isna().to_numpy())[0]))
        raise RegbenchError(
            f"{shown}: name: expected a name in every row, received none in {where}"
        )


def _identity(
    table: pandas.DataFrame, path: Path, warn: Warn, place: Callable[[int], str]
) -> pandas.DataFrame:
    """Return the columns of `RUN` and `epoch`; each run and epoch is there once."""
    import pandas

    names = _plain_names(table["name"].astype(str), one_line(str(path)), warn)
    frame = pandas.DataFrame({"results": str(path), "name": names})
    frame["config_hash"] = [hashlib.sha256(each.encode()).hexdigest()[:8] for each in names]
    for column, pattern in DIGEST.items():
        known = table.get(column)
        if known is not None and known.astype(str).str.fullmatch(pattern).all():
            frame[column] = known.astype(str).to_numpy()
        elif column not in frame:
            frame[column] = None
    frame["seed"] = table["seed"].astype("int64").to_numpy()
    frame["run"] = [
        f"{name}-{digest}-s{seed}"
        for name, digest, seed in zip(
            frame["name"], frame["config_hash"], frame["seed"], strict=True
        )
    ]
    diverged = table.get("status")
    frame["status"] = np.where(diverged == "diverged", "diverged", "completed")
    parameters = table.get("parameters")
    counted = (
        parameters is not None and _is_numeric(parameters) and parameters.between(0, MOST).all()
    )
    frame["parameters"] = parameters.astype("int64").to_numpy() if counted else 0
    waited = table.get("wall_seconds")
    timed = waited is not None and _is_numeric(waited)
    frame["wall_seconds"] = waited.astype("float64").to_numpy() if timed else np.nan
    epochs = table.get("epoch")
    frame["epoch"] = 0 if epochs is None else epochs.astype("int64").to_numpy()
    _check_distinct(frame, one_line(str(path)), place)
    return frame[[*RUN, "epoch"]]


def _plain_names(names: pandas.Series, shown: str, warn: Warn) -> list[str]:
    """Return names of letters, digits, _, . and -, as every table and file expects them."""
    plain = {
        each: re.sub(r"[^A-Za-z0-9_.-]+", "_", each).strip("_.-")[:60] for each in names.unique()
    }
    changed = {name: each for name, each in plain.items() if name != each}
    bad = [name for name, each in plain.items() if not re.fullmatch(NAME, each)]
    if bad:
        raise RegbenchError(f"{shown}: name: expected letters or digits, received {bad[0]!r}")
    twice = len(plain) - len(set(plain.values()))
    if twice:
        raise RegbenchError(
            f"{shown}: name: expected names that differ in letters, digits, _, . or -"
        )
    if changed:
        told = [f"{one_line(name)} as {each}" for name, each in changed.items()]
        warn(f"{shown}: names are shown with letters, digits, _, . and - only: {listed(told)}")
    return [plain[name] for name in names]


def _check_distinct(frame: pandas.DataFrame, shown: str, place: Callable[[int], str]) -> None:
    again = frame.duplicated(["run", "epoch"]).to_numpy()
    if again.any():
        row = frame[again].iloc[0]
        what = f"{row['name']} with seed {row['seed']}"
        at = f", epoch {row['epoch']}," if frame["epoch"].any() else ""
        raise RegbenchError(
            f"{shown}: expected a row per name, seed and epoch; {what}{at} is there twice "
            f"({place(int(np.flatnonzero(again)[0]))})"
        )


def _check_numbers(
    values: NDArray[np.float64], name: str, shown: str, place: Callable[[int], str]
) -> None:
    share = name.endswith("accuracy") and name in COLUMNS
    low, high = (0.0, 1.0) if share else (-MOST, MOST)
    wrong = ~np.isnan(values) & ~((values >= low) & (values <= high))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        wanted = "a share from 0 to 1" if share else f"a number from {-MOST:g} to {MOST:g}"
        raise RegbenchError(
            f"{shown}: {one_line(name)}: expected {wanted}, received {values[row]:g} in "
            f"{place(row)}"
        )


def _is_numeric(values: pandas.Series) -> bool:
    from pandas.api import types

    return types.is_numeric_dtype(values) and not types.is_bool_dtype(values)
