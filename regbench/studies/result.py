"""What a study found: its variants' means, the verdicts, and what became of the runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import get_args

from regbench.analysis.statistics import Interval
from regbench.studies.file import Study
from regbench.studies.verdicts import Decision, Verdict
from regbench.sweeps.sweep import Outcome


@dataclass(frozen=True)
class VariantResult:
    """A variant: what it changes of the first one, its runs, and the means of its metrics."""

    name: str
    config_hash: str
    changes: Mapping[str, object]
    runs: int
    diverged: int
    metrics: dict[str, Interval]


@dataclass(frozen=True)
class StudyResult:
    """What was found. `outcome` is what became of the runs, None where none were asked for."""

    study: Study
    variants: list[VariantResult]
    verdicts: list[Verdict]
    outcome: Outcome | None = None

    @property
    def exit_code(self) -> int:
        """1 where a claim is contradicted, 3 where some runs failed or diverged, else 0."""
        if any(each.decision == "contradicted" for each in self.verdicts):
            return 1
        return self.outcome.exit_code if self.outcome else 0

    @property
    def counts(self) -> dict[str, int]:
        """How many claims are supported, contradicted and undecided by evidence, or arithmetic."""
        sampled = [each.decision for each in self.verdicts if not each.exact]
        return {each: sampled.count(each) for each in get_args(Decision)} | {
            "by_arithmetic": sum(each.exact for each in self.verdicts)
        }

    def as_dict(self) -> dict[str, object]:
        """Return what `--json` prints and `verdicts.json` holds."""
        return {
            "study": self.study.name,
            "question": self.study.question,
            "profile": self.study.profile,
            "seeds": list(self.study.seeds),
            "variants": [asdict(each) for each in self.variants],
            "counts": self.counts,
            "verdicts": [each.as_dict() for each in self.verdicts],
        }
