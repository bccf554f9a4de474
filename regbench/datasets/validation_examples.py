"""Validation examples: taken from the training pool to make choices, never from the test set."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from regbench import seeding
from regbench.datasets.errors import DataError
from regbench.datasets.sampling import stratified

if TYPE_CHECKING:
    from regbench.config import Data

Chosen: TypeAlias = "NDArray[np.int64] | slice[None]"


def count(data: Data, pool: int) -> int:
    """Return the number of validation examples of a config, 0 without any.

    A share refers to the training examples: `train_examples`, or the whole pool.
    """
    asked = data.validation_examples
    if not isinstance(asked, float):
        return asked or 0
    return max(1, round(asked * (pool if data.train_examples == "all" else data.train_examples)))


def choose(
    labels: NDArray[np.int64], train: Chosen, data: Data, seed: int
) -> tuple[Chosen, NDArray[np.int64] | None]:
    """Return sorted indices of the training and of the validation examples, which are disjoint.

    The latter are a stratified choice from the rest of the pool. If the config asks for all
    training examples, they are taken out of those.

    Args:
        labels: the labels of the whole training pool, (n,).
        train: the training examples without validation.
        data: the section of the config, with the counts.
        seed: determines the choice, together with the counts.

    Raises:
        DataError: the pool is too small.
    """
    asked = count(data, len(labels))
    if not asked:
        return train, None
    everything = np.arange(len(labels))
    takes_all = data.train_examples == "all"
    free = everything if takes_all else np.setdiff1d(everything, everything[train])
    most = len(free) - takes_all
    if asked > most:
        raise DataError(
            f"data.validation_examples: expected at most {most}, as many as the {len(labels)} "
            f"training examples of the data set leave, received {asked}; ask for fewer, or lower "
            "data.train_examples"
        )
    rng = seeding.generator(seed, "subset", "validation")
    chosen = free[stratified(labels[free], asked, rng)]
    return (np.setdiff1d(everything, chosen) if takes_all else train), chosen
