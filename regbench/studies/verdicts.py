"""Verdicts: judges every claim of a study by the numbers of finished runs.

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

That chance is right for differences that are nearly normal. At five seeds and nine claims of no
difference it is 0.05 for normal ones, 0.28 for exponential ones and 0.47 for lognormal ones.

Seeds are the unit, and both sides of a difference have the same seed. A metric that is `exact` is
counted, not sampled: one pair decides, and the claim takes no part in the adjustment. That is
arithmetic and no evidence. Of a sampled metric, differences that agree are not taken for more than
they are, whether all are 0, all are 6 or all but one: see `regbench.studies.differences` for the
least error of each. So `same` without a margin is supported by nothing that is sampled. Only where
no least error is known, and no two differences differ, is p that of a sign-flip test, 2/2^n for n
pairs.

A claim with censored runs, which never reached their level, is decided by order alone: by a sign
test on the seeds where it is certain on which side of the limit the difference lies. All other
seeds count as on the wrong side. This is about the median difference, since a mean is not known.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from regbench.analysis import metrics, power, statistics
from regbench.analysis.statistics import ALPHA, Floor, Sample
from regbench.errors import Warn
from regbench.studies import differences as paired
from regbench.studies.differences import Differences, Runs
from regbench.studies.file import Claim, Study
from regbench.studies.pairs import Pairs

if TYPE_CHECKING:
    import pandas

POWER = 0.8

Decision = Literal["supported", "contradicted", "undecided"]
Leaning = Literal["supported", "contradicted"]


@dataclass(frozen=True)
class Verdict:
    """The verdict on a claim, and the numbers behind it.

    `mean`, `low` and `high` describe the difference (the metric itself, for a claim against a
    number); they are None if runs are censored. `p_value` is unadjusted, `adjusted` is corrected
    for the number of claims. `lost` counts the seeds of the study without a pair, `diverged` those
    of them where a run diverged, and `censored` the runs that never reached the metric's level. An
    `exact` verdict is arithmetic, not statistics.

    `needed` is the number of seeds that an undecided claim would need for 80% power, if the true
    difference and its spread are as estimated; `needed_low` to `needed_high` is the range for an
    80% interval of that spread, with None for more than 10,000. `test_examples` is the size of the
    test set, for metrics measured on it, and `test_error` the standard error due to that size
    alone. `cautions` are reasons to doubt the numbers.
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
    needed_low: int | None = None
    needed_high: int | None = None
    censored: int = 0
    test_examples: int | None = None
    test_error: float | None = None
    cautions: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the verdict as JSON."""
        own = asdict(self)
        own["claim"] = self.claim.as_dict()
        own["cautions"] = list(self.cautions)
        return own


@dataclass(frozen=True)
class _Evidence:
    """The differences of a claim, the verdict they lean toward, and its p-value."""

    claim: Claim
    differences: Differences
    exact: bool
    leaning: Leaning
    p_value: float | None


def judge(
    study: Study,
    table: pandas.DataFrame,
    warn: Warn | None = None,
    pairs: Pairs | None = None,
) -> list[Verdict]:
    """Return a verdict for every claim, in their order.

    Args:
        study: the claims, and which runs count: those of its variants and seeds.
        table: what `regbench.metrics.table` returns, with the metrics of the claims; and with
            train and test accuracy, for the error that test examples leave, and for cautions.
        warn: called with a line for each run whose predictions are damaged.
        pairs: which runs make pairs, by the data that they read; all of a seed unless given.
    """
    runs = Runs(study, table, warn, pairs)
    evidence = [_evidence(claim, runs) for claim in study.claims]
    sampled = [each.p_value if not each.exact else None for each in evidence]
    adjusted = statistics.holm(sampled)
    tests = sum(p is not None for p in sampled)
    return [
        _verdict(each, each.p_value if each.exact else p, len(study.seeds), tests)
        for each, p in zip(evidence, adjusted, strict=True)
    ]


def decide(claim: Claim, differences: Sample, floor: Floor | None = None) -> tuple[Leaning, float]:
    """Return the verdict toward which two or more differences (n,) lean, and its p-value."""

    def beyond(end: float, side: int) -> float:
        """Return the smallest alpha at which the interval lies wholly on one side of `end`."""
        if (differences.mean() - end) * side <= 0:
            return 1.0
        p_value = statistics.paired_p(differences, end, floor)
        return 1.0 if p_value is None else p_value

    return _surest(claim, beyond)


def decide_by_order(claim: Claim, low: Sample, high: Sample, unknown: int) -> tuple[Leaning, float]:
    """Return the same for differences (n,) with known bounds; `unknown` others have none."""

    def beyond(end: float, side: int) -> float:
        certain = int((low > end).sum() if side > 0 else (high < end).sum())
        return statistics.sign_p(certain, len(low) + unknown)

    return _surest(claim, beyond)


def _surest(claim: Claim, beyond: Callable[[float, int], float]) -> tuple[Leaning, float]:
    supported = max(beyond(end, side) for end, side in _ends(claim))
    contradicted = min(beyond(end, -side) for end, side in _ends(claim))
    if supported < contradicted:
        return "supported", supported
    return "contradicted", contradicted


def _evidence(claim: Claim, runs: Runs) -> _Evidence:
    differences = paired.of_claim(claim, runs)
    if metrics.metric(claim.metric).exact:
        inside = {_inside(claim, float(each)) for each in differences.low}
        leaning: Leaning = "supported" if True in inside else "contradicted"
        return _Evidence(claim, differences, True, leaning, 0.0 if len(inside) == 1 else None)
    if differences.pairs < 2:
        return _Evidence(claim, differences, False, "contradicted", None)
    if differences.known:
        leaning, p_value = decide(claim, differences.low, differences.floor)
    else:
        leaning, p_value = decide_by_order(
            claim, differences.low, differences.high, differences.unknown
        )
    return _Evidence(claim, differences, False, leaning, p_value)


def _ends(claim: Claim) -> list[tuple[float, int]]:
    """Return each end of the claim's region, and the side on which the region lies."""
    below, above = (claim.margin, -1), (-claim.margin, 1)
    if claim.expect == "lower":
        return [(-claim.margin, -1)]
    return [(claim.margin, 1)] if claim.expect == "higher" else [below, above]


