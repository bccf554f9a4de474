"""Model cards: the probe results of one variant's model as numbers, images and drawings."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regbench.runs.probe_results import BatchNorm, Dropout, Findings, Histogram, Kernel, Predictions

FILTERS_IN_A_ROW = 16
MOST_CLASSES = 30  # of a confusion matrix that is shown
HISTOGRAM_WIDTH, HISTOGRAM_HEIGHT = 123, 24  # in a unit of three for each bin


@dataclass(frozen=True)
class Layer:
    """A kernel's norms and its histogram as the path of an SVG."""

    kernel: Kernel
    limit: float
    path: str


@dataclass(frozen=True)
class Cell:
    """A cell of the confusion matrix: a count, and its share of the row."""

    count: int
    share: float


@dataclass(frozen=True)
class Mistake:
    """A misclassified test image; `image` is a data URL."""

    image: str
    truth: str
    predicted: str
    confidence: float


@dataclass(frozen=True)
class Model:
    """The content of a variant's model card, from the run with the first seed."""

    variant: str
    seeds: int
    predictions: Predictions
    dropout: Dropout | None
    batch_norm: BatchNorm | None
    layers: list[Layer]
    filters: str | None
    classes: list[str]
    confusion: list[list[Cell]]
    mistakes: list[Mistake]


def describe(variant: str, found: list[Findings]) -> Model:
    """Return the model card of the first seed's model."""
    numbers, details = found[0].numbers, found[0].details
    return Model(
        variant=variant,
        seeds=len(found),
        predictions=numbers.predictions,
        dropout=numbers.dropout,
        batch_norm=numbers.batch_norm,
        layers=[
            _layer(kernel, details.histograms[kernel.layer])
            for kernel in numbers.weights
            if kernel.layer in details.histograms
        ],
        filters=_png(_tiled(details.filters.array())) if details.filters else None,
        classes=details.classes,
        confusion=[_cells(row) for row in details.confusion],
        mistakes=_mistakes(found[0]),
    )


def _layer(kernel: Kernel, histogram: Histogram) -> Layer:
    highest = max([*histogram.counts, 1])
    width = HISTOGRAM_WIDTH / max(1, len(histogram.counts))
    steps = []
    for index, count in enumerate(histogram.counts):
        top = HISTOGRAM_HEIGHT * (1 - count / highest)
        steps.append(f"L{index * width:.4g} {top:.3g}L{(index + 1) * width:.4g} {top:.3g}")
    path = f"M0 {HISTOGRAM_HEIGHT}{''.join(steps)}L{HISTOGRAM_WIDTH} {HISTOGRAM_HEIGHT}Z"
    return Layer(kernel, histogram.high, path)


def _cells(row: list[int]) -> list[Cell]:
    total = max(1, sum(row))
    return [Cell(count, round(count / total, 3)) for count in row]


def _mistakes(found: Findings) -> list[Mistake]:
    details = found.details
    if details.mistake_images is None:
        return []
    images = details.mistake_images.array()
    return [
        Mistake(
            image=_jpeg(image),
            truth=details.classes[mistake.truth],
            predicted=details.classes[mistake.predicted],
            confidence=mistake.confidence,
        )
        for image, mistake in zip(images, details.mistakes, strict=True)
    ]


def _tiled(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return images (n, height, width, channels) as one, a line of gray pixels between them."""
    count, height, width, channels = images.shape
    columns = min(count, FILTERS_IN_A_ROW)
    rows = -(-count // columns)
    size = rows * (height + 1) - 1, columns * (width + 1) - 1, channels
    tiled = np.full(size, 128, np.uint8)
    for index, image in enumerate(images):
        top, left = index // columns * (height + 1), index % columns * (width + 1)
        tiled[top : top + height, left : left + width] = image
    return tiled


def _png(image: NDArray[np.uint8]) -> str:
    return _data_url(image, "PNG", optimize=True)


def _jpeg(image: NDArray[np.uint8]) -> str:
    # A fifth of the size of a PNG; the original pixels are in the run's folder.
    return _data_url(image, "JPEG", quality=88, subsampling=0)


def _data_url(image: NDArray[np.uint8], form: str, **options: object) -> str:
    from PIL import Image

    data = io.BytesIO()
    pixels = image[..., 0] if image.shape[-1] == 1 else image  # gray, as Pillow expects it
    Image.fromarray(pixels).save(data, form, **options)
    return f"data:image/{form.lower()};base64,{base64.b64encode(data.getvalue()).decode()}"
