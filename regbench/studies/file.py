"""A study file: a question, the variants and seeds that answer it, and claims to be judged.

    question: Does dropout narrow the gap?
    base: ../baseline.yaml
    profiles:
      quick: {base: ../quick.yaml, seeds: 0-4, set: {train.epochs: 15}}
      full: {seeds: 0-9}
    variants:
      baseline: {}
      dropout: {set: {dropout.dense: 0.5}}
    claims:
      - {text: It does, metric: gap, variant: dropout, against: baseline, expect: lower}

A variant is the base (the profile's, if it has one) or the `config` that it names, changed by the
study's `set`, then the profile's, then its own; a variant with a `matrix` stands for several, named
as `regbench.matrix` names experiments. Instead of seeds, a profile can have looks, at which seeds
are added until every claim is decided: `seeds: {first: 5, most: 40}`. Validation is as strict as
for a config: each error names file, line and column.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, Strict, ValidationError

from regbench import config
from regbench.analysis import metrics
from regbench.analysis.sequential import Design
from regbench.config import (
    NAME,
    ConfigError,
    Experiment,
    inheritance,
    matrix,
    seeds,
    shipped,
    yaml12,
)
from regbench.config.experiment import Section, Text
from regbench.config.messages import explain
from regbench.config.sources import Sources
from regbench.config.yaml12 import Node, Place, Problem, YamlError
from regbench.errors import RegbenchError
from regbench.studies import contest as contests
from regbench.studies import data_sets, sequential, varied
from regbench.studies.contest import Contest, Dimensions, Tuning, TuningChanges

# No sample shows that a difference is exactly zero.
NO_MARGIN = "expect: same needs a margin above 0, the largest difference that does not matter"
Number = Annotated[float, Field(ge=-1e12, le=1e12)]
Settings = dict[str, Any]


class Profile(Section):
    """The size of a study: its seeds, its own base if it has one, and changes to every variant."""

    base: Text | None = None
    seeds: Annotated[
        int | str | list[int] | Settings, Field(description="seeds such as 0-4 or 0,3,7")
    ]
    set: Settings = Field(default_factory=dict)
    tune: TuningChanges | None = None


class Variant(Section):
    """A config to train: the base, or one of its own, and changes to it.

    `tune` has the values that a contest tries, by key. With `vary`, it is also trained with each of
    these sources of variance alone getting the seed, under its name and that of the source.
    """

    config: Text | None = None
    set: Settings = Field(default_factory=dict)
    matrix: Settings | None = None
    tune: Annotated[Dimensions, Field(min_length=1, max_length=20)] | None = None
    vary: Sources | None = None


class Difference(Section):
    """A variant's metric minus that of another variant."""

    variant: Text
    against: Text


