"""Splits, the result of every loader: images and labels for training and testing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regbench.datasets.errors import DataError

# Gray, or red, green and blue.
CHANNELS = (1, 3)
ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")
VALIDATION_ARRAYS = ("validation_images", "validation_labels")


@dataclass(frozen=True)
class Splits:
    """A data set in memory, or mapped read-only from the cache.

    Images are uint8 (n, height, width, channels), with one channel for gray and three for red,
    green and blue; labels are int64 (n,), indices into `classes`. `pool`
    is the fingerprint of the whole data set that these examples come from, "" if not yet computed.
    A run has validation examples only if its config asks for some; a data set has none.
    """

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]
    classes: tuple[str, ...]
    pool: str = ""
    validation_images: NDArray[np.uint8] | None = None
    validation_labels: NDArray[np.int64] | None = None

    @property
    def validation(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]] | None:
        """Images and labels of the validation examples; None without any."""
        if self.validation_images is None or self.validation_labels is None:
            return None
        return self.validation_images, self.validation_labels

    def __post_init__(self) -> None:
        """Check the properties that models rely on.

        Raises:
            DataError: shapes do not match, a split is empty, or a label names no class.
        """
        self._check("train", self.train_images, self.train_labels)
        self._check("test", self.test_images, self.test_labels)
        if self.validation:
            self._check("validation", *self.validation)
        if self.train_images.shape[1:] != self.test_images.shape[1:]:
            raise DataError(
                f"test images: expected the size of the training images, "
                f"{self.train_images.shape[1:]}, received {self.test_images.shape[1:]}"
            )

    def _check(self, split: str, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in CHANNELS:
            raise DataError(
                f"{split} images: expected uint8 (n, height, width, 1 or 3), "
                f"received {images.dtype} {images.shape}"
            )
        if labels.dtype != np.int64 or labels.shape != images.shape[:1] or not len(labels):
            raise DataError(
                f"{split} labels: expected int64 ({len(images)},), at least one, "
                f"received {labels.dtype} {labels.shape}"
            )
        if labels.min() < 0 or labels.max() >= len(self.classes):
            raise DataError(
                f"{split} labels: expected 0 to {len(self.classes) - 1}, "
                f"received {labels.min()} to {labels.max()}"
            )
