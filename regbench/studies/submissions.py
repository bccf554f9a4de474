"""A folder of bundles judged by one study: an exercise, and what each student handed in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from regbench.analysis import origins
from regbench.errors import RegbenchError, Warn
from regbench.runs import storage
from regbench.studies import run as studies
from regbench.studies.file import Study
from regbench.studies.verdicts import Decision


@dataclass(frozen=True)
class Judged:
    """The verdict on a claim in brief: the difference, its interval, and the seeds behind it."""

    claim: str
    decision: Decision
    mean: float | None
    low: float | None
    high: float | None
    pairs: int
    exact: bool


@dataclass(frozen=True)
class Submission:
    """A bundle: how many of the study's runs it has, and the verdicts on them.

    `counts` are those of `StudyResult.counts`. `problem` says why nothing was judged.
    """

    origin: str
    path: str
    runs: int
    expected: int
    counts: dict[str, int]
    verdicts: list[Judged]
    problem: str | None = None

    def as_dict(self) -> dict[str, object]:
        """Return the submission as JSON."""
        return asdict(self)


def bundles(folder: Path) -> list[Path]:
    """Return the bundles in a folder that holds nothing else to judge, by name.

    A folder with runs, or with a bundle of its own, is a results folder.
    """
    if not folder.is_dir() or (folder / storage.BUNDLE).exists():
        return []
    if any(folder.glob("*/config.yaml")):
        return []
    return sorted(path for path in folder.glob("*.zip") if path.is_file())


def judge(study: Study, paths: Sequence[Path], warn: Warn | None = None) -> list[Submission]:
    """Judge each bundle by itself; one that can't be read is a submission with a problem."""
    named = zip(paths, origins.labels(paths), strict=True)
    return [_submission(study, path, origin, warn) for path, origin in named]


def _submission(study: Study, path: Path, origin: str, warn: Warn | None) -> Submission:
    def say(message: str) -> None:
        if warn:
            warn(f"{origin}: {message}")

    try:
        result = studies.judge(study, path, warn=say)
        expected = result.study.experiments
        runs = sum(storage.find(path, each.run_name) is not None for each in expected)
    except RegbenchError as error:
        return Submission(origin, str(path), 0, len(study.experiments), {}, [], str(error))
    verdicts = [
        Judged(
            each.claim.text, each.decision, each.mean, each.low, each.high, each.pairs, each.exact
        )
        for each in result.verdicts
    ]
    problem = None if runs else "it has none of the study's runs"
    return Submission(origin, str(path), runs, len(expected), result.counts, verdicts, problem)
