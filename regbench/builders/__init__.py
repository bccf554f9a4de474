"""Networks that a config can name besides the `cnn`: functions of plugins, under `model.name`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["BUILDERS", "register"]

Function = Callable[[tuple[int, ...], int], Any]

BUILDERS: dict[str, Function] = {}


def register(name: str, builder: Function) -> None:
    """Make a function `(input_shape, classes) -> keras.Model` available as `model.name`.

    Raises TypeError for what is no function.
    """
    if not callable(builder):
        raise TypeError(f"expected a function, received {builder!r:.80}")
    BUILDERS[name] = builder
