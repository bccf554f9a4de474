"""`data_sets:` of a study: every variant on several data sets, a verdict for each and one over all.

    data_sets:
      shapes: {data.name: shapes}
      digits: {data.name: digits, data.train_examples: 500}

A variant `dropout` is then trained as `dropout-shapes` and `dropout-digits`, and a claim about it
is judged on each data set, and over all of them by its mean difference on each: see
`regbench.analysis.aggregate` for the estimate and for what rliable reports.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from regbench.analysis import aggregate, metrics
from regbench.analysis.statistics import Interval, Sample
from regbench.config import NAME, Experiment
from regbench.config.matrix import LONGEST_NAME
from regbench.config.yaml12 import Node, Problem
from regbench.text import p_value

if TYPE_CHECKING:
    from regbench.studies.differences import Differences, Runs
    from regbench.studies.file import Study
    from regbench.studies.sections import Claim

# Stands between the name of a variant and that of a data set.
DASH = "-"
# An interquartile mean leaves out the lowest and the highest quarter of the runs.
FEWEST_RUNS = 4


@dataclass(frozen=True)
class Across:
    """What several data sets say of a claim, beyond the verdict over all of them.

    `means` are the mean differences by data set, and `between` is the variance between data sets
    that seeds do not explain. `improvement` is the probability that a run of the variant is better
    than one of the other on the same data set, higher if the metric has no better direction.
    """

    means: Mapping[str, float]
    between: float | None = None
    wilcoxon: float | None = None
    improvement: Interval | None = None

    def text(self) -> str:
        """Return what a table says of it."""
        told = [f"{len(self.means)} data sets"]
        found = self.improvement
        if found is not None and found.mean is not None:
            ends = f" ({found.low:.2f} to {found.high:.2f})" if found.low is not None else ""
            told.append(f"probability of improvement {found.mean:.2f}{ends}")
        if self.wilcoxon is not None:
            told.append(f"Wilcoxon p {p_value(self.wilcoxon)}")
        return "; ".join(told)


@dataclass(frozen=True)
class Interquartile:
    """The interquartile mean of a variant's metric over all runs of all data sets."""

    variant: str
    metric: str
    runs: int
    mean: float
    low: float
    high: float

    def as_dict(self) -> dict[str, object]:
        """Return it as JSON."""
        return asdict(self)


def names(data_sets: Mapping[str, object], tree: Node, problems: list[Problem]) -> tuple[str, ...]:
    """Return the names of a study's data sets. Errors are added to `problems`."""
    section = tree.child("data_sets") or tree
    if len(data_sets) == 1:
        text = "data_sets: expected two or more, received one; set its keys in `set`"
        problems.append(Problem(section.place, text))
    for name in data_sets:
        node = section.child(name) or section
        if not _is_name(name):
            text = f"data_sets: expected a name of letters, digits, _ and ., received {name!r}"
            problems.append(Problem(node.key or node.place, text))
    return tuple(data_sets)


def _is_name(name: str) -> bool:
    return DASH not in name and re.fullmatch(NAME, name) is not None


def named(name: str, data_set: str | None) -> str:
    """Return the name of a variant on a data set."""
    return name if data_set is None else f"{name}{DASH}{data_set}"


def on(
    experiments: Sequence[Experiment], data_set: str | None, node: Node, problems: list[Problem]
) -> Iterator[Experiment]:
    """Yield experiments with the names that they have on a data set."""
    for experiment in experiments:
        name = named(experiment.name, data_set)
        if len(name) > LONGEST_NAME:
            text = (
                f"data_sets: expected a name of at most {LONGEST_NAME} characters, received {name}"
            )
            problems.append(Problem(node.key or node.place, text))
            continue
        yield experiment.model_copy(update={"name": name})


def plain(variants: Sequence[str], data_sets: Sequence[str]) -> list[str]:
    """Return the names of variants as claims have them: without the data set."""
    if not data_sets:
        return list(variants)
    return list(dict.fromkeys(name.rpartition(DASH)[0] for name in variants))


