"""The number format that a network computes in: `train.precision`, and the loss scale it needs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from regbench.config.train import Train

if TYPE_CHECKING:
    import keras


@contextlib.contextmanager
def policy(train: Train) -> Iterator[None]:
    """Make every layer created in this block follow the config's dtype policy.

    A worker trains runs of several configs one after the other, so that the policy of one must not
    outlast its network.
    """
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(train.precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def with_loss_scale(optimizer: keras.Optimizer, train: Train) -> keras.Optimizer:
    """Return an optimizer that scales losses if gradients are float16, else the optimizer itself.

    bfloat16 has the exponents of float32, and needs none. The scale is among the optimizer's
    variables, and therefore in every checkpoint.
    """
    import keras

    if train.precision != "mixed_float16":
        return optimizer
    return keras.optimizers.LossScaleOptimizer(optimizer)
