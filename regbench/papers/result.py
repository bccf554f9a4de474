"""The result of a rebuilt paper: a verdict on each printed number and on each difference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from regbench.analysis.statistics import Interval
from regbench.papers import claims
from regbench.papers.file import Paper
from regbench.papers.sections import Column, Difference
from regbench.studies.result import StudyResult, VariantResult
from regbench.studies.verdicts import Decision, Verdict

# What a study says of a claim, and what that means for the paper.
DECISIONS: Mapping[Decision, Literal["reproduced", "contradicted", "undecided"]] = {
    "supported": "reproduced", "contradicted": "contradicted", "undecided": "undecided",
}  # fmt: skip
# Of a number whose experiment was made smaller, or that the paper does not print.
NotJudged = Literal["scaled down", "not printed"]
Outcome = Literal["reproduced", "contradicted", "undecided"]
# A printed difference below this many of its own standard errors could be chance.
CHANCE_ERRORS = 2.0


@dataclass(frozen=True)
class Cell:
    """A printed number and the measured one, both in the unit that is printed."""

    column: str
    printed: float | None
    measured: Interval
    verdict: Outcome | NotJudged


@dataclass(frozen=True)
class RowResult:
    """A row: its runs, its cells, and how its settings differ from the paper's.

    `left_out` says why it is not rebuilt; it has no cells then.
    """

    name: str
    label: str
    runs: int
    diverged: int
    cells: tuple[Cell, ...]
    left_out: str = ""


@dataclass(frozen=True)
class DifferenceResult:
    """A difference between two rows, in the unit that is printed, and its verdict.

    `chance` is the standard error that the paper's test images alone leave of the printed one.
    """

    text: str
    column: str
    row: str
    against: str
    printed: float | None
    chance: float | None
    measured: Interval
    p_value: float | None
    pairs: int
    verdict: Outcome
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class PaperResult:
    """A rebuilt paper; `study` is the result that its verdicts are taken from."""

    paper: Paper
    study: StudyResult
    rows: tuple[RowResult, ...]
    differences: tuple[DifferenceResult, ...]

    @property
    def exit_code(self) -> int:
        """Exit code: 1 if a number or a difference is contradicted, 3 if runs failed, else 0."""
        return self.study.exit_code

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """How many numbers and how many differences got each verdict."""
        cells = [cell.verdict for row in self.rows for cell in row.cells]
        numbers = [*get_args(Outcome), *get_args(NotJudged)]
        verdicts = [each.verdict for each in self.differences]
        return {
            "numbers": {each: cells.count(each) for each in numbers},
            "differences": {each: verdicts.count(each) for each in get_args(Outcome)},
        }

    def as_dict(self) -> dict[str, object]:
        """Return the JSON of `--json` and of `verdicts.json`."""
        paper, file = self.paper, self.paper.file
        return {
            "paper": paper.name,
            "title": file.title,
            "source": file.source.model_dump(),
            "profile": paper.profile,
            "cost": file.profiles[paper.profile].cost,
            "seeds": list(paper.study.seeds),
            "overrides": list(paper.overrides),
            "columns": {name: each.model_dump() for name, each in file.columns.items()},
            "rows": [asdict(each) for each in self.rows],
            "differences": [asdict(each) for each in self.differences],
            "counts": self.counts,
            "settings": {
                name: {key: each.model_dump() for key, each in paper.settings(name).items()}
                for name in paper.rows
            },
            "deviations": [
                {"row": row, "text": each.text, "status": each.status}
                for row, each in paper.deviations
            ],
        }


def of_study(paper: Paper, study: StudyResult) -> PaperResult:
    """Return the paper's result, given that of the study that rebuilds it."""
    verdicts = iter(study.verdicts)  # in the order of the claims: cells, then differences
    variants = {each.name: each for each in study.variants}
    judged = {}
    for row in paper.rows:
        for name in claims.judged(paper.file, paper.profile, row):
            judged[row, name] = DECISIONS[next(verdicts).decision]
    rows = tuple(
        _left_out(name, row.label, row.left_out)
        if row.left_out
        else _row(paper, variants[name], judged)
        for name, row in paper.file.rows.items()
        if name in variants or (row.left_out and _belongs(paper, name))
    )
    differences = tuple(
        _difference(paper, each, verdict)
        for each, verdict in zip(claims.shown(paper.file, paper.profile), verdicts, strict=True)
    )
    return PaperResult(paper, study, rows, differences)


def _belongs(paper: Paper, row: str) -> bool:
    """Return whether a row belongs to the profile, rebuilt or left out."""
    asked = paper.file.profiles[paper.profile].rows
    return asked is None or row in asked


def _left_out(name: str, label: str, reason: str) -> RowResult:
    return RowResult(name, label, 0, 0, (), reason)


def _row(
    paper: Paper, variant: VariantResult, judged: Mapping[tuple[str, str], Outcome]
) -> RowResult:
    row, cells = paper.file.rows[variant.name], []
    for name, column in paper.file.columns.items():
        printed = row.printed.get(name)
        otherwise: NotJudged = "not printed" if printed is None else "scaled down"
        verdict = judged.get((variant.name, name), otherwise)
        measured = _level(column, variant.metrics[column.metric])
        cells.append(Cell(name, printed, measured, verdict))
    return RowResult(variant.name, row.label, variant.runs, variant.diverged, tuple(cells))


def _difference(paper: Paper, difference: Difference, verdict: Verdict) -> DifferenceResult:
    column = paper.file.columns[difference.column]
    printed = claims.printed_difference(paper.file, difference)
    chance = claims.chance_error(paper.file, difference)
    remarks = [verdict.reason] if verdict.reason else []
    if printed is not None and chance and abs(printed) < CHANCE_ERRORS * chance:
        remarks.append(
            f"the printed difference could be chance: its standard error is about {chance:.2g} "
            f"with {column.examples:,} test images"
        )
    remarks += verdict.cautions
    if verdict.lost and verdict.pairs:
        remarks.append(f"{verdict.lost} seeds gave no pair")
    if verdict.diverged:
        remarks.append(f"runs of {verdict.diverged} seeds diverged")
    if verdict.censored:
        remarks.append(f"{verdict.censored} runs never reached the level")
    return DifferenceResult(
        difference.text, difference.column, difference.row, difference.against, printed, chance,
        _scaled(Interval(verdict.mean, verdict.low, verdict.high), claims.scale_of(column)),
        verdict.adjusted, verdict.pairs, DECISIONS[verdict.decision], tuple(remarks),
    )  # fmt: skip


def _level(column: Column, value: Interval) -> Interval:
    """Return a metric's mean and interval in the unit of its column."""
    scaled = _scaled(value, claims.scale_of(column))
    shift = claims.printed_of(column, 0.0)
    return Interval(*(None if each is None else each + shift for each in _ends(scaled)))


def _scaled(value: Interval, scale: float) -> Interval:
    mean, low, high = (None if each is None else each * scale for each in _ends(value))
    return Interval(mean, high, low) if scale < 0 else Interval(mean, low, high)


def _ends(value: Interval) -> tuple[float | None, float | None, float | None]:
    return value.mean, value.low, value.high