def on_each(claims: Sequence[Claim], data_sets: Sequence[str]) -> tuple[Claim, ...]:
    """Return each claim once for every data set, or the claims themselves without data sets."""
    if not data_sets:
        return tuple(claims)
    return tuple(_on(claim, data_set) for claim in claims for data_set in data_sets)


def _on(claim: Claim, data_set: str) -> Claim:
    changes: dict[str, object] = {
        "text": f"{claim.text} ({data_set})",
        "variant": named(claim.variant, data_set),
    }
    if isinstance(claim.against, str):
        changes["against"] = named(claim.against, data_set)
    if claim.beyond:
        both = {
            "variant": named(claim.beyond.variant, data_set),
            "against": named(claim.beyond.against, data_set),
        }
        changes["beyond"] = claim.beyond.model_copy(update=both)
    return claim.model_copy(update=changes)


def over_all(claims: Sequence[Claim]) -> list[Claim]:
    """Return the claims as the verdicts over all data sets name them.

    The spread of data sets includes what seeds and test images add to each of them.
    """
    return [
        each.model_copy(update={"text": f"{each.text} (all data sets)", "over": "seeds"})
        for each in claims
    ]


def across(claim: Claim, study: Study, runs: Runs, found: Sequence[Differences]) -> Across:
    """Return what the data sets say of a claim.

    Args:
        claim: as written in the study's file.
        study: its data sets.
        runs: the metrics of its runs.
        found: the claim's differences on each data set.
    """
    known = {
        data_set: each
        for data_set, each in zip(study.data_sets, found, strict=True)
        if each.known and each.pairs > 1
    }
    means = {data_set: float(each.low.mean()) for data_set, each in known.items()}
    if len(means) < 2:
        return Across(means)
    values = np.array(list(means.values()))
    variances = np.array([each.low.var(ddof=1) / each.pairs for each in known.values()])
    return Across(
        means,
        aggregate.between(values, variances),
        aggregate.wilcoxon(values),
        _improvement(claim, runs, list(known)),
    )


def _improvement(claim: Claim, runs: Runs, data_sets: Sequence[str]) -> Interval | None:
    """Return the probability of improvement; None unless the claim compares two variants."""
    if not isinstance(claim.against, str) or claim.beyond:
        return None
    first, second = (
        [_values(runs, named(name, data_set), claim.metric) for data_set in data_sets]
        for name in (claim.variant, claim.against)
    )
    if metrics.metric(claim.metric).better == "lower":
        first, second = second, first
    return aggregate.probability_of_improvement(first, second)


def _values(runs: Runs, variant: str, metric: str) -> Sample:
    return np.array([low for low, _ in runs.values(variant, metric).values()])


def interquartile(study: Study, runs: Runs, metric: str = "test_accuracy") -> list[Interquartile]:
    """Return the interquartile mean of every variant that has runs on every data set."""
    found = []
    for name in plain(list(study.variants), study.data_sets) if study.data_sets else ():
        strata = [_values(runs, named(name, each), metric) for each in study.data_sets]
        count = sum(map(len, strata))
        if all(map(len, strata)) and count >= FEWEST_RUNS:
            mean = aggregate.interquartile_mean(strata)
            assert mean.mean is not None
            assert mean.low is not None
            assert mean.high is not None
            found.append(Interquartile(name, metric, count, mean.mean, mean.low, mean.high))
    return found


def rows(found: Sequence[Interquartile]) -> list[list[str]]:
    """Return a row of text for each interquartile mean: variant, mean, interval, runs."""
    return [
        [each.variant, f"{each.mean:.3f}", f"{each.low:.3f} to {each.high:.3f}", str(each.runs)]
        for each in found
    ]


HEADINGS = ("variant", "IQM of test accuracy", "95% interval", "runs")
LEGEND = (
    "all data sets: of the mean differences, one for each data set, by a t interval with data sets "
    "as the unit; it is about data sets like these. Probability of improvement and IQM, the "
    "interquartile mean over all data sets: as rliable, with a stratified bootstrap over seeds"
)
