"""Comparison of finished runs: means, intervals, and differences from a baseline.

Seeds are the unit: the runs of a config are a sample of what other seeds would give, and runs of
two configs with the same seed are a pair, since they share data, order and initial weights. If the
fingerprints that they recorded show that they did not, they are not paired: see
`regbench.analysis.pairing`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from regbench.analysis import consistency, coverage, mcnemar, power, statistics, widths
from regbench.analysis import metrics as metrics_of_runs
from regbench.analysis.coverage import Pairing
from regbench.analysis.gap import gap
from regbench.analysis.mcnemar import Disagreement, Stored, Tested
from regbench.analysis.pairing import Fingerprint, Unpaired, obstacle, same_data
from regbench.analysis.rows import USUAL, ConfigRow, Difference, Rows, Value
from regbench.analysis.statistics import Interval, Sample
from regbench.analysis.widths import Covered, Paired
from regbench.config.changes import changes
from regbench.errors import RegbenchError, Warn
from regbench.runs import collection, copies
from regbench.runs.limits import MOST_SECONDS
from regbench.runs.results import Configs, Results, results_of

if TYPE_CHECKING:
    import pandas

BASELINE = "baseline"

# The fields of `_Runs` that have a row for each seed.
ARRAYS = ("seeds", "completed", "metrics", "paths", "data", "seconds", "wall_seconds")

# The name and the hash of a config.
Key = tuple[str, str]


@collection.paused()
def compare(
    results: Results | pandas.DataFrame,
    baseline: str | None = None,
    metrics: Sequence[str] = (),
    warn: Warn | None = None,
    examples: bool = True,
    powered: Sequence[str] | None = None,
) -> Rows:
    """Return a row for each config, the baseline first.

    Args:
        results: the result of `regbench.load`, or its frame, which does not tell what configs
            change. The last epoch of each run counts.
        baseline: the name of the config that the others are compared with. If several configs have
            that name, each other one is compared with the closest of them.
        metrics: names of further `regbench.metrics` to compare, under the key `metrics`.
        warn: called with a line for each run whose probes or predictions are damaged, and for
            everything that makes runs less comparable: see `regbench.analysis.consistency`,
            `regbench.analysis.pairing` and `regbench.runs.copies`.
        examples: whether to test the stored predictions, seed by seed, under the key `mcnemar`.
            Reading those of a run takes as long as all its other files do.
        powered: the metrics whose needed pairs are computed, which is slow; by default all.

    Raises:
        RegbenchError: there is no run, or none with the baseline's name, or no such metric.
    """
    names = [*USUAL, *metrics]
    results = results_of(results)
    runs, configs = _runs(results, metrics, warn), results.configs
    if not runs:
        raise RegbenchError(
            "expected finished runs, received none; make some with: regbench run baseline dropout"
        )
    reference_name = _baseline_name(sorted({key[0] for key in runs}), baseline)
    references = {key: each for key, each in runs.items() if key[0] == reference_name}
    nearest = {key: _nearest(key[1], references, configs) for key in runs}
    compared = {
        key: references[reference]
        for key, reference in nearest.items()
        if reference is not None and key not in references
    }
    pairing = _paired(runs, compared, nearest, configs, warn)
    read, paired = mcnemar.reader(warn), {}
    for key, both in pairing.items():
        known = [configs.get(each[1]) for each in (key, nearest[key]) if each]
        paired[key] = _read_both(*both, known, read if examples else None)
    versus = _versus(paired, names, names if powered is None else powered)
    disagreed = {
        key: mcnemar.by_seed(mine.tested(), theirs.tested(), read, warn)
        for key, (mine, theirs) in (pairing.items() if examples else ())
    }
    order = [*references, *(key for key in runs if key not in references)]
    means = _means([runs[key] for key in order])
    return Rows([
        _row(
            key, runs[key], mean, _changes(key, nearest[key], configs), versus.get(key), metrics,
            disagreed.get(key),
        )
        for key, mean in zip(order, means, strict=True)
    ])  # fmt: skip


def _means(runs: Sequence[_Runs]) -> Iterator[dict[str, Interval]]:
    """Yield the usual metrics of each config's runs that did not diverge."""
    finals = [each.metrics[each.completed] for each in runs]
    columns = range(len(USUAL))
    found = statistics.intervals(
        [statistics.finite(each[:, column]) for each in finals for column in columns]
    )
    for start in range(0, len(found), len(USUAL)):
        yield dict(zip(USUAL, found[start : start + len(USUAL)], strict=True))


