"""The cost of a network, layer by layer, without running it: parameters, multiply-adds, memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from regbench.models.layers import Pass, kernels, leaves, names, passes

if TYPE_CHECKING:
    import keras

FLOAT = 4  # bytes
WINDOWS = ("MaxPooling2D", "AveragePooling2D", "StochasticPooling2D", "MixedPooling2D")
GLOBAL = ("GlobalMaxPooling2D", "GlobalAveragePooling2D")


@dataclass(frozen=True)
class Layer:
    """One layer's costs for one image.

    `multiply_adds` are those of convolutions and dense layers, which take nearly all the time.
    `activation_bytes` is the size of its output as float32, which training keeps for the gradients.
    `inputs` are the numbers of the layers that feed it, with -1 for the image; empty if unknown. A
    layer that is called several times has a line for each.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    activation_bytes: int
    kernel_shape: tuple[int, ...] = ()
    bias: bool = False
    input_shape: tuple[int, ...] = ()
    inputs: tuple[int, ...] = ()


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


def layers(model: keras.Model) -> list[Layer]:
    """Return the costs of every layer of a built model, in the order of computation.

    A layer that is called again counts only its computation; one that inference skips comes last,
    with its parameters.
    """
    counted: set[int] = set()
    found = []
    for each in passes(model):
        found.append(_of_pass(each, again=id(each.layer) in counted))
        counted.add(id(each.layer))
    labels = names(model)
    idle = [each for each in leaves(model) if id(each) not in counted]
    return found + [
        Layer(labels[id(each)], type(each).__name__, (), _parameters(each), 0, 0) for each in idle
    ]


def totals(layers: Sequence[Layer]) -> Totals:
    """Return the sums over `layers`."""
    return Totals(
        sum(layer.parameters for layer in layers),
        sum(layer.multiply_adds for layer in layers),
        sum(layer.activation_bytes for layer in layers),
    )


def pooled_share(layers: Sequence[Layer]) -> float | None:
    """Return the share of values that remain after pooling windows: 0.25 for 2x2, stride 2.

    None for a network without windows.
    """
    windows = [layer for layer in layers if layer.kind in WINDOWS]
    out = sum(math.prod(layer.output_shape) for layer in windows)
    into = sum(math.prod(layer.input_shape) for layer in windows)
    return out / into if windows else None


def pooling_parameters(layers: Sequence[Layer]) -> int | None:
    """Return the number of trainable parameters in pooling layers; None without pooling."""
    pooling = [layer.parameters for layer in layers if layer.kind in (*WINDOWS, *GLOBAL)]
    return sum(pooling) if pooling else None


def without_pooling(layers: Sequence[Layer], input_shape: tuple[int, ...]) -> Totals | None:
    """Return the totals of the same network if its feature maps kept the size of the images.

    Pooling windows are left out and strided convolutions get stride 1; global pooling stays. The
    network is not built: its first dense layer could have a hundred million weights.
    None if the order of layers, or the effect of one, is unknown.
    """
    shapes: list[tuple[int, ...]] = []  # the outputs of the layers in that network
    rewritten = []
    for layer in layers:
        if not layer.inputs or (layer.kernel_shape and layer.kind not in ("Conv2D", "Dense")):
            return None
        given = [tuple(input_shape) if each < 0 else shapes[each] for each in layer.inputs]
        shapes.append(_unpooled_shape(layer, given[0]))
        if layer.kind not in WINDOWS:
            rewritten.append(_unpooled(layer, given[0], shapes[-1]))
    return totals(rewritten)


def _unpooled_shape(layer: Layer, given: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a layer's output for an input of the shape `given`."""
    if layer.kind == "Flatten":
        return (math.prod(given),)
    if layer.kind in GLOBAL:
        return given[-1:]
    if layer.kind == "Dense" or len(layer.output_shape) == 3:  # maps keep their size
        return (*given[:-1], layer.output_shape[-1])
    return given if layer.input_shape == layer.output_shape else layer.output_shape


def _unpooled(layer: Layer, given: tuple[int, ...], shape: tuple[int, ...]) -> Layer:
    parameters, multiply_adds = layer.parameters, layer.multiply_adds
    if layer.kind == "Conv2D":
        multiply_adds = math.prod(layer.kernel_shape) * math.prod(shape[:-1])
    elif layer.kind == "Dense":
        weights = given[-1] * shape[-1]
        multiply_adds = weights * math.prod(shape[:-1])
        parameters = weights + shape[-1] * layer.bias if layer.parameters else 0
    return Layer(layer.name, layer.kind, shape, parameters, multiply_adds, _bytes(layer, shape))


def _of_pass(one: Pass, again: bool) -> Layer:
    layer, kind, shape = one.layer, type(one.layer).__name__, one.output_shape
    kernel = tuple(layer.kernel.shape) if hasattr(layer, "kernel") else ()
    found = Layer(
        name=one.name,
        kind=kind,
        output_shape=shape,
        parameters=0 if again else _parameters(layer),
        multiply_adds=_multiply_adds(one),
        activation_bytes=0,
        kernel_shape=kernel,
        bias=getattr(layer, "bias", None) is not None,
        input_shape=one.input_shape,
        inputs=one.inputs,
    )
    return replace(found, activation_bytes=_bytes(found, shape))


def _multiply_adds(one: Pass) -> int:
    """Return the multiply-adds of a convolution or dense layer: each weight once per place."""
    import keras

    if isinstance(one.layer, keras.layers.EinsumDense):
        # Each index of the sum is one of two of the three: input, kernel and output.
        shapes = one.input_shape, one.layer.kernel.shape, one.output_shape
        return math.isqrt(math.prod(map(math.prod, shapes)))
    weights = sum(math.prod(kernel.shape) for _, kernel in kernels(one.layer))
    return weights * math.prod(one.output_shape[:-1])  # one place for a dense layer


def _parameters(layer: keras.Layer) -> int:
    """Return the number of a layer's own weights, without those of layers inside."""
    own = [*layer._trainable_variables, *layer._non_trainable_variables]
    return sum(math.prod(variable.shape) for variable in own)


def _bytes(layer: Layer, shape: tuple[int, ...]) -> int:
    # Flattening copies nothing: it only changes the shape.
    return 0 if layer.kind == "Flatten" else FLOAT * math.prod(shape)
