"""The ten shapes, each a function of the plane that is negative inside and positive outside.

All are about as large as the unit disk, and none is a rotation of another. Values are (approximate)
distances from the outline, so that edges can be smoothed. Only arithmetic that IEEE 754 rounds
exactly is used (no sine), so that every machine draws the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

# The normals of two of a five-pointed star's axes: plus and minus cos 36°, and -sin 36°.
STAR_AXES = (
    (np.float32(0.80901699), np.float32(-0.58778525)),
    (np.float32(-0.80901699), np.float32(-0.58778525)),
)

Plane = NDArray[np.float32]
Outline = Callable[[Plane, Plane], Plane]


def disk(x: Plane, y: Plane) -> Plane:
    return np.sqrt(x * x + y * y) - np.float32(0.8)


def ring(x: Plane, y: Plane) -> Plane:
    return np.abs(np.sqrt(x * x + y * y) - np.float32(0.68)) - np.float32(0.2)


def square(x: Plane, y: Plane) -> Plane:
    return np.maximum(np.abs(x), np.abs(y)) - np.float32(0.68)


def frame(x: Plane, y: Plane) -> Plane:
    return np.abs(np.maximum(np.abs(x), np.abs(y)) - np.float32(0.58)) - np.float32(0.18)


def triangle(x: Plane, y: Plane) -> Plane:
    slope = np.float32(0.8660254) * np.abs(x) + np.float32(0.5) * y
    return np.maximum(slope, -y) - np.float32(0.5)


def cross(x: Plane, y: Plane) -> Plane:
    x, y = np.abs(x), np.abs(y)
    return np.maximum(np.maximum(x, y) - np.float32(0.9), np.minimum(x, y) - np.float32(0.25))


def star(x: Plane, y: Plane) -> Plane:
    """Five points: folding the plane at two axes of symmetry leaves one point."""
    x = np.abs(x)
    for axis_x, axis_y in STAR_AXES:
        beyond = np.float32(2) * np.maximum(x * axis_x + y * axis_y, np.float32(0))
        x, y = x - beyond * axis_x, y - beyond * axis_y
    return np.abs(x) * np.float32(0.891) + y * np.float32(0.454) - np.float32(0.43)


def crescent(x: Plane, y: Plane) -> Plane:
    bite = x - np.float32(0.45)
    outer = np.sqrt(x * x + y * y) - np.float32(0.9)
    return np.maximum(outer, np.float32(0.72) - np.sqrt(bite * bite + y * y))


def bars(x: Plane, y: Plane) -> Plane:
    x = np.abs(x)
    across = np.minimum(x, np.abs(x - np.float32(0.62))) - np.float32(0.17)
    return np.maximum(across, np.abs(y) - np.float32(0.72))


def hourglass(x: Plane, y: Plane) -> Plane:
    x, y = np.abs(x), np.abs(y)
    return np.maximum(y - np.float32(0.8), np.float32(0.8) * (x - y) - np.float32(0.06))


OUTLINES: dict[str, Outline] = {
    "disk": disk,
    "ring": ring,
    "square": square,
    "frame": frame,
    "triangle": triangle,
    "cross": cross,
    "star": star,
    "crescent": crescent,
    "bars": bars,
    "hourglass": hourglass,
}
