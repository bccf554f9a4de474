"""Group-sequential tests: several looks at growing data, with one error rate over all of them.

A study that looks after n_1 < n_2 < ... < n_K seeds has K chances to be wrong. A *spending
function* says how much of alpha the first k looks may use together, as a function of the
information fraction t_k = n_k / n_K (Lan and DeMets, "Discrete Sequential Boundaries for Clinical
Trials", 1983). For a difference of zero and normal data, Z_1, ..., Z_K are jointly normal with
Corr(Z_j, Z_k) = sqrt(t_j / t_k), and the boundaries c_k are those that spend it:

    P(|Z_1| < c_1, ..., |Z_{k-1}| < c_{k-1}, |Z_k| >= c_k) = spent(t_k) - spent(t_{k-1})

They are found by integrating numerically over the path (Armitage, McPherson and Rowe, "Repeated
Significance Tests on Accumulating Data", 1969; Jennison and Turnbull, "Group Sequential Methods
with Applications to Clinical Trials", 2000, chapter 19).

With few seeds the variance is not known. So a look compares p-values instead of statistics: the
two-sided p-value of its t test with 2 * (1 - Phi(c_k)) (Jennison and Turnbull, 2000, section 4.4).
What each look spends by itself is then exact for normal differences, however few; that the looks
are correlated as known variances would make them is an approximation, which a simulation checks.

Only `scipy.special` is imported, as in `statistics`.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regbench.analysis.statistics import ALPHA

Spending = Literal["obrien_fleming", "pocock"]
Array = NDArray[np.float64]

# The levels at which boundaries are tabulated; between them, logarithms are interpolated.
LEVELS = np.append(np.geomspace(1e-6, 0.9, 72), 0.999)
# A path is followed on so many points, over so many standard deviations on each side.
POINTS, DEVIATIONS = 241, 9.0
# Halving an interval this often leaves an error beyond double precision.
HALVINGS = 60


@dataclass(frozen=True)
class Design:
    """The looks of a study, as numbers of seeds, and how alpha is spent on them."""

    looks: tuple[int, ...]
    spending: Spending = "obrien_fleming"

    @property
    def fractions(self) -> tuple[float, ...]:
        """The share of all seeds that each look has seen."""
        return tuple(look / self.looks[-1] for look in self.looks)

    def boundaries(self, alpha: float = ALPHA) -> tuple[float, ...]:
        """Return the largest two-sided p-value, for each look, that decides at level `alpha`."""
        found = _boundaries(self.fractions, self.spending, (alpha,))
        return tuple(float(each) for each in found[:, 0])

    @overload
    def level(self, look: int, p_value: float) -> float: ...
    @overload
    def level(self, look: int, p_value: Array) -> Array: ...
    def level(self, look: int, p_value: float | Array) -> float | Array:
        """Return the smallest alpha at which p-values of look 0, 1, ... decide (any shape).

        Boundaries grow with alpha, so there is one. It can be corrected for several claims as any
        p-value can: after Liu and Anderson, "On Adaptive Extensions of Group Sequential Trials for
        Clinical Investigations", 2008. With a single look it is the p-value itself.
        """
        if len(self.looks) == 1:
            return p_value
        table = np.log(_boundaries(self.fractions, self.spending, tuple(LEVELS))[look])
        smallest = np.finfo(np.float64).tiny
        logs = np.log(np.maximum(p_value, smallest))
        # A level below those of the table is told as the smallest of them, which is never too low.
        found = np.exp(np.interp(logs, table, np.log(LEVELS), right=0.0))
        return float(found) if np.ndim(found) == 0 else found


@dataclass(frozen=True)
class Passed:
    """A claim at a look: its two-sided p-value, and those that would have decided it then.

    `alone` decides a claim that is the only open one, and `all_open` the first of all that were
    open, by Holm's procedure. `p_value` is None if there was nothing to test.
    """

    seeds: int
    p_value: float | None
    alone: float
    all_open: float


@dataclass(frozen=True)
class Look:
    """The look after which a claim was decided, or the last one so far.

    `number` counts from 1 and `looks` is how many there are at most; `seeds` is the number of seeds
    judged. `boundary` is the two-sided p-value that decides a single claim at this look; intervals
    are of confidence 1 - boundary, so that all looks together cover 95%: repeated confidence
    intervals (Jennison and Turnbull, "Interim Analyses: The Repeated Confidence Interval Approach",
    1989). `passed` are all looks so far.
    """

    number: int
    looks: int
    seeds: int
    boundary: float
    passed: tuple[Passed, ...] = ()


def spent(spending: Spending, alpha: ArrayLike, fraction: float) -> Array:
    """Return how much of alpha the looks up to an information fraction (0 to 1] may use.

    `obrien_fleming` spends 2 - 2 Phi(z_{1 - a/2} / sqrt(t)) on each side, where a = alpha / 2 is a
    side's share. That is next to nothing at first, and its boundaries are close to those of O'Brien
    and Fleming, "A Multiple Testing Procedure for Clinical Trials", 1979. `pocock` spends
    alpha * log(1 + (e - 1) t), about the same at each of several equal steps: Pocock, "Group
    Sequential Methods in the Design and Analysis of Clinical Trials", 1977. Both forms are of Lan
    and DeMets, 1983.
    """
    from scipy import special

    levels = np.asarray(alpha, np.float64)
    if spending == "pocock":
        return levels * math.log1p((math.e - 1) * fraction)
    return 4 * special.ndtr(special.ndtri(levels / 4) / math.sqrt(fraction))


@functools.lru_cache(maxsize=64)
def _boundaries(
    fractions: tuple[float, ...], spending: Spending, alphas: tuple[float, ...]
) -> Array:
    """Return boundaries (looks, alphas) as two-sided p-values.

    The path is that of a Brownian motion: B_k = sqrt(t_k) Z_k, whose steps are independent.
    """
    from scipy import special

    used: Array = np.zeros(len(alphas))
    found: list[Array] = []
    path: _Path | None = None
    for fraction in fractions:
        total = spent(spending, alphas, fraction)
        edge = _first(total, fraction) if path is None else path.edge(fraction, total - used)
        # Rounding must not let a larger alpha have a smaller boundary.
        p_value = np.maximum.accumulate(2 * special.ndtr(-edge / math.sqrt(fraction)))
        found.append(np.maximum(p_value, np.finfo(np.float64).tiny))
        path = _Path.start(fraction, edge) if path is None else path.after(fraction, edge)
        used = total
    return np.stack(found)


def _first(total: Array, fraction: float) -> Array:
    from scipy import special

    return -special.ndtri(total / 2) * math.sqrt(fraction)


@dataclass(frozen=True)
class _Path:
    """Where a Brownian motion is that no look has stopped: density times weight (alphas, points).

    `points` is (alphas, points), since each alpha has its own boundaries.
    """

    fraction: float
    points: Array
    mass: Array

    @staticmethod
    def start(fraction: float, edge: Array) -> _Path:
        points, weights = _grid(fraction, edge)
        return _Path(fraction, points, weights * _density(points, math.sqrt(fraction)))

    def after(self, fraction: float, edge: Array) -> _Path:
        """Return where the motion is after a further look with this boundary (alphas,)."""
        points, weights = _grid(fraction, edge)
        step = math.sqrt(fraction - self.fraction)
        mass = np.empty_like(points)
        for row in range(len(points)):  # all at once would take a gigabyte
            steps = points[row][:, None] - self.points[row][None, :]
            mass[row] = weights[row] * (_density(steps, step) @ self.mass[row])
        return _Path(fraction, points, mass)

    def edge(self, fraction: float, chance: Array) -> Array:
        """Return the boundary (alphas,) that is first crossed at this look with so much chance."""
        from scipy import special

        step = math.sqrt(fraction - self.fraction)
        low, high = np.zeros(len(chance)), np.full(len(chance), 40.0)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            above = special.ndtr((self.points - middle[:, None]) / step)
            below = special.ndtr((-middle[:, None] - self.points) / step)
            often = (self.mass * (above + below)).sum(axis=1) > chance
            low, high = np.where(often, middle, low), np.where(often, high, middle)
        return high


def _grid(fraction: float, edge: Array) -> tuple[Array, Array]:
    """Return points and Simpson's weights, both (alphas, points), within the boundary."""
    reach = np.minimum(edge, DEVIATIONS * math.sqrt(fraction))
    unit = np.linspace(-1, 1, POINTS)
    weights = np.full(POINTS, 2.0)
    weights[1::2], weights[[0, -1]] = 4.0, 1.0
    return reach[:, None] * unit, reach[:, None] * weights * (2 / (POINTS - 1) / 3)


def _density(values: Array, deviation: float) -> Array:
    return np.exp(-0.5 * (values / deviation) ** 2) / (deviation * math.sqrt(2 * math.pi))
