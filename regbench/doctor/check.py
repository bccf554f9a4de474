"""The result of one check, and how numbers become one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Check:
    """What was checked of a technique, what was measured, and what was expected of it."""

    technique: str
    rule: str
    measured: str
    expected: str
    passed: bool
    backend: str = ""

    def as_dict(self) -> dict[str, object]:
        """Return what `regbench doctor --json` prints."""
        return dataclasses.asdict(self)


# A check of a technique, which is given by name; several where they share what takes time.
Rule = Callable[[str], Check | Sequence[Check]]
Numbers = ArrayLike | Mapping[str, ArrayLike]
# How many standard errors a share or a mean of random draws may be off. Draws are seeded, so that
# a check that passes once passes always.
SIGMAS = 5.0


def close(
    name: str, rule: str, measured: Numbers, expected: Numbers, tolerance: float = 1e-4
) -> Check:
    """Compare two arrays, or two mappings of arrays: by their largest difference.

    `tolerance` is a share of the largest number that is expected.
    """
    found, right = _flat(measured), _flat(expected)
    if found.shape != right.shape:
        return Check(name, rule, f"{found.size} numbers", f"{right.size}", passed=False)
    limit = tolerance * max(float(np.abs(right).max(initial=0)), 1e-30)
    off = float(np.abs(found - right).max(initial=0))
    what = f"{found.size} numbers, off by at most {off:.2g}"
    return Check(name, rule, what, f"<= {limit:.2g}", passed=off <= limit and found.size > 0)


def number(
    name: str, rule: str, measured: float, expected: float, tolerance: float = 1e-4
) -> Check:
    """Compare two numbers; `tolerance` is a share of the expected one."""
    passed = abs(measured - expected) <= tolerance * abs(expected)
    return Check(name, rule, f"{measured:.6g}", f"{expected:.6g}", passed=passed)


def drawn(name: str, rule: str, measured: float, expected: float, error: float) -> Check:
    """Compare a statistic of random draws with its expectation, given its standard error."""
    limit = SIGMAS * error
    passed = abs(measured - expected) <= limit
    return Check(name, rule, f"{measured:.4g}", f"{expected:.4g} +- {limit:.2g}", passed=passed)


def count(name: str, rule: str, measured: int, expected: int, what: str) -> Check:
    """Compare two counts of something, such as "values changed"."""
    return Check(name, rule, f"{measured} {what}", f"{expected}", passed=measured == expected)


def equal(name: str, rule: str, measured: object, expected: object) -> Check:
    """Compare two values by what is printed of them."""
    return Check(name, rule, f"{measured}", f"{expected}", passed=measured == expected)


def share_error(share: float, draws: int) -> float:
    """Return the standard error of a share of so many draws."""
    return float(np.sqrt(share * (1 - share) / draws))


def differing(first: Mapping[str, ArrayLike], second: Mapping[str, ArrayLike]) -> int:
    """Return how many of the arrays of two mappings differ in any bit."""
    names = {*first, *second}
    return sum(
        name not in first or name not in second or not np.array_equal(first[name], second[name])
        for name in names
    )


def _flat(numbers: Numbers) -> NDArray[np.float64]:
    arrays = list(numbers.values()) if isinstance(numbers, Mapping) else [numbers]
    return np.concatenate([np.asarray(each, np.float64).ravel() for each in arrays])
