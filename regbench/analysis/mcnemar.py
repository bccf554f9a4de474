"""McNemar's test: two trained models on the same test examples, by their stored predictions.

It is about these trained models, not about their configs: another seed gives another model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from regbench.analysis import statistics
from regbench.errors import Warn
from regbench.runs import predictions
from regbench.runs.files import PREDICTIONS

# Label and predicted class of each test example, (n, 2); None if a run stored none.
Stored = NDArray[np.int64] | None
# Keras may compute an accuracy in 32 bits; one example in millions makes a larger difference.
ROUNDING = 1e-6


@dataclass(frozen=True)
class Tested:
    """A run's folder, and the test accuracy in its summary."""

    folder: Path
    accuracy: float


@dataclass(frozen=True)
class Disagreement:
    """McNemar's test of one seed: how many test examples either model alone gets right."""

    seed: int
    only_this_right: int
    only_baseline_right: int
    p_value: float


@dataclass(frozen=True)
class Disagreements:
    """McNemar's tests of several seeds: mean examples, and the number of seeds with p < `ALPHA`."""

    fixes: float
    breaks: float
    significant: int
    seeds: int


def summary(by_seed: Sequence[Disagreement]) -> Disagreements:
    """Return the mean number of examples that a config fixes and breaks, and the seeds."""
    return Disagreements(
        fixes=sum(each.only_this_right for each in by_seed) / len(by_seed),
        breaks=sum(each.only_baseline_right for each in by_seed) / len(by_seed),
        significant=sum(each.p_value < statistics.ALPHA for each in by_seed),
        seeds=len(by_seed),
    )


def reader(warn: Warn | None = None) -> Callable[[Tested], Stored]:
    """Return a function that reads a run's predictions, each folder only once.

    A file that is damaged, or does not match the run's accuracy, is reported with `warn` and then
    treated as missing.
    """
    known: dict[Path, Stored] = {}

    def read(run: Tested) -> Stored:
        folder = run.folder
        if folder not in known:
            try:
                known[folder] = _checked(predictions.read(folder), run.accuracy)
            except (OSError, ValueError) as error:
                known[folder] = None
                if warn:
                    warn(f"{folder}: {error}; its predictions are left out")
        return known[folder]

    return read


def _checked(stored: Stored, accuracy: float) -> Stored:
    """Return the predictions. Raises ValueError if their accuracy is not the run's."""
    if stored is not None:
        right = int((stored[:, 0] == stored[:, 1]).sum())
        if not len(stored) or abs(right / len(stored) - accuracy) > ROUNDING:
            raise ValueError(
                f"{PREDICTIONS} has {right:,} of {len(stored):,} right, which is not "
                f"the run's test_accuracy of {accuracy:.6g}"
            )
    return stored


def by_seed(
    runs: Mapping[int, Tested],
    baseline: Mapping[int, Tested],
    read: Callable[[Tested], Stored],
    warn: Warn | None = None,
) -> list[Disagreement] | None:
    """Return McNemar's test for each seed with predictions on both sides; None without any.

    Runs whose labels differ were tested on different examples: `warn` reports them, and they are
    skipped.
    """
    found = []
    for seed in sorted(runs.keys() & baseline.keys()):
        theirs = read(baseline[seed])
        mine = None if theirs is None else read(runs[seed])
        if mine is None or theirs is None:
            continue
        if not np.array_equal(mine[:, 0], theirs[:, 0]):
            if warn:
                warn(
                    f"{runs[seed].folder}: its test labels are not those of "
                    f"{baseline[seed].folder}; their predictions are not compared"
                )
            continue
        here, there = mine[:, 0] == mine[:, 1], theirs[:, 0] == theirs[:, 1]
        only_this, only_baseline = int((here & ~there).sum()), int((there & ~here).sum())
        p_value = statistics.mcnemar(only_this, only_baseline)
        found.append(Disagreement(seed, only_this, only_baseline, p_value))
    return found or None
