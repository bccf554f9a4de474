"""Where two trained models differ on the same test examples, from their stored predictions.

This tells of these trained models and not of their configs: another seed gives another model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regbench import predictions, statistics

Warn = Callable[[str], None]
# Label and predicted class of each test example, (n, 2); None where a run stored none.
Stored = NDArray[np.int64] | None


def reader(warn: Warn | None = None) -> Callable[[Path], Stored]:
    """Return a function that reads a run's predictions, each folder once.

    A damaged file is reported with `warn`, and then is as if it was not there.
    """
    known: dict[Path, Stored] = {}

    def read(folder: Path) -> Stored:
        if folder not in known:
            try:
                known[folder] = predictions.read(folder)
            except (OSError, ValueError) as error:
                known[folder] = None
                if warn:
                    warn(f"{folder}: {error}; its predictions are left out")
        return known[folder]

    return read


def by_seed(
    runs: Mapping[int, Path], baseline: Mapping[int, Path], read: Callable[[Path], Stored]
) -> list[dict[str, Any]] | None:
    """Return McNemar's test for each seed that both sides have predictions of; None without any.

    Runs whose labels differ were tested on different examples, and are left out.
    """
    found = []
    for seed in sorted(runs.keys() & baseline.keys()):
        theirs = read(baseline[seed])
        mine = None if theirs is None else read(runs[seed])
        if mine is None or theirs is None or not np.array_equal(mine[:, 0], theirs[:, 0]):
            continue
        here, there = mine[:, 0] == mine[:, 1], theirs[:, 0] == theirs[:, 1]
        only_this, only_baseline = int((here & ~there).sum()), int((there & ~here).sum())
        found.append({
            "seed": seed,
            "only_this_right": only_this,
            "only_baseline_right": only_baseline,
            "p_value": statistics.mcnemar(only_this, only_baseline),
        })  # fmt: skip
    return found or None
