"""Layers that Keras lacks, in operations of any backend. Importing this imports Keras.

Each that is random has a seed generator, as Keras' own random layers do: its state is in the
model's variables, so that a checkpoint includes it and a resumed run draws the same numbers.
"""

from __future__ import annotations

import math

import keras
from keras import ops


@keras.saving.register_keras_serializable("regbench")
class PerImageStandardization(keras.layers.Layer):
    """Brings each image of (n, height, width, channels) to mean 0 and standard deviation 1.

    Both are over all pixels and channels of the image. An image of one gray level becomes 0: the
    deviation counts as at least 1 / sqrt(numbers in an image), as in TensorFlow, whose images have
    levels from 0 to 255, and not from 0 to 1 as here.
    Source: `tf.image.per_image_standardization`, earlier `per_image_whitening`.
    """

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        axes = (1, 2, 3)
        least = 1 / (255 * math.sqrt(math.prod(inputs.shape[1:])))
        deviation = ops.maximum(ops.std(inputs, axes, keepdims=True), least)
        return (inputs - ops.mean(inputs, axes, keepdims=True)) / deviation

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape


@keras.saving.register_keras_serializable("regbench")
class DropBlock2D(keras.layers.Layer):
    """Switches squares of each map off in training, and scales up the kept values.

    Maps are (n, height, width, channels), and each has squares of its own. `rate` is the share of
    values that would be off if no two squares overlapped.
    Source: Ghiasi, Lin and Le, "DropBlock", 2018, algorithm 1; as in its authors' code, the share
    that is kept is that of the whole batch.
    """

    def __init__(
        self, rate: float, block_size: int, seed: int | None = None, **options: object
    ) -> None:
        super().__init__(**options)
        self.rate = rate
        self.block_size = block_size
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs: keras.KerasTensor, training: bool = False) -> keras.KerasTensor:
        if not training or self.rate == 0:
            return inputs
        kept = self._kept(inputs)
        # In half precision neither the mean of so many nor a rare start would come out right.
        share = ops.mean(ops.cast(kept, "float32"))
        # A small batch may be dropped entirely: don't divide its zeros by zero.
        share = ops.cast(ops.maximum(share, keras.config.epsilon()), inputs.dtype)
        return inputs * kept / share

    def _kept(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        """Return the mask, of the inputs' shape: 1 where a value is kept."""
        _, height, width, channels = inputs.shape
        size = min(self.block_size, height, width)
        rows, columns = height - size + 1, width - size + 1
        # The paper's gamma: the probability that a square starts at a place where it fits.
        gamma = self.rate * height * width / (size**2 * rows * columns)
        shape = (ops.shape(inputs)[0], rows, columns, channels)
        draws = keras.random.uniform(shape, dtype="float32", seed=self.seed_generator)
        starts = ops.cast(draws < gamma, inputs.dtype)
        # A value is off if a square starts at it or up to size - 1 places before it.
        edge = (size - 1, size - 1)
        starts = ops.pad(starts, ((0, 0), edge, edge, (0, 0)))
        blocks = ops.max_pool(starts, size, 1, "valid", data_format="channels_last")
        return 1 - blocks

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, object]:
        own = {"rate": self.rate, "block_size": self.block_size, "seed": self.seed}
        return {**super().get_config(), **own}


