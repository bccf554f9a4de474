"""The trials of a contest: trained where missing, read, and the winner of each variant chosen."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Unpack

from pydantic_core import to_jsonable_python

from regbench.analysis import tuning as analysis
from regbench.analysis.tuning import BestOf, Importance
from regbench.config import Experiment
from regbench.errors import RunFailed
from regbench.runs import storage
from regbench.runs import summary as summaries
from regbench.runs.summary import Summary
from regbench.studies.contest import Contest, Trial, Tuning
from regbench.studies.file import Study
from regbench.studies.search_space import Dimension, Space
from regbench.sweeps import sweep
from regbench.sweeps.options import Options
from regbench.text import listed

# The folder of the trials inside of a study's results; comparisons of those do not read it.
FOLDER = "trials"


@dataclass(frozen=True)
class TrialResult:
    """A finished trial: its values, the mean of the metric, and the seconds of its runs.

    The metric is None if a run diverged.
    """

    number: int
    config_hash: str
    values: dict[str, object]
    metric: float | None
    seconds: float


@dataclass(frozen=True)
class Search:
    """The search of a variant: its winner, and what its trials say.

    `winner` is the number of a trial. `warnings` are reasons to search further.
    """

    variant: str
    winner: int
    space: dict[str, str]
    trials: tuple[TrialResult, ...]
    expected_best: tuple[BestOf, ...]
    importance: tuple[Importance, ...]
    warnings: tuple[str, ...]

    @property
    def best(self) -> TrialResult:
        """The winner."""
        return self.trials[self.winner - 1]

    @property
    def seconds(self) -> float:
        """The seconds of all trials."""
        return sum(trial.seconds for trial in self.trials)


@dataclass(frozen=True)
class ContestResult:
    """A decided contest: every variant's search, and warnings about the contest as a whole."""

    tuning: Tuning
    searches: tuple[Search, ...]
    warnings: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """The seconds of all trials of all variants."""
        return sum(search.seconds for search in self.searches)

    def as_dict(self) -> dict[str, object]:
        """Return the contest as JSON."""
        searches = [
            to_jsonable_python(asdict(each)) | {"seconds": each.seconds} for each in self.searches
        ]
        return {
            **self.tuning.model_dump(),
            "searches": searches,
            "warnings": list(self.warnings),
            "seconds": self.seconds,
        }


def settle(study: Study, results: Path, **options: Unpack[Options]) -> Study:
    """Return the study with its contest's winners as variants; train the trials that are missing.

    A study without a contest is returned as it is.

    Args:
        study: as read.
        results: the folder of the study's runs; trials are in a folder inside.
        options: see `regbench.sweep.run`.

    Raises:
        RunFailed: a trial failed, so that nothing can be chosen.
    """
    if study.contest is None:
        return study
    train(study.contest, folder(results), **options)
    found = read(study.contest, folder(results))
    return settled(study, found)


def settled(study: Study, found: ContestResult) -> Study:
    """Return the study with the winners of its contest as variants."""
    assert study.contest
    winners = {each.variant: each.best.values for each in found.searches}
    return replace(study, variants=study.contest.finals(winners))


def folder(results: Path) -> Path:
    """Return the folder of the trials that belong to a study's results, a folder or a bundle."""
    return (results.parent if results.is_file() else results) / FOLDER


def missing(contest: Contest, trials: Path) -> list[Experiment]:
    """Return the runs of trials that are not finished."""
    return [run for run in contest.runs if storage.find(trials, run.run_name) is None]


def train(contest: Contest, trials: Path, **options: Unpack[Options]) -> None:
    """Train the runs of trials that are not finished; an observer hears of nothing if all are.

    Raises:
        RunFailed: a run failed, or is being trained by another process.
    """
    if not missing(contest, trials) and not options.get("force"):
        return
    # Probes are about the test set, or are not worth their time here.
    outcome = sweep.run(contest.runs, trials, **(options | {"probes": False}))
    if outcome.failed:
        experiment, failure = outcome.failed[0]
        raise RunFailed(
            f"{len(outcome.failed)} of {len(contest.runs)} trials failed, and a contest needs as "
            f"many trials for every variant; the first was {experiment.run_name}: "
            f"{failure.message}; once the cause is gone, the same command trains only these"
        )


