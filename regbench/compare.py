"""From finished runs to statistics: means, intervals, and differences from a baseline.

Seeds are the unit: the runs of a config are a sample of what other seeds would give, and runs of
two configs with the same seed are a pair, since they share data, order and initial weights.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from regbench.errors import RegbenchError

if TYPE_CHECKING:
    import pandas

METRICS = ("train_accuracy", "test_accuracy", "train_loss", "test_loss", "gap")
BASELINE = "baseline"
CONFIDENCE = 0.95
# A sign-flip test of up to this many pairs counts every pattern; of more, a sample of 9,999.
EXACT_PAIRS = 13
# An epoch of more than 30 years is a damaged file; adding it up could give infinity.
MOST_SECONDS = 1e9
# How many numbers a batch of sign patterns may hold: 80 MB.
MOST_NUMBERS = 10**7

# The name and the hash of a config.
Key = tuple[str, str]


def compare(frame: pandas.DataFrame, baseline: str | None = None) -> list[dict[str, Any]]:
    """Return an object per config, the baseline first: what `regbench compare --json` prints.

    Args:
        frame: what `regbench.runs.load` returns; the last epoch of each run counts.
        baseline: the name of the config that the others are compared with. Of several configs
            with that name, each is compared with the one that it differs least from.

    Raises:
        RegbenchError: there is no run, or none with the baseline's name.
    """
    runs = _runs(frame)
    if not runs:
        raise RegbenchError(
            "expected finished runs, received none; make some with: "
            "regbench run configs/baseline.yaml configs/dropout.yaml"
        )
    name = _baseline_name(sorted({key[0] for key in runs}), baseline)
    configs: dict[str, Any] = frame.attrs.get("configs", {})
    references = {key: each for key, each in runs.items() if key[0] == name}
    nearest = {key: _nearest(key[1], references, configs) for key in runs}
    pairs = {
        key: _differences_by_seed(runs[key], references[reference])
        for key, reference in nearest.items()
        if reference is not None and key not in references
    }
    versus = _versus(pairs)
    ordered = [*references, *(key for key in runs if key not in references)]
    return [
        _row(key, runs[key], _changes(key, nearest[key], configs), versus.get(key))
        for key in ordered
    ]


def interval(values: np.ndarray) -> dict[str, float | None]:
    """Return the mean of values (n,) and the ends of its 95% t interval; with one value, no ends.

    Values that are not finite are left out.
    """
    values = _finite(values)
    if len(values) == 0:
        return {"mean": None, "low": None, "high": None}
    if values.min() == values.max():  # the mean of equal values may be another one, by rounding
        mean = float(values[0])
        end = mean if len(values) > 1 else None
        return {"mean": mean, "low": end, "high": end}
    with np.errstate(over="ignore", invalid="ignore"):
        mean = values.mean()
        half = _t_quantile(len(values)) * values.std(ddof=1) / math.sqrt(len(values))
        ends = {"mean": mean, "low": mean - half, "high": mean + half}
    return {key: float(value) if np.isfinite(value) else None for key, value in ends.items()}


def _finite(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values)]


def sign_flips(samples: Sequence[np.ndarray]) -> list[float | None]:
    """Return the two-sided p-value of a mean difference of zero for each sample of differences.

    Exact: the share of sign patterns whose mean is at least as far from zero; never below 2/2^n
    for n differences, and None for fewer than two. Of more than 13, 9,999 random patterns, the
    same ones every time.
    Source: Fisher, "The Design of Experiments", 1935.
    """
    p_values: list[float | None] = [None] * len(samples)
    # One test for all samples of a size: SciPy's overhead is that of a thousand differences.
    for count in {len(sample) for sample in samples} - {0, 1}:
        chosen = [index for index, sample in enumerate(samples) if len(sample) == count]
        for index, p in zip(chosen, _sign_flip([samples[i] for i in chosen]), strict=True):
            p_values[index] = float(p)
    return p_values


def _sign_flip(samples: list[np.ndarray]) -> np.ndarray:
    from scipy import stats

    differences = np.stack(samples, axis=1)
    # permutation_test recognizes equal statistics up to rounding.
    test = stats.permutation_test(
        (differences,),
        lambda sample, axis: np.mean(sample, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=math.inf if len(differences) <= EXACT_PAIRS else 9_999,
        batch=max(1, MOST_NUMBERS // differences.size),
        axis=0,
        rng=np.random.default_rng(0),
    )
    return test.pvalue


@functools.cache
def _t_quantile(count: int) -> float:
    from scipy import stats

    return float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1))


@dataclass(frozen=True)
class _Runs:
    """The final numbers of a config's runs, a row for each seed."""

    seeds: np.ndarray
    completed: np.ndarray
    metrics: np.ndarray  # (runs, len(METRICS))
    seconds: np.ndarray
    parameters: int


