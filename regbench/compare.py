"""From finished runs to statistics: means, intervals, and differences from a baseline.

Seeds are the unit: the runs of a config are a sample of what other seeds would give, and runs of
two configs with the same seed are a pair, since they share data, order and initial weights.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
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


def compare(frame: pandas.DataFrame, baseline: str | None = None) -> list[dict[str, Any]]:
    """Return an object per config, the baseline first: what `regbench compare --json` prints.

    Args:
        frame: what `regbench.runs.load` returns; the last epoch of each run counts.
        baseline: the name of the config that the others are compared with. Of several configs
            with that name, each is compared with the one that it differs least from.

    Raises:
        RegbenchError: there is no run, or none with the baseline's name.
    """
    finals = _finals(frame)
    if finals.empty:
        raise RegbenchError(
            "expected finished runs, received none; make some with: "
            "regbench run configs/baseline.yaml configs/dropout.yaml"
        )
    name = _baseline_name(sorted(set(finals["name"])), baseline)
    configs: dict[str, Any] = frame.attrs.get("configs", {})
    groups = dict(iter(finals.groupby(["name", "config_hash"])))
    references = {key: group for key, group in groups.items() if key[0] == name}
    ordered = [*references, *(key for key in groups if key not in references)]
    return [_row(key, groups[key], references, configs) for key in ordered]


def interval(values: np.ndarray) -> dict[str, float | None]:
    """Return the mean of values (n,) and the ends of its 95% t interval; with one value, no ends.

    Values that are not finite are left out.
    """
    values = values[np.isfinite(values)]
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


def sign_flip(differences: np.ndarray) -> float | None:
    """Return the two-sided p-value of a mean difference (n,) of zero; None for fewer than two.

    Exact: the share of sign patterns whose mean is at least as far from zero; never below 2/2^n.
    Of more than 13 pairs, 9,999 random patterns, the same ones every time.
    Source: Fisher, "The Design of Experiments", 1935.
    """
    if len(differences) < 2:
        return None
    if not differences.any():
        return 1.0
    from scipy import stats

    # permutation_test recognizes equal statistics up to rounding.
    test = stats.permutation_test(
        (differences,),
        lambda sample, axis: np.mean(sample, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=math.inf if len(differences) <= EXACT_PAIRS else 9_999,
        rng=np.random.default_rng(0),
    )
    return float(test.pvalue)


@functools.cache
def _t_quantile(count: int) -> float:
    from scipy import stats

    return float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1))


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
    key: tuple[str, str],
    group: pandas.DataFrame,
    references: dict[tuple[str, str], pandas.DataFrame],
    configs: dict[str, Any],
) -> dict[str, Any]:
    name, config_hash = key
    reference = _nearest(config_hash, references, configs)
    completed = group[group["status"] == "completed"]
    row = {
        "name": name,
        "config_hash": config_hash,
        "seeds": sorted(int(seed) for seed in group["seed"]),
        "runs": len(group),
        "diverged": len(group) - len(completed),
        "parameters": int(group["parameters"].iloc[0]),
        "seconds": float(group["seconds"].mean()),
        "changes": None,
    }
    if key in references:
        row["changes"] = {}
    elif reference is not None:
        row["changes"] = changes(configs.get(reference[1]), configs.get(config_hash))
    finals = completed[list(METRICS)].to_numpy()
    row |= {metric: interval(finals[:, column]) for column, metric in enumerate(METRICS)}
    row["versus_baseline"] = None
    if reference is not None and key not in references:
        row["versus_baseline"] = _versus(completed, references[reference])
    return row


def _nearest(
    config_hash: str, references: dict[tuple[str, str], Any], configs: dict[str, Any]
) -> tuple[str, str] | None:
    """Return the baseline that a config differs least from, None where that can't be known."""

    def distance(key: tuple[str, str]) -> float:
        found = changes(configs.get(key[1]), configs.get(config_hash))
        return math.inf if found is None else len(found)

    if len(references) < 2:
        return next(iter(references), None)
    same = [key for key in references if key[1] == config_hash]
    nearest = same[0] if same else min(references, key=distance)
    return nearest if same or math.isfinite(distance(nearest)) else None


def _versus(completed: pandas.DataFrame, reference: pandas.DataFrame) -> dict[str, Any]:
    """Return the paired difference from the baseline's runs in every metric."""
    reference = reference[reference["status"] == "completed"]
    _, here, there = np.intersect1d(completed["seed"], reference["seed"], return_indices=True)
    columns = list(METRICS)
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        pairs = completed[columns].to_numpy()[here] - reference[columns].to_numpy()[there]
    return {metric: _paired(pairs[:, column]) for column, metric in enumerate(METRICS)}


def _paired(differences: np.ndarray) -> dict[str, Any]:
    differences = differences[np.isfinite(differences)]
    return {
        **interval(differences),
        "p_value": sign_flip(differences),
        "pairs": len(differences),
    }


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
