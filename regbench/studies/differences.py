"""The differences that a claim is about, paired by seed: bounds, known errors and cautions.

A run that never reached its level is censored: only a lower limit of its epochs is known. So a
difference is an interval [low, high], which is a single point if both runs are known.

The spread of the differences is not the only information about their error. Three more sources
keep numbers that agree by chance from deciding a claim:

- *Whole steps.* A number that counts epochs or examples changes by whole steps. If all values are
  equal, a step may have been missed by chance: the differences are assumed to spread at least like
  values that are one step apart half of the time, whose variance is a quarter of a squared step.
- *Ties.* If more than half of the differences are equal, a further one could be as far off as two
  seeds are from each other. That distance then counts as the step.
- *Test examples.* See `regbench.analysis.sampling_error`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from regbench.analysis import coverage, mcnemar, metrics, sampling_error, statistics
from regbench.analysis.statistics import Floor, Part, Sample
from regbench.config import Experiment
from regbench.errors import Warn
from regbench.runs import summary
from regbench.studies.factors import Factors
from regbench.studies.file import Study
from regbench.studies.pairs import Pairs
from regbench.studies.sections import Claim

if TYPE_CHECKING:
    import pandas

# The smallest and the largest value that a run's number may have.
Bounds = tuple[float, float]
Values = Mapping[int, Bounds]

# The variance of a fair 0-or-1 choice, the largest of any such choice.
EVENLY = 1 / 4
# A run is at chance level if its test accuracy is at most this many standard errors above chance.
CHANCE_ERRORS = 2.0
# Remarks on claims over new test images, of runs without stored predictions.
UPPER = "no predictions are stored: the variance over images is an upper estimate"
UNTOLD_IMAGES = "no predictions are stored: new images are not covered"
# The accuracies that a metric consists of: once they reach 0 or 1, it cannot change further.
ACCURACIES = {
    "train_accuracy": ("train_accuracy",),
    "test_accuracy": ("test_accuracy",),
    "gap": ("train_accuracy", "test_accuracy"),
}


@dataclass(frozen=True)
class Differences:
    """The differences of a claim: a row for each seed with two runs (one, against a number).

    `low` and `high`, both (pairs,), differ only for censored runs. `unknown` counts the seeds where
    both sides are censored, which do not count as pairs, and `censored` the censored runs.
    """

    low: Sample
    high: Sample
    unknown: int = 0
    censored: int = 0
    diverged: int = 0
    floor: Floor = field(default_factory=Floor)
    test_examples: int | None = None
    shared_examples: bool = False
    cautions: list[str] = field(default_factory=list)

    @property
    def known(self) -> bool:
        """True if no run is censored."""
        return self.censored == 0

    @property
    def pairs(self) -> int:
        """The number of seeds with a difference."""
        return len(self.low)


class Runs:
    """The metrics of a study's runs, by variant and seed."""

    def __init__(
        self,
        study: Study,
        table: pandas.DataFrame,
        warn: Warn | None = None,
        pairs: Pairs | None = None,
    ) -> None:
        self.seeds = study.seeds
        self.factors = study.factors
        self._pairs = pairs
        self.made_elsewhere = pairs is not None and pairs.made_elsewhere
        self.variants = study.variants
        self._predictions = mcnemar.reader(warn)
        # A copy of a results folder adds no evidence.
        table = table.drop_duplicates(["name", "config_hash", "seed"])
        self._rows = {
            name: table[
                (table["name"] == name)
                & (table["config_hash"] == experiment.hash)
                & table["seed"].isin(study.seeds)
            ].set_index("seed")
            for name, experiment in study.variants.items()
        }

    def first(self, count: int) -> Runs:
        """Return the runs of the first so many seeds."""
        found = copy.copy(self)
        found.seeds = self.seeds[:count]
        found._rows = {
            name: rows[rows.index.isin(found.seeds)] for name, rows in self._rows.items()
        }
        return found

    def finished(self, variant: str) -> int:
        """Return how many of the variant's runs have finished, diverged ones too."""
        return len(self._rows[variant])

    def values(self, variant: str, metric: str) -> Values:
        """Return the bounds of the metric, by seed, for every run that did not diverge."""
        rows = self._completed(variant)
        return {
            seed: (epochs + 1.0, math.inf) if value == metrics.NOT_REACHED else (value, value)
            for seed, value, epochs in zip(
                rows.index, rows[metric], rows[metrics.EPOCHS], strict=True
            )
            if math.isfinite(value)
            or (value == metrics.NOT_REACHED and metrics.metric(metric).counts == "epochs")
        }

    def pair(self, claim: Claim, seed: int) -> bool:
        """Return whether the runs of a seed that a claim compares read the same data."""
        return self._pairs is None or self._pairs.agree(claim, seed)

    def diverged(self, variants: set[str]) -> int:
        """Return the number of seeds for which a run of any of the variants diverged."""
        rows = [self._rows[name] for name in variants]
        return len({seed for each in rows for seed in each.index[each["status"] == "diverged"]})

    def accuracies(self, variant: str, metric: str) -> dict[int, float]:
        """Return an accuracy of each run by seed; {} if the table lacks it."""
        rows = self._completed(variant)
        return dict(rows[metric].items()) if metric in rows else {}

    def right(self, variant: str, seed: int) -> mcnemar.Stored:
        """Return labels and predictions (m, 2) of a run; None if it stored none."""
        if self.made_elsewhere:
            return None
        rows = self._completed(variant)
        if "test_accuracy" not in rows or seed not in rows.index:
            return None
        row = rows.loc[seed]
        folder = Path(row["results"]) / row["run"]
        return self._predictions(mcnemar.Tested(folder, float(row["test_accuracy"])))

    def test_examples(self, variant: str) -> int | None:
        """Return how many test examples the variant's runs have; None if not recorded."""
        if self.made_elsewhere:  # perhaps on other data than the variant's config asks for
            return None
        for seed in self._completed(variant).index:
            stored = self.right(variant, seed)
            if stored is not None:
                return len(stored)
        asked = self.variants[variant].data.test_examples
        return asked if isinstance(asked, int) else self._summarized(variant)

    def _summarized(self, variant: str) -> int | None:
        for _, row in self._completed(variant).iterrows():
            try:
                return summary.read(Path(row["results"]) / row["run"]).test_examples or None
            except (OSError, ValueError):
                continue
        return None

    def _completed(self, variant: str) -> pandas.DataFrame:
        rows = self._rows[variant]
        return rows[rows["status"] == "completed"]