@dataclass(frozen=True)
class _Runs:
    """The final numbers of a config's runs, a row for each seed."""

    seeds: NDArray[np.int64]
    completed: NDArray[np.bool_]
    metrics: NDArray[np.float64]  # (runs, the metrics of USUAL and the requested ones)
    paths: NDArray[np.object_]
    data: NDArray[np.object_]  # (runs, 2), fingerprints of pool and examples
    seconds: NDArray[np.float64]
    wall_seconds: NDArray[np.float64]
    parameters: int

    def of_seeds(self, seeds: Sequence[int]) -> _Runs:
        """Return the runs of these seeds that did not diverge, in the order of the seeds."""
        places = {seed: place for place, seed in enumerate(self.seeds) if self.completed[place]}
        kept = [places[seed] for seed in seeds]
        arrays = {name: getattr(self, name)[kept] for name in ARRAYS}
        return _Runs(**arrays, parameters=self.parameters)

    def tested(self) -> dict[int, Tested]:
        """Return folder and test accuracy of each seed's run that did not diverge."""
        accuracies = self.metrics[self.completed][:, USUAL.index("test_accuracy")]
        kept = zip(self.seeds[self.completed], self.paths[self.completed], accuracies, strict=True)
        return {int(seed): Tested(Path(*path), float(accuracy)) for seed, path, accuracy in kept}


def _runs(results: Results, asked: Sequence[str], warn: Warn | None) -> dict[Key, _Runs]:
    """Return the runs of every config by its name and hash, in the order of the names."""
    frame = copies.distinct(results, warn)
    finals = _finals(frame)
    if warn:
        consistency.check(finals, warn, results.environments)
    groups = finals.groupby(["name", "config_hash"]).indices
    named = ("seed", "seconds", "wall_seconds", "parameters")
    columns = {name: finals[name].to_numpy() for name in named}
    completed = finals["status"].to_numpy() == "completed"
    metrics = finals[list(USUAL)].to_numpy()
    paths = finals[["results", "run"]].to_numpy()
    data = finals[["data_pool", "data_examples"]].to_numpy()
    if asked:
        metrics = np.hstack([metrics, _asked(replace(results, frame=frame), finals, asked, warn)])
    return {
        key: _Runs(
            columns["seed"][rows],
            completed[rows],
            metrics[rows],
            paths[rows],
            data[rows],
            columns["seconds"][rows],
            columns["wall_seconds"][rows],
            int(columns["parameters"][rows[0]]),
        )
        for key, rows in sorted(groups.items())
    }


def _asked(
    runs: Results, finals: pandas.DataFrame, names: Sequence[str], warn: Warn | None
) -> NDArray[np.float64]:
    """Return further metrics of the runs of `finals`, in its order, as (runs, len(names))."""
    import pandas

    table = metrics_of_runs.table(runs, names, warn).set_index(["results", "run"])
    order = pandas.MultiIndex.from_frame(finals[["results", "run"]])
    return table.reindex(order)[list(names)].to_numpy()