def _runs(frame: pandas.DataFrame) -> dict[Key, _Runs]:
    """Return the runs of every config by its name and hash, in the order of the names."""
    finals = _finals(frame)
    groups = finals.groupby(["name", "config_hash"]).indices
    columns = {name: finals[name].to_numpy() for name in ("seed", "seconds", "parameters")}
    completed = finals["status"].to_numpy() == "completed"
    metrics = finals[list(METRICS)].to_numpy()
    return {
        key: _Runs(
            columns["seed"][rows],
            completed[rows],
            metrics[rows],
            columns["seconds"][rows],
            int(columns["parameters"][rows[0]]),
        )
        for key, rows in sorted(groups.items())
    }


def _finals(frame: pandas.DataFrame) -> pandas.DataFrame:
    """Return a row per run: its last epoch, its gap, and the seconds of all its epochs."""
    frame = frame.copy(deep=False)
    frame.attrs = {}  # pandas copies them, deeply, at every selection
    # A folder that is given twice is read twice; frames put together may share their index.
    frame = frame.drop_duplicates(["results", "run", "epoch"]).reset_index(drop=True)
    frame["seconds"] = frame["seconds"].where(frame["seconds"].between(0, MOST_SECONDS))
    runs = frame.groupby(["results", "run"], sort=False)
    finals = frame.loc[runs["epoch"].idxmax()].copy()
    finals["seconds"] = runs["seconds"].sum().to_numpy()
    finals["gap"] = finals["train_accuracy"] - finals["test_accuracy"]
    # A copied results folder adds no evidence.
    return finals.drop_duplicates(["name", "config_hash", "seed"])


def _baseline_name(names: list[str], asked: str | None) -> str | None:
    if asked is not None and asked not in names:
        raise RegbenchError(f"--baseline: expected one of {', '.join(names)}, received {asked!r}")
    return asked or (BASELINE if BASELINE in names else None)


def _row(
    key: Key, runs: _Runs, changes: dict[str, Any] | None, versus: dict[str, Any] | None
) -> dict[str, Any]:
    finals = runs.metrics[runs.completed]
    return {
        "name": key[0],
        "config_hash": key[1],
        "seeds": sorted(runs.seeds.tolist()),
        "runs": len(runs.seeds),
        "diverged": int((~runs.completed).sum()),
        "parameters": runs.parameters,
        "seconds": float(runs.seconds.mean()),
        "changes": changes,
        **{metric: interval(finals[:, column]) for column, metric in enumerate(METRICS)},
        "versus_baseline": versus,
    }


def _changes(key: Key, nearest: Key | None, configs: dict[str, Any]) -> dict[str, Any] | None:
    if nearest is None:
        return None
    return {} if key == nearest else changes(configs.get(nearest[1]), configs.get(key[1]))


def _nearest(
    config_hash: str, references: dict[tuple[str, str], Any], configs: dict[str, Any]
) -> tuple[str, str] | None:
    """Return the baseline that a config differs least from, None where that can't be known."""

    def distance(key: Key) -> float:
        found = changes(configs.get(key[1]), configs.get(config_hash))
        return math.inf if found is None else len(found)

    if len(references) < 2:
        return next(iter(references), None)
    same = [key for key in references if key[1] == config_hash]
    nearest = same[0] if same else min(references, key=distance)
    return nearest if same or math.isfinite(distance(nearest)) else None


def _differences_by_seed(runs: _Runs, reference: _Runs) -> np.ndarray:
    """Return (pairs, len(METRICS)): what each seed's run has more than the reference's run."""
    seeds, there = runs.seeds[runs.completed], reference.seeds[reference.completed]
    _, mine, theirs = np.intersect1d(seeds, there, return_indices=True)
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        return runs.metrics[runs.completed][mine] - reference.metrics[reference.completed][theirs]


def _versus(pairs: dict[Key, np.ndarray]) -> dict[Key, dict[str, Any]]:
    """Return for each config and metric the mean difference, its interval and its p-value."""
    samples = {
        (key, metric): _finite(differences[:, column])
        for key, differences in pairs.items()
        for column, metric in enumerate(METRICS)
    }
    p_values = dict(zip(samples, sign_flips(list(samples.values())), strict=True))
    versus: dict[Key, dict[str, Any]] = {key: {} for key in pairs}
    for (key, metric), sample in samples.items():
        p_value = p_values[key, metric]
        versus[key][metric] = {**interval(sample), "p_value": p_value, "pairs": len(sample)}
    return versus


def changes(base: Any, config: Any) -> dict[str, Any] | None:
    """Return what a resolved config says otherwise than `base`, as dotted key to value.

    None where one of them is not known.
    """
    if base is None or config is None:
        return None
    return dict(_differences(base, config, ""))


def _differences(base: Any, config: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(base, dict) and isinstance(config, dict):
        for each in {**base, **config}:
            yield from _differences(base.get(each), config.get(each), f"{key}.{each}".strip("."))
    elif base != config:
        yield from _leaves(config, key)


def _leaves(config: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(config, dict) and config:
        for each, value in config.items():
            yield from _leaves(value, f"{key}.{each}")
    else:
        yield key, config
