"""The result of a study: its variants' means, the verdicts, and the outcome of its runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import get_args

from regbench.analysis.statistics import Interval
from regbench.studies import effects
from regbench.studies.effects import EffectResult
from regbench.studies.file import Study
from regbench.studies.verdicts import Decision, Verdict
from regbench.sweeps.sweep import Outcome


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
    """The result of a study; `outcome` is that of its runs, None if no training was requested."""

    study: Study
    variants: list[VariantResult]
    verdicts: list[Verdict]
    outcome: Outcome | None = None
    effects: list[EffectResult] = field(default_factory=list)

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

    def as_dict(self) -> dict[str, object]:
        """Return the JSON of `--json` and of `verdicts.json`."""
        return {
            "study": self.study.name,
            "question": self.study.question,
            "profile": self.study.profile,
            "seeds": list(self.study.seeds),
            "variants": [asdict(each) for each in self.variants],
            "counts": self.counts,
            "verdicts": [each.as_dict() for each in self.verdicts],
            **effects.as_dict(self.study, self.effects),
        }
