"""Kernels: their norms, how many weights are near zero, their distribution, the first filters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from regbench.datasets.splits import CHANNELS
from regbench.models.layers import kernels as kernels_of
from regbench.models.layers import leaves, names
from regbench.probes.harness import numpy
from regbench.runs.probe_results import Histogram, Kernel, Pixels

if TYPE_CHECKING:
    import keras

# Adam never reaches zero exactly, so "zero" means too small to matter.
NEAR_ZERO = 1e-3
BINS = 41  # odd: the middle bin is around zero
MOST_FILTERS = 64


@dataclass(frozen=True)
class Found:
    """Results of this probe, as in `regbench.runs.probe_results`."""

    norms: list[Kernel]
    histograms: dict[str, Histogram]
    filters: Pixels | None


def measure(model: keras.Model) -> Found:
    """Compute all results for the kernels. Raises ValueError for a model without a kernel."""
    if not any(_kernels(model)):
        raise ValueError("expected a layer with a kernel, received none")
    return Found(kernels(model), histograms(model), filters(model))


def kernels(model: keras.Model) -> list[Kernel]:
    """Return norms and sparsity of every layer that has a kernel."""
    return [
        Kernel(
            layer=name,
            weights=kernel.size,
            one_norm=float(np.abs(kernel).sum()),
            two_norm=float(np.sqrt(np.square(kernel).sum())),
            sparsity=float((np.abs(kernel) < NEAR_ZERO).mean()),
        )
        for name, kernel in _kernels(model)
    ]


def histograms(model: keras.Model) -> dict[str, Histogram]:
    """Return the histogram of every kernel's weights, in bins that are symmetric about zero."""
    return {name: _histogram(kernel) for name, kernel in _kernels(model)}


def filters(model: keras.Model) -> Pixels | None:
    """Return the first layer's filters as images (filters, height, width, channels), gray at zero.

    None if the first layer with a kernel is not a convolution of gray or RGB images.
    """
    kernel = next((kernel for _, kernel in _kernels(model)), None)
    if kernel is None or kernel.ndim != 4 or kernel.shape[2] not in CHANNELS:
        return None
    images = np.moveaxis(kernel, -1, 0)[:MOST_FILTERS]
    largest = np.abs(images).max(axis=(1, 2, 3), keepdims=True)
    scaled = images / np.where(largest > 0, largest, 1)
    return Pixels.of(np.rint(127.5 + 127.5 * scaled).astype(np.uint8))


def _kernels(model: keras.Model) -> Iterator[tuple[str, NDArray[np.float64]]]:
    labels = names(model)
    for layer in leaves(model):
        for name, kernel in kernels_of(layer):
            label = labels[id(layer)] if name == "kernel" else f"{labels[id(layer)]}/{name}"
            yield label, numpy(kernel).astype(np.float64)


def _histogram(kernel: NDArray[np.float64]) -> Histogram:
    limit = float(np.abs(kernel).max()) or 1.0
    counts, _ = np.histogram(kernel, BINS, (-limit, limit))
    return Histogram(low=-limit, high=limit, counts=counts.tolist())
