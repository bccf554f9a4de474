"""Your own models: built reproducibly, and checked for the requirements of a run."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from regbench import seeding
from regbench.errors import RegbenchError
from regbench.text import one_line, raised

if TYPE_CHECKING:
    import keras

# Float32 sums of probabilities differ from 1 by less than this.
TOLERANCE = 1e-3


@contextlib.contextmanager
def fresh(seed: int) -> Iterator[None]:
    """Name and seed layers in this block as in a process that has built nothing before.

    Keras numbers unnamed layers per process, but initial weights and results depend on a layer's
    name. Weights other than kernels get their seeds from Python's generator.
    """
    from keras.src.utils import naming  # it has no public name; clear_session clears far more

    python, array = random.getstate(), np.random.get_state()
    naming.reset_uids()
    drawn = seeding.derive(seed, "own model")
    random.seed(drawn)
    np.random.seed(drawn)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(array)


def checked(
    model: keras.Model, name: str, input_shape: tuple[int, ...], classes: int
) -> keras.Model:
    """Return the model, a subclassed one as the only layer of a functional one.

    Raises RegbenchError unless it is a Keras model from images to class probabilities that can be
    saved: otherwise a run would fail after hours of training.
    """
    import keras

    if not isinstance(model, keras.Model):
        raise _error(name, f"a keras.Model, received {type(model).__name__}")
    try:
        if not isinstance(model, keras.Sequential) and not hasattr(model, "input_shape"):
            inputs = keras.Input(input_shape, name="input")
            model = keras.Model(inputs, model(inputs))
        images = np.random.default_rng(0).random((2, *input_shape), np.float32)
        outputs = keras.ops.convert_to_numpy(model(images, training=False))
    except Exception as error:  # a user's layers can raise anything
        text = f"a model of images of {input_shape}, received {raised(error)}"
        raise _error(name, text) from error
    if outputs.dtype.itemsize < 4:  # of float32
        raise _error(
            name,
            f"class probabilities in float32, received {outputs.dtype}; "
            "give the output layer dtype='float32'",
        )
    if outputs.shape != (2, classes):
        raise _error(name, f"an output (n, {classes}), received (n, {outputs.shape[1:]})")
    if outputs.min() < 0 or not np.allclose(outputs.sum(axis=1), 1, atol=TOLERANCE):
        raise _error(name, "class probabilities, received rows that don't sum to 1; add a softmax")
    try:
        keras.saving.serialize_keras_object(model)
    except Exception as error:  # a user's get_config can raise anything
        raise _error(name, f"layers that can be saved, received {raised(error)}") from error
    return model


def _error(name: str, text: str) -> RegbenchError:
    return RegbenchError(f"model {name}: expected {one_line(text)}")