def of_claim(claim: Claim, runs: Runs) -> Differences:
    """Return the differences of a claim, in the order of the study's seeds."""
    sides = _sides(claim, runs.factors)
    values = [runs.values(name, claim.metric) for name, _ in sides]
    number = 0.0 if isinstance(claim.against, str) else claim.against
    bounds = {
        seed: _total([each[seed] for each in values], [sign for _, sign in sides], number)
        for seed in runs.seeds
        if all(seed in each for each in values) and runs.pair(claim, seed)
    }
    told = {seed: each for seed, each in bounds.items() if any(map(math.isfinite, each))}
    low, high = (np.array([each[end] for each in told.values()], np.float64) for end in (0, 1))
    by_name = dict(zip((name for name, _ in sides), values, strict=True))  # each variant once
    censored = sum(math.isinf(high) for each in by_name.values() for _, high in each.values())
    differences = Differences(
        low,
        high,
        unknown=len(bounds) - len(told),
        censored=censored,
        diverged=runs.diverged({name for name, _ in sides}),
    )
    if metrics.metric(claim.metric).exact or not told:
        return differences
    return _bounded(differences, claim, runs, list(told), values)


def _sides(claim: Claim, factors: Factors | None) -> list[tuple[str, float]]:
    """Return the variants of a claim, each with its weight in the difference: a sign, or less."""
    if factors and claim.effect is not None:
        return factors.weights(factors.of_claim(claim.effect))
    sides = [(claim.variant, 1.0)]
    if isinstance(claim.against, str):
        sides.append((claim.against, -1.0))
    if claim.beyond:
        sides += [(claim.beyond.variant, -1.0), (claim.beyond.against, 1.0)]
    return sides


def _total(bounds: list[Bounds], signs: list[float], number: float) -> Bounds:
    ends = [
        (sign * low, sign * high) if sign > 0 else (sign * high, sign * low)
        for (low, high), sign in zip(bounds, signs, strict=True)
    ]
    return sum(low for low, _ in ends) - number, sum(high for _, high in ends) - number


def _bounded(
    differences: Differences, claim: Claim, runs: Runs, seeds: list[int], values: list[Values]
) -> Differences:
    """Return the differences with their floor and with cautions about them."""
    sides = _sides(claim, runs.factors)
    tested = metrics.metric(claim.metric).counts == "test examples"
    examples = runs.test_examples(sides[0][0]) if tested else None
    test = _TestError()
    if claim.metric in metrics.PREDICTED:
        test = _test_error(sides, runs, seeds, examples, claim.over == "images")
    step = 0.0 if runs.made_elsewhere else _step(claim, runs.variants[sides[0][0]], examples)
    step *= min(abs(weight) for _, weight in sides)
    known = seeds if differences.known else []
    numbers = [
        np.array([abs(weight) * each[seed][0] for seed in known])
        for each, (_, weight) in zip(values, sides, strict=True)
    ]
    least = least_deviation(step, differences.low[: len(known)], numbers)
    return replace(
        differences,
        floor=Floor(least, test.error, test.added),
        test_examples=examples,
        shared_examples=test.shared,
        cautions=[
            *_cautions(differences, claim, runs, tested and examples is None), *test.cautions
        ],
    )  # fmt: skip


