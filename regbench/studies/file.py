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
as `regbench.matrix` names experiments. `factors` stand for a variant per combination of levels (see
`regbench.studies.factors`), and claims may then be about their effects. Validation is as strict as
for a config: each error names file, line and column.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, Strict, ValidationError

from regbench import config
from regbench.analysis import metrics
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
from regbench.config.yaml12 import Node, Place, Problem, YamlError
from regbench.errors import RegbenchError
from regbench.studies import factors as factorial
from regbench.studies.factors import Factors

Number = Annotated[float, Field(ge=-1e12, le=1e12)]
Settings = dict[str, Any]


class Profile(Section):
    """The size of a study: its seeds, its own base if it has one, and changes to every variant."""

    base: Text | None = None
    seeds: Annotated[int | str | list[int], Field(description="seeds such as 0-4 or 0,3,7")]
    set: Settings = Field(default_factory=dict)


class Variant(Section):
    """A config to train: the base, or one of its own, and changes to it."""

    config: Text | None = None
    set: Settings = Field(default_factory=dict)
    matrix: Settings | None = None


class Difference(Section):
    """A variant's metric minus that of another variant."""

    variant: Text
    against: Text


class Claim(Section):
    """A statement about a metric: a variant against another one, or against a number.

    `lower` and `higher` mean by more than `margin`, `same` means within it. With `beyond`, the
    claim is about the difference minus another difference, seed by seed. With `effect`, it is about
    the effect of a factor, or the interaction of two.
    """

    text: Text
    metric: Text
    variant: Text = ""
    against: Text | Number = 0.0
    beyond: Difference | None = None
    effect: Annotated[
        Text | Annotated[list[Text], Field(min_length=2, max_length=2)] | None,
        Field(description="a factor, or a list of two for their interaction"),
    ] = None
    expect: Literal["lower", "higher", "same"]
    margin: Annotated[float, Field(ge=0, le=1e12)] = 0.0

    @property
    def paired(self) -> bool:
        """True if the claim is about a difference of runs, not about a number of each."""
        return self.effect is not None or isinstance(self.against, str)

    def as_dict(self) -> dict[str, Any]:
        """Return the claim as JSON: with an effect, or with variants."""
        sides = {"variant", "against", "beyond"}
        return self.model_dump(mode="json", exclude={"effect"} if self.effect is None else sides)

    def names(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yield each variant that is named, with its place in the claim."""
        if self.effect is not None:
            return
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
    profiles: Annotated[dict[str, Profile], Field(min_length=1, max_length=20)]
    variants: Annotated[dict[str, Variant], Field(min_length=1, max_length=100)] = Field(
        default_factory=dict
    )
    factors: Annotated[
        dict[str, Annotated[list[Any], Field(min_length=2)]] | None,
        Field(description="levels by dotted key: a variant for every combination"),
    ] = None
    fraction: Annotated[
        Literal["1/2", "1/4"] | None, Field(description="the share of the combinations to train")
    ] = None
    claims: Annotated[tuple[Claim, ...], Strict(False), Field(min_length=1, max_length=100)]


@dataclass(frozen=True)
class Study:
    """A study with defaults, profile and matrices resolved; `variants` keep the file's order."""

    name: str
    question: str
    profile: str
    seeds: tuple[int, ...]
    variants: dict[str, Experiment]
    claims: tuple[Claim, ...]
    factors: Factors | None = None

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
            raise ConfigError(_sorted([*problems, *explain(error, tree, _keys())])) from error
        factors, cells = factorial.read(tree, problems)
        tree = _with_cells(tree, cells, problems)
        chosen = _profile(path, file, profile)
        # All profiles are checked, so that one that is rarely used stays valid.
        read_seeds = {
            name: _seeds(each.seeds, tree, name, problems) for name, each in file.profiles.items()
        }
        expanded = {
            name: _variants(path, tree, name, overrides, problems, factors)
            for name in file.profiles
        }
        variants, own = expanded[chosen], read_seeds[chosen]
        _check_claims(file, tree, list(variants), problems, factors)
    except YamlError as error:
        raise ConfigError(_sorted([*problems, error.problem])) from error
    if problems:
        raise ConfigError(_sorted(problems))
    chosen_seeds = tuple(seeds or own)
    return Study(path.stem, file.question, chosen, chosen_seeds, variants, file.claims, factors)


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a study file."""
    full = _keys()
    # One of the two is required.
    full["anyOf"] = [{"required": ["variants"]}, {"required": ["factors"]}]
    full["$defs"]["Claim"]["anyOf"] = [
        {"required": ["variant", "against"]}, {"required": ["effect"]}
    ]  # fmt: skip
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **full}


def _keys() -> dict[str, Any]:
    """Return the schema without what keys require of each other, for messages about one key."""
    full = StudyFile.model_json_schema()
    full["$defs"]["Variant"]["properties"]["matrix"]["anyOf"][0] = matrix.SCHEMA
    return full


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
    written: int | str | list[int], tree: Node, profile: str, problems: list[Problem]
) -> list[int]:
    text = ",".join(map(str, written)) if isinstance(written, list) else str(written)
    try:
        return seeds.parse(text)
    except ValueError as error:
        place = _at(tree, "profiles", profile, "seeds").place
        problems.append(Problem(place, f"profiles.{profile}.seeds: {error}"))
        return [0]


def _with_cells(tree: Node, cells: dict[str, Node], problems: list[Problem]) -> Node:
    """Return the tree with a variant for each combination of the factors, after its own."""
    assert isinstance(tree.content, dict)
    own = dict(_items(tree.child("variants")))
    if not own and not tree.child("factors"):
        expected = "expected a mapping by name, or factors with levels"
        raise YamlError(tree.place, f"variants: missing; {expected}")
    for name in own.keys() & cells.keys():
        text = f"variants: {name} is a combination of the factors; choose another name"
        problems.append(Problem(own[name].key or own[name].place, text))
    place = _at(tree, "variants").place
    return replace(tree, content=tree.content | {"variants": Node(own | cells, place)})


def _variants(
    path: Path,
    tree: Node,
    profile: str,
    overrides: Sequence[str],
    problems: list[Problem],
    factors: Factors | None,
) -> dict[str, Experiment]:
    options = [inheritance.override(each, problems) for each in overrides]
    shared = [tree.child("set"), _at(tree, "profiles", profile).child("set")]
    variants: dict[str, Experiment] = {}
    for name, node in _items(tree.child("variants")):
        found = inheritance.base(path, *_config(tree, profile, name), problems)
        for settings in [*shared, node.child("set")]:
            found = _with(found, settings)
        assert isinstance(found.content, dict)
        added = {"name": Node(name, node.key or node.place)}
        asked = node.child("matrix")
        if asked:
            added["matrix"] = asked
        found = Node(found.content | added, node.place)
        for option in inheritance.models_first(options):
            matrix.check_override(found, option)
            if factors and name in factors.variants:
                matrix.check_override(factorial.as_matrix(tree), option)
            found = inheritance.merge(found, option)
        for experiment in config.of_tree(found, problems):
            if experiment.name in variants:
                text = f"variants: {experiment.name} is a duplicate; choose another name"
                problems.append(Problem(node.key or node.place, text))
            variants[experiment.name] = experiment
    if factors:
        factorial.check(factors, variants, tree, problems)
    most, cells = matrix.MOST_EXPERIMENTS, len(factors.variants) if factors else 0
    if len(variants) - cells > most:
        text = f"variants: expected at most {most}, received {len(variants) - cells}"
        problems.append(Problem(_at(tree, "variants").place, text))
    return variants


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
    file: StudyFile,
    tree: Node,
    variants: list[str],
    problems: list[Problem],
    factors: Factors | None,
) -> None:
    broken = [name for name in file.variants if name not in variants] if problems else []
    for index, claim in enumerate(file.claims):
        node = _at(tree, "claims", index)
        where = f"claims[{index}]"
        lacks = _sides_missing(claim)
        problems += [Problem(node.place, f"{where}.{each}") for each in lacks]
        problems += factorial.check_effect(claim.effect, node, where, factors)
        for keys, name in claim.names():
            # An invalid variant is already reported; don't report it as unknown too.
            if name and name not in variants and not any(name.startswith(each) for each in broken):
                text = f"{where}.{'.'.join(keys)}: no variant {name!r}; {_nearest(name, variants)}"
                problems.append(Problem(_at(node, *keys).place, text))
        try:
            metrics.metric(claim.metric)
        except RegbenchError as error:
            problems.append(Problem(_at(node, "metric").place, f"{where}.{error}"))
        if claim.beyond and not isinstance(claim.against, str):
            text = f"{where}.beyond: expected against to be a variant, received {claim.against:g}"
            problems.append(Problem(_at(node, "beyond").place, text))


def _sides_missing(claim: Claim) -> Iterator[str]:
    """Yield an error for each key that a claim lacks, or has beside an effect."""
    for key in ("variant", "against"):
        if claim.effect is None and key not in claim.model_fields_set:
            yield f"{key}: missing; expected a variant{' or a number' * (key == 'against')}"
    for key in ("variant", "against", "beyond"):
        if claim.effect is not None and key in claim.model_fields_set:
            yield f"{key}: a claim about an effect has none; leave out one of the two"


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
