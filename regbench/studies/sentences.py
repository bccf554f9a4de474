"""The answer to each claim as a sentence, which a study's output opens with.

dropout narrows the gap against baseline by 0.124 (0.099 to 0.149; 5 seeds)
"""

from __future__ import annotations

from regbench.studies.file import Claim
from regbench.studies.verdicts import Verdict
from regbench.text import signed

# Other metrics rise and fall.
VERBS = {"gap": ("narrow", "widen")}


def sentence(verdict: Verdict) -> str:
    """Return what the runs say of a claim, without its verdict and without a full stop."""
    if verdict.mean is None:
        return f"{_asked(verdict.claim)}: {verdict.reason or 'no number'}"
    if verdict.decision == "undecided":
        return f"{_asked(verdict.claim)}: neither shown nor ruled out; {_seen(verdict)}"
    if verdict.claim.expect == "same":
        return _alike(verdict)
    if not isinstance(verdict.claim.against, str):
        return _level(verdict)
    return _change(verdict)


def _change(verdict: Verdict) -> str:
    """Return the sentence of a claim that one variant is lower or higher than another."""
    claim, mean = verdict.claim, verdict.mean
    assert mean is not None
    low, high = _ends(verdict)
    shown = verdict.decision == "supported" or not low <= 0 <= high
    more = (
        f", more than {claim.margin:g}" if claim.margin and verdict.decision == "supported" else ""
    )
    against = f" against {claim.against}{_beyond(claim)}"
    if not shown or (
        verdict.decision == "contradicted" and (mean < 0) == (claim.expect == "lower")
    ):
        asked = f"{claim.variant} does not {_verb(claim)[0]} the {_name(claim)}{against}"
        least = f" by more than {claim.margin:g}" if claim.margin else ""
        return f"{asked}{least}: {_seen(verdict)}"
    verb = _verb(claim, "lower" if mean < 0 else "higher")[1]
    ends = sorted((abs(low), abs(high)))
    size = f"{_number(abs(mean))} ({_range(verdict, *ends)})"
    return f"{claim.variant} {verb} the {_name(claim)}{against} by {size}{more}"


def _level(verdict: Verdict) -> str:
    """Return the sentence of a claim that a metric is below or above a number."""
    claim, mean = verdict.claim, verdict.mean
    assert mean is not None and not isinstance(claim.against, str)
    low, high = (each + claim.against for each in _ends(verdict))
    size = f"{_number(mean + claim.against)} ({_range(verdict, low, high)})"
    limit = claim.against + (claim.margin if claim.expect == "higher" else -claim.margin)
    way = "below" if claim.expect == "lower" else "above"
    verb = "is" if verdict.decision == "supported" else "is not"
    return f"the {_name(claim)} of {claim.variant} {verb} {way} {limit:g}: {size}"


def _alike(verdict: Verdict) -> str:
    claim = verdict.claim
    within = f"within {claim.margin:g}" if claim.margin else "exactly"
    verb = "has" if verdict.decision == "supported" else "does not have"
    if not isinstance(claim.against, str):
        verb = "is" if verdict.decision == "supported" else "is not"
        return f"the {_name(claim)} of {claim.variant} {verb} {claim.against:g} {within}: {_seen(verdict)}"
    other = f"the {_name(claim)} of {claim.against}{_beyond(claim)}"
    return f"{claim.variant} {verb} {other} {within}: {_seen(verdict)}"


def _asked(claim: Claim) -> str:
    """Return the question of a claim: "whether dropout narrows the gap against baseline"."""
    if isinstance(claim.against, str):
        against = f"{claim.against}{_beyond(claim)}"
        if claim.expect == "same":
            return f"whether {claim.variant} has the {_name(claim)} of {against} within {claim.margin:g}"
        least = f" by more than {claim.margin:g}" if claim.margin else ""
        return (
            f"whether {claim.variant} {_verb(claim)[1]} the {_name(claim)} against {against}{least}"
        )
    name = f"whether the {_name(claim)} of {claim.variant} is"
    if claim.expect == "same":
        return f"{name} {claim.against:g} within {claim.margin:g}"
    limit = claim.against + (claim.margin if claim.expect == "higher" else -claim.margin)
    return f"{name} {'below' if claim.expect == 'lower' else 'above'} {limit:g}"


def _seen(verdict: Verdict) -> str:
    """Return the difference with its sign: "difference -0.011 (-0.034 to +0.012; 5 seeds)"."""
    assert verdict.mean is not None
    low, high = _ends(verdict)
    if verdict.exact or low == high:
        return f"difference {signed(verdict.mean)} ({_seeds(verdict)})"
    ends = f"{signed(low)} to {signed(high)}"
    return f"difference {signed(verdict.mean)} ({ends}; {_seeds(verdict)})"


def _range(verdict: Verdict, low: float, high: float) -> str:
    if verdict.exact or verdict.low is None or low == high:
        return _seeds(verdict)
    return f"{_number(low)} to {_number(high)}; {_seeds(verdict)}"


def _seeds(verdict: Verdict) -> str:
    if verdict.exact:
        return "counted"
    return f"{verdict.pairs} seeds" if verdict.pairs != 1 else "1 seed"


def _ends(verdict: Verdict) -> tuple[float, float]:
    """Return the ends of the interval; the mean twice if there is none."""
    assert verdict.mean is not None
    if verdict.exact or verdict.low is None or verdict.high is None:
        return verdict.mean, verdict.mean
    return verdict.low, verdict.high


def _verb(claim: Claim, way: str = "") -> tuple[str, str]:
    """Return the verb of a change, as in "does not lower" and in "lowers"."""
    down, up = VERBS.get(claim.metric, ("lower", "raise"))
    verb = down if (way or claim.expect) == "lower" else up
    return verb, f"{verb}s"


def _beyond(claim: Claim) -> str:
    if not claim.beyond:
        return ""
    return f", beyond what {claim.beyond.variant} does against {claim.beyond.against},"


def _name(claim: Claim) -> str:
    """Return a metric's name in words; a name with a level keeps its parentheses."""
    return claim.metric.replace("_", " ")


def _number(value: float) -> str:
    return signed(value).removeprefix("+")
