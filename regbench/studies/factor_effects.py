"""The effects of a study's factors: each main effect and two-way interaction of each metric.

An effect is judged as a claim is, from one number for each seed, so that its interval knows what
the test examples and whole steps allow. p-values are adjusted for all effects of a metric (Holm).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from regbench import text
from regbench.analysis import metrics
from regbench.analysis.statistics import Interval
from regbench.studies import verdicts
from regbench.studies.factors import Factors
from regbench.studies.file import Study
from regbench.studies.pairs import Pairs
from regbench.studies.sections import Claim
from regbench.text import markdown_table, plain_markdown

if TYPE_CHECKING:
    import pandas

LEGEND = (
    "effect: the mean at a level minus that at the first level, over all other factors; a x b: by "
    "how much the effect of a changes with b; ±: half of the 95% interval over seeds; "
    "p: adjusted for all effects of the metric (Holm)"
)


@dataclass(frozen=True)
class EffectResult(Interval):
    """The effect of a factor, or the interaction of two, on a metric.

    `p_value` is that of a t test over seeds against zero, `adjusted` corrected for all effects of
    the metric. `seeds` counts the seeds that trained every combination. `aliased` names effects
    that this design can't tell from it.
    """

    effect: tuple[str, ...] = ()
    text: str = ""
    metric: str = ""
    p_value: float | None = None
    adjusted: float | None = None
    seeds: int = 0
    aliased: str = ""


def judge(
    study: Study, names: Sequence[str], table: pandas.DataFrame, pairs: Pairs | None = None
) -> list[EffectResult]:
    """Return every effect on every metric that is measured; [] for a study without factors.

    Args:
        study: its factors, and which runs count.
        names: the metrics, columns of `table`.
        table: what `regbench.metrics.table` returns.
        pairs: which runs may be compared, by the data that they read.
    """
    factors = study.factors
    if not factors:
        return []
    found = []
    for metric in names:
        if metrics.metric(metric).exact:
            continue
        claims = tuple(
            Claim(text="An effect", metric=metric, effect=factors.name(effect), expect="lower")
            for effect in factors.distinct()
        )
        judged = verdicts.judge(replace(study, claims=claims), table, pairs=pairs)
        found += [_result(factors, verdict) for verdict in judged]
    return found


def as_dict(study: Study, results: Sequence[EffectResult]) -> dict[str, object]:
    """Return the JSON of the factors and their effects; {} for a study without factors."""
    factors = study.factors
    if not factors:
        return {}
    return {
        "factors": {key: list(levels) for key, levels in factors.levels.items()},
        "design": str(factors),
        "effects": [{**asdict(each), "effect": list(each.effect)} for each in results],
    }


def metrics_of(results: Sequence[EffectResult]) -> list[str]:
    """Return the metrics of effects, each once."""
    return list(dict.fromkeys(each.metric for each in results))


def rows(factors: Factors, results: Sequence[EffectResult]) -> Iterator[list[str]]:
    """Yield a row for each effect: its text, its aliases, and a number and p for each metric."""
    for effect in factors.distinct():
        name = factors.text(effect)
        own = [each for each in results if each.text == name]
        cells = [
            cell
            for each in own
            for cell in (text.number(each, "+", large=True), text.p_value(each.adjusted, ".3f"))
        ]
        yield [name, factors.aliased(effect), *cells]


def markdown(study: Study, results: Sequence[EffectResult]) -> list[str]:
    """Return the table of effects as Markdown, with its title; [] without factors."""
    factors = study.factors
    if not factors or not results:
        return []
    columns = [cell for metric in metrics_of(results) for cell in (metric, "p")]
    table = [["effect", *columns, ""], ["---", *["---:"] * len(columns), "---"]]
    for name, aliased, *cells in rows(factors, results):
        table.append([plain_markdown(name), *cells, plain_markdown(aliased)])
    title = plain_markdown(f"Effects: {factors}.")
    return [f"{title}\n", markdown_table(table), plain_markdown(LEGEND) + "\n"]


def _result(factors: Factors, verdict: verdicts.Verdict) -> EffectResult:
    written = verdict.claim.effect or ""
    effect = factors.of_claim(written)
    return EffectResult(
        mean=verdict.mean,
        low=verdict.low,
        high=verdict.high,
        effect=(written,) if isinstance(written, str) else tuple(written),
        text=factors.text(effect),
        metric=verdict.claim.metric,
        p_value=verdict.p_value,
        adjusted=verdict.adjusted,
        seeds=verdict.pairs,
        aliased=factors.aliased(effect),
    )
