"""Draws images of shapes: background, clutter, shape, something in front of it, noise.

The random numbers come from one generator in a fixed order, and pixels from arithmetic that
IEEE 754 rounds exactly, so that every machine draws the same bytes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from regbench.datasets.shapes.outlines import OUTLINES, Outline, disk, square

SIDE = 32
# Half a shape's width in pixels, smallest and largest.
RADIUS = (6.0, 13.0)
# The largest distance of a shape's center from the image's, in each direction.
WANDER = 6.0
# Disks behind the shape and a square in front of it.
CLUTTER, CLUTTER_RADIUS, FRONT_RADIUS = 3, (2.0, 6.0), (1.5, 4.0)
# Ranges of each color channel, of 255. Shapes are brighter than their background, and each class
# appears more often on one color, as ships do on the sea: without either, a small network learns
# nothing at first, and the slightest penalty then shrinks its weights to zero.
BACKGROUND, FOREGROUND = (5.0, 90.0), (190.0, 255.0)
GROUNDS = (
    (1, 0, 0), (0, 1, 0), (1, 1, 0), (0, 0, 1), (1, 0, 1),
    (0, 1, 1), (1, 1, 1), (0, 0, 0), (0.5, 1, 0.5), (1, 0.5, 0),
)  # fmt: skip
GROUND_SHARE = 0.42
NOISE = 18
# Planes of a chunk stay in the processor's cache: four times as fast as all at once.
CHUNK = 250

Plane = NDArray[np.float32]


def draw(labels: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return one uint8 image (n, 32, 32, 3) for each label, a number of a line in `OUTLINES`."""
    images = np.empty((len(labels), SIDE, SIDE, 3), np.uint8)
    for start in range(0, len(labels), CHUNK):
        images[start : start + CHUNK] = _draw(labels[start : start + CHUNK], rng)
    return images


def _draw(labels: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.uint8]:
    count = len(labels)
    # Channels come first until the end: NumPy is three times as fast along rows of 32 as of 3.
    canvas = _texture(_backgrounds(labels, rng), rng)
    for _ in range(CLUTTER):
        blob = _Placement(count, CLUTTER_RADIUS, 16.0, rng)
        canvas = _paint(canvas, blob.cover(disk), _flat(rng.uniform(*FOREGROUND, (count, 3))))
    color = _texture(rng.uniform(*FOREGROUND, (count, 3)), rng)
    canvas = _paint(canvas, _shapes(labels, rng), color)
    front = _Placement(count, FRONT_RADIUS, 12.0, rng)
    canvas = _paint(canvas, front.cover(square), _flat(rng.uniform(0, 255, (count, 3))))
    return _noisy(canvas, rng)


def _backgrounds(labels: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a color (n, 3) for each label: its class's background, mixed with a random color."""
    darkest, brightest = BACKGROUND
    ground = darkest + (brightest - darkest) * np.array(GROUNDS)[labels]
    return GROUND_SHARE * ground + (1 - GROUND_SHARE) * rng.uniform(*BACKGROUND, ground.shape)


def _shapes(labels: NDArray[np.int64], rng: np.random.Generator) -> Plane:
    """Return the share of each pixel (n, 32, 32) that the shape with the label's number covers."""
    place = _Placement(len(labels), RADIUS, WANDER, rng)
    cover = np.empty((len(labels), SIDE, SIDE), np.float32)
    for number, outline in enumerate(OUTLINES.values()):
        chosen = labels == number
        cover[chosen] = place.cover(outline, chosen)
    return cover


class _Placement:
    """The positions, sizes and angles of `count` shapes."""

    def __init__(
        self, count: int, radius: tuple[float, float], wander: float, rng: np.random.Generator
    ) -> None:
        self.radius = rng.uniform(*radius, count)
        self._center = rng.uniform(-wander, wander, (2, count)) + (SIDE - 1) / 2
        # A rational point of the unit circle: a direction without sine and cosine.
        t = rng.uniform(-1, 1, count)
        quarter = rng.choice([-1.0, 1.0], count)
        self._cos = quarter * (1 - t * t) / (1 + t * t)
        self._sin = 2 * t / (1 + t * t)

    def cover(
        self, outline: Outline, chosen: NDArray[np.bool_] | slice[None] = slice(None)
    ) -> Plane:
        """Return the share of each pixel that the shapes cover, float32 (n, 32, 32) in 0 to 1."""
        radius = self.radius[chosen]
        cos, sin = _flat(self._cos[chosen] / radius), _flat(self._sin[chosen] / radius)
        pixels = np.arange(SIDE, dtype=np.float32)
        x = pixels - _flat(self._center[0][chosen])
        y = pixels[:, None] - _flat(self._center[1][chosen])
        distance = outline(cos * x + sin * y, cos * y - sin * x) * _flat(radius)
        covered: Plane = np.clip(np.float32(0.5) - distance, np.float32(0), np.float32(1))
        return covered


def _flat(values: NDArray[np.float64]) -> Plane:
    """Return values (n, ...) as float32 (n, ..., 1, 1), to spread over an image."""
    return values.astype(np.float32)[..., None, None]


def _paint(canvas: Plane, cover: Plane, color: Plane) -> Plane:
    return canvas + (color - canvas) * cover[:, None]


def _texture(color: NDArray[np.float64], rng: np.random.Generator) -> Plane:
    """Return stripes of a random direction, width and strength in this color, (n, 3, 32, 32)."""
    count = len(color)
    slope = rng.uniform(-0.2, 0.2, (2, count))
    strength = rng.uniform(-60, 60, (count, 3))
    pixels = np.arange(SIDE, dtype=np.float32)
    phase = pixels * _flat(slope[0]) + pixels[:, None] * _flat(slope[1])
    phase = phase + _flat(rng.uniform(0, 1, count))
    wave = np.abs(phase - np.floor(phase) - np.float32(0.5)) * 2 - np.float32(0.5)
    return _flat(color) + wave[:, None] * _flat(strength)


def _noisy(canvas: Plane, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Round to uint8 (n, 32, 32, 3), with noise: the sum of two bytes is nearly a bell curve."""
    canvas = canvas.transpose(0, 2, 3, 1)
    dice = rng.integers(0, 256, (2, *canvas.shape), np.uint8)
    noise = (dice[0].astype(np.float32) + dice[1]) * np.float32(1 / 104) - np.float32(255 / 104)
    return np.clip(canvas + noise * NOISE, 0, 255).astype(np.uint8)