class _RandomPooling2D(keras.layers.Layer):
    """Pools windows of (n, height, width, channels) by chance in training, and not at inference."""

    def __init__(
        self,
        pool_size: int = 2,
        strides: int | None = None,
        padding: str = "valid",
        seed: int | None = None,
        **options: object,
    ) -> None:
        super().__init__(**options)
        self.pool_size = pool_size
        self.strides = pool_size if strides is None else strides
        self.padding = padding
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        examples, *sides, channels = input_shape
        windows = (None if side is None else self._windows_along(side) for side in sides)
        return (examples, *windows, channels)

    def _windows_along(self, size: int) -> int:
        """Return the number of windows along an axis, as in every pooling of Keras."""
        if self.padding == "same":
            return -(-size // self.strides)
        if size < self.pool_size:
            raise ValueError(f"maps of {size} pixels are smaller than a window of {self.pool_size}")
        return (size - self.pool_size) // self.strides + 1

    def _window(self) -> dict[str, object]:
        """Return the arguments of Keras' pooling operations."""
        return {
            "pool_size": self.pool_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": "channels_last",
        }

    def get_config(self) -> dict[str, object]:
        own = {
            "pool_size": self.pool_size,
            "strides": self.strides,
            "padding": self.padding,
            "seed": self.seed,
        }
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("regbench")
class StochasticPooling2D(_RandomPooling2D):
    """Picks one value of each window, with a probability proportional to it, in training.

    At inference, the mean of the values, each weighted by its probability. Negative values count
    as 0; a window without a positive one gives 0.
    Source: Zeiler and Fergus, "Stochastic Pooling for Regularization of Deep Convolutional Neural
    Networks", 2013, equations 4 to 6.
    """

    def call(self, inputs: keras.KerasTensor, training: bool = False) -> keras.KerasTensor:
        # In half precision a draw may round up to the total, and pick nothing.
        values = self._windows(ops.cast(ops.relu(inputs), "float32"))
        return ops.cast(self._pooled(values, training), inputs.dtype)

    def _pooled(self, values: keras.KerasTensor, training: bool) -> keras.KerasTensor:
        """Return (n, rows, columns, channels) of windows, whose values are the last axis."""
        total = ops.sum(values, axis=-1)
        if not training:
            squares = ops.sum(ops.square(values), axis=-1)
            return squares / ops.where(total > 0, total, ops.ones_like(total))
        draws = total * keras.random.uniform(
            ops.shape(total), dtype=total.dtype, seed=self.seed_generator
        )
        # A number drawn from 0 to the total falls into one value's stretch of the running sum.
        ends = ops.cumsum(values, axis=-1)
        draws = ops.expand_dims(draws, -1)
        picked = ops.logical_and(ends - values <= draws, draws < ends)
        return ops.sum(values * ops.cast(picked, values.dtype), axis=-1)

    def _windows(self, maps: keras.KerasTensor) -> keras.KerasTensor:
        """Return (n, rows, columns, channels, values in a window), with zeros beyond the edges."""
        height, width = maps.shape[1:3]
        rows, columns = self._windows_along(height), self._windows_along(width)
        above, left = self._padding(height, rows), self._padding(width, columns)
        far = self.pool_size + self.strides  # the farthest that any window reaches beyond the edge
        maps = ops.pad(maps, ((0, 0), (above, far), (left, far), (0, 0)))
        step = self.strides
        slices = [
            maps[:, row : row + rows * step : step, column : column + columns * step : step]
            for row in range(self.pool_size)
            for column in range(self.pool_size)
        ]
        return ops.stack(slices, axis=-1)

    def _padding(self, size: int, windows: int) -> int:
        """Return the number of zeros before the first value, as in every pooling of Keras."""
        if self.padding == "valid":
            return 0
        return max(0, (windows - 1) * self.strides + self.pool_size - size) // 2


@keras.saving.register_keras_serializable("regbench")
class MixedPooling2D(_RandomPooling2D):
    """Max or average pooling, by a fair draw for each map of each example, in training.

    At inference, the mean of both.
    Source: Yu et al., "Mixed Pooling for Convolutional Neural Networks", 2014.
    """

    def call(self, inputs: keras.KerasTensor, training: bool = False) -> keras.KerasTensor:
        largest = ops.max_pool(inputs, **self._window())
        mean = ops.average_pool(inputs, **self._window())
        if not training:
            return (largest + mean) / 2
        shape = (ops.shape(inputs)[0], 1, 1, inputs.shape[-1])
        draws = keras.random.uniform(shape, dtype=inputs.dtype, seed=self.seed_generator)
        return ops.where(draws < 0.5, largest, mean)
