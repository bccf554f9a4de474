"""Loads configs into frozen, validated experiments: defaults < `extends` < file < `--set`.

A file with a `matrix` yields several experiments: see `regbench.matrix`.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence
from pathlib import Path

import yaml
from pydantic import ValidationError

from regbench import plugins
from regbench.config import inheritance, matrix, shipped, yaml12
from regbench.config.experiment import Experiment, experiment_class
from regbench.config.inheritance import ConfigError
from regbench.config.messages import explain
from regbench.config.yaml12 import Node, Problem, YamlError


def load(path: str | Path, overrides: Sequence[str] = ()) -> Experiment:
    """Return the experiment of a config file, changed by overrides such as "train.epochs=5".

    A name such as "dropout", if there is no such file, means a shipped config.

    Raises:
        ConfigError: with a line for each error; a matrix, which yields several experiments, is one.
    """
    experiments = load_all([path], overrides)
    if len(experiments) > 1:
        tree = inheritance.read(shipped.find(path, "config"), [])
        place = tree.child("matrix").key  # type: ignore[union-attr]
        raise ConfigError(
            [
                Problem(
                    place or tree.place,
                    f"matrix: expected one experiment, received {len(experiments)}; "
                    "train them all with regbench run, or write one of them into its own file",
                )
            ]
        )
    return experiments[0]


def load_all(
    paths: Sequence[str | Path],
    overrides: Sequence[str] = (),
    seeds: Sequence[int] | None = None,
    smoke: Sequence[str] = (),
) -> list[Experiment]:
    """Return the experiments of several files, each changed by the same overrides.

    Args:
        paths: config files, or names of shipped ones.
        overrides: changes such as "train.epochs=5". They may not make two files' experiments,
            which differ without them, the same one under two names.
        seeds: give every experiment each of these seeds; None keeps that of its config.
        smoke: further overrides, applied last, which may make experiments the same; with any,
            networks are as small as their `Builder.smoke` says.

    Raises:
        ConfigError: with a line for everything that is wrong in any of them, and for each
            experiment, by name, config and seed, that two of them have.
    """
    files: list[tuple[Path, list[Experiment]]] = []
    problems: list[str] = []
    for asked in paths:
        try:
            path = _found(asked)
            found = _experiments(path, [*overrides, *smoke])
            found = [each.shrunk() for each in found] if smoke else found
            files.append((path, found))
        except ConfigError as error:
            problems += error.messages
    if problems:
        # The overrides are the same for every file: report their errors only once.
        raise ConfigError(dict.fromkeys(problems))
    seeded = [
        (path, [each.with_seed(seed) for each in found for seed in seeds or [each.seed]])
        for path, found in files
    ]
    _check_distinct(seeded, overrides, bool(seeds))
    if overrides and not smoke:
        _check_overrides(files, overrides)
    return [each for _, found in seeded for each in found]


def of_tree(tree: Node, problems: list[Problem]) -> list[Experiment]:
    """Return the experiments of a merged tree: one, or all combinations of its matrix.

    Errors are added to `problems`.
    """
    experiments: list[Experiment] = []
    made = experiment_class()
    for variant in matrix.expand(tree, problems):
        try:
            experiments.append(made.model_validate(variant.plain()))
        except ValidationError as error:
            problems += explain(error, variant, _schema(), plugins.HINT)
    if not problems:
        matrix.check_distinct([(each.name, each.hash) for each in experiments], tree, problems)
    return experiments


def parse(text: str, source: str) -> Experiment:
    """Return the experiment of a resolved config, as `dump` writes it: it extends no other file.

    Raises:
        ConfigError: with a line for each error; messages call the text `source`.
    """
    try:
        document = yaml12.parse(text, source)
        problems, tree = document.problems, document.root
        if not isinstance(tree.content, dict):
            raise YamlError(tree.place, "expected a resolved config, a mapping")
        extends = tree.child("extends")
        if extends is not None:
            raise YamlError(extends.place, "extends: expected a resolved config")
        experiments = of_tree(tree, problems)
    except YamlError as error:
        raise ConfigError([error.problem]) from error
    if len(experiments) != 1:
        problems = problems or [Problem(tree.place, "expected one experiment, received a matrix")]
        raise ConfigError(dict.fromkeys(map(str, problems)))
    return experiments[0]


def dump(experiment: Experiment) -> str:
    """Return YAML that `load` reads, and that repeats the run by itself."""
    return yaml.dump(
        experiment.values(), Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=100
    )


def schema() -> dict[str, object]:
    """Return the JSON Schema of a config file."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **copy.deepcopy(_schema())}


