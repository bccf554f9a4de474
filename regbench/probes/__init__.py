"""What a trained model says of its regularizer; measured once, after the last epoch.

Probes change nothing: the weights, moving averages and dropout seeds are afterwards what they were.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from regbench.config import Experiment
from regbench.datasets import Splits
from regbench.probes import batch_norm, confidence, cost, dropout, gap_ledger, weights
from regbench.probes.harness import Examples, Subject
from regbench.runs.probe_results import Details, Findings, Numbers

__all__ = ["Examples", "Subject", "measure"]


def measure(
    model: Any, experiment: Experiment, splits: Splits, sample: Examples, row: Mapping[str, Any]
) -> Findings:
    """Probe a trained model, whose weights are finite.

    Args:
        sample: images and labels of the training set, those that `row` was measured on.
        row: the last row of the history, with the columns of `regbench.run_folder.HISTORY`.
    """
    test = splits.test_images, splits.test_labels
    subject = Subject(model, experiment, sample, test)
    found = confidence.measure(subject, splits.classes)
    numbers = Numbers(
        costs=cost.count(subject, len(splits.train_labels)),
        ledger=gap_ledger.ledgers(subject, row),
        weights=weights.kernels(model),
        dropout=dropout.measure(subject),
        batch_norm=batch_norm.measure(subject),
        predictions=found.numbers,
    )
    details = Details(
        classes=list(splits.classes),
        histograms=weights.histograms(model),
        reliability=found.reliability,
        margins=found.margins,
        confusion=found.confusion,
        mistakes=found.mistakes,
        mistake_images=found.mistake_images,
        filters=weights.filters(model),
    )
    return Findings(numbers=numbers, details=details, predicted=found.predicted)
