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
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from regbench import text
from regbench.analysis import metrics, power, statistics
from regbench.analysis.effects import Effects
from regbench.analysis.sequential import Look
from regbench.analysis.statistics import ALPHA, CONFIDENCE, Floor, Interval, Sample
from regbench.errors import Warn
from regbench.studies import data_sets, effects
from regbench.studies import differences as paired
from regbench.studies.data_sets import Across
from regbench.studies.differences import Differences, Runs
from regbench.studies.effects import POWER
from regbench.studies.file import Study
from regbench.studies.pairs import Pairs
from regbench.studies.sections import Claim

if TYPE_CHECKING:
    import pandas

Decision = Literal["supported", "contradicted", "undecided"]
Leaning = Literal["supported", "contradicted"]
HEADINGS = ("claim", "verdict", "difference", "p", "pairs")
# Verdict.needed, needed_low, needed_high and reason.
Needed = tuple[int | None, int | None, int | None, str]
UNKNOWN = None, None, None


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
    alone. `cautions` are reasons to doubt the numbers. `effects` says how large the difference is.
    `look` is the look behind the verdict, of a study whose seeds are added until it is decided.
    Of a claim over all data sets, these are the pairs, and `across` has what else they say.
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
    effects: Effects | None = None
    look: Look | None = None
    across: Across | None = None

    def as_dict(self) -> dict[str, object]:
        """Return the verdict as JSON."""
        own = asdict(self)
        own["claim"] = self.claim.as_dict()
        own["cautions"] = list(self.cautions)
        if self.look:
            own["look"]["passed"] = list(own["look"]["passed"])
        if self.across is None:
            del own["across"]
        return own

    def cells(self) -> list[str]:
        """Return claim, verdict, difference and p-value as text, under `HEADINGS`."""
        known = text.number(Interval(self.mean, self.low, self.high), "+")
        return [self.claim.text, self.decision, known, text.p_value(self.adjusted), str(self.pairs)]

    def _repr_html_(self) -> str:
        return text.html_table(HEADINGS, [self.cells()])


@dataclass(frozen=True)
class Evidence:
    """The differences of a claim, the verdict they lean toward, and its p-value."""

    claim: Claim
    differences: Differences
    exact: bool
    leaning: Leaning
    p_value: float | None
    across: Across | None = None


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
    evidence = [weigh(claim, runs) for claim in study.claims]
    evidence += _over_all(study, runs, evidence)
    sampled = [each.p_value if not each.exact else None for each in evidence]
    adjusted = statistics.holm(sampled)
    tests = sum(p is not None for p in sampled)
    alpha = ALPHA / max(1, tests)  # Holm's first step, the strictest
    return [
        replace(
            conclude(each, each.p_value if each.exact else p, len(study.seeds), alpha),
            effects=effects.of_claim(each.claim, runs, each.differences, alpha),
        )
        if each.across is None
        else _of_data_sets(conclude(each, p, each.differences.pairs, alpha), each.across)
        for each, p in zip(evidence, adjusted, strict=True)
    ]


def _over_all(study: Study, runs: Runs, evidence: Sequence[Evidence]) -> list[Evidence]:
    """Return the evidence for each claim over all data sets, which are its pairs."""
    found = []
    count = len(study.data_sets)
    for place, claim in enumerate(data_sets.over_all(study.over_all)):
        on_each = [each.differences for each in evidence[place * count : (place + 1) * count]]
        across = data_sets.across(claim, study, runs, on_each)
        means = np.array(list(across.means.values()))
        missing = [each for each in study.data_sets if each not in across.means]
        cautions = [f"no interval on {', '.join(missing)}"] if missing else []
        counted = metrics.metric(claim.metric).exact
        values = means[:0] if counted else means
        differences = Differences(values, values, cautions=cautions)
        if len(values) < 2:
            found.append(Evidence(claim, differences, False, "contradicted", None, across))
            continue
        leaning, p_value = decide(claim, means)
        found.append(Evidence(claim, differences, False, leaning, p_value, across))
    return found


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


def weigh(claim: Claim, runs: Runs) -> Evidence:
    """Return the evidence that finished runs give on a claim."""
    differences = paired.of_claim(claim, runs)
    if metrics.metric(claim.metric).exact:
        inside = {_inside(claim, float(each)) for each in differences.low}
        leaning: Leaning = "supported" if True in inside else "contradicted"
        return Evidence(claim, differences, True, leaning, 0.0 if len(inside) == 1 else None)
    if differences.pairs < 2:
        return Evidence(claim, differences, False, "contradicted", None)
    if differences.known:
        leaning, p_value = decide(claim, differences.low, differences.floor)
    else:
        leaning, p_value = decide_by_order(
            claim, differences.low, differences.high, differences.unknown
        )
    return Evidence(claim, differences, False, leaning, p_value)


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