class Claim(Section):
    """A statement about a metric: a variant against another one, or against a number.

    `lower` and `higher` mean by more than `margin`, `same` means within it. With `beyond`, the
    claim is about the difference minus another difference, seed by seed. `over` says what its
    interval covers: other seeds on this test set, or other test images as well.
    """

    text: Text
    metric: Text
    variant: Text
    against: Text | Number
    beyond: Difference | None = None
    expect: Literal["lower", "higher", "same"]
    margin: Annotated[float, Field(ge=0, le=1e12)] = 0.0
    over: Literal["seeds", "images"] = "seeds"

    def names(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yield each variant that is named, with its place in the claim."""
        yield ("variant",), self.variant
        if isinstance(self.against, str):
            yield ("against",), self.against
        if self.beyond:
            yield ("beyond", "variant"), self.beyond.variant
            yield ("beyond", "against"), self.beyond.against


class StudyFile(Section):
    """A study as written in its file."""

    question: Text
    base: Annotated[Text, Field(description="the config that the variants change, a file's name")]
    set: Settings = Field(default_factory=dict)
    tune: Tuning | None = None
    profiles: Annotated[dict[str, Profile], Field(min_length=1, max_length=20)]
    data_sets: Annotated[
        dict[str, Settings],
        Field(max_length=20, description="changes by name: every variant with each of them"),
    ] = Field(default_factory=dict)
    variants: Annotated[dict[str, Variant], Field(min_length=1, max_length=100)]
    claims: Annotated[tuple[Claim, ...], Strict(False), Field(min_length=1, max_length=100)]


@dataclass(frozen=True)
class Study:
    """A study with defaults, profile and matrices resolved; `variants` keep the file's order.

    With `looks`, the first of the seeds are judged, then more of them, until all are. `contest`
    holds the trials of variants that are tuned. With `data_sets`, variants and claims are those on
    each data set, and `over_all` holds the claims as written, judged over all data sets as well.
    """

    name: str
    question: str
    profile: str
    seeds: tuple[int, ...]
    variants: dict[str, Experiment]
    claims: tuple[Claim, ...]
    looks: Design | None = None  # None: all seeds are judged once
    contest: Contest | None = None
    data_sets: tuple[str, ...] = ()
    over_all: tuple[Claim, ...] = ()

    @property
    def experiments(self) -> list[Experiment]:
        """Every variant with every seed, seed by seed: the first finished runs are pairs."""
        return [each.with_seed(seed) for seed in self.seeds for each in self.variants.values()]


def read(
    path: str | Path,
    profile: str | None = None,
    seeds: Sequence[int] | None = None,
    overrides: Sequence[str] = (),
) -> Study:
    """Read a study, with the first of its profiles unless another is named.

    A name such as "overfitting", if there is no such file, means a shipped study.

    With `seeds`, they replace those of the profile and are judged once, also if it has looks.

    Raises:
        ConfigError: the file is invalid; the message has a line for each error.
        RegbenchError: there is no such profile.
    """
    problems = list[Problem]()
    try:
        path = shipped.find(path, "study")
        tree = _tree(path, problems)
        try:
            file = StudyFile.model_validate(tree.plain())
        except ValidationError as error:
            raise ConfigError(_sorted([*problems, *explain(error, tree, schema())])) from error
        chosen = _profile(path, file, profile)
        # All profiles are checked, so that one that is rarely used stays valid.
        read_seeds = {
            name: _seeds(each.seeds, tree, name, problems) for name, each in file.profiles.items()
        }
        expanded = {
            name: _variants(path, tree, name, overrides, problems) for name in file.profiles
        }
        variants, (own, design) = expanded[chosen], read_seeds[chosen]
        contest = _contests(path, file, tree, overrides, problems).get(chosen)
        if contest:
            contest.check_seeds(tuple(seeds or own))
            variants = contest.written()
        named = data_sets.names(file.data_sets, tree, problems)
        _check_claims(file, tree, data_sets.plain(list(variants), named), problems)
    except YamlError as error:
        raise ConfigError(_sorted([*problems, error.problem])) from error
    if problems:
        raise ConfigError(_sorted(problems))
    return Study(
        path.stem,
        file.question,
        chosen,
        tuple(seeds or own),
        variants,
        data_sets.on_each(file.claims, named),
        looks=None if seeds else design,
        contest=contest,
        data_sets=named,
        over_all=file.claims if named else (),
    )


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a study file."""
    full = StudyFile.model_json_schema()
    full["$defs"]["Variant"]["properties"]["matrix"]["anyOf"][0] = matrix.SCHEMA
    full["$defs"]["Looks"] = sequential.Looks.model_json_schema()
    full["$defs"]["Profile"]["properties"]["seeds"]["anyOf"][-1] = {"$ref": "#/$defs/Looks"}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **full}


