"""Comparison by origin: the runs of several bundles side by side, as those of a class are.

Each origin is compared by itself, against its own baseline. Runs of the same config and seed in two
origins stay two: they are what two people made, and neither adds evidence to the other's.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from regbench.analysis import compare
from regbench.analysis.rows import USUAL, ConfigRow
from regbench.config.changes import changes
from regbench.errors import RegbenchError, Warn
from regbench.runs.results import Results
from regbench.text import changes as written
from regbench.text import number, one_line

HEADINGS = ("origin", "config", "runs", "train", "test", "gap", "Δ test", "Δ gap")
# The metrics of the columns after `runs`, as `OriginRow.spread` names them.
SHOWN = ("train_accuracy", "test_accuracy", "gap", "delta_test_accuracy", "delta_gap")
ALL = "all"
LEGEND = (
    "Each origin by itself: means over its runs with 95% intervals, Δ from its own baseline, "
    "paired by seed. all: mean (smallest to largest) over the origins."
)


@dataclass(frozen=True)
class Spread:
    """The mean, the smallest and the largest of what the origins found, and how many they are."""

    mean: float
    min: float
    max: float
    origins: int


@dataclass(frozen=True)
class OriginRow(ConfigRow):
    """A config of an origin; `spread` is over all origins that have this config, by metric."""

    origin: str = ""
    spread: Mapping[str, Spread] | None = None


@dataclass(frozen=True)
class Changed:
    """A config that is not as most have it, or that only this origin has.

    `changes` are those to the config of that name that most origins have; None if there is none,
    or if it is not known.
    """

    origin: str
    name: str
    config_hash: str
    changes: Mapping[str, object] | None


def labels(paths: Sequence[Path]) -> list[str]:
    """Return a label for each path: its name without the suffix, with its folder if that repeats.

    A path that is named twice has a number.
    """
    stems = Counter(path.stem for path in paths)
    named = [
        path.stem if stems[path.stem] == 1 else f"{path.parent.name}/{path.stem}" for path in paths
    ]
    repeated, seen = Counter(named), Counter[str]()
    found = []
    for name in named:
        seen[name] += 1
        found.append(name if repeated[name] == 1 else f"{name} ({seen[name]})")
    return [one_line(each) for each in found]


def by_origin(
    origins: Mapping[str, Results],
    baseline: str | None = None,
    metrics: Sequence[str] = (),
    warn: Warn | None = None,
    examples: bool = True,
) -> list[OriginRow]:
    """Return a row for each config of each origin, the origins in their order.

    Args:
        origins: the runs of each, by its label.
        baseline: see `compare.compare`, as for the others.
        metrics: further metrics.
        warn: called with a line for each origin that is left out, and for what `compare` says.
        examples: whether to test the stored predictions.

    Raises:
        RegbenchError: no origin can be compared.
    """
    rows: list[tuple[str, ConfigRow]] = []
    problems: list[str] = []
    for origin, results in origins.items():
        say = _prefixed(origin, warn)
        try:
            found = compare.compare(results, baseline, metrics, warn=say, examples=examples)
        except RegbenchError as error:
            problems.append(f"{origin}: left out: {error}")
            continue
        rows += [(origin, row) for row in found]
    if not rows:
        raise RegbenchError("\n".join(problems) or "expected runs of some origin, received none")
    for problem in problems:
        if warn:
            warn(problem)
    spreads = _spreads([row for _, row in rows])
    return [
        OriginRow(
            **{each.name: getattr(row, each.name) for each in fields(row)},
            origin=origin,
            spread=spreads[row.name, row.config_hash],
        )
        for origin, row in rows
    ]


def changed(origins: Mapping[str, Results]) -> list[Changed]:
    """Return who changed what: configs that differ from what most have, or that one alone has."""
    holders: dict[str, Counter[str]] = {}
    configs: dict[str, Mapping[str, object]] = {}
    own: list[tuple[str, str, str]] = []
    for origin, results in origins.items():
        configs |= results.configs
        runs = results.frame[["name", "config_hash"]].drop_duplicates()
        for name, config_hash in runs.itertuples(index=False, name=None):
            holders.setdefault(name, Counter())[config_hash] += 1
            own.append((origin, name, config_hash))
    found = []
    for origin, name, config_hash in own:
        usual, count = holders[name].most_common(1)[0]
        if config_hash != usual:
            known = usual in configs and config_hash in configs
            what = changes(configs[usual], configs[config_hash]) if known else None
            found.append(Changed(origin, name, config_hash, what))
        elif count == 1 and len(origins) > 1 and len(holders[name]) == 1:
            found.append(Changed(origin, name, config_hash, None))
    return found


def _spreads(rows: Sequence[ConfigRow]) -> dict[tuple[str, str], dict[str, Spread]]:
    """Return the spread of each config's means, and of its differences as `delta_METRIC`."""
    found: dict[tuple[str, str], dict[str, list[float]]] = {}
    for row in rows:
        values = found.setdefault((row.name, row.config_hash), {})
        for metric in USUAL:
            versus = row.versus(metric)
            for name, each in ((metric, row.mean(metric)), (f"delta_{metric}", versus)):
                if each is not None and each.mean is not None:
                    values.setdefault(name, []).append(each.mean)
    return {
        key: {
            name: Spread(statistics.fmean(each), min(each), max(each), len(each))
            for name, each in values.items()
        }
        for key, values in found.items()
    }


def _prefixed(origin: str, warn: Warn | None) -> Warn | None:
    if warn is None:
        return None
    return lambda message: warn(f"{origin}: {message}")


def as_json(rows: Sequence[OriginRow]) -> list[dict[str, object]]:
    """Return the JSON of `regbench compare --json` of several origins."""
    return [{"origin": row.origin, **row.as_dict()} for row in rows]


def lines(rows: Sequence[OriginRow]) -> Iterator[list[str]]:
    """Yield the cells of each origin's configs, then those of each config's spread."""
    names = _labels(rows)
    for row in rows:
        yield [
            row.origin,
            names[row.name, row.config_hash],
            str(row.runs),
            *(number(each) for each in (row.train_accuracy, row.test_accuracy, row.gap)),
            *(number(row.versus(each), "+") for each in ("test_accuracy", "gap")),
        ]
    for key, label in names.items():
        same = [row for row in rows if (row.name, row.config_hash) == key]
        spread = same[0].spread or {}
        if len(same) > 1:
            runs = str(sum(row.runs for row in same))
            yield [ALL, label, runs, *(_spread(spread.get(each), each) for each in SHOWN)]


def _spread(spread: Spread | None, metric: str) -> str:
    if spread is None:
        return ""
    sign = "+" if metric.startswith("delta_") else ""
    return f"{spread.mean:{sign}.3f} ({spread.min:{sign}.3f} to {spread.max:{sign}.3f})"


def _labels(rows: Sequence[OriginRow]) -> dict[tuple[str, str], str]:
    """Return a label for each config: its name, with its hash if others share the name."""
    keys = list(dict.fromkeys((row.name, row.config_hash) for row in rows))
    names = Counter(name for name, _ in keys)
    return {
        (name, config_hash): f"{name} {config_hash}" if names[name] > 1 else name
        for name, config_hash in keys
    }


def said(changed: Changed) -> str:
    """Return a line about a config that others do not have."""
    if changed.changes is None:
        return f"{changed.origin}: {changed.name} {changed.config_hash}: no other origin has it"
    what = written(changed.changes)
    return f"{changed.origin}: {changed.name} {changed.config_hash} is not as most have it: {what}"