def read(contest: Contest, trials: Path) -> ContestResult:
    """Return the decided contest; nothing is trained.

    Raises:
        RunFailed: trials are missing or damaged, or all of a variant diverged.
    """
    lacking = missing(contest, trials)
    if lacking:
        names = listed([each.run_name for each in lacking], 3)
        raise RunFailed(
            f"{trials}: expected {len(contest.runs)} finished trials, received "
            f"{len(contest.runs) - len(lacking)}; missing: {names}; train them first"
        )
    searches = tuple(
        _search(contest, name, [_result(trial, contest.tuning, trials) for trial in own])
        for name, own in contest.trials.items()
    )
    return ContestResult(contest.tuning, searches, tuple(_warnings(contest.spaces)))


def _result(trial: Trial, tuning: Tuning, trials: Path) -> TrialResult:
    found = [_summary(trials, run) for run in trial.runs]
    scores = [math.nan if each.diverged else _score(each, tuning) for each in found]
    mean = fmean(scores)
    seconds = sum(each.wall_seconds or each.seconds or 0.0 for each in found)
    return TrialResult(
        trial.number,
        trial.runs[0].hash,
        trial.values,
        mean if math.isfinite(mean) else None,
        seconds,
    )


def _score(summary: Summary, tuning: Tuning) -> float:
    found = getattr(summary, tuning.metric)
    return math.nan if found is None else float(found)


def _summary(trials: Path, run: Experiment) -> Summary:
    found = storage.find(trials, run.run_name)
    try:
        return summaries.read(found or trials / run.run_name)
    except (OSError, ValueError) as error:
        raise RunFailed(f"{trials / run.run_name}: {error}; train it again with --force") from error


def _search(contest: Contest, name: str, results: Sequence[TrialResult]) -> Search:
    space, better = contest.spaces[name], contest.tuning.better
    scores = [math.nan if each.metric is None else each.metric for each in results]
    place = analysis.best(scores, better)
    if place is None:
        raise RunFailed(
            f"every trial of {name} diverged, so none can win; search lower values, such as "
            "smaller learning rates"
        )
    expected = analysis.expected_best(scores, better)
    keys = tuple(
        analysis.importance(
            key, [each.values[key] for each in results], scores, better, dimension.is_ordered
        )
        for key, dimension in space.dimensions.items()
    )
    return Search(
        variant=name,
        winner=results[place].number,
        space={key: dimension.said() for key, dimension in space.dimensions.items()},
        trials=tuple(results),
        expected_best=tuple(expected),
        importance=keys,
        warnings=tuple(_doubts(space, results, place, expected, contest.tuning)),
    )


def _doubts(
    space: Space,
    results: Sequence[TrialResult],
    place: int,
    expected: Sequence[BestOf],
    tuning: Tuning,
) -> list[str]:
    """Return the reasons to search further than a variant's trials did."""
    found = []
    for key, dimension in space.dimensions.items():
        side = _border(key, dimension, results, place)
        if side:
            found.append(
                f"{key}={results[place].values[key]} is the {side} value tried in "
                f"{dimension.said()}: widen the range there"
            )
    if space.axes and len(results) < tuning.trials:
        found.append(f"the space has only {len(results)} of {tuning.trials} points")
    elif analysis.has_leveled_off(expected) is False:
        found.append(
            f"the budget had not leveled off: the second half of {len(results)} trials is "
            f"expected to bring more than {analysis.LEVEL:.0%} of the gain; add trials"
        )
    diverged = sum(each.metric is None for each in results)
    if diverged:
        found.append(f"{diverged} of {len(results)} trials diverged, and count as worst")
    return found


def _border(
    key: str, dimension: Dimension, results: Sequence[TrialResult], place: int
) -> str | None:
    if not dimension.is_ordered or len(results) < 2:
        return None
    values = [each.values[key] for each in results]
    return analysis.outermost([float(str(value)) for value in values], place)


def _warnings(spaces: Mapping[str, Space]) -> list[str]:
    """Return a warning if the same number of trials searches spaces of other dimension."""
    sizes = sorted(((len(space.axes), name) for name, space in spaces.items()), key=lambda x: x[0])
    if sizes[0][0] == sizes[-1][0]:
        return []
    groups = [
        f"{size or 'none'} for {listed([name for _, name in own])}"
        for size, own in itertools.groupby(sizes, key=lambda pair: pair[0])
    ]
    return [
        f"spaces of other dimension: {'; '.join(groups)}; the same trials search a larger space "
        "more thinly, and a variant without any is not tuned at all"
    ]
