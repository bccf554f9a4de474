"""The rules of the hook `batch`: what one update trains on instead of a batch of examples.

Each check is a function `(name, technique) -> Check`, and a line in `CHECKS`. They need no Keras.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from regbench import plugins
from regbench.doctor.check import Check
from regbench.regularizers import Regularizer
from regbench.regularizers.hooks import has_hook

Floats = NDArray[np.float32]
Rule = Callable[[str, Regularizer], Check]

# An epoch's last batch may be of any size, and images of any shape.
BATCHES = ((1, 8, 8, 3), (2, 8, 12, 1), (8, 8, 8, 3), (32, 12, 8, 3))
CLASSES = 5
SUM_ERROR = 1e-5


def draws(name: str, technique: Regularizer) -> Check:
    """The same generator gives the same batch, whatever was drawn before, and by whom."""
    same = 0
    for number, (images, targets) in enumerate(_examples()):
        random.seed(number)
        np.random.seed(number)
        first = technique.batch(images, targets, _generator(0))
        technique.batch(images, targets, _generator(1))
        random.seed(number + 1)
        np.random.seed(number + 1)
        again = technique.batch(images, targets, _generator(0))
        same += all(map(np.array_equal, first, again))
    return _counted(name, "draws depend on rng alone", same, "give the same twice")


def sums(name: str, technique: Regularizer) -> Check:
    """Targets are class probabilities: none below zero, and those of an example sum to one."""
    worst = 0.0
    for images, targets in _examples():
        found = np.asarray(technique.batch(images, targets, _generator(0))[1], np.float64)
        error = np.abs(found.reshape(len(found), -1).sum(axis=1) - 1).max()
        worst = max(worst, float(error), float(-found.min()))
    rule = "targets sum to one"
    return Check(name, rule, f"off by at most {worst:.2g}", f"<= {SUM_ERROR:g}", worst <= SUM_ERROR)


def shapes(name: str, technique: Regularizer) -> Check:
    """Images and targets keep their shape and stay finite float32."""
    kept, other = 0, ""
    for images, targets in _examples():
        found = technique.batch(images, targets, _generator(0))
        wrong = [_described(after) for before, after in zip((images, targets), found, strict=True)
                 if not _is_like(after, before)]  # fmt: skip
        kept += not wrong
        other = other or ", ".join(wrong)
    check = _counted(name, "shapes and float32 are kept", kept, "keep them")
    return check if check.passed else replace(check, measured=f"{check.measured}; received {other}")


def inputs(name: str, technique: Regularizer) -> Check:
    """The arrays that the hook is given stay as they are."""
    kept = 0
    for images, targets in _examples():
        before = images.copy(), targets.copy()
        technique.batch(images, targets, _generator(0))
        kept += all(map(np.array_equal, before, (images, targets)))
    return _counted(name, "inputs are not changed in place", kept, "leave them")


CHECKS: dict[str, Rule] = {"draws": draws, "sums": sums, "shapes": shapes, "inputs": inputs}


def check(name: str, technique: Regularizer) -> Iterator[Check]:
    """Yield a check for every rule; one that the hook fails in says where."""
    for rule in CHECKS.values() if has_hook(technique, "batch") else ():
        try:
            yield rule(name, technique)
        except Exception as error:  # whatever a technique raises
            about = (rule.__doc__ or rule.__name__).partition("\n")[0].rstrip(".")
            yield Check(name, about, plugins.blame(error), "no error", passed=False)


def _examples() -> Iterator[tuple[Floats, Floats]]:
    for number, shape in enumerate(BATCHES):
        rng = np.random.default_rng(number)
        labels = rng.integers(0, CLASSES, shape[0])
        yield rng.random(shape, np.float32), np.eye(CLASSES, dtype=np.float32)[labels]


def _generator(seed: int) -> Generator:
    return np.random.default_rng(seed)


def _is_like(after: object, before: Floats) -> bool:
    return (
        isinstance(after, np.ndarray)
        and after.dtype == before.dtype
        and after.shape == before.shape
        and bool(np.isfinite(after).all())
    )


def _described(array: object) -> str:
    if not isinstance(array, np.ndarray):
        return type(array).__name__
    finite = "" if np.isfinite(array).all() else ", not finite"
    return f"{array.dtype} {array.shape}{finite}"


def _counted(name: str, rule: str, count: int, what: str) -> Check:
    total = len(BATCHES)
    return Check(name, rule, f"{count} of {total} batches {what}", f"{total}", count == total)