def least_deviation(step: float, differences: Sample, sides: list[Sample]) -> float:
    """Return the smallest believable standard deviation of the differences (n,).

    Args:
        step: the smallest step of numbers that are counted; 0 for numbers that are measured.
        differences: those of runs that are not censored.
        sides: the numbers (n,) that each side of the difference has, seed by seed.
    """
    variance = EVENLY * step**2
    if len(differences) > 1 and _mostly_equal(differences):
        # The variances of independent runs add up.
        variance = max(variance, EVENLY * sum(float(each.var(ddof=1)) for each in sides))
    return math.sqrt(variance)


def _step(claim: Claim, experiment: Experiment, examples: int | None) -> float:
    """Return the smallest step by which a number can change; 0 if unknown."""
    counts = metrics.metric(claim.metric).counts
    if counts == "epochs":
        return 1.0
    if counts == "training examples":
        trained = experiment.data.train_examples
        return 1 / trained if isinstance(trained, int) else 0.0
    return 1 / examples if counts == "test examples" and examples else 0.0


def _mostly_equal(differences: Sample) -> bool:
    _, counts = np.unique(differences.round(12), return_counts=True)
    return bool(counts.max() * 2 > len(differences))


@dataclass(frozen=True)
class _TestError:
    """The least standard error that the test examples leave, and whether the seeds share them.

    `added` is the variance that new test images add to that over seeds.
    """

    error: float = 0.0
    shared: bool = False
    added: Part | None = None
    cautions: tuple[str, ...] = ()


def _test_error(
    sides: list[tuple[str, float]],
    runs: Runs,
    seeds: list[int],
    examples: int | None,
    images: bool,
) -> _TestError:
    """Return the error of a difference in accuracy; with `images`, what new ones would add.

    The error is 0 if neither predictions nor the number of test examples are known.
    """
    names, signs = [name for name, _ in sides], [sign for _, sign in sides]
    stored = [[runs.right(name, seed) for name in names] for seed in seeds]
    labels = [each[0][:, 0] for each in stored if each[0] is not None]
    complete = len(labels) == len(seeds) and all(
        other is not None and np.array_equal(other[:, 0], first)
        for each, first in zip(stored, labels, strict=True)
        for other in each
    )
    if complete:
        scores = [
            sampling_error.scores(
                [each[:, 0] == each[:, 1] for each in models if each is not None], signs
            )
            for models in stored
        ]
        shared = coverage.crossed(labels)
        # Where every seed has its own test examples, the spread over seeds includes theirs.
        added = coverage.of_images(np.stack(scores)) if images and shared else None
        return _TestError(sampling_error.of_scores(scores, shared), shared, added)
    accuracies = [runs.accuracies(name, "test_accuracy") for name in names]
    if examples is None or not all(seed in each for each in accuracies for seed in seeds):
        return _TestError(cautions=(UNTOLD_IMAGES,) if images else ())
    models = [[each[seed] for each in accuracies] for seed in seeds]
    error = sampling_error.of_accuracies(models, examples)
    if not images:
        return _TestError(error)
    # Perhaps all seeds were tested on the same examples: then nothing averages out over seeds.
    return _TestError(error, False, Part(error**2 * len(seeds)), (UPPER,))


def _cautions(differences: Differences, claim: Claim, runs: Runs, untold: bool) -> list[str]:
    names = dict.fromkeys(name for name, _ in _sides(claim, runs.factors))
    found = []
    if runs.factors and claim.effect is not None:
        aliased = runs.factors.aliased(runs.factors.of_claim(claim.effect))
        found += [aliased] if aliased else []
    if differences.known and statistics.is_skewed(differences.low):
        found.append("the differences are skewed, for which p is too small")
    for metric in ACCURACIES.get(claim.metric, ()):
        values = [value for name in names for value in runs.accuracies(name, metric).values()]
        for end, said in ((1.0, "1.000"), (0.0, "0.000")):
            at_end = sum(value == end for value in values)
            if at_end:
                found.append(
                    f"{metric} is at its limit of {said} in {at_end} of {len(values)} runs"
                )
    collapsed = sum(_collapsed(runs, name) for name in names)
    if collapsed:
        found.append(f"{_runs(collapsed)} at chance level")
    if untold:
        found.append("the number of test examples is unknown: the interval is over seeds alone")
    return found


def _collapsed(runs: Runs, variant: str) -> int:
    """Return how many runs do no better than always predicting the most common class."""
    count = 0
    for seed in runs.seeds:
        stored = runs.right(variant, seed)
        if stored is None:
            continue
        chance = float(np.bincount(np.unique(stored[:, 0], return_inverse=True)[1]).max())
        chance /= len(stored)
        error = math.sqrt(chance * (1 - chance) / len(stored))
        count += float((stored[:, 0] == stored[:, 1]).mean()) <= chance + CHANCE_ERRORS * error
    return count


def _runs(count: int) -> str:
    return f"{count} runs are" if count != 1 else "1 run is"
