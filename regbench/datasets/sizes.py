"""Sizes of the data sets whose size is always the same, known without a download."""

from __future__ import annotations

# (height, width, channels), classes, training examples, test examples.
SIZES = {
    "cifar10": ((32, 32, 3), 10, 50_000, 10_000),
    "cifar100": ((32, 32, 3), 100, 50_000, 10_000),
    "digits": ((8, 8, 1), 10, 1_297, 500),
    "fashion_mnist": ((28, 28, 1), 10, 60_000, 10_000),
    "mnist": ((28, 28, 1), 10, 60_000, 10_000),
    "shapes": ((32, 32, 3), 10, 10_000, 2_000),
}
