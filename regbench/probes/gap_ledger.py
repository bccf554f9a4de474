"""Training mode against inference mode with the same weights, for the gap ledger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from regbench.probes.harness import Subject, probabilities, quality, reseed, shuffled, unchanged
from regbench.runs import gap_ledger
from regbench.runs.gap_ledger import Ledger
from regbench.runs.probe_results import Quality


def ledgers(subject: Subject, row: Mapping[str, Any]) -> dict[str, Ledger] | None:
    """Return the gap ledgers of loss and accuracy; None for a run without an epoch."""
    return gap_ledger.of_row(dict(row), training_mode(subject).model_dump())


def training_mode(subject: Subject) -> Quality:
    """Return the quality on the training sample with dropout on and batch statistics in use.

    In shuffled batches of the size that the model was trained with: batch normalization depends on
    what else is in the batch.
    """
    import keras

    experiment, model = subject.experiment, subject.model
    images, labels = shuffled(subject.train, experiment.seed, "training mode")
    with unchanged(model):
        reseed(model, experiment.seed, "training mode")
        everything = (keras.layers.Layer,)
        outputs = probabilities(model, images, everything, experiment.train.batch_size)
    return quality(outputs, labels)
