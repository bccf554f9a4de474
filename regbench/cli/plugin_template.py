"""My plugin for regbench: a technique, a data set and a network of my own.

    regbench plugins --plugin my_plugin.py # what it registers
    regbench doctor --plugin my_plugin.py     # does the technique follow the rules of its hooks?
    regbench run mine.yaml --plugin my_plugin.py --seeds 0-4

where mine.yaml names what to use:

    data: {name: stripes, train_examples: 200, test_examples: all}
    model: {name: two_branches}
    soft_targets: 0.2

A change to this file changes the hash of every config that uses it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

import regbench

Floats = NDArray[np.float32]


@regbench.regularizer("soft_targets")  # the key in a config
class SoftTargets(regbench.Toggle):
    """Moves a random share, at most `strength`, of each target from its class to all classes.

    Source: Szegedy et al., "Rethinking the Inception Architecture", 2016, whose share is fixed.
    """

    shorthand = "strength"  # `soft_targets: 0.2` is short for `soft_targets: {strength: 0.2}`
    strength: Annotated[float, Field(ge=0, lt=1)] = 0.1

    def is_idle(self) -> bool:
        return self.strength == 0  # True counts as switched off

    def batch(self, images: Floats, targets: Floats, rng: Generator) -> tuple[Floats, Floats]:
        # Everything random comes from `rng`, and the arrays are not changed in place.
        share = rng.uniform(0, self.strength, (len(targets), 1)).astype(np.float32)
        return images, targets * (1 - share) + share / np.float32(targets.shape[1])


@regbench.dataset("stripes")  # data: {name: stripes}
def stripes(path: Path | None) -> regbench.Splits:
    """Return noisy images of horizontal and vertical stripes; `path` would be `data.path`."""
    rng = np.random.default_rng(0)  # the same images in every process and for every run

    def split(count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        labels = np.arange(count, dtype=np.int64) % 2
        phase = rng.uniform(0, 2 * np.pi, (count, 1, 1))
        waves = np.broadcast_to(np.sin(np.arange(16) + phase), (count, 16, 16))
        waves = np.where(labels[:, None, None] == 0, waves, waves.transpose(0, 2, 1))
        noisy = 128 + 60 * waves + rng.normal(0, 60, waves.shape)
        pixels = np.clip(noisy, 0, 255).astype(np.uint8)
        return np.repeat(pixels[..., None], 3, axis=3), labels

    return regbench.Splits(*split(1000), *split(200), classes=("vertical", "horizontal"))


@regbench.model("two_branches")  # model: {name: two_branches}
def two_branches(input_shape: tuple[int, ...], classes: int) -> object:
    """Return a `keras.Model` that looks at small and at large neighborhoods, side by side."""
    import keras  # here, so that commands that build no network need not wait for it

    images = keras.Input(input_shape, name="images")
    small = keras.layers.Conv2D(8, 3, padding="same", activation="relu", name="small")(images)
    large = keras.layers.Conv2D(8, 7, padding="same", activation="relu", name="large")(images)
    maps = keras.layers.Concatenate(name="maps")([small, large])
    features = keras.layers.GlobalMaxPooling2D(name="features")(maps)
    outputs = keras.layers.Dense(classes, activation="softmax", name="output")(features)
    return keras.Model(images, outputs)