def _finals(frame: pandas.DataFrame) -> pandas.DataFrame:
    """Return a row per run: its last epoch, its gap, and the seconds of all its epochs."""
    frame = frame.copy(deep=False)
    frame["seconds"] = frame["seconds"].where(frame["seconds"].between(0, MOST_SECONDS))
    runs = frame.groupby(["results", "run"], sort=False)
    finals = frame.loc[runs["epoch"].idxmax()].copy()
    finals["seconds"] = runs["seconds"].sum().to_numpy()
    if "wall_seconds" in finals:
        waited = finals["wall_seconds"].astype("float64")
        finals["wall_seconds"] = waited.where(waited.between(0, MOST_SECONDS))
    else:  # a frame of an older version
        finals["wall_seconds"] = math.nan
    finals["gap"] = gap(finals["train_accuracy"], finals["test_accuracy"])
    return finals


def _baseline_name(names: list[str], asked: str | None) -> str | None:
    if asked is not None and asked not in names:
        raise RegbenchError(f"--baseline: expected one of {', '.join(names)}, received {asked!r}")
    return asked or (BASELINE if BASELINE in names else None)


def _row(
    key: Key,
    runs: _Runs,
    means: Mapping[str, Interval],
    changes: Mapping[str, object] | None,
    versus: Sequence[Difference] | None,
    asked: Sequence[str],
    disagreed: Sequence[Disagreement] | None,
) -> ConfigRow:
    """Return the row of a config; `versus` has the usual metrics first, then the requested ones."""
    finals = runs.metrics[runs.completed]
    return ConfigRow(
        name=key[0],
        config_hash=key[1],
        seeds=sorted(runs.seeds.tolist()),
        runs=len(runs.seeds),
        diverged=int((~runs.completed).sum()),
        parameters=runs.parameters,
        seconds=float(runs.seconds.mean()),
        changes=changes,
        **means,
        versus_baseline=dict(zip(USUAL, versus, strict=False)) if versus else None,
        metrics=_further(finals, versus, asked) if asked else None,
        mcnemar=disagreed,
        wall_seconds=_mean_if_known(runs.wall_seconds),
    )


def _mean_if_known(seconds: NDArray[np.float64]) -> float | None:
    """Return the mean; None if a run lacks the number, since a partial mean would mislead."""
    return float(seconds.mean()) if np.isfinite(seconds).all() else None


def _further(
    finals: NDArray[np.float64], versus: Sequence[Difference] | None, asked: Sequence[str]
) -> dict[str, Value]:
    """Return the requested metrics, which follow the usual ones."""
    values = {}
    for column, name in enumerate(asked, len(USUAL)):
        found = metrics_of_runs.interval(finals[:, column])
        difference = versus[column] if versus else None
        values[name] = Value(found.mean, found.low, found.high, difference)
    return values


def _changes(key: Key, nearest: Key | None, configs: Configs) -> Mapping[str, object] | None:
    if nearest is None:
        return None
    return {} if key == nearest else changes(configs.get(nearest[1]), configs.get(key[1]))


def _nearest(config_hash: str, references: Mapping[Key, _Runs], configs: Configs) -> Key | None:
    """Return the baseline that a config differs least from; None if that is unknown."""

    def distance(key: Key) -> float:
        found = changes(configs.get(key[1]), configs.get(config_hash))
        return math.inf if found is None else len(found)

    if len(references) < 2:
        return next(iter(references), None)
    same = [key for key in references if key[1] == config_hash]
    nearest = same[0] if same else min(references, key=distance)
    return nearest if same or math.isfinite(distance(nearest)) else None


