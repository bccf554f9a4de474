"""From finished runs to statistics: means, intervals, and differences from a baseline.

Seeds are the unit: the runs of a config are a sample of what other seeds would give, and runs of
two configs with the same seed are a pair, since they share data, order and initial weights.
"""

from __future__ import annotations

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
    mean = float(values.mean())
    if len(values) == 1:
        return {"mean": mean, "low": None, "high": None}
    from scipy import stats

    error = float(values.std(ddof=1)) / math.sqrt(len(values))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * error
    return {"mean": mean, "low": mean - half, "high": mean + half}


def sign_flip(differences: np.ndarray) -> float | None:
    """Return the two-sided p-value of a mean difference (n,) of zero; None for fewer than two.

    Exact: the share of sign patterns whose mean is at least as far from zero; never below 2/2^n.
    Source: Fisher, "The Design of Experiments", 1935.
    """
    if len(differences) < 2:
        return None
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


def _finals(frame: pandas.DataFrame) -> pandas.DataFrame:
    """Return a row per run: its last epoch, its gap, and the seconds of all its epochs."""
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
    if reference is not None:
        row["changes"] = changes(configs.get(reference[1]), configs.get(config_hash))
    row |= {metric: interval(completed[metric].to_numpy()) for metric in METRICS}
    row["versus_baseline"] = None
    if reference is not None and key not in references:
        row["versus_baseline"] = _versus(completed, references[reference])
    return row


def _nearest(
    config_hash: str, references: dict[tuple[str, str], Any], configs: dict[str, Any]
) -> tuple[str, str] | None:
    """Return the baseline that a config differs least from; for a baseline, itself."""

    def distance(key: tuple[str, str]) -> tuple[bool, float]:
        found = changes(configs.get(key[1]), configs.get(config_hash))
        return key[1] != config_hash, math.inf if found is None else len(found)

    return min(references, key=distance, default=None)


def _versus(completed: pandas.DataFrame, reference: pandas.DataFrame) -> dict[str, Any]:
    """Return the paired difference from the baseline's runs in every metric."""
    reference = reference[reference["status"] == "completed"].set_index("seed")
    pairs = completed.set_index("seed").join(reference, how="inner", rsuffix="_baseline")
    versus = {}
    for metric in METRICS:
        differences = (pairs[metric] - pairs[f"{metric}_baseline"]).to_numpy()
        differences = differences[np.isfinite(differences)]
        versus[metric] = {
            **interval(differences),
            "p_value": sign_flip(differences),
            "pairs": len(differences),
        }
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
    if isinstance(config, dict):
        for each, value in config.items():
            yield from _leaves(value, f"{key}.{each}")
    else:
        yield key, config