def _tree(path: Path, problems: list[Problem]) -> Node:
    document = yaml12.read(path, str(path))
    problems += document.problems
    tree = document.root
    if not isinstance(tree.content, dict):
        raise YamlError(tree.place, "expected a mapping with question, base, profiles, variants")
    if not tree.content.keys() & StudyFile.model_fields:
        raise YamlError(
            tree.place, f"expected a study, received a config; train it with: regbench run {path}"
        )
    if not re.fullmatch(NAME, path.stem):
        raise YamlError(
            Place(str(path)),
            "expected a file named with letters, digits, _, . and -: results are named after it",
        )
    for section in ("profiles", "variants"):
        for name, node in _items(tree.child(section)):
            if not re.fullmatch(NAME, name):
                text = (
                    f"{section}: expected a name of letters, digits, _, . and -, received {name!r}"
                )
                problems.append(Problem(node.key or node.place, text))
    return tree


def _profile(path: Path, file: StudyFile, asked: str | None) -> str:
    if asked is not None and asked not in file.profiles:
        known = ", ".join(file.profiles)
        raise RegbenchError(f"--profile: {path} has {known}, received {asked!r}")
    return asked or next(iter(file.profiles))


def _seeds(
    written: int | str | list[int] | Settings, tree: Node, profile: str, problems: list[Problem]
) -> tuple[list[int], Design | None]:
    node = _at(tree, "profiles", profile, "seeds")
    where = f"profiles.{profile}.seeds"
    if isinstance(written, dict):
        return sequential.read(node, where, problems)
    text = ",".join(map(str, written)) if isinstance(written, list) else str(written)
    try:
        return seeds.parse(text), None
    except ValueError as error:
        problems.append(Problem(node.place, f"{where}: {error}"))
        return [0], None


def _options(
    tree: Node, profile: str, overrides: Sequence[str], problems: list[Problem]
) -> tuple[list[Node], list[Node | None]]:
    """Return the options of the command line, and the changes that all variants share."""
    options = [inheritance.override(each, problems) for each in overrides]
    return options, [tree.child("set"), _at(tree, "profiles", profile).child("set")]


def _trees(
    path: Path, tree: Node, profile: str, overrides: Sequence[str], problems: list[Problem]
) -> Iterator[tuple[Node, Node]]:
    """Yield each variant's node in the study, and the mapping of its config, with any matrix."""
    options, shared = _options(tree, profile, overrides, problems)
    for name, node in _items(tree.child("variants")):
        settings = [*shared, node.child("set")]
        yield node, _tree_of(path, tree, profile, name, settings, options, problems)


def _contests(
    path: Path, file: StudyFile, tree: Node, overrides: Sequence[str], problems: list[Problem]
) -> dict[str, Contest]:
    """Return the contest of each profile; {} if the study has none, or is invalid."""
    if not file.tune:
        for name, variant in file.variants.items():
            if variant.tune:
                node = _at(tree, "variants", name, "tune")
                text = f"variants.{name}.tune: expected tune: {{trials: 16}} in the study too"
                problems.append(Problem(node.key or node.place, text))
        return {}
    if problems:
        return {}
    found = {}
    for name, profile in file.profiles.items():
        entrants = [
            (each, node.child("tune"))
            for node, config_tree in _trees(path, tree, name, overrides, [])
            for each in matrix.expand(config_tree, [])
        ]
        contest = contests.of_study(path.stem, tree, profile.tune, file.tune, entrants, problems)
        if contest:
            found[name] = contest
    return found


def _variants(
    path: Path, tree: Node, profile: str, overrides: Sequence[str], problems: list[Problem]
) -> dict[str, Experiment]:
    options, shared = _options(tree, profile, overrides, problems)
    variants: dict[str, Experiment] = {}
    sets: list[tuple[str | None, Node | None]] = [*_items(tree.child("data_sets"))]
    for name, node in _items(tree.child("variants")):
        for data_set, changed in sets or [(None, None)]:
            settings = [*shared, changed, node.child("set")]
            tree_of = _tree_of(path, tree, profile, name, settings, options, problems)
            made = varied.each(config.of_tree(tree_of, problems), node, problems)
            for experiment in data_sets.on(list(made), data_set, node, problems):
                if experiment.name in variants:
                    text = f"variants: {experiment.name} is a duplicate; choose another name"
                    problems.append(Problem(node.key or node.place, text))
                variants[experiment.name] = experiment
    if len(variants) > matrix.MOST_EXPERIMENTS:
        text = f"variants: expected at most {matrix.MOST_EXPERIMENTS}, received {len(variants)}"
        problems.append(Problem(_at(tree, "variants").place, text))
    return variants


