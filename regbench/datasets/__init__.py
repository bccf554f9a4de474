"""Data sets: images and labels by name, the same for all variants of a seed.

No Keras here. A data set is one module and one line in `DATASETS`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from regbench import plugins, seeding
from regbench.datasets import (
    arrays,
    digits,
    fingerprint,
    image_folder,
    shapes,
    validation_examples,
)
from regbench.datasets.cifar10 import CIFAR10
from regbench.datasets.cifar100 import CIFAR100
from regbench.datasets.errors import DataError
from regbench.datasets.fashion_mnist import FASHION_MNIST
from regbench.datasets.mnist import MNIST
from regbench.datasets.own import OwnDataset
from regbench.datasets.sampling import stratified, with_noise
from regbench.datasets.splits import Splits
from regbench.datasets.validation_examples import Chosen

if TYPE_CHECKING:
    from regbench.config import Data

__all__ = ["DATASETS", "DataError", "Splits", "load", "stratified"]

# Called with bytes done and total bytes while a data set is downloaded.
Progress = Callable[[int, int], None]


class Dataset(Protocol):
    """The interface of each data set: a module, or an object of one."""

    def load(self, path: Path | None, sha256: str | None, progress: Progress | None) -> Splits:
        """Return the whole data set, mapped from the cache where that is possible."""


DATASETS: dict[str, Dataset] = {
    "arrays": arrays,
    "cifar10": CIFAR10,
    "cifar100": CIFAR100,
    "digits": digits,
    "fashion_mnist": FASHION_MNIST,
    "image_folder": image_folder,
    "mnist": MNIST,
    "shapes": shapes,
}


def register(name: str, function: Callable[[Path | None], Splits]) -> None:
    """Add a plugin's data set."""
    if not callable(function):
        raise TypeError(f"expected a function of a path, received {function!r:.80}")
    DATASETS[name] = OwnDataset(name, function)


def load(data: Data, seed: int, progress: Progress | None = None) -> Splits:
    """Return the examples of a run, for training, testing and validation; labels are corrupted.

    The same data, seed and counts give the same examples in every process. With "all" the arrays
    are the cache's own, mapped read-only and in their original order. Validation examples come from
    the rest of the training pool, so the training subset is the same without them; only if that is
    the whole pool are they taken out of it. They have the same share of wrong labels as training
    examples: with noisy labels, there are no clean ones to choose with.

    Raises:
        DataError: the data set is missing, damaged, or smaller than asked for.
    """
    whole = open_dataset(data, progress)
    train = _chosen(whole.train_labels, "train", data.train_examples, seed)
    test = _chosen(whole.test_labels, "test", data.test_examples, seed)
    train, validation = validation_examples.choose(whole.train_labels, train, data, seed)

    def labels(chosen: Chosen, *purpose: str) -> NDArray[np.int64]:
        rng = seeding.generator(seed, "label_noise", *purpose)
        found, noise = whole.train_labels[chosen], data.label_noise
        return with_noise(found, noise, len(whole.classes), rng) if noise else found

    def images(pool: NDArray[np.uint8], chosen: Chosen) -> NDArray[np.uint8]:
        side = data.center_crop
        return (pool if side is None else centered(pool, side))[chosen]

    return Splits(
        train_images=images(whole.train_images, train),
        train_labels=labels(train),
        test_images=images(whole.test_images, test),
        test_labels=whole.test_labels[test],
        classes=whole.classes,
        pool=whole.pool,
        validation_images=None if validation is None else images(whole.train_images, validation),
        validation_labels=None if validation is None else labels(validation, "validation"),
    )


def open_dataset(data: Data, progress: Progress | None = None) -> Splits:
    """Return the whole data set of a config with its fingerprint, fetched and decoded if needed.

    Raises:
        DataError: the data set is missing or damaged.
    """
    if data.name not in DATASETS:
        raise DataError(f"data.name: {plugins.unknown(data.name, DATASETS)}")
    path = Path(data.path).expanduser() if data.path else None
    if path and not path.exists():
        raise DataError(f"data.path: {path} does not exist")
    whole = DATASETS[data.name].load(path, data.sha256, progress)
    return whole if whole.pool else dataclasses.replace(whole, pool=fingerprint.of(whole))


def centered(images: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Return the square of this side in the middle of each image; of an odd rest, less above.

    Raises:
        DataError: the images (n, height, width, channels) are smaller.
    """
    _, height, width, _ = images.shape
    if side > min(height, width):
        raise DataError(
            f"data.center_crop: expected at most {min(height, width)}, as images have "
            f"{height}x{width} pixels, received {side}"
        )
    top, left = (height - side) // 2, (width - side) // 2
    return images[:, top : top + side, left : left + side]


def _chosen(
    labels: NDArray[np.int64], split: str, count: int | Literal["all"], seed: int
) -> Chosen:
    """Return sorted indices of a stratified subset; for all, a slice, which copies nothing."""
    if count == "all" or count == len(labels):
        return slice(None)
    if count > len(labels):
        raise DataError(
            f"data.{split}_examples: expected at most {len(labels)}, as many as there are, "
            f"or all; received {count}"
        )
    return stratified(labels, count, seeding.generator(seed, "subset", split))
