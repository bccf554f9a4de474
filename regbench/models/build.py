"""Builds the compiled Keras model of an experiment, with weights drawn from the seed."""

from __future__ import annotations

import contextlib
import warnings
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from regbench import plugins
from regbench.builders import Builder
from regbench.builders.own import OwnModel
from regbench.config import Experiment
from regbench.errors import RegbenchError
from regbench.models import memory, optimizer, precision
from regbench.models.own import checked, fresh
from regbench.models.weights import constrain, draw, penalize, seed_noise
from regbench.text import one_line

if TYPE_CHECKING:
    import keras


def to_inputs(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the pixels as the network's input: float32 in [0, 1], the same shape."""
    return np.multiply(images, np.float32(1 / 255), dtype=np.float32)


def build(experiment: Experiment, input_shape: tuple[int, ...], classes: int) -> keras.Model:
    """Return the uncompiled `keras.Model` for images of (height, width, channels).

    Its initial weights depend only on the seed and on each layer's name and shape, so variants with
    the same seed start with equal weights in every layer that they share.
    Raises RegbenchError if the network can't be built for such images, a technique has no place in
    it, or your own network does not meet the requirements of a run.
    """
    builder, techniques = experiment.model, experiment.regularizers
    kit = builder.kit(techniques)
    kit.standardized = experiment.data.per_image_standardization
    own = isinstance(builder, OwnModel)
    try:
        if not own:
            memory.check(builder, input_shape, lambda: builder.build(kit, input_shape, classes))
        with (
            precision.policy(experiment.train),
            fresh(experiment.seed_of("init")) if own else contextlib.nullcontext(),
        ):
            model = builder.build(kit, input_shape, classes)
    except RegbenchError:
        raise
    except ValueError as error:
        raise _cannot_be_built(builder, input_shape, str(error)) from error
    except Exception as error:
        if not own:
            raise
        # A user's function can raise anything.
        raise _cannot_be_built(builder, input_shape, plugins.blame(error)) from error
    kit.check_asked(builder.name)
    if own:
        model = checked(model, builder.name, input_shape, classes)
    model.name = experiment.name
    draw(model, experiment.seed_of("init"))
    seed_noise(model, experiment.seed_of("technique"))
    penalize(model, list(techniques.values()))
    constrain(model, list(techniques.values()))
    return model


def compile_model(model: keras.Model, experiment: Experiment, steps_per_epoch: int) -> None:
    """Compile for cross-entropy with the experiment's optimizer and learning-rate schedule.

    If a technique changes batches, targets are class probabilities: the loss is the
    cross-entropy against them, and the accuracy that Keras reports is the share of examples whose
    most probable class is the target's most probable one (of a tie, the first).
    """
    import keras

    made = optimizer.make(experiment, model, steps_per_epoch)
    made = precision.with_loss_scale(made, experiment.train)
    options = {"jit_compile": _jit_compile(model, experiment.train.jit_compile)}
    if experiment.changing("batch"):
        accuracy = keras.metrics.CategoricalAccuracy(name="accuracy")
        model.compile(made, "categorical_crossentropy", metrics=[accuracy], **options)
        _make_variables(model, np.zeros((1, model.output_shape[-1]), np.float32))
    else:
        model.compile(made, "sparse_categorical_crossentropy", metrics=["accuracy"], **options)
        _make_variables(model, np.zeros(1, np.int64))


def _jit_compile(model: keras.Model, asked: bool | None) -> bool | str:
    """Return Keras' argument `jit_compile`. Raises RegbenchError where Keras would ignore it."""
    if not asked:
        return "auto" if asked is None else False
    import keras

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of which Keras makes a warning, and goes on without XLA
        model.jit_compile = True
    if model.jit_compile:
        return True
    reason = "a layer of this network does not support XLA"
    if keras.backend.backend() == "tensorflow":
        # XLA refuses the gradient of max pooling then, for example, and on a CPU too.
        reason = "Keras has no XLA on TensorFlow with deterministic operations, as runs have them"
    raise RegbenchError(
        f"train.jit_compile: expected null or false, received true: {reason}; "
        "leave it out, or use --backend jax"
    )


def _make_variables(model: keras.Model, targets: NDArray[np.float32] | NDArray[np.int64]) -> None:
    """Create the variables of the optimizer and the metrics now, not in the first step.

    TensorFlow traces a step that creates variables twice, and never frees the functions that
    initialize them: half of the first step's time, and a quarter of what a run leaves in memory.
    `targets` are those of one example, with the type and rank of training batches.
    """
    model.optimizer.build(model.trainable_variables)
    classes = model.output_shape[-1]
    model.compute_metrics(None, targets, np.zeros((1, classes), np.float32))
    model.reset_metrics()


def _cannot_be_built(builder: Builder, input_shape: tuple[int, ...], reason: str) -> RegbenchError:
    size = "x".join(map(str, input_shape[:2]))
    first = (reason.strip() or "no reason given").splitlines()[0]
    return RegbenchError(
        f"model: the network can't be built for images of {size} pixels: {one_line(first)} "
        f"{builder.remedy}"
    )
