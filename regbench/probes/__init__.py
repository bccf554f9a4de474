"""Probes: measurements of a trained model's regularizer, taken once after the last epoch.

Probes change nothing: weights, moving averages and dropout seeds are restored afterwards. A failing
probe only loses its own numbers, never the run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from regbench.config import Experiment
from regbench.datasets import Splits
from regbench.models.evaluate import Outputs
from regbench.probes import batch_norm, confidence, cost, dropout, gap_ledger, weights
from regbench.probes.harness import Examples, Subject
from regbench.runs.files import Row, number
from regbench.runs.probe_results import Details, Findings, Numbers
from regbench.text import one_line

if TYPE_CHECKING:
    import keras

__all__ = ["Examples", "Subject", "measure"]

# The most characters kept of an error message.
MOST_CHARACTERS = 200

Found = TypeVar("Found")


def measure(
    model: keras.Model,
    experiment: Experiment,
    splits: Splits,
    sample: Examples,
    row: Row,
    outputs: Outputs | None = None,
) -> tuple[Findings | None, dict[str, str]]:
    """Probe a trained model, whose weights are finite.

    Returns the results, and the errors of failed probes by name. There are no results if a probe
    fails that applies to every model.

    Args:
        sample: the images and labels of the training set that `row` was measured on.
        row: the last row of the history, with the columns of `regbench.runs.files.HISTORY`.
        outputs: the model outputs behind `row`; without them, they are computed again.
    """
    failed: dict[str, str] = {}

    def attempt(name: str, probe: Callable[[], Found]) -> Found | None:
        try:
            return probe()
        except Exception as error:  # any error: the trained model is worth more
            message = one_line(f"{type(error).__name__}: {error}")
            failed[name] = message[:MOST_CHARACTERS]
            return None

    test = splits.test_images, splits.test_labels
    seen = int(number(row, "epoch")) * len(splits.train_labels)
    subject = Subject(model, experiment, sample, test, outputs, seen)
    costs = attempt("costs", lambda: cost.count(subject, len(splits.train_labels)))
    ledger = attempt("ledger", lambda: gap_ledger.ledgers(subject, row))
    ensemble = attempt("dropout", lambda: dropout.measure(subject))
    normalized = attempt("batch_norm", lambda: batch_norm.measure(subject))
    predicted = attempt("predictions", lambda: confidence.measure(subject, splits.classes))
    kernels = attempt("weights", lambda: weights.measure(model))
    if not predicted or not kernels:
        return None, failed
    found = attempt(
        "findings",
        lambda: Findings(
            numbers=Numbers(
                costs=costs,
                ledger=ledger,
                weights=kernels.norms,
                dropout=ensemble,
                batch_norm=normalized,
                predictions=predicted.numbers,
            ),
            details=_details(splits.classes, predicted, kernels),
        ),
    )
    return found, failed


def _details(
    classes: tuple[str, ...], predicted: confidence.Found, kernels: weights.Found
) -> Details:
    return Details(
        classes=list(classes),
        histograms=kernels.histograms,
        reliability=predicted.reliability,
        margins=predicted.margins,
        confusion=predicted.confusion,
        mistakes=predicted.mistakes,
        mistake_images=predicted.mistake_images,
        filters=kernels.filters,
    )
