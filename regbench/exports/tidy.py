"""Export as tidy tables: one file with a row per run and epoch, one with a row per run.

    OUTPUT/epochs.csv    the columns of `regbench.load(...).frame`
    OUTPUT/runs.csv      identity, numbers at the end, and each setting that differs: `config.l2`

Both join on `results` and `run`. Parquet has the same tables with their types.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from regbench import files
from regbench.analysis.gap import gap
from regbench.config.changes import leaves
from regbench.exports import missing
from regbench.runs.results import RUN, Results

if TYPE_CHECKING:
    import pandas

# What a run's row has of its last epoch, beside the gap.
LAST = ("epoch", "train_loss", "train_accuracy", "test_loss", "test_accuracy", "penalty")


def runs(results: Results) -> pandas.DataFrame:
    """Return a row per run: `RUN`, `LAST`, `gap`, `seconds`, and `config.KEY` for each setting.

    Only settings are shown that are not the same in all runs.
    """
    by_run = results.frame.groupby(["results", "run"], sort=False)
    last = by_run.tail(1).reset_index(drop=True)
    table = last[[*RUN, *LAST]].rename(columns={"epoch": "epochs"})
    table["gap"] = gap(last["train_accuracy"], last["test_accuracy"])
    table["seconds"] = by_run["seconds"].sum().to_numpy()
    known = [results.configs.get(each) for each in table["config_hash"]]
    settings = [dict(leaves(config or {})) for config in known]
    for key in sorted({key for each in settings for key in each}):
        values = [_cell(each.get(key)) for each in settings]
        if any(value != values[0] for value in values):
            table[f"config.{key}"] = values
    return table


def csv(results: Results, output: Path) -> list[Path]:
    """Write both tables as CSV into a folder; return their paths."""
    return _write(results, output, "csv")


def parquet(results: Results, output: Path) -> list[Path]:
    """Write both tables as Parquet into a folder; return their paths.

    Raises:
        RegbenchError: pyarrow is not installed.
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise missing("parquet", "pyarrow") from error
    return _write(results, output, "parquet")


def _write(results: Results, output: Path, suffix: str) -> list[Path]:
    files.make_folder(output)
    tables: Mapping[str, pandas.DataFrame] = {"epochs": results.frame, "runs": runs(results)}
    paths = {name: output / f"{name}.{suffix}" for name in tables}
    for name, path in paths.items():
        if suffix == "csv":
            files.write(path, tables[name].to_csv(index=False, lineterminator="\n"))
        else:
            files.replace(path, tables[name].to_parquet)
    return list(paths.values())


def _cell(value: object) -> str | None:
    """Return a setting as text: a column has one type, a setting may have several."""
    if value is None:
        return None
    return value if isinstance(value, str) else json.dumps(value)
