"""Stratified subsets and label noise: random choices that depend only on the seed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from regbench.datasets.errors import DataError


def stratified(
    labels: NDArray[np.int64], count: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return `count` sorted indices into `labels`, every class in proportion to its size.

    Fractional shares are rounded by largest remainder, with ties broken at random. For classes of
    equal size and equal generators, a smaller subset is contained in a larger one.

    Raises:
        ValueError: `count` is below 0 or above the number of labels.
    """
    if not 0 <= count <= len(labels):
        raise ValueError(f"count: expected 0 to {len(labels)}, received {count}")
    _, inverse, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    quotas = _quotas(sizes, count, rng.random(len(sizes)))
    # Each class is shuffled as a whole, regardless of the count, so that equal generators nest.
    chosen = [
        rng.permutation(np.flatnonzero(inverse == label))[:quota]
        for label, quota in enumerate(quotas)
    ]
    return np.sort(np.concatenate(chosen)) if chosen else np.empty(0, np.int64)


def _quotas(sizes: NDArray[np.int64], count: int, lots: NDArray[np.float64]) -> NDArray[np.int64]:
    """Divide `count` among classes of these sizes; `lots` break ties between remainders."""
    quotas, remainders = np.divmod(sizes * count, max(1, sizes.sum()))
    by_remainder = np.lexsort((lots, -remainders))
    quotas[by_remainder[: count - quotas.sum()]] += 1
    return quotas


def with_noise(
    labels: NDArray[np.int64], share: float, classes: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return a copy in which exactly `round(share * n)` labels name another class.

    With equal generators, the wrong labels of a smaller share are contained in those of a larger
    one: runs with noise of 0.1 and 0.2 are paired as closely as possible, and so their results are
    not independent of each other.

    Raises:
        DataError: there is no other class.
    """
    wrong = round(share * len(labels))
    if wrong and classes < 2:
        raise DataError("data.label_noise: expected at least two classes, received one")
    noisy = labels.copy()
    # Draw for all labels, regardless of the share, so that the choices of equal generators nest.
    chosen = rng.permutation(len(labels))[:wrong]
    offsets = rng.integers(1, max(2, classes), len(labels))[:wrong]
    noisy[chosen] = (noisy[chosen] + offsets) % classes
    return noisy
