"""From the numbers of finished runs to a verdict on every claim of a study.

A claim names a region for a mean difference: below `-margin` (`lower`), above `margin` (`higher`)
or from `-margin` to `margin` (`same`). It is *supported* if the paired t interval lies wholly
inside of its region, *contradicted* if wholly outside, and else *undecided*. Its p-value is the
smallest alpha at which the interval of confidence 1 - alpha still decides, in closed form:
each end of a region that the interval must not reach is a paired t test against that end, and of
several ends that all have to be cleared, the largest p-value counts. For `same` that is a test of
equivalence (Schuirmann, "A Comparison of the Two One-Sided Tests Procedure and the Power Approach
for Assessing the Equivalence of Average Bioavailability", 1987), with two-sided p-values, so that
p <= 0.05 means a 95% interval as everywhere else.

A study has several claims, and the chance that any of its verdicts is wrong is to stay below 0.05:
p-values are adjusted after Holm ("A Simple Sequentially Rejective Multiple Test Procedure", 1979),
and a claim is decided where the adjusted one is at most 0.05.

Seeds are the unit, and both sides of a difference have the same seed. Three cases have no spread
to test with. A metric that is `exact` is counted, not sampled: one pair decides, and the claim
takes no part in the adjustment. Differences that are all exactly 0 are what `same` means: p is 0.
Other claims about them, and other differences that are all the same, may be so by chance, as
accuracies of few test images are: their p is that of a sign-flip test, 2/2^n for n pairs, and 1
where they are exactly at the limit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from regbench.analysis import metrics, statistics
from regbench.analysis.statistics import Sample
from regbench.studies.file import Claim, Study
from regbench.studies.pairs import Pairs

if TYPE_CHECKING:
    import pandas

ALPHA = 0.05
POWER = 0.8

Decision = Literal["supported", "contradicted", "undecided"]
Values = Mapping[int, float]


@dataclass(frozen=True)
class Verdict:
    """What the runs say of a claim.

    `mean`, `low` and `high` are those of the difference (of the metric itself, for a claim against
    a number); `p_value` is not adjusted yet, `adjusted` is. `lost` counts the seeds of the study
    that gave no pair, `diverged` those of them where a run diverged. `needed` is how many seeds an
    undecided claim would need at 80% power, if the difference is as large as it seems.
    """

    claim: Claim
    decision: Decision
    mean: float | None
    low: float | None
    high: float | None
    p_value: float | None
    adjusted: float | None
    pairs: int
    lost: int
    diverged: int
    exact: bool
    needed: int | None = None
    reason: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        own = asdict(self)
        own["claim"] = self.claim.model_dump(mode="json")
        return own


@dataclass(frozen=True)
class _Evidence:
    """The differences (pairs,) of a claim, what they lean to, and how surely."""

    claim: Claim
    differences: Sample
    diverged: int
    exact: bool
    leaning: Literal["supported", "contradicted"]
    p_value: float | None


def judge(study: Study, table: pandas.DataFrame, pairs: Pairs | None = None) -> list[Verdict]:
    """Return a verdict for every claim, in their order.

    Args:
        study: the claims, and which runs count: those of its variants and seeds.
        table: what `regbench.metrics.table` returns, with the metrics of the claims.
        pairs: which runs make pairs, by the data that they read; all of a seed unless given.
    """
    runs = _Runs(study, table)
    evidence = [_evidence(claim, runs, pairs) for claim in study.claims]
    sampled = [each.p_value if not each.exact else None for each in evidence]
    adjusted = statistics.holm(sampled)
    tests = sum(p is not None for p in sampled)
    return [
        _verdict(each, each.p_value if each.exact else p, len(study.seeds), tests)
        for each, p in zip(evidence, adjusted, strict=True)
    ]


def decide(claim: Claim, differences: Sample) -> tuple[Literal["supported", "contradicted"], float]:
    """Return what two or more differences (n,) lean to, and the p-value of saying so."""
    if claim.expect == "same" and not differences.any():
        return "supported", 0.0
    supported = max(_beyond(differences, end, side) for end, side in _ends(claim))
    contradicted = min(_beyond(differences, end, -side) for end, side in _ends(claim))
    if supported < contradicted:
        return "supported", supported
    return "contradicted", contradicted


class _Runs:
    """The metrics of a study's runs, by variant and seed."""

    def __init__(self, study: Study, table: pandas.DataFrame) -> None:
        self.seeds = study.seeds
        # A copied results folder adds no evidence.
        table = table.drop_duplicates(["name", "config_hash", "seed"])
        self._rows = {
            name: table[
                (table["name"] == name)
                & (table["config_hash"] == experiment.hash)
                & table["seed"].isin(study.seeds)
            ].set_index("seed")
            for name, experiment in study.variants.items()
        }

    def values(self, variant: str, metric: str) -> Values:
        """Return the metric of every run that did not diverge and has it, by seed."""
        rows = self._rows[variant]
        column = rows.loc[rows["status"] == "completed", metric]
        return {seed: value for seed, value in column.items() if math.isfinite(value)}

    def diverged(self, variants: Iterable[str]) -> int:
        """Return how many seeds have a run that diverged, of any of the variants."""
        rows = [self._rows[name] for name in variants]
        return len({seed for each in rows for seed in each.index[each["status"] == "diverged"]})


