"""The size of an effect, in units that can be compared and acted on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from regbench.analysis.statistics import Sample


@dataclass(frozen=True)
class Effects:
    """The size of a claim's difference; None where a number is not known.

    `standardized` is the mean difference in standard deviations of the differences (`hedges_g`).
    `improvement` is the chance that a run of the first side is better than one of the second, None
    against a number, and `better` the direction that counts as better. `smallest` is the smallest
    distance from the claim's limit that this design would have decided in four of five cases, given
    the spread that was seen; for `same`, the smallest margin.
    """

    standardized: float | None
    improvement: float | None
    better: Literal["lower", "higher"]
    smallest: float | None


def hedges_g(differences: Sample, least: float = 0.0) -> float | None:
    """Return the standardized mean of paired differences (n,), corrected for small n.

    g = J * mean / s, with the standard deviation s of the differences, at least `least`, and
    J = Gamma(f / 2) / (sqrt(f / 2) Gamma((f - 1) / 2)) for f = n - 1, because mean / s by itself is
    too far from 0: by 25% for five pairs. None for fewer than three pairs or without a spread.
    It is the g of the differences, not of the runs: pairing makes it larger.
    Source: Hedges, "Distribution Theory for Glass's Estimator of Effect Size", 1981.
    """
    degrees = len(differences) - 1
    if degrees < 2:
        return None
    equal = differences.min() == differences.max()
    spread = max(0.0 if equal else float(differences.std(ddof=1)), least)
    if not spread:
        return None
    half = degrees / 2
    correction = math.exp(math.lgamma(half) - math.lgamma(half - 0.5)) / math.sqrt(half)
    return correction * float(differences.mean()) / spread


def improvement(first: Sample, second: Sample, better: Literal["lower", "higher"]) -> float:
    """Return the chance that a run of the first side (n,) is better than one of the second (m,).

    It is the share of all n * m pairs of runs, whatever their seeds, where the first is better;
    ties count half. That is the statistic of Mann and Whitney, over n * m.
    Source: Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice",
    2021.
    """
    sign = 1.0 if better == "higher" else -1.0
    distances = sign * (first[:, None] - second[None, :])
    return float((np.sign(distances) + 1).mean() / 2)
