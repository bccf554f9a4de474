"""Warnings about runs that differ in more than their configs and seeds.

The numbers of one seed depend on the data, and slightly on the backend, the versions and the
processor. Such runs are still compared, but never silently.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
    known = known or {}
    labels = labels_of(zip(runs["name"], runs["config_hash"], strict=True))
    places = zip(runs["results"], runs["run"], strict=True)
    recorded = [known.get(each) or environments.read(Path(*each)) for each in places]
    pools = [each[:DIGITS] if isinstance(each, str) else None for each in runs["data_pool"]]
    # Older runs recorded only the processor's name, so names are compared.
    kinds = all(each.kind for each in recorded if each.processor not in (None, environments.GPU))
    facts: dict[str, Values] = {}
    commits: Values = {}
    for label, seed, environment, pool in zip(labels, runs["seed"], recorded, pools, strict=True):
        found = _facts(environment, kinds)
        found += [("data sets", pool or "not recorded")] if any(pools) else []
        for kind, value in found:
            facts.setdefault(kind, {}).setdefault(label, {}).setdefault(value, set()).add(seed)
        if environment.commit:
            commit = environment.commit[:DIGITS] + "+" * environment.commit.endswith("+")
            commits.setdefault(label, {}).setdefault(commit, set()).add(seed)
    for kind, values in facts.items():
        for line in [*_within(kind, values), *_between(kind, values)]:
            warn(line)
    _tell_commits(commits, warn)


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
