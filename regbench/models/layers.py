"""The layers of any Keras model: nested, with branches, called several times or subclassed."""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    import keras

# The attribute names of kernels; nearly all layers have one `kernel`.
KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel", "recurrent_kernel")


class Call(Protocol):
    """The `call` of a layer, with the tensors and options that this layer takes."""

    def __call__(
        self, inputs: keras.KerasTensor, *arguments: object, **options: object
    ) -> object: ...


@dataclass(frozen=True)
class Pass:
    """One call of a layer as an image goes through the network; shapes are without the examples.

    `inputs` are the numbers of the calls that feed it, perhaps through operations that are not
    layers, with -1 for the image; empty if unknown, as in a subclassed model.
    """

    layer: keras.Layer
    name: str
    inputs: tuple[int, ...]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]


def leaves(model: keras.Model) -> list[keras.Layer]:
    """Return the leaf layers, including nested ones, each once.

    A layer with inner layers is among them if it has weights of its own.
    """
    found: dict[int, keras.Layer] = {}
    for layer in _children(model):
        inside = leaves(layer)
        if not inside or layer._trainable_variables or layer._non_trainable_variables:
            found.setdefault(id(layer), layer)
        found.update((id(each), each) for each in inside if id(each) not in found)
    return list(found.values())


def names(model: keras.Model) -> dict[int, str]:
    """Return a name for every leaf by its id: its path if several share the name."""
    layers = leaves(model)
    counts = Counter(layer.name for layer in layers)
    return {
        id(layer): layer.name if counts[layer.name] == 1 else f"{layer.path}" for layer in layers
    }


def kernels(layer: keras.Layer) -> Iterator[tuple[str, keras.Variable]]:
    """Yield the names and variables of a layer's kernels: its weights without the biases."""
    for name in KERNELS:
        variable = getattr(layer, name, None)
        if variable is not None and hasattr(variable, "assign"):
            yield name, variable


def operations(model: keras.Model) -> list[keras.Operation]:
    """Return the operations of functional models that are not layers, such as a slice or a sum."""
    import keras

    models = [each for each in [model, *_children(model)] if isinstance(each, keras.Model)]
    found = [each for one in models for each in getattr(one, "operations", [])]
    return [each for each in found if not isinstance(each, keras.layers.Layer)]


def passes(model: keras.Model) -> list[Pass]:
    """Return every call of a leaf while one image passes through the model in inference mode."""
    import keras

    labels = names(model)
    image = keras.ops.convert_to_tensor(np.zeros((1, *model.input_shape[1:]), np.float32))
    found: list[Pass] = []
    kept = [image]  # keep all tensors: a new one could get the id of a freed one
    origins: dict[int, tuple[int, ...]] = {id(image): (-1,)}

    def record(layer: keras.Layer, own: Call) -> Call:
        def call(*arguments: object, **options: object) -> object:
            outputs = own(*arguments, **options)
            given, made = _tensors((arguments, options)), _tensors(outputs)
            known = [origins.get(id(each), ()) for each in given]
            source = tuple(dict.fromkeys(itertools.chain(*known))) if all(known) else ()
            if id(layer) in labels:
                shapes = _shape(given), _shape(made)
                found.append(Pass(layer, labels[id(layer)], source, *shapes))
                source = (len(found) - 1,)
            kept.extend([*given, *made])
            origins.update((id(each), source) for each in made)
            return outputs

        return call

    with replaced_calls([*leaves(model), *operations(model)], record):
        model(image, training=False)
    return found


@contextlib.contextmanager
def replaced_calls(
    layers: list[keras.Layer], replacement: Callable[[keras.Layer, Call], Call]
) -> Iterator[None]:
    """Let every layer call `replacement(layer, its own call)`, until the end of the block."""
    before = [(layer, layer.__dict__.get("call")) for layer in layers]
    try:
        for layer in layers:
            layer.call = replacement(layer, layer.call)
        yield
    finally:
        for layer, call in before:
            if call is None:
                layer.__dict__.pop("call", None)
            else:
                layer.call = call


def _children(layer: keras.Layer) -> list[keras.Layer]:
    import keras

    # A model lists its layers in stacking order; other layers only have this method.
    inside = layer.layers if isinstance(layer, keras.Model) else getattr(layer, "_layers", [])
    return [each for each in inside if not isinstance(each, keras.layers.InputLayer)]


def _tensors(nested: object) -> list[keras.KerasTensor]:
    import keras

    return [each for each in keras.tree.flatten(nested) if hasattr(each, "shape")]


def _shape(tensors: list[keras.KerasTensor]) -> tuple[int, ...]:
    return tuple(map(int, tensors[0].shape[1:])) if tensors else ()
