"""The result of a study: its variants' means, the verdicts, and the outcome of its runs."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import get_args

from regbench.analysis.statistics import Interval
from regbench.analysis.variance import Decomposition
from regbench.studies import factor_effects, looks
from regbench.studies.data_sets import Interquartile
from regbench.studies.factor_effects import EffectResult
from regbench.studies.file import Study
from regbench.studies.trials import ContestResult
from regbench.studies.verdicts import HEADINGS, Decision, Verdict
from regbench.sweeps.sweep import Outcome
from regbench.text import html_table


@dataclass(frozen=True)
class VariantResult:
    """A variant: its changes to the first one, its runs, and the means of its metrics."""

    name: str
    config_hash: str
    changes: Mapping[str, object]
    runs: int
    diverged: int
    metrics: dict[str, Interval]


@dataclass(frozen=True)
class StudyResult:
    """The result of a study; `outcome` is that of its runs, None if no training was requested.

    `judged_before` has the numbers of seeds with which it was judged before seeds were added.
    `contest` is how its variants were tuned, None if they were not.
    `variances` say where variance comes from, for variants with `vary`, and `interquartile` has
    the mean of each variant over all data sets, of a study with several.
    """

    study: Study
    variants: list[VariantResult]
    verdicts: list[Verdict]
    outcome: Outcome | None = None
    judged_before: tuple[int, ...] = ()
    contest: ContestResult | None = None
    variances: Sequence[Decomposition] = ()
    interquartile: Sequence[Interquartile] = ()
    effects: Sequence[EffectResult] = ()

    @property
    def exit_code(self) -> int:
        """Exit code: 1 if a claim is contradicted, 3 if some runs failed or diverged, else 0."""
        if any(each.decision == "contradicted" for each in self.verdicts):
            return 1
        return self.outcome.exit_code if self.outcome else 0

    @property
    def counts(self) -> dict[str, int]:
        """The number of supported, contradicted and undecided claims, by evidence or arithmetic."""
        sampled = [each.decision for each in self.verdicts if not each.exact]
        return {each: sampled.count(each) for each in get_args(Decision)} | {
            "by_arithmetic": sum(each.exact for each in self.verdicts)
        }

    def _repr_html_(self) -> str:
        """Return question and verdicts as a notebook shows them."""
        lines = [each.cells() for each in self.verdicts]
        return f"<p>{html.escape(self.study.question)}</p>{html_table(HEADINGS, lines)}"

    def as_dict(self) -> dict[str, object]:
        """Return the JSON of `--json` and of `verdicts.json`."""
        further: dict[str, object] = {}
        if self.contest:
            further["contest"] = self.contest.as_dict()
        if self.variances:
            further["variances"] = [each.as_dict() for each in self.variances]
        if self.interquartile:
            further["interquartile"] = [each.as_dict() for each in self.interquartile]
        return {
            "study": self.study.name,
            "question": self.study.question,
            "profile": self.study.profile,
            "seeds": list(self.study.seeds),
            "looks": looks.as_json(self.study, self.verdicts),
            "judged_before": list(self.judged_before),
            "variants": [asdict(each) for each in self.variants],
            "counts": self.counts,
            "verdicts": [each.as_dict() for each in self.verdicts],
            **further,
            **factor_effects.as_dict(self.study, self.effects),
        }
