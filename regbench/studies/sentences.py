"""The answer to each claim as a sentence, which a study's output opens with.

dropout narrows the gap against baseline by 0.124 (0.099 to 0.149; 5 seeds)
"""

from __future__ import annotations

from regbench.analysis.answers import in_words, verb
from regbench.analysis.statistics import ALPHA
from regbench.studies.sections import Claim
from regbench.studies.verdicts import Verdict
from regbench.text import decimals


def sentence(verdict: Verdict) -> str:
    """Return what the runs say of a claim, without its verdict and without a full stop."""
    claim = verdict.claim
    if verdict.mean is None:
        return f"{_asked(claim)}: {verdict.reason or 'no number'}"
    if verdict.decision == "undecided":
        alone = verdict.adjusted is not None and _alone(verdict)
        many = " once all claims are corrected for" if alone else ""
        return f"{_asked(claim)}: neither shown nor ruled out{many}; {_seen(verdict)}"
    if claim.expect == "same":
        return _alike(verdict)
    if not isinstance(claim.against, str):
        return _level(verdict, claim.against)
    return _change(verdict, claim.against)


def _alone(verdict: Verdict) -> bool:
    """Return whether the claim would be decided if the study had no other."""
    limit = verdict.look.boundary if verdict.look else ALPHA
    return verdict.p_value is not None and verdict.p_value <= limit


def _change(verdict: Verdict, against: str) -> str:
    """Return the sentence of a claim that one variant is lower or higher than another."""
    claim, mean = verdict.claim, verdict.mean or 0.0
    low, high = _ends(verdict)
    supported, margin = verdict.decision == "supported", claim.margin
    expected = (mean < 0) == (claim.expect == "lower")
    if not supported and (expected or low <= 0 <= high):
        return f"{_asked(claim, 'not ')}: {_seen(verdict)}"
    way = "lower" if mean < 0 else "higher"
    low, high = sorted((abs(low), abs(high)))
    size = f"{_numbers(verdict, abs(mean), low, high)}"
    more = f", more than {margin:g}" if margin and supported else ""
    if claim.beyond:
        return f"{_shift(claim, against)} is {way} than that {_beyond(claim)} by {size}{more}"
    verb = _verb(claim, way)
    return f"{claim.variant} {verb}s the {_name(claim)} against {against} by {size}{more}"


def _level(verdict: Verdict, against: float) -> str:
    """Return the sentence of a claim that a metric is below or above a number."""
    negation = "" if verdict.decision == "supported" else "not "
    mean, low, high = (each + against for each in (verdict.mean or 0.0, *_ends(verdict)))
    return f"{_asked(verdict.claim, negation)}: {_numbers(verdict, mean, low, high)}"


def _alike(verdict: Verdict) -> str:
    negation = "" if verdict.decision == "supported" else "not "
    return f"{_asked(verdict.claim, negation)}: {_seen(verdict)}"


def _asked(claim: Claim, negation: str | None = None) -> str:
    """Return what is claimed, with "" or "not ", or as a question: "whether a lowers ..."."""
    start = "whether " if negation is None else ""
    no, name = negation or "", _name(claim)
    if not isinstance(claim.against, str):
        return f"{start}{_subject(claim)} is {no}{_region(claim, claim.against)}"
    if claim.beyond:
        return (
            f"{start}{_shift(claim, claim.against)} is {no}"
            f"{_relation(claim, f'that {_beyond(claim)}')}"
        )
    if claim.expect == "same":
        verb = "does not have" if no else "has"
        return f"{start}{claim.variant} {verb} the {name} of {claim.against}{_within(claim)}"
    verb = f"does not {_verb(claim)}" if no else f"{_verb(claim)}s"
    least = f" by more than {claim.margin:g}" if claim.margin else ""
    return f"{start}{claim.variant} {verb} the {name} against {claim.against}{least}"


def _subject(claim: Claim) -> str:
    """Return what is compared with a number: a variant's metric, or the effect of factors."""
    name = _name(claim)
    if claim.effect is None:
        return f"the {name} of {claim.variant}"
    if isinstance(claim.effect, str):
        return f"the effect of {claim.effect} on the {name}"
    return f"the interaction of {' and '.join(claim.effect)} in the {name}"


def _region(claim: Claim, number: float) -> str:
    if claim.expect == "same":
        return f"{number:g}{_within(claim)}"
    limit = number + (claim.margin if claim.expect == "higher" else -claim.margin)
    return f"{'below' if claim.expect == 'lower' else 'above'} {limit:g}"


def _relation(claim: Claim, other: str) -> str:
    if claim.expect == "same":
        return f"{other}{_within(claim)}"
    least = f" by more than {claim.margin:g}" if claim.margin else ""
    return f"{claim.expect} than {other}{least}"


def _within(claim: Claim) -> str:
    return f" within {claim.margin:g}" if claim.margin else " exactly"


def _shift(claim: Claim, against: str) -> str:
    return f"the change in {_name(claim)} from {against} to {claim.variant}"


def _beyond(claim: Claim) -> str:
    return f"from {claim.beyond.against} to {claim.beyond.variant}" if claim.beyond else ""


def _seen(verdict: Verdict) -> str:
    """Return the difference with its sign: "difference -0.011 (-0.034 to +0.012; 5 seeds)"."""
    return f"difference {_numbers(verdict, verdict.mean or 0.0, *_ends(verdict), sign='+')}"


def _numbers(verdict: Verdict, mean: float, low: float, high: float, sign: str = "") -> str:
    """Return a number, its interval and its seeds: "0.124 (0.099 to 0.149; 5 seeds)"."""
    if verdict.exact:
        return f"{mean:{sign},.10g} (counted)"
    form = f"{sign},.{decimals(mean, low, high)}f"
    seeds = f"{verdict.pairs} seeds" if verdict.pairs != 1 else "1 seed"
    known = verdict.low is not None and verdict.high is not None
    ends = f"{low:{form}} to {high:{form}}; " if known else ""
    return f"{mean:{form}} ({ends}{seeds})"


def _ends(verdict: Verdict) -> tuple[float, float]:
    """Return the ends of the interval; the mean twice if there is none."""
    mean = verdict.mean or 0.0
    if verdict.exact or verdict.low is None or verdict.high is None:
        return mean, mean
    return verdict.low, verdict.high


def _verb(claim: Claim, way: str = "") -> str:
    return verb(claim.metric, (way or claim.expect) == "lower")


def _name(claim: Claim) -> str:
    return in_words(claim.metric)