def _inside(claim: Claim, value: float) -> bool:
    if claim.expect == "same":
        return abs(value) <= claim.margin
    return value < -claim.margin if claim.expect == "lower" else value > claim.margin


def _verdict(evidence: _Evidence, adjusted: float | None, seeds: int, tests: int) -> Verdict:
    decided = adjusted is not None and adjusted <= ALPHA
    differences = evidence.differences
    # The mean of the uncensored runs alone would leave out the largest values.
    known = differences.low if differences.known else differences.low[:0]
    ends = statistics.interval(known, floor=differences.floor)
    verdict = Verdict(
        claim=evidence.claim,
        decision=evidence.leaning if decided else "undecided",
        mean=ends.mean,
        low=ends.low,
        high=ends.high,
        p_value=evidence.p_value,
        adjusted=adjusted,
        pairs=differences.pairs,
        lost=seeds - differences.pairs,
        diverged=differences.diverged,
        exact=evidence.exact,
        censored=differences.censored,
        test_examples=differences.test_examples,
        test_error=differences.floor.error or None,
        cautions=tuple(differences.cautions),
    )
    if decided:
        return verdict
    alpha = ALPHA / max(1, tests)  # Holm's first step, the strictest
    if differences.pairs < 2 or evidence.exact:
        return replace(verdict, reason=_too_few(verdict))
    if not differences.known:
        return replace(verdict, **_censored(evidence, alpha))
    return replace(verdict, **_needed(evidence, alpha))


