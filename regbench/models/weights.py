"""The weights of a built model: initial values drawn from the seed, penalties, constraints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from regbench import seeding
from regbench.models.layers import kernels, leaves, names
from regbench.regularizers import Regularizer

if TYPE_CHECKING:
    import keras

    Constraint = Callable[[keras.KerasTensor], keras.KerasTensor]

Given = TypeVar("Given")


def draw(model: keras.Model, seed: int) -> None:
    """Draw the kernels by seed and layer name."""
    labels = names(model)
    for layer in leaves(model):
        label = labels[id(layer)]
        for name, kernel in kernels(layer):
            key = label if name == "kernel" else f"{label}/{name}"
            _draw(kernel, getattr(layer, f"{name}_initializer", None), seed, key)


def seed_noise(model: keras.Model, seed: int) -> None:
    """Seed the layers that draw random numbers in training, by seed and layer name."""
    # Seeds are not stored in the layers' configs, which thus read like hand-written Keras.
    labels = names(model)
    for layer in leaves(model):
        label = labels[id(layer)]
        if hasattr(layer, "seed_generator"):
            first = seeding.derive(seed, "dropout", label)
            layer.seed_generator.state.assign(np.asarray([first, 0], "uint32"))
            # If a layer was created without a seed, Keras on torch draws from torch's global
            # generator, which is neither seeded nor in a checkpoint: two runs would differ.
            layer.seed_generator._initial_seed = first


def penalize(model: keras.Model, regularizers: Sequence[Regularizer]) -> None:
    """Give every kernel the penalties of the techniques, in addition to its layer's own."""
    penalties = _given(each.kernel_penalty() for each in regularizers)
    if not penalties:
        return
    for layer in leaves(model):
        for name, kernel in kernels(layer):
            penalty = _sum([*_given([kernel.regularizer]), *penalties])
            kernel.regularizer = penalty
            setattr(layer, f"{name}_regularizer", penalty)


def constrain(model: keras.Model, regularizers: Sequence[Regularizer]) -> None:
    """Give every kernel the constraints of the techniques, applied after its layer's own.

    Only the variable has them: constraints matter only in training, and need not be saved.
    """
    constraints = _given(each.kernel_constraint() for each in regularizers)
    if not constraints:
        return
    for layer in leaves(model):
        for _, kernel in kernels(layer):
            kernel.constraint = _one_by_one([*_given([kernel.constraint]), *constraints])


def _draw(kernel: keras.KerasTensor, initializer: keras.Initializer, seed: int, key: str) -> None:
    if initializer is None or not hasattr(initializer, "get_config"):
        return
    config = initializer.get_config()
    if "seed" in config:  # constants have none, and stay
        seeded = config | {"seed": seeding.derive(seed, "weights", key)}
        initializer = type(initializer).from_config(seeded)
        kernel.assign(initializer(kernel.shape, dtype=kernel.dtype))


def _given(values: Iterable[Given | None]) -> list[Given]:
    return [value for value in values if value is not None]


def _sum(penalties: list[keras.Regularizer]) -> keras.Regularizer:
    if len(penalties) == 1:
        return penalties[0]
    from regbench.regularizers.keras_penalties import PenaltySum

    return PenaltySum(penalties)


def _one_by_one(constraints: list[Constraint]) -> Constraint:
    if len(constraints) == 1:
        return constraints[0]

    def constrained(kernel: keras.KerasTensor) -> keras.KerasTensor:
        for constraint in constraints:
            kernel = constraint(kernel)
        return kernel

    return constrained