def _paired(
    runs: dict[Key, _Runs],
    compared: dict[Key, _Runs],
    nearest: dict[Key, Key | None],
    configs: Configs,
    warn: Warn | None,
) -> dict[Key, tuple[_Runs, _Runs]]:
    """Return the paired runs of each config and of its baseline, in the same order."""
    unpaired = Unpaired()
    labels = dict(zip(runs, consistency.labels_of(runs), strict=True))
    fingerprints = {key: _fingerprints(each) for key, each in runs.items()}
    found = {}
    for key, theirs in compared.items():
        reference = nearest[key]
        assert reference is not None
        here, there = fingerprints[key], fingerprints[reference]
        known = configs.get(key[1]), configs.get(reference[1])
        seeds = []
        for seed in sorted(here.keys() & there.keys()):
            same = key[1] == reference[1] or same_data(*known, seed)
            reason = obstacle(here[seed], there[seed], same)
            if reason:
                unpaired.add(reason, labels[key], labels[reference], seed)
            else:
                seeds.append(seed)
        found[key] = runs[key].of_seeds(seeds), theirs.of_seeds(seeds)
    if warn:
        unpaired.tell(warn)
    return found


def _fingerprints(runs: _Runs) -> dict[int, Fingerprint]:
    """Return the data fingerprints of the runs that did not diverge, by seed."""
    kept = zip(runs.seeds[runs.completed], runs.data[runs.completed], strict=True)
    return {int(seed): Fingerprint.of(*data) for seed, data in kept}


def _read_both(
    mine: _Runs,
    theirs: _Runs,
    configs: Sequence[Mapping[str, object] | None],
    read: Callable[[Tested], Stored] | None,
) -> Paired:
    """Return the numbers of paired runs, and with `read` the scores of their test examples."""
    scores, shared = None, False
    if read:
        scores, shared = widths.scores_of(mine.tested(), theirs.tested(), read)
    return Paired(mine.metrics, theirs.metrics, scores, shared, widths.samples_of(*configs))


def _versus(
    pairs: Mapping[Key, Paired], names: Sequence[str], powered: Sequence[str]
) -> dict[Key, list[Difference]]:
    """Return the difference from the baseline for each config and metric, with its p-values.

    Holm's correction counts the compared configs, separately for each metric.
    """
    versus: dict[Key, list[Difference]] = {key: [] for key in pairs}
    for column, name in enumerate(names):
        mine = [paired.mine[:, column] for paired in pairs.values()]
        theirs = [paired.theirs[:, column] for paired in pairs.values()]
        samples = [_differences(*both) for both in zip(mine, theirs, strict=True)]
        adjusted = statistics.holm(statistics.paired_ps(samples))
        means, flips = statistics.intervals(samples), statistics.sign_flips(samples)
        needed = power.pairs_needed_of(samples) if name in powered else [power.UNKNOWN] * len(pairs)
        bought = coverage.pairings(mine, theirs)
        found = zip(means, adjusted, flips, needed, bought, strict=True)
        for (key, paired), sample, numbers in zip(pairs.items(), samples, found, strict=True):
            beyond = widths.covered(numbers[0], len(sample), name, column, paired)
            versus[key].append(_difference(len(sample), *numbers, beyond))
    return versus


def _difference(
    pairs: int,
    mean: Interval,
    p_holm: float | None,
    p_value: float | None,
    needed: power.PairsNeeded,
    bought: Pairing | None,
    beyond: Covered,
) -> Difference:
    return Difference(
        mean.mean,
        mean.low,
        mean.high,
        p_value=p_value,
        p_floor=statistics.sign_flip_floor(pairs) if pairs > 1 else None,
        p_holm=p_holm,
        pairs=pairs,
        pairs_needed=needed[0],
        pairs_needed_low=needed[1],
        pairs_needed_high=needed[2],
        correlation=bought.correlation if bought else None,
        variance_ratio=bought.variance_ratio if bought else None,
        **beyond._asdict(),
    )


def _differences(mine: Sample, theirs: Sample) -> Sample:
    """Return each seed's run less the reference's: those known, none at all if some are censored.

    The differences of only those runs that reached a level would leave out the largest.
    """
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        differences = mine - theirs
    known = statistics.finite(differences)
    # Two censored runs differ by infinity less infinity, which is no number.
    return known[:0] if len(known) < len(differences) and np.isinf(differences).any() else known