def conclude(
    evidence: Evidence,
    adjusted: float | None,
    seeds: int,
    alpha: float,
    confidence: float = CONFIDENCE,
) -> Verdict:
    """Return the verdict on a claim.

    Args:
        evidence: what the runs say of it.
        adjusted: its p-value, corrected for several claims (and looks).
        seeds: the number of seeds that were trained.
        alpha: the level at which added seeds would have to decide it.
        confidence: that of the interval.
    """
    decided = adjusted is not None and adjusted <= ALPHA
    differences = evidence.differences
    # The mean of the uncensored runs alone would leave out the largest values.
    known = differences.low if differences.known else differences.low[:0]
    ends = statistics.interval(known, confidence, differences.floor)
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
    if differences.pairs < 2 or evidence.exact:
        return replace(verdict, reason=_too_few(verdict))
    count = _needed if differences.known else _censored
    needed, low, high, reason = count(evidence, alpha)
    return replace(verdict, needed=needed, needed_low=low, needed_high=high, reason=reason)


def _of_data_sets(verdict: Verdict, across: Across) -> Verdict:
    """Return the verdict over all data sets, whose remark counts those and not seeds."""
    reason = verdict.reason
    if verdict.pairs < 2:
        reason = "counted, not sampled, or known on fewer than two data sets: judged on each alone"
    elif reason:
        reason = reason.replace("seeds", "data sets like these")
    return replace(verdict, reason=reason, across=across)


def _too_few(verdict: Verdict) -> str:
    unit = "pairs" if verdict.claim.paired else "runs"
    if verdict.exact and verdict.pairs:
        return f"the {unit} do not agree"
    if verdict.pairs == 1:
        return f"only one {unit[:-1]}; an interval needs at least two seeds"
    if verdict.censored:
        return "no run reached the level" if verdict.lost else f"no {unit} with a known order"
    return f"no {unit} with this metric"


def _censored(evidence: Evidence, alpha: float) -> Needed:
    """Return the seeds that a sign test needs if all of them agree."""
    differences = evidence.differences
    _, p_value = decide_by_order(evidence.claim, differences.low, differences.high, 0)
    if differences.unknown or p_value > 3 * 0.5**differences.pairs:
        return *UNKNOWN, "the order is not certain for every seed: train longer"
    needed = math.ceil(math.log2(2 / alpha))
    reason = f"{needed} seeds would decide it if all agree: only the order is known"
    return needed, needed, needed, reason


def _needed(evidence: Evidence, alpha: float) -> Needed:
    """Return the pairs that decide at 80% power, as a number and a range, and the remark."""
    sample, floor = evidence.differences.low, evidence.differences.floor
    mean, distance = float(sample.mean()), _distance(evidence)
    if evidence.claim.expect == "same" and not evidence.claim.margin and not mean:
        return *UNKNOWN, "no sample shows that a difference is exactly 0: give it a margin"
    if not distance:
        return *UNKNOWN, "the difference lies at the limit: no number of seeds would decide it"
    if evidence.differences.shared_examples:
        # More seeds do not reduce this error: they are tested on the same examples.
        quantiles = statistics.normal_quantile(1 - alpha / 2) + statistics.normal_quantile(POWER)
        if distance < quantiles * floor.error:
            return *UNKNOWN, f"{_examples(evidence)} are too few to decide it, at any seeds"
    pairs = len(sample)
    spread = statistics.standard_error(sample) * math.sqrt(pairs)
    own = 0.0 if evidence.differences.shared_examples else floor.error * math.sqrt(pairs)
    least = max(floor.deviation, own)
    if max(spread, least) == 0:  # equal differences: as many as a sign-flip test needs
        needed = math.ceil(math.log2(2 / alpha))
        return _told(pairs, needed, needed, needed)
    if floor.added and floor.added.variance:
        # More seeds do not reduce the images' part: the seeds' own part has to be smaller.
        quantiles = statistics.normal_quantile(1 - alpha / 2) + statistics.normal_quantile(POWER)
        left = 1 - floor.added.variance * (quantiles / distance) ** 2
        if left <= 0:
            return *UNKNOWN, f"{_examples(evidence)} are too few to decide it, at any seeds"
        spread, least = spread / math.sqrt(left), least / math.sqrt(left)
    ends = power.spread_interval(spread, pairs)
    low, middle, high = (
        _pairs(evidence.claim, mean, max(each, least), alpha) for each in (ends[0], spread, ends[1])
    )
    return _told(pairs, middle, low, high)


def _examples(evidence: Evidence) -> str:
    return f"{evidence.differences.test_examples:,} test examples"


def _distance(evidence: Evidence) -> float:
    mean = float(evidence.differences.low.mean())
    return min(abs(mean - end) for end, _ in _ends(evidence.claim))


def _pairs(claim: Claim, mean: float, spread: float, alpha: float) -> int | None:
    if claim.expect == "same" and abs(mean) < claim.margin:
        return power.pairs_needed_for_same(mean, spread, claim.margin, POWER, alpha)
    distance = min(abs(mean - end) for end, _ in _ends(claim))
    return power.pairs_needed(distance, spread, POWER, alpha)


def _told(pairs: int, needed: int | None, low: int | None, high: int | None) -> Needed:
    most = f"{power.MOST_PAIRS:,}"
    if low is None:
        reason = f"too close to the limit: more than {most} seeds would be needed"
    else:
        last = f"more than {most}" if high is None else f"{high:,}"
        seeds = f"{low:,}" if low == high else f"{low:,} to {last}"
        reason = f"about {seeds} seeds would decide it"
        if needed is not None and needed <= pairs:
            reason += f"; these {pairs} had a good chance"
    return needed, low, high, reason
