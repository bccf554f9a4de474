"""What a comparison says of its differences beyond the interval over seeds.

For each difference from the baseline: what pairing by seed buys, the interval over new test images
where predictions are stored, and that over new training samples where the size of the pool is
known. See `regbench.analysis.coverage`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from regbench.analysis import coverage, metrics, sampling_error, statistics
from regbench.analysis.mcnemar import Stored, Tested
from regbench.analysis.statistics import Floor, Interval, Sample
from regbench.datasets.sizes import SIZES

# Metrics that training examples decide, and that new ones would change.
OF_SAMPLES = ("train_accuracy", "test_accuracy", "train_loss", "test_loss", "gap")


@dataclass(frozen=True)
class Paired:
    """Two configs' numbers, (pairs, metrics) each, for the same seeds and the same metrics.

    `scores` are those of each test example with each seed, None where a run stored no predictions.
    `shared` says whether the seeds have their test examples in common, and `samples` how many
    training examples a run draws from how many, None if unknown.
    """

    mine: NDArray[np.float64]
    theirs: NDArray[np.float64]
    scores: Sequence[Sample] | None = None
    shared: bool = False
    samples: tuple[int, int] | None = None


class Covered(NamedTuple):
    """The intervals over new test images and over new training samples; None where unknown."""

    images_low: float | None
    images_high: float | None
    samples_low: float | None
    samples_high: float | None


def covered(over_seeds: Interval, pairs: int, name: str, column: int, paired: Paired) -> Covered:
    """Return what else is known of a difference of the metric `name`, given that over seeds."""
    images = samples = Interval(None)
    if over_seeds.low is not None:
        if name in metrics.PREDICTED and paired.scores:
            with np.errstate(invalid="ignore"):
                differences = paired.mine[:, column] - paired.theirs[:, column]
                images = _over_images(differences, paired.scores, paired.shared)
        if name in OF_SAMPLES and paired.samples:
            samples = coverage.from_seeds(over_seeds, pairs, *paired.samples)
    return Covered(images.low, images.high, samples.low, samples.high)


def _over_images(sample: Sample, scores: Sequence[Sample], shared: bool) -> Interval:
    # Where every seed has its own test examples, the spread over seeds includes theirs.
    added = coverage.of_images(np.stack(scores)) if shared else None
    floor = Floor(error=sampling_error.of_scores(scores, shared), added=added)
    return statistics.interval(sample, floor=floor)


def scores_of(
    mine: Mapping[int, Tested], theirs: Mapping[int, Tested], read: Callable[[Tested], Stored]
) -> tuple[list[Sample] | None, bool]:
    """Return the scores of the test examples of each seed, and whether the seeds share them.

    None unless every pair of runs stored predictions of the same examples.
    """
    scores, labels = [], []
    for seed in mine:
        first, second = read(mine[seed]), read(theirs[seed])
        if first is None or second is None or not np.array_equal(first[:, 0], second[:, 0]):
            return None, False
        right = [each[:, 0] == each[:, 1] for each in (first, second)]
        scores.append(sampling_error.scores(right, (1, -1)))
        labels.append(first[:, 0])
    return (scores, coverage.crossed(labels)) if scores else (None, False)


def samples_of(*configs: Mapping[str, object] | None) -> tuple[int, int] | None:
    """Return how many training examples two configs draw, at most, and from how many.

    None if that is not known, or if they draw from different data sets.
    """
    found = [config.get("data") if config else None for config in configs]
    data = [each for each in found if isinstance(each, Mapping)]
    names = {each.get("name") for each in data}
    if len(data) < len(configs) or len(names) != 1:
        return None
    (name,) = names
    if not isinstance(name, str) or name not in SIZES:
        return None
    pool = SIZES[name][2]
    chosen = [each.get("train_examples") for each in data]
    return max(each if isinstance(each, int) else pool for each in chosen), pool
