"""The gap ledger: what separates the training number that Keras reports from the test number.

Keras reports a training number that contains the penalty, was taken with the regularizers at work,
and is an average over an epoch in which the model moved. Only what is left is generalization.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from regbench.runs.limits import Count, Number

# The terms in the order in which they lead from the reported training number to the test number.
TERMS = {
    "penalty": "penalty: what L1, L2 and their like add to the loss",
    "noise": "regularizer noise: dropout on, batches normalized by their own statistics",
    "moving": "moving model: an average over the epoch, not the model at its end",
    "gap": "true gap: the same model, measured alike on training and test examples",
}


class Ledger(BaseModel):
    """One metric's way from the reported training number to the test number.

    `penalty + noise + moving + gap` is `reported - test`. In nats for the loss; a share for the
    accuracy, which has no penalty. `noise` is a mean over `passes` in training mode, known up to a
    standard error of `noise_error`; no pass is made where training mode is inference mode. Both
    are None in a folder of an earlier version, which made one pass.
    """

    model_config = ConfigDict(frozen=True, strict=True)
    reported: Number
    penalty: Number
    noise: Number
    moving: Number
    gap: Number
    test: Number
    noise_error: Number | None = None
    passes: Count | None = None

    @property
    def terms(self) -> dict[str, float]:
        """The terms by name, in the order of `TERMS`."""
        return {name: getattr(self, name) for name in TERMS}


@dataclass(frozen=True)
class TrainingMode:
    """Loss and accuracy on a training sample with the regularizers at work, means over passes.

    The errors are standard errors of the means.
    """

    loss: float
    accuracy: float
    loss_error: float = 0.0
    accuracy_error: float = 0.0
    passes: int = 0


def balance(
    *,
    reported: float,
    penalty: float,
    training_mode: float,
    train: float,
    test: float,
    noise_error: float | None = None,
    passes: int | None = None,
) -> Ledger:
    """Split `reported - test` into its terms.

    Args:
        reported: Keras' training number of the last epoch.
        penalty: what the penalties add to the loss with the final weights; 0 for the accuracy.
        training_mode: the final weights on a training sample, with the regularizers at work.
        train: the same weights on the same sample, in inference mode.
        test: the same weights on the test set, in inference mode.
        noise_error: the standard error of `training_mode`.
        passes: how many passes `training_mode` is a mean of.
    """
    return Ledger(
        reported=reported,
        penalty=penalty,
        noise=training_mode - train,
        # A remainder: it also holds what separates the sample from the whole training set.
        moving=reported - penalty - training_mode,
        gap=train - test,
        test=test,
        noise_error=noise_error,
        passes=passes,
    )


def of_row(row: dict[str, Any], training_mode: TrainingMode) -> dict[str, Ledger] | None:
    """Return the ledgers of loss and accuracy from a row of the history; None before training.

    Args:
        row: the last row, with the columns of `regbench.runs.files.HISTORY`.
        training_mode: the same weights with the regularizers at work.
    """
    measured = asdict(training_mode)
    if row["reported_loss"] is None or not all(map(math.isfinite, measured.values())):
        return None
    return {
        metric: balance(
            reported=row[f"reported_{metric}"],
            penalty=row["penalty"] if metric == "loss" else 0.0,
            training_mode=measured[metric],
            train=row[f"train_{metric}"],
            test=row[f"test_{metric}"],
            noise_error=measured[f"{metric}_error"],
            passes=training_mode.passes,
        )
        for metric in ("loss", "accuracy")
    }