def _tree_of(
    path: Path,
    tree: Node,
    profile: str,
    name: str,
    settings: Sequence[Node | None],
    options: Sequence[Node],
    problems: list[Problem],
) -> Node:
    """Return a variant's config: the one that it changes, with settings and options applied."""
    found = inheritance.base(path, *_config(tree, profile, name), problems)
    for each in settings:
        found = _with(found, each)
    node = _at(tree, "variants", name)
    assert isinstance(found.content, dict)
    added = {"name": Node(name, node.key or node.place)}
    asked = node.child("matrix")
    if asked:
        added["matrix"] = asked
    found = Node(found.content | added, node.place)
    for option in inheritance.models_first(options):
        matrix.check_override(found, option)
        found = inheritance.merge(found, option)
    return found


def _config(tree: Node, profile: str, variant: str) -> tuple[Node, str]:
    """Return the name of the file that a variant changes, and the key that says so."""
    own = _at(tree, "variants", variant).child("config")
    of_profile = _at(tree, "profiles", profile).child("base")
    if own:
        return own, f"variants.{variant}.config"
    return (of_profile, f"profiles.{profile}.base") if of_profile else (_at(tree, "base"), "base")


def _with(tree: Node, settings: Node | None) -> Node:
    changes = [
        inheritance.nested(inheritance.dotted(key, node, "set"), node, node.key or node.place)
        for key, node in _items(settings)
    ]
    for change in inheritance.models_first(changes):
        tree = inheritance.merge(tree, change)
    return tree


def _check_claims(
    file: StudyFile, tree: Node, variants: list[str], problems: list[Problem]
) -> None:
    broken = [name for name in file.variants if name not in variants] if problems else []
    for index, claim in enumerate(file.claims):
        node = _at(tree, "claims", index)
        where = f"claims[{index}]"
        for keys, name in claim.names():
            # An invalid variant is already reported; don't report it as unknown too.
            if name not in variants and not any(name.startswith(each) for each in broken):
                text = f"{where}.{'.'.join(keys)}: no variant {name!r}; {_nearest(name, variants)}"
                problems.append(Problem(_at(node, *keys).place, text))
        try:
            exact = metrics.metric(claim.metric).exact
        except RegbenchError as error:
            problems.append(Problem(_at(node, "metric").place, f"{where}.{error}"))
        else:
            if claim.expect == "same" and not claim.margin and not exact:
                problems.append(Problem(_at(node, "expect").place, f"{where}.{NO_MARGIN}"))
        if claim.over == "images" and claim.metric not in metrics.PREDICTED:
            text = (
                f"{where}.over: expected {' or '.join(metrics.PREDICTED)} for the metric, since "
                f"images needs predictions, received {claim.metric}"
            )
            problems.append(Problem(_at(node, "over").place, text))
        if claim.beyond and not isinstance(claim.against, str):
            text = f"{where}.beyond: expected against to be a variant, received {claim.against:g}"
            problems.append(Problem(_at(node, "beyond").place, text))


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f'did you mean "{near[0]}"?' if near else f"expected one of {', '.join(known)}"


def _items(node: Node | None) -> Iterator[tuple[str, Node]]:
    if node is not None and isinstance(node.content, dict):
        yield from node.content.items()


def _at(tree: Node, *keys: str | int) -> Node:
    for key in keys:
        tree = tree.child(key) or tree
    return tree


def _sorted(problems: list[Problem]) -> dict[str, None]:
    """Return the lines in the order of their places, each once even if variants share it."""
    return dict.fromkeys(map(str, sorted(problems, key=lambda problem: problem.place)))
