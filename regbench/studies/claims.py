"""The claims of a study file: whether what they name is there, and fits together."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from regbench.analysis import metrics
from regbench.config.yaml12 import Node, Problem
from regbench.errors import RegbenchError
from regbench.studies import factors as factorial
from regbench.studies.factors import Factors
from regbench.studies.sections import Claim, StudyFile

# No sample shows that a difference is exactly zero.
NO_MARGIN = "expect: same needs a margin above 0, the largest difference that does not matter"


def check(
    file: StudyFile,
    tree: Node,
    variants: list[str],
    problems: list[Problem],
    factors: Factors | None,
) -> None:
    broken = [name for name in file.variants if name not in variants] if problems else []
    for index, claim in enumerate(file.claims):
        node = tree.at("claims", index)
        where = f"claims[{index}]"
        lacks = _sides_missing(claim)
        problems += [Problem(node.place, f"{where}.{each}") for each in lacks]
        problems += factorial.check_effect(claim.effect, node, where, factors)
        for keys, name in claim.names():
            # An invalid variant is already reported; don't report it as unknown too.
            if name and name not in variants and not any(name.startswith(each) for each in broken):
                text = f"{where}.{'.'.join(keys)}: no variant {name!r}; {_nearest(name, variants)}"
                problems.append(Problem(node.at(*keys).place, text))
        try:
            exact = metrics.metric(claim.metric).exact
        except RegbenchError as error:
            problems.append(Problem(node.at("metric").place, f"{where}.{error}"))
        else:
            if claim.expect == "same" and not claim.margin and not exact:
                problems.append(Problem(node.at("expect").place, f"{where}.{NO_MARGIN}"))
        if claim.over == "images" and claim.metric not in metrics.PREDICTED:
            text = (
                f"{where}.over: expected {' or '.join(metrics.PREDICTED)} for the metric, since "
                f"images needs predictions, received {claim.metric}"
            )
            problems.append(Problem(node.at("over").place, text))
        if claim.beyond and not isinstance(claim.against, str):
            text = f"{where}.beyond: expected against to be a variant, received {claim.against:g}"
            problems.append(Problem(node.at("beyond").place, text))


def _sides_missing(claim: Claim) -> Iterator[str]:
    """Yield an error for each key that a claim lacks, or has beside an effect."""
    for key in ("variant", "against"):
        if claim.effect is None and key not in claim.model_fields_set:
            yield f"{key}: missing; expected a variant{' or a number' * (key == 'against')}"
    for key in ("variant", "against", "beyond"):
        if claim.effect is not None and key in claim.model_fields_set:
            yield f"{key}: a claim about an effect has none; leave out one of the two"


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f'did you mean "{near[0]}"?' if near else f"expected one of {', '.join(known)}"
