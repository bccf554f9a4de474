"""The generalization gap: how much worse the test set is than the training set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeVar

if TYPE_CHECKING:
    import pandas

Numbers = TypeVar("Numbers", float, "pandas.Series")


def gap(train: Numbers, test: Numbers, of: Literal["accuracy", "loss"] = "accuracy") -> Numbers:
    """Return train minus test accuracy, or test minus train loss: above zero, training is ahead.

    Args:
        train: the accuracy or loss on the training set, a number or a column of them.
        test: the same on the test set, measured alike.
        of: which of the two they are.
    """
    return train - test if of == "accuracy" else test - train