def _too_few(verdict: Verdict) -> str:
    unit = "pairs" if verdict.claim.paired else "runs"
    if verdict.exact and verdict.pairs:
        return f"the {unit} do not agree"
    if verdict.pairs == 1:
        return f"only one {unit[:-1]}; an interval needs at least two seeds"
    if verdict.censored:
        return "no run reached the level" if verdict.lost else f"no {unit} with a known order"
    return f"no {unit} with this metric"


def _censored(evidence: _Evidence, alpha: float) -> dict[str, Any]:
    """Return the seeds that a sign test needs if all of them agree."""
    differences = evidence.differences
    _, p_value = decide_by_order(evidence.claim, differences.low, differences.high, 0)
    if differences.unknown or p_value > 3 * 0.5**differences.pairs:
        return {"reason": "the order is not certain for every seed: train longer"}
    needed = math.ceil(math.log2(2 / alpha))
    reason = f"{needed} seeds would decide it if all agree: only the order is known"
    return {"needed": needed, "needed_low": needed, "needed_high": needed, "reason": reason}


def _needed(evidence: _Evidence, alpha: float) -> dict[str, Any]:
    """Return the pairs that decide at 80% power, as a number and a range, and the remark."""
    sample, floor = evidence.differences.low, evidence.differences.floor
    mean, distance = float(sample.mean()), _distance(evidence)
    if evidence.claim.expect == "same" and not evidence.claim.margin and not mean:
        return {"reason": "no sample shows that a difference is exactly 0: give it a margin"}
    if not distance:
        return {"reason": "the difference lies at the limit: no number of seeds would decide it"}
    if evidence.differences.shared_examples:
        # More seeds do not reduce this error: they are tested on the same examples.
        quantiles = statistics.normal_quantile(1 - alpha / 2) + statistics.normal_quantile(POWER)
        if distance < quantiles * floor.error:
            count = evidence.differences.test_examples
            return {"reason": f"{count:,} test examples are too few to decide it, at any seeds"}
    pairs = len(sample)
    spread = statistics.standard_error(sample) * math.sqrt(pairs)
    own = 0.0 if evidence.differences.shared_examples else floor.error * math.sqrt(pairs)
    least = max(floor.deviation, own)
    if max(spread, least) == 0:  # equal differences: as many as a sign-flip test needs
        needed = math.ceil(math.log2(2 / alpha))
        return _told(pairs, needed, needed, needed)
    ends = power.spread_interval(spread, pairs)
    low, middle, high = (
        _pairs(evidence.claim, mean, max(each, least), alpha) for each in (ends[0], spread, ends[1])
    )
    return _told(pairs, middle, low, high)


def _distance(evidence: _Evidence) -> float:
    mean = float(evidence.differences.low.mean())
    return min(abs(mean - end) for end, _ in _ends(evidence.claim))


def _pairs(claim: Claim, mean: float, spread: float, alpha: float) -> int | None:
    if claim.expect == "same" and abs(mean) < claim.margin:
        return power.pairs_needed_for_same(mean, spread, claim.margin, POWER, alpha)
    distance = min(abs(mean - end) for end, _ in _ends(claim))
    return power.pairs_needed(distance, spread, POWER, alpha)


def _told(pairs: int, needed: int | None, low: int | None, high: int | None) -> dict[str, Any]:
    most = f"{power.MOST_PAIRS:,}"
    if low is None:
        reason = f"too close to the limit: more than {most} seeds would be needed"
    else:
        last = f"more than {most}" if high is None else f"{high:,}"
        seeds = f"{low:,}" if low == high else f"{low:,} to {last}"
        reason = f"about {seeds} seeds would decide it"
        if needed is not None and needed <= pairs:
            reason += f"; these {pairs} had a good chance"
    return {"needed": needed, "needed_low": low, "needed_high": high, "reason": reason}
