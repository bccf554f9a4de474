"""Seeding: every random choice of a run depends only on its seed and the purpose of the choice.

Two variants with the same seed draw the same numbers for the same purpose, whatever else they
switch on: this allows a comparison to pair runs by seed.
"""

from __future__ import annotations

import zlib

import numpy as np


def generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """Return NumPy's generator for one purpose, such as `generator(seed, "order", epoch)`."""
    return np.random.default_rng(_sequence(seed, purpose))


def derive(seed: int, *purpose: str | int) -> int:
    """Return an integer in [0, 2**31) to seed something else, such as a Keras initializer."""
    return int(_sequence(seed, purpose).generate_state(1)[0]) & 0x7FFFFFFF


def _sequence(seed: int, purpose: tuple[str | int, ...]) -> np.random.SeedSequence:
    # CRC-32 and not hash(): Python salts the hash of a string differently in every process.
    key = [zlib.crc32(part.encode()) if isinstance(part, str) else part for part in purpose]
    return np.random.SeedSequence(entropy=seed, spawn_key=key)