def _evidence(claim: Claim, runs: _Runs, pairs: Pairs | None) -> _Evidence:
    values = _minus(runs.values(claim.variant, claim.metric), _other(claim.against, claim, runs))
    if claim.beyond:
        further = _minus(
            runs.values(claim.beyond.variant, claim.metric),
            runs.values(claim.beyond.against, claim.metric),
        )
        values = _minus(values, further)
    if pairs:
        values = {seed: each for seed, each in values.items() if pairs.agree(claim, seed)}
    differences = np.array([values[seed] for seed in runs.seeds if seed in values], np.float64)
    diverged = runs.diverged(name for _, name in claim.names())
    if metrics.metric(claim.metric).exact:
        return _counted(claim, differences, diverged)
    if len(differences) < 2:
        return _Evidence(claim, differences, diverged, False, "contradicted", None)
    leaning, p_value = decide(claim, differences)
    return _Evidence(claim, differences, diverged, False, leaning, p_value)


def _counted(claim: Claim, differences: Sample, diverged: int) -> _Evidence:
    inside = {_inside(claim, float(each)) for each in differences}
    p_value = 0.0 if len(inside) == 1 else None
    leaning: Literal["supported", "contradicted"] = (
        "supported" if True in inside else "contradicted"
    )
    return _Evidence(claim, differences, diverged, True, leaning, p_value)


def _other(against: str | float, claim: Claim, runs: _Runs) -> Values | float:
    return runs.values(against, claim.metric) if isinstance(against, str) else against


def _minus(values: Values, others: Values | float) -> Values:
    if isinstance(others, Mapping):
        return {seed: value - others[seed] for seed, value in values.items() if seed in others}
    return {seed: value - others for seed, value in values.items()}


def _ends(claim: Claim) -> list[tuple[float, int]]:
    """Return each end of the claim's region, and on which side of it the region is."""
    below, above = (claim.margin, -1), (-claim.margin, 1)
    if claim.expect == "lower":
        return [(-claim.margin, -1)]
    return [(claim.margin, 1)] if claim.expect == "higher" else [below, above]


def _inside(claim: Claim, value: float) -> bool:
    if claim.expect == "same":
        return abs(value) <= claim.margin
    return value < -claim.margin if claim.expect == "lower" else value > claim.margin


def _beyond(differences: Sample, end: float, side: int) -> float:
    """Return the smallest alpha at which the interval lies wholly on one side of `end`."""
    if (differences.mean() - end) * side <= 0:
        return 1.0
    p_value = statistics.paired_p(differences, end)
    return 1.0 if p_value is None else p_value


def _verdict(evidence: _Evidence, adjusted: float | None, seeds: int, tests: int) -> Verdict:
    decided = adjusted is not None and adjusted <= ALPHA
    ends = statistics.interval(evidence.differences)
    pairs = len(evidence.differences)
    verdict = Verdict(
        claim=evidence.claim,
        decision=evidence.leaning if decided else "undecided",
        mean=ends["mean"],
        low=ends["low"],
        high=ends["high"],
        p_value=evidence.p_value,
        adjusted=adjusted,
        pairs=pairs,
        lost=seeds - pairs,
        diverged=evidence.diverged,
        exact=evidence.exact,
    )
    if decided:
        return verdict
    needed = _needed(evidence, tests) if pairs > 1 and not evidence.exact else None
    return replace(verdict, needed=needed, reason=_reason(verdict, needed))


def _needed(evidence: _Evidence, tests: int) -> int | None:
    """Return the pairs that decide at 80% power, at the level of Holm's first and hardest step."""
    mean, spread = float(evidence.differences.mean()), float(evidence.differences.std(ddof=1))
    distance = min(abs(mean - end) for end, _ in _ends(evidence.claim))
    alpha = ALPHA / max(1, tests)
    if spread == 0:  # equal differences: as many as a sign-flip test needs
        return math.ceil(math.log2(2 / alpha)) if distance else None
    return statistics.pairs_needed(distance, spread, POWER, alpha)


def _reason(verdict: Verdict, needed: int | None) -> str:
    unit = "pairs" if isinstance(verdict.claim.against, str) else "runs"
    if verdict.pairs == 0:
        return f"no {unit} with this metric"
    if verdict.exact:
        return f"the {unit} do not agree"
    if verdict.pairs == 1:
        return f"one of the {unit} alone: an interval needs two seeds"
    if needed is None:
        return "too close to the limit: more than 10,000 seeds would be needed"
    if needed <= verdict.pairs:
        return f"with {verdict.pairs} seeds it had a good chance; take some more"
    return f"about {needed} seeds would decide it"
