"""Warnings about runs that differ in more than their configs and seeds.

The numbers of one seed depend on the data, and slightly on the backend, the versions and the
processor. Such runs are still compared, but never silently.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from regbench.errors import Warn
from regbench.runs import environments
from regbench.runs.environments import Environment
from regbench.text import listed, seeds

if TYPE_CHECKING:
    import pandas

# The label of each config, each value that its runs have, and their seeds.
Values = dict[str, dict[str, set[int]]]
DIGITS = 8  # digits of a fingerprint or commit, enough to tell a few apart


def check(
    runs: pandas.DataFrame, warn: Warn, known: Mapping[tuple[str, str], Environment] | None = None
) -> None:
    """Call `warn` about runs that differ in data, backend, versions, processor or commit.

    There is a line for each kind of difference and the configs whose runs differ alike, a line for
    each kind that differs between configs, and one line for all commits.

    Args:
        runs: a row per run, with the columns of `regbench.runs.loading.RUN`.
        warn: called with each line.
        known: environments that have already been read, by results folder and run.
    """
    alike = _alike(runs, known or {})
    # Older runs recorded only the processor's name, so names are compared.
    kinds = all(
        each.environment.kind
        for each in alike
        if each.environment.processor not in (None, environments.GPU)
    )
    pools = any(each.pool for each in alike)
    facts: dict[str, Values] = {}
    commits: Values = {}
    for each in alike:
        found = _facts(each.environment, kinds)
        found += [("data sets", each.pool or "not recorded")] if pools else []
        for kind, value in found:
            _add(facts.setdefault(kind, {}), value, each)
        commit = each.environment.commit
        if commit:
            _add(commits, commit[:DIGITS] + "+" * commit.endswith("+"), each)
    for kind, values in facts.items():
        for line in [*_within(kind, values), *_between(kind, values)]:
            warn(line)
    _tell_commits(commits, warn)


@dataclass(frozen=True)
class _Alike:
    """The seeds of those runs of a config that recorded the same."""

    label: str
    environment: Environment
    pool: str | None
    seeds: set[int]


def _alike(
    runs: pandas.DataFrame, known: Mapping[tuple[str, str], Environment]
) -> Sequence[_Alike]:
    """Return the runs by what they recorded, so that it is examined once for all of them.

    Environments that were read together are often one object: see
    `regbench.runs.reading_cache`.
    """
    columns = ("name", "config_hash", "results", "run", "seed", "data_pool")
    # Iterating a pandas column of texts would take longer than all the rest.
    names, hashes, *places, seeds_of_runs, pools = (runs[each].to_numpy() for each in columns)
    found: dict[tuple[str, int, str | None], _Alike] = {}
    labels = labels_of(zip(names, hashes, strict=True))
    for label, place, seed, digest in zip(
        labels, zip(*places, strict=True), seeds_of_runs.tolist(), pools, strict=True
    ):
        environment = known.get(place) or environments.read(Path(*place))
        pool = digest[:DIGITS] if isinstance(digest, str) else None
        new = _Alike(label, environment, pool, set())
        found.setdefault((label, id(environment), pool), new).seeds.add(seed)
    return list(found.values())


def _add(values: Values, value: str, alike: _Alike) -> None:
    values.setdefault(alike.label, {}).setdefault(value, set()).update(alike.seeds)


def labels_of(configs: Iterable[tuple[str, str]]) -> list[str]:
    """Return a label for each (name, config hash): the name, with the hash where it is shared."""
    keys = list(configs)
    hashes: dict[str, set[str]] = {}
    for name, config_hash in keys:
        hashes.setdefault(name, set()).add(config_hash)
    return [name if len(hashes[name]) < 2 else f"{name} {each}" for name, each in keys]


def _facts(environment: Environment, kinds: bool) -> list[tuple[str, str]]:
    """Return (kind, value) for each recorded fact that can change a run's numbers."""
    facts = [("backends", environment.backend)] if environment.backend else []
    facts += [
        (f"versions of {package}", version) for package, version in environment.packages.items()
    ]
    if environment.processor:
        of_kind = f" ({environment.kind})" if kinds and environment.kind else ""
        facts.append(("processors", environment.processor + of_kind))
    return facts


def _within(kind: str, values: Values) -> list[str]:
    """Return a line for each way in which the runs of a config differ, with the configs."""
    alike: dict[str, list[str]] = {}
    for label, found in values.items():
        if len(found) > 1:
            told = ", ".join(f"{value} ({seeds(each)})" for value, each in found.items())
            alike.setdefault(f"runs of {len(found)} {kind}: {told}", []).append(label)
    return [f"{listed(names)}: {what}" for what, names in alike.items()]


def _between(kind: str, values: Values) -> list[str]:
    """Return a line if configs differ from one another while the runs of each agree."""
    if kind == "data sets":  # configs may ask for that, and pairing handles it
        return []
    configs: dict[str, list[str]] = {}
    for label, found in values.items():
        if len(found) == 1:
            configs.setdefault(next(iter(found)), []).append(label)
    if len(configs) < 2:
        return []
    told = [f"{value} ({listed(names)})" for value, names in configs.items()]
    return [f"{len(configs)} {kind} are compared with each other: {listed(told)}"]


def _tell_commits(commits: Values, warn: Warn) -> None:
    """Call `warn` once if runs are of several commits, which often makes no difference."""
    configs: dict[str, list[str]] = {}
    for label, found in commits.items():
        for commit, each in found.items():
            configs.setdefault(commit, []).append(f"{label} {seeds(each)}")
    if len(configs) > 1:
        told = [f"{commit} ({listed(names)})" for commit, names in configs.items()]
        warn(f"runs of {len(configs)} commits, which may have changed nothing: {listed(told)}")
