"""The cost of a network, layer by layer, without running it: parameters, multiply-adds, memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

FLOAT = 4  # bytes
WINDOWS = ("MaxPooling2D", "AveragePooling2D", "StochasticPooling2D", "MixedPooling2D")
GLOBAL = ("GlobalMaxPooling2D", "GlobalAveragePooling2D")


@dataclass(frozen=True)
class Layer:
    """One layer's costs for one image.

    `multiply_adds` are those of convolutions and dense layers, where nearly all the time goes.
    `activation_bytes` is what its output takes as float32, which training keeps for the gradients.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    activation_bytes: int
    kernel_shape: tuple[int, ...] = ()
    bias: bool = False


@dataclass(frozen=True)
class Totals:
    """Sums over a network's layers."""

    parameters: int
    multiply_adds: int
    activation_bytes: int

    def __sub__(self, other: Totals) -> Totals:
        return Totals(
            self.parameters - other.parameters,
            self.multiply_adds - other.multiply_adds,
            self.activation_bytes - other.activation_bytes,
        )


def layers(model: Any) -> list[Layer]:
    """Return the costs of every layer of a built `keras.Sequential`, in their order."""
    return [of_layer(layer) for layer in model.layers]


def totals(layers: Sequence[Layer]) -> Totals:
    """Return the sums over `layers`."""
    return Totals(
        sum(layer.parameters for layer in layers),
        sum(layer.multiply_adds for layer in layers),
        sum(layer.activation_bytes for layer in layers),
    )


def pooled_share(layers: Sequence[Layer], input_shape: tuple[int, ...]) -> float | None:
    """Return the share of values that is left after pooling windows: 0.25 for 2x2, stride 2.

    None for a network without windows.
    """
    shapes = [tuple(input_shape), *(layer.output_shape for layer in layers)]
    sizes = [
        (math.prod(before), math.prod(layer.output_shape))
        for before, layer in zip(shapes, layers, strict=False)
        if layer.kind in WINDOWS
    ]
    return sum(out for _, out in sizes) / sum(into for into, _ in sizes) if sizes else None


def pooling_parameters(layers: Sequence[Layer]) -> int | None:
    """Return the number of trainable parameters in pooling layers; None without pooling."""
    pooling = [layer.parameters for layer in layers if layer.kind in (*WINDOWS, *GLOBAL)]
    return sum(pooling) if pooling else None


def without_pooling(layers: Sequence[Layer], input_shape: tuple[int, ...]) -> Totals:
    """Return the totals of the same network if its feature maps kept the size of the images.

    Pooling windows are left out and strided convolutions get stride 1; global pooling stays. The
    network is not built: its first dense layer could have a hundred million weights.
    """
    shape, rewritten = tuple(input_shape), []
    for layer in layers:
        if layer.kind in WINDOWS:
            continue
        parameters, multiply_adds = layer.parameters, layer.multiply_adds
        if layer.kind == "Conv2D":
            shape = (*shape[:2], layer.output_shape[-1])
            multiply_adds = math.prod(layer.kernel_shape) * math.prod(shape[:2])
        elif layer.kind == "Dense":
            (inputs,), units = shape, layer.output_shape[-1]
            multiply_adds = inputs * units
            parameters = multiply_adds + units * layer.bias
            shape = (units,)
        elif layer.kind == "Flatten":
            shape = (math.prod(shape),)
        elif layer.kind in GLOBAL:
            shape = (shape[-1],)
        size = _bytes(layer.kind, shape)
        rewritten.append(Layer(layer.name, layer.kind, shape, parameters, multiply_adds, size))
    return totals(rewritten)


def of_layer(layer: Any) -> Layer:
    """Return the costs of one layer of a built model."""
    kind, shape = type(layer).__name__, tuple(layer.output.shape[1:])
    kernel = tuple(layer.kernel.shape) if hasattr(layer, "kernel") else ()
    places = math.prod(shape[:-1])  # 1 for a dense layer
    return Layer(
        name=layer.name,
        kind=kind,
        output_shape=shape,
        parameters=int(layer.count_params()),
        multiply_adds=math.prod(kernel) * places if kernel else 0,
        activation_bytes=_bytes(kind, shape),
        kernel_shape=kernel,
        bias=getattr(layer, "bias", None) is not None,
    )


def _bytes(kind: str, shape: tuple[int, ...]) -> int:
    # Flattening copies nothing: it only changes the shape.
    return 0 if kind == "Flatten" else FLOAT * math.prod(shape)
