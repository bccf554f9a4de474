"""Confidence of predictions: calibration, margins, confusion matrix and mistakes.

Source: Guo et al., "On Calibration of Modern Neural Networks", 2017 (expected calibration error,
15 bins); Bartlett et al., "Spectrally-normalized margin bounds", 2017 (margins).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regbench.probes.harness import Subject
from regbench.runs.probe_results import MOST_CONFUSED, Bin, Histogram, Mistake, Pixels, Predictions

CONFIDENCE_BINS = 15
MARGIN_BINS = 40
MISTAKES = 8

Probabilities = NDArray[np.float32]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Found:
    """Results of this probe, as in `regbench.runs.probe_results`."""

    numbers: Predictions
    reliability: list[Bin]
    margins: dict[str, Histogram]
    confusion: list[list[int]]
    mistakes: list[Mistake]
    mistake_images: Pixels | None


def measure(subject: Subject, classes: tuple[str, ...]) -> Found:
    """Compute all results from the predictions on training sample and test set."""
    images, labels = subject.test
    outputs = subject.outputs.test
    train_margins = margins(subject.outputs.train, subject.train[1])
    test_margins = margins(outputs, labels)
    bins = reliability(outputs, labels)
    wrong = most_confidently_wrong(outputs, labels)
    numbers = Predictions(
        calibration_error=calibration_error(bins),
        train_margin=float(np.median(train_margins)),
        test_margin=float(np.median(test_margins)),
    )
    return Found(
        numbers=numbers,
        reliability=bins,
        margins={"train": _histogram(train_margins), "test": _histogram(test_margins)},
        confusion=(
            confusion(outputs, labels, len(classes)).tolist()
            if len(classes) <= MOST_CONFUSED
            else []
        ),
        mistakes=[_mistake(outputs[index], labels[index]) for index in wrong],
        mistake_images=Pixels.of(np.asarray(images[wrong])) if len(wrong) else None,
    )


def reliability(outputs: Probabilities, labels: Labels) -> list[Bin]:
    """Return the bins of equal width in confidence (the largest probability) that aren't empty."""
    confidence, correct = _confidence(outputs), outputs.argmax(axis=1) == labels
    edges = np.linspace(0, 1, CONFIDENCE_BINS + 1)
    places = np.digitize(confidence, edges[1:-1], right=True)
    return [
        Bin(
            confidence=float(confidence[places == place].mean()),
            accuracy=float(correct[places == place].mean()),
            examples=int((places == place).sum()),
        )
        for place in np.unique(places)
    ]


def calibration_error(bins: list[Bin]) -> float:
    """Return the mean of |accuracy - confidence| over the examples in the bins."""
    total = sum(each.examples for each in bins)
    return sum(abs(each.accuracy - each.confidence) * each.examples for each in bins) / total


def margins(outputs: Probabilities, labels: Labels) -> NDArray[np.float64]:
    """Return (n,): the true class's probability less the largest other; below 0 where wrong."""
    others = outputs.astype(np.float64)
    rows = np.arange(len(labels))
    truth = others[rows, labels].copy()
    others[rows, labels] = -np.inf
    largest = others.max(axis=1)
    return truth - np.where(np.isfinite(largest), largest, 0)  # with one class there are no others


def confusion(outputs: Probabilities, labels: Labels, classes: int) -> NDArray[np.int64]:
    """Return counts (classes, classes): row i, column j for examples of class i taken for j."""
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (labels, outputs.argmax(axis=1)), 1)
    return counts


def most_confidently_wrong(outputs: Probabilities, labels: Labels) -> NDArray[np.int64]:
    """Return indices of at most `MISTAKES` wrong predictions, the surest first."""
    wrong = np.flatnonzero(outputs.argmax(axis=1) != labels)
    return wrong[np.argsort(-_confidence(outputs)[wrong], kind="stable")][:MISTAKES]


def _confidence(outputs: Probabilities) -> NDArray[np.float64]:
    # A softmax in float32 may exceed 1 by rounding.
    return np.minimum(outputs.max(axis=1).astype(np.float64), 1.0)


def _mistake(output: Probabilities, label: int) -> Mistake:
    confidence = float(_confidence(output[None])[0])
    return Mistake(truth=int(label), predicted=int(output.argmax()), confidence=confidence)


def _histogram(values: NDArray[np.float64]) -> Histogram:
    counts, _ = np.histogram(np.clip(values, -1, 1), MARGIN_BINS, (-1, 1))
    return Histogram(low=-1.0, high=1.0, counts=counts.tolist())
