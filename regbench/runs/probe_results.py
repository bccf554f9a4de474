"""Probe results of one trained model: written by a run, read by the report.

The numbers are in `summary.json` under `probes`; anything longer than a line (histograms, images,
the confusion matrix) is in `probes.json` beside it. Reading validates both, since a folder may come
from anywhere.
"""

from __future__ import annotations

import base64
import functools
import json
import math
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from regbench.datasets.splits import CHANNELS
from regbench.runs import storage, summary
from regbench.runs.files import DETAILS, SUMMARY
from regbench.runs.gap_ledger import Ledger
from regbench.runs.limits import Count, Name, Number, Share

MAX_PIXELS = 2**20
# A confusion matrix of more classes is left out: its size grows with their square.
MOST_CONFUSED = 200


class Finding(BaseModel):
    """Part of the probe results; no number is missing, infinite or of another type."""

    model_config = ConfigDict(frozen=True, strict=True)


class Costs(Finding):
    """The cost of the network, regardless of its weights, as `regbench.costs` counts it.

    Multiply-adds and bytes are those of one image. `pooling` is None without pooling.
    """

    steps_per_epoch: Count
    multiply_adds: Count
    activation_bytes: Count
    pooling_parameters: Count | None
    pooled_share: Share | None


class Quality(Finding):
    """Accuracy, and cross-entropy in nats, on a set of examples."""

    accuracy: Share
    loss: Number


class Kernel(Finding):
    """Norms of one layer's kernel. `sparsity` is the share of weights with |w| < 0.001."""

    layer: Name
    weights: Annotated[int, Field(ge=1, lt=2**53)]
    one_norm: Number
    two_norm: Number
    sparsity: Share


class Dropped(Finding):
    """A layer of dropout of any kind: the requested rate, and the observed share of dropped units.

    `factor_mean` and `factor_deviation` describe the factors of the units: inference, which
    multiplies by 1, relies on a mean of 1. None in a folder of an earlier version.
    """

    layer: Name
    rate: Share
    dropped: Share
    factor_mean: Number | None = None
    factor_deviation: Number | None = None


class Dropout(Finding):
    """Weight scaling (every unit on, as at inference) against the mean of T stochastic passes.

    On `examples` of the test set. `standard_error` is that of the largest ensemble's accuracy and
    loss over other masks; None in a folder of an earlier version.
    """

    layers: list[Dropped]
    examples: Count
    weight_scaling: Quality
    passes: list[Count]
    ensemble: list[Quality]
    standard_error: Quality | None = None

    @model_validator(mode="after")
    def _a_quality_for_each(self) -> Dropout:
        if len(self.ensemble) != len(self.passes):
            raise ValueError(f"ensemble: expected {len(self.passes)}, one for each of passes")
        return self


class NormalizedLayer(Finding):
    """A batch normalization's moving averages against the statistics of the training sample.

    `mean_shift` is the mean distance of the moving mean in true standard deviations;
    `variance_ratio` the geometric mean of moving variance / true variance. `gamma_moved` and
    `beta_moved` are the mean distances of gamma and beta from their initial values, 1 and 0.
    """

    layer: Name
    mean_shift: Number
    variance_ratio: Number
    gamma_moved: Number | None = None
    beta_moved: Number | None = None


class BatchNorm(Finding):
    """Quality on test examples: with moving averages, batch statistics, and recalibrated."""

    layers: list[NormalizedLayer]
    examples: Count
    moving: Quality
    batch: Quality
    recalibrated: Quality


class Predictions(Finding):
    """Expected calibration error on the test set; median margins of training sample and test."""

    calibration_error: Share
    train_margin: Number
    test_margin: Number


class Numbers(Finding):
    """The `probes` of `summary.json`; None for techniques that are not used."""

    costs: Costs | None = None
    ledger: dict[str, Ledger] | None
    weights: Annotated[list[Kernel], Field(min_length=1)]
    dropout: Dropout | None
    batch_norm: BatchNorm | None
    predictions: Predictions


class Histogram(Finding):
    """Counts in equal bins from `low` to `high`."""

    low: Number
    high: Number
    counts: list[Count]


class Bin(Finding):
    """Predictions of similar confidence: their mean confidence, and how many are right."""

    confidence: Share
    accuracy: Share
    examples: Count


