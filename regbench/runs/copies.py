"""Duplicate runs: copies count once, and runs that only look like copies are reported."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from regbench.errors import Warn
from regbench.runs.files import HISTORY, VALIDATION
from regbench.runs.results import Results, results_of
from regbench.text import listed, one_line

if TYPE_CHECKING:
    import pandas

# The identity of a run, whatever folder it is in.
SAME = ("name", "config_hash", "seed")
KEYS = ["results", "run", *SAME]
# Times differ even between runs that compute the same.
NUMBERS = [column for column in HISTORY + VALIDATION if column != "seconds"]


def distinct(runs: Results | pandas.DataFrame, warn: Warn | None = None) -> pandas.DataFrame:
    """Return the frame with each epoch of each config and seed once, from the first folder.

    A folder that is named twice and a copied folder add no evidence. `warn` is called for folders
    with the same config and seed and other numbers or other data.
    """
    import pandas

    frame = results_of(runs).frame
    numbers = _numbers(frame)
    epochs = pandas.DataFrame({"run": numbers, "epoch": frame["epoch"].to_numpy()})
    repeated = epochs.duplicated().to_numpy()
    if repeated.any():
        frame, numbers = frame[~repeated], numbers[~repeated]
    frame = frame.reset_index(drop=True)  # concatenated frames may share index values
    every = frame.iloc[np.unique(numbers, return_index=True)[1]]
    kept = every.drop_duplicates(list(SAME))
    if len(kept) == len(every):
        return frame
    if warn:
        _tell(frame, every, kept, warn)
    return frame.merge(kept[KEYS])


def _numbers(frame: pandas.DataFrame) -> NDArray[np.intp]:
    """Return a number for each row (rows,), the same for all rows of a run."""
    # The epochs of a run are neighbors, so that few rows have to be looked up by their texts.
    columns = [frame[key].to_numpy() for key in KEYS]
    begins = np.ones(len(frame), np.bool_)
    begins[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    stretches = frame.loc[begins, KEYS].groupby(KEYS, sort=False, dropna=False).ngroup().to_numpy()
    return stretches[np.cumsum(begins) - 1]


def _tell(
    frame: pandas.DataFrame, runs: pandas.DataFrame, kept: pandas.DataFrame, warn: Warn
) -> None:
    """Call `warn` for each pair of results folders that disagree on some of their runs."""
    repeated = runs[runs.duplicated(list(SAME), keep=False)]
    curves = dict(iter(frame.merge(repeated[KEYS]).groupby(KEYS)))
    first = {key[2:]: key for key in _keys(kept)}
    disagree: dict[tuple[str, str], list[tuple[Path, Path]]] = {}
    for key in _keys(repeated):
        counted = first[key[2:]]
        if key != counted and not _equal(curves[counted], curves[key]):
            pair = Path(*counted[:2]), Path(*key[:2])
            disagree.setdefault((counted[0], key[0]), []).append(pair)
    for (here, there), pairs in disagree.items():
        warn(one_line(_line(here, there, pairs)))


def _keys(runs: pandas.DataFrame) -> list[tuple[str, str, *tuple[object, ...]]]:
    return list(runs[KEYS].itertuples(index=False, name=None))


def _equal(one: pandas.DataFrame, other: pandas.DataFrame) -> bool:
    columns = [column for column in NUMBERS if column in one]
    columns += ["status", "data_pool", "data_examples"]
    return one[columns].reset_index(drop=True).equals(other[columns].reset_index(drop=True))


def _line(here: str, there: str, pairs: list[tuple[Path, Path]]) -> str:
    if len(pairs) == 1:
        ((counted, other),) = pairs
        same = "same config and seed, but different numbers or data"
        return f"{counted} and {other}: {same}; only the first counts"
    names = listed([counted.name for counted, _ in pairs])
    return (
        f"{here} and {there}: same configs and seeds, but different numbers or data in "
        f"{len(pairs)} runs ({names}); only those in {here} count"
    )
