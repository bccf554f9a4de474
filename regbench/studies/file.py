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
`regbench.studies.factors`), and claims may then be about their effects. Instead of seeds, a profile
can have looks, at which seeds are added until every claim is decided:
`seeds: {first: 5, most: 40}`. Validation is as strict as for a config: each error names file, line
and column.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from pydantic.json_schema import JsonSchemaValue

from regbench.analysis.sequential import Design
from regbench.config import NAME, ConfigError, Experiment, matrix, seeds, shipped, yaml12
from regbench.config.messages import explain
from regbench.config.yaml12 import Node, Place, Problem, YamlError
from regbench.errors import RegbenchError
from regbench.studies import claims, data_sets, sequential
from regbench.studies import factors as factorial
from regbench.studies import variants as variants_of
from regbench.studies.contest import Contest
from regbench.studies.factors import Factors
from regbench.studies.sections import Claim, Settings, StudyFile


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
    factors: Factors | None = None
    is_first_profile: bool = True  # the one of the file that runs unless another is named

    @property
    def label(self) -> str:
        """The name, with the profile unless it is the file's first: it names the results."""
        return self.name if self.is_first_profile else f"{self.name}-{self.profile}"

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

    A name such as "overfitting", if there is no such file, means a shipped study. `seeds` replace
    those of the profile, and are judged once, also if it has looks.

    Raises:
        ConfigError: the file is invalid; the message has a line for each error.
        RegbenchError: there is no such profile.
    """
    problems = list[Problem]()
    try:
        path = shipped.find(path, "study")
        tree = _tree(path, problems)
    except YamlError as error:
        raise ConfigError(in_order([*problems, error.problem])) from error
    return of_tree(path, tree, problems, profile, seeds, overrides)


def of_tree(
    path: Path,
    tree: Node,
    problems: list[Problem],
    profile: str | None = None,
    seeds: Sequence[int] | None = None,
    overrides: Sequence[str] = (),
) -> Study:
    """Return the study of a tree that the file at `path` stands for; see `read`.

    Raises ConfigError for the problems so far and those found here.
    """
    try:
        try:
            file = StudyFile.model_validate(tree.plain())
        except ValidationError as error:
            raise ConfigError(in_order([*problems, *explain(error, tree, _keys())])) from error
        variants_of.check_combinations(file, tree, problems)
        factors, cells = factorial.read(tree, problems)
        tree = variants_of.with_cells(tree, cells, problems)
        chosen = chosen_profile(path, file.profiles, profile)
        # All profiles are checked, so that one that is rarely used stays valid.
        read_seeds = {
            name: _seeds(each.seeds, tree, name, problems) for name, each in file.profiles.items()
        }
        # Overrides are for the profile that runs: a key of its data set may not fit another's.
        changes = {name: overrides if name == chosen else () for name in file.profiles}
        expanded = {
            name: variants_of.experiments(path, tree, name, own, problems, factors)
            for name, own in changes.items()
        }
        variants, (own, design) = expanded[chosen], read_seeds[chosen]
        contests = variants_of.contest_of_each_profile(path, file, tree, changes, problems)
        contest = contests.get(chosen)
        if contest:
            contest.check_seeds(tuple(seeds or own))
            variants = contest.written()
        named = data_sets.names(file.data_sets, tree, problems)
        if contest or not file.tune:  # else the winners that claims name are not known
            claims.check(file, tree, data_sets.plain(list(variants), named), problems, factors)
    except YamlError as error:
        raise ConfigError(in_order([*problems, error.problem])) from error
    if problems:
        raise ConfigError(in_order(problems))
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
        factors=factors,
        is_first_profile=chosen == next(iter(file.profiles)),
    )


def schema() -> JsonSchemaValue:
    """Return the JSON Schema of a study file."""
    full = _keys()
    # One of the two is required.
    full["anyOf"] = [{"required": ["variants"]}, {"required": ["factors"]}]
    full["$defs"]["Claim"]["anyOf"] = [
        {"required": ["variant", "against"]}, {"required": ["effect"]}
    ]  # fmt: skip
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **full}


def _keys() -> JsonSchemaValue:
    """Return the schema without what keys require of each other, for messages about one key."""
    full = StudyFile.model_json_schema()
    full["$defs"]["Variant"]["properties"]["matrix"]["anyOf"][0] = matrix.SCHEMA
    full["properties"]["factors"]["anyOf"][0] = factorial.SCHEMA
    full["$defs"]["Looks"] = sequential.Looks.model_json_schema()
    full["$defs"]["Profile"]["properties"]["seeds"]["anyOf"][-1] = {"$ref": "#/$defs/Looks"}
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
    check_file_name(path)
    for section in ("profiles", "variants"):
        for name, node in tree.items(section):
            if not re.fullmatch(NAME, name):
                text = (
                    f"{section}: expected a name of letters, digits, _, . and -, received {name!r}"
                )
                problems.append(Problem(node.key or node.place, text))
    return tree


def check_file_name(path: Path) -> None:
    """Raise YamlError for a file whose name can't be that of its results."""
    if not re.fullmatch(NAME, path.stem):
        raise YamlError(
            Place(str(path)),
            "expected a file named with letters, digits, _, . and -: results are named after it",
        )


def chosen_profile(path: Path, profiles: Iterable[str], asked: str | None) -> str:
    """Return the profile that is asked for, or the first. Raises RegbenchError if there is none."""
    known = list(profiles)
    if asked is not None and asked not in known:
        raise RegbenchError(f"--profile: {path} has {', '.join(known)}, received {asked!r}")
    return asked or known[0]


def _seeds(
    written: int | str | list[int] | Settings, tree: Node, profile: str, problems: list[Problem]
) -> tuple[list[int], Design | None]:
    node = tree.at("profiles", profile, "seeds")
    where = f"profiles.{profile}.seeds"
    if isinstance(written, dict):
        return sequential.read(node, where, problems)
    text = ",".join(map(str, written)) if isinstance(written, list) else str(written)
    try:
        return seeds.parse(text), None
    except ValueError as error:
        problems.append(Problem(node.place, f"{where}: {error}"))
        return [0], None


def in_order(problems: Sequence[Problem]) -> dict[str, None]:
    """Return the lines in the order of their places, each once even if variants share it."""
    return dict.fromkeys(map(str, sorted(problems, key=lambda problem: problem.place)))
