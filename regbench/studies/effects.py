"""The size of each claim's effect, from its differences and from the runs of both sides."""

from __future__ import annotations

import math

import numpy as np

from regbench.analysis import effects, metrics, power, statistics
from regbench.analysis.effects import Effects
from regbench.analysis.statistics import Sample
from regbench.studies.differences import Differences, Runs
from regbench.studies.sections import Claim

POWER = 0.8


def of_claim(
    claim: Claim, runs: Runs, differences: Differences, alpha: float, pairs: int | None = None
) -> Effects | None:
    """Return the size of a claim's effect; None for counted or censored numbers or without pairs.

    Args:
        claim: what is compared.
        runs: the runs of its variants.
        differences: those of the claim.
        alpha: the level at which the claim is decided, corrected for several claims and looks.
        pairs: how many the design has; by default as many as there are.
    """
    metric = metrics.metric(claim.metric)
    if metric.exact or not differences.known or differences.pairs < 2:
        return None
    better = metric.better or ("lower" if claim.expect == "lower" else "higher")
    chance = None
    if isinstance(claim.against, str):
        chance = effects.improvement(*_sides(claim, claim.against, runs), better)
    return Effects(
        effects.hedges_g(differences.low, differences.floor.deviation),
        chance,
        better,
        _smallest(claim, differences, alpha, pairs or differences.pairs),
    )


def spread(differences: Differences) -> float:
    """Return the standard deviation of two or more differences, at least what is believed of it."""
    pairs, floor = differences.pairs, differences.floor
    seen = statistics.standard_error(differences.low) * math.sqrt(pairs)
    own = 0.0 if differences.shared_examples else floor.error * math.sqrt(pairs)
    return max(seen, floor.deviation, own)


def _smallest(claim: Claim, differences: Differences, alpha: float, pairs: int) -> float | None:
    found = power.smallest_difference(
        spread(differences), pairs, POWER, alpha, same=claim.expect == "same"
    )
    if not found:
        return None
    if differences.shared_examples:
        # More seeds do not reduce this error: they are tested on the same examples.
        quantiles = statistics.normal_quantile(1 - alpha / 2) + statistics.normal_quantile(POWER)
        found = max(found, quantiles * differences.floor.error)
    return float(f"{found:.6g}")  # further digits depend on the machine


def _sides(claim: Claim, against: str, runs: Runs) -> tuple[Sample, Sample]:
    """Return the numbers of both sides of a claim's difference, of the seeds that make pairs."""
    values = {name: runs.values(name, claim.metric) for _, name in claim.names()}
    seeds = [
        seed
        for seed in runs.seeds
        if all(seed in each for each in values.values()) and runs.pair(claim, seed)
    ]
    column = {name: np.array([each[seed][0] for seed in seeds]) for name, each in values.items()}
    first, second = column[claim.variant], column[against]
    if claim.beyond:
        return first - second, column[claim.beyond.variant] - column[claim.beyond.against]
    return first, second