def _schema() -> dict[str, object]:
    return _schema_of(experiment_class(), *map(tuple, map(plugins.names, plugins.KINDS)))


@functools.lru_cache(maxsize=8)
def _schema_of(made: type[Experiment], *names: tuple[str, ...]) -> dict[str, object]:
    """Return the schema of a config; `names` are those of plugins, which it lists."""
    full = made.model_json_schema()
    for name, toggle in made.toggles.items():
        if toggle.optional:
            full["properties"][name]["anyOf"].append({"const": False})
    full["required"] = []
    full["properties"]["extends"] = {
        "type": "string",
        "description": "a config that this one changes: a file, relative to this one, "
        "or regbench:NAME",
    }
    full["properties"]["matrix"] = copy.deepcopy(matrix.SCHEMA)
    return full


def _check_distinct(
    files: Sequence[tuple[Path, Sequence[Experiment]]], overrides: Sequence[str], seeded: bool
) -> None:
    """Refuse duplicate experiments (name, config and seed), from two files or from one."""
    first: dict[str, Path] = {}
    problems: dict[str, None] = {}
    for path, found in files:
        for each in found:
            other = first.setdefault(each.run_name, path)
            if other is path:
                continue
            if other == path:
                problems[f"{path}: expected once, received twice"] = None
                continue
            options = ["--set " + change for change in overrides] + ["--seeds"] * seeded
            cause = f" with {' '.join(options)}" if options else ""
            problems[
                f"{other} and {path}: expected two experiments, received the same one{cause}: "
                f"{each.name} with seed {each.seed}; give one of the files, or change only one"
            ] = None
    if problems:
        raise ConfigError(problems)


def _check_overrides(
    files: Sequence[tuple[Path, Sequence[Experiment]]], overrides: Sequence[str]
) -> None:
    """Refuse overrides that make one experiment, under two names, of two files' different ones."""
    first: dict[str, tuple[Path, Experiment]] = {}
    for path, found in files:
        for each in found:
            other, same = first.setdefault(each.hash, (path, each))
            if other == path or not _differ_without_overrides(other, path):
                continue
            options = " ".join("--set " + change for change in overrides)
            raise ConfigError(
                [
                    f"{other} and {path}: expected two experiments, but {options} makes them "
                    f"the same one, under the names {same.name} and {each.name}; give one of the "
                    "files, or change only one"
                ]
            )


def _found(asked: str | Path) -> Path:
    try:
        return shipped.find(asked, "config")
    except YamlError as error:
        raise ConfigError([error.problem]) from error


def _differ_without_overrides(one: Path, other: Path) -> bool:
    """Return whether two files have no experiment in common."""
    try:
        hashes = [{each.hash for each in _experiments(path, [])} for path in (one, other)]
    except ConfigError:  # the file is a config only with the overrides
        return False
    return not hashes[0] & hashes[1]


def _experiments(path: Path, overrides: Sequence[str]) -> list[Experiment]:
    problems: list[Problem] = []
    try:
        tree = inheritance.read(path, problems)
        options = [inheritance.override(each, problems) for each in overrides]
        for change in inheritance.models_first(options):
            matrix.check_override(tree, change)
            tree = inheritance.merge(tree, change)
        experiments = of_tree(tree, problems)
    except YamlError as error:
        raise ConfigError([*problems, error.problem]) from error
    if problems:
        problems.sort(key=lambda problem: problem.place)
        raise ConfigError(dict.fromkeys(map(str, problems)))
    return experiments


class _Dumper(yaml.SafeDumper):
    """A YAML dumper that quotes every text that YAML 1.2 would read as another type."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    plain = yaml12.resolve(text) == text
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


_Dumper.add_representer(str, _represent_text)