class Pixels(Finding):
    """Images (n, height, width, 1 or 3) as the base64 text of their bytes."""

    shape: tuple[int, int, int, int] = Field(strict=False)
    uint8: str

    @classmethod
    def of(cls, images: NDArray[np.uint8]) -> Pixels:
        """Encode `images`; `array` decodes them."""
        n, height, width, channels = images.shape
        text = base64.b64encode(images.tobytes()).decode("ascii")
        return cls(shape=(n, height, width, channels), uint8=text)

    def array(self) -> NDArray[np.uint8]:
        """Return the images, uint8 (n, height, width, 1 or 3)."""
        return np.frombuffer(base64.b64decode(self.uint8), np.uint8).reshape(self.shape)

    @model_validator(mode="after")
    def _shape_fits(self) -> Pixels:
        size = math.prod(self.shape)
        if min(self.shape) < 1 or self.shape[3] not in CHANNELS or size > MAX_PIXELS:
            raise ValueError(f"expected images (n, height, width, 1 or 3), received {self.shape}")
        if len(base64.b64decode(self.uint8, validate=True)) != size:
            raise ValueError(f"expected {size} bytes of pixels")
        return self


class Mistake(Finding):
    """A misclassified test image: two indices into the classes."""

    truth: Count
    predicted: Count
    confidence: Share


class Details(Finding):
    """The content of `probes.json`. `confusion[i][j]` counts examples of class i taken for j.

    It is empty if there are more than `MOST_CONFUSED` classes.
    """

    classes: list[Name]
    histograms: dict[Name, Histogram]
    reliability: list[Bin]
    margins: dict[str, Histogram]
    confusion: list[list[Count]]
    mistakes: list[Mistake]
    mistake_images: Pixels | None
    filters: Pixels | None

    @model_validator(mode="after")
    def _classes_fit(self) -> Details:
        count = len(self.classes)
        left_out = not self.confusion and count > MOST_CONFUSED
        if not left_out and [len(row) for row in self.confusion] != [count] * count:
            raise ValueError(f"confusion: expected {count} rows and columns")
        if any(max(each.truth, each.predicted) >= count for each in self.mistakes):
            raise ValueError(f"mistakes: expected classes below {count}")
        images = self.mistake_images.shape[0] if self.mistake_images else 0
        if images != len(self.mistakes):
            raise ValueError(f"mistake_images: expected {len(self.mistakes)}, received {images}")
        return self


class Findings(Finding):
    """All probe results of one model.

    The class of each test example is stored by itself (`regbench.runs.predictions`).
    """

    numbers: Numbers
    details: Details

    def for_summary(self) -> dict[str, object]:
        """Return the `probes` of `summary.json`."""
        return self.numbers.model_dump(mode="json")

    def save_details(self, path: Path) -> None:
        """Write `probes.json`: a line for each key, since nobody reads a matrix down a column."""
        values = self.details.model_dump(mode="json")
        lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in values.items()]
        path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def read(folder: Path) -> Findings | None:
    """Return a run's probe results; None for a run without probes.

    Raises:
        ValueError: the files are damaged.
    """
    try:
        return _read(folder, storage.changed(folder / SUMMARY))
    except FileNotFoundError:
        return None


def numbers(folder: Path) -> Numbers | None:
    """Return the numbers alone, which need no `probes.json`; None for a run without probes.

    Raises:
        ValueError: they are damaged.
    """
    try:
        found = summary.probes(folder)
        return None if found is None else Numbers.model_validate_json(json.dumps(found))
    except ValidationError as error:
        raise _damaged(error) from error
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"the probes are damaged: {error}") from error


def _damaged(error: ValidationError) -> ValueError:
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    return ValueError(f"the probes are damaged: {where}: {first['msg']}")


@functools.lru_cache(maxsize=1024)
def _read(folder: Path, written: int) -> Findings | None:
    # A report needs the same run in every figure; `written` changes when it is run again.
    try:
        found = summary.probes(folder)
        if found is None:
            return None
        details = json.loads(storage.text(folder, DETAILS))
        # From JSON, so that a whole number may stand for a float, and a list for a tuple.
        text = json.dumps({"numbers": found, "details": details})
        return Findings.model_validate_json(text)
    except FileNotFoundError:  # an OSError would mean a damaged run
        return None
    except ValidationError as error:
        raise _damaged(error) from error
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"the probes are damaged: {error}") from error
