"""The gap ledger: the terms between Keras' reported training number and the test number.

Keras reports a training number that contains the penalty, was measured with the regularizers
active, on augmented images and softened or mixed targets where a technique changes batches, and is
an average over an epoch in which the model moved. Only what is left is generalization.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

from regbench.runs.files import Row, number
from regbench.runs.limits import Count, Number

# The terms in the order in which they lead from the reported training number to the test number.
TERMS = {
    "penalty": "penalty: what L1, L2 and their like add to the loss",
    "batch": "targets and augmentation: what changed images and softened or mixed labels add",
    "noise": "regularizer noise: dropout on, batches normalized by their own statistics",
    "moving": "moving model: an average over the epoch, not the model at its end",
    "gap": "true gap: the same model, measured alike on training and test examples",
}
# Keys that are written only if a technique changes batches.
OF_BATCHES = ("batch", "batch_error", "batches")


class Ledger(BaseModel):
    """One metric's way from the reported training number to the test number.

    `penalty + batch + noise + moving + gap` is `reported - test`. In nats for the loss; a share for
    the accuracy, which has no penalty. `noise` is a mean over `passes` in training mode, known up
    to a standard error of `noise_error`; no pass is made where training mode is inference mode.
    Both are None in a folder of an earlier version, which made one pass. `batch` is a mean over
    `batches`, known up to `batch_error`; all three are None where no technique changes batches.
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
    batch: Number | None = None
    batch_error: Number | None = None
    batches: Count | None = None

    @property
    def terms(self) -> dict[str, float]:
        """The terms that the run has by name, in the order of `TERMS`."""
        values = {name: getattr(self, name) for name in TERMS}
        return {name: value for name, value in values.items() if value is not None}

    @model_serializer(mode="wrap")
    def _known(self, dump: SerializerFunctionWrapHandler) -> dict[str, object]:
        values: dict[str, object] = dump(self)
        return {key: v for key, v in values.items() if v is not None or key not in OF_BATCHES}


@dataclass(frozen=True)
class TrainingMode:
    """Loss and accuracy on a training sample with active regularizers, means over passes.

    The errors are standard errors of the means.
    """

    loss: float
    accuracy: float
    loss_error: float = 0.0
    accuracy_error: float = 0.0
    passes: int = 0


@dataclass(frozen=True)
class OnBatches:
    """Training mode on changed batches, less inference mode on the same examples as they are.

    Of loss and accuracy, means over `batches`, each changed as in training. The errors are standard
    errors of the means.
    """

    loss: float
    accuracy: float
    loss_error: float
    accuracy_error: float
    batches: int


def balance(
    *,
    reported: float,
    penalty: float,
    training_mode: float,
    train: float,
    test: float,
    noise_error: float | None = None,
    passes: int | None = None,
    on_batches: float | None = None,
    on_batches_error: float = 0.0,
    batches: int | None = None,
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
        on_batches: training mode on changed batches, less inference mode on the same examples as
            they are; None where no technique changes batches.
        on_batches_error: the standard error of `on_batches`.
        batches: how many batches `on_batches` is a mean of.
    """
    noise, batch, batch_error = training_mode - train, None, None
    if on_batches is not None:
        # `on_batches` also contains the regularizers' noise and its error.
        batch = on_batches - noise
        batch_error = math.hypot(on_batches_error, noise_error or 0.0)
    return Ledger(
        reported=reported,
        penalty=penalty,
        noise=noise,
        # A remainder: it also holds what separates the sample from the whole training set.
        moving=reported - penalty - training_mode - (batch or 0.0),
        gap=train - test,
        test=test,
        noise_error=noise_error,
        passes=passes,
        batch=batch,
        batch_error=batch_error,
        batches=batches,
    )


def of_row(
    row: Row, training_mode: TrainingMode, on_batches: OnBatches | None = None
) -> dict[str, Ledger] | None:
    """Return the ledgers of loss and accuracy from a row of the history; None before training.

    Args:
        row: the last row, with the columns of `regbench.runs.files.HISTORY`.
        training_mode: the same weights with the regularizers at work.
        on_batches: the same on changed batches; None where no technique changes them.
    """
    measured = asdict(training_mode)
    changed = asdict(on_batches) if on_batches else {}
    finite = all(map(math.isfinite, [*measured.values(), *changed.values()]))
    if row["reported_loss"] is None or not finite:
        return None
    return {
        metric: balance(
            reported=number(row, f"reported_{metric}"),
            penalty=number(row, "penalty") if metric == "loss" else 0.0,
            training_mode=measured[metric],
            train=number(row, f"train_{metric}"),
            test=number(row, f"test_{metric}"),
            noise_error=measured[f"{metric}_error"],
            passes=training_mode.passes,
            on_batches=changed.get(metric),
            on_batches_error=changed.get(f"{metric}_error", 0.0),
            batches=changed.get("batches"),
        )
        for metric in ("loss", "accuracy")
    }
