"""The variants of a study file: each becomes one experiment or several, with its own config."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from regbench import config
from regbench.config import Experiment, inheritance, matrix
from regbench.config.yaml12 import Node, Problem, YamlError
from regbench.studies import contest as contests
from regbench.studies import data_sets, varied
from regbench.studies import factors as factorial
from regbench.studies.contest import Contest
from regbench.studies.factors import Factors
from regbench.studies.sections import StudyFile


def experiments(
    path: Path,
    tree: Node,
    profile: str,
    overrides: Sequence[str],
    problems: list[Problem],
    factors: Factors | None,
) -> dict[str, Experiment]:
    """Return the experiment of each variant in a profile, by name."""
    options, shared = _options(tree, profile, overrides, problems)
    variants: dict[str, Experiment] = {}
    sets: list[tuple[str | None, Node | None]] = [*tree.items("data_sets")]
    for name, node in tree.items("variants"):
        for data_set, changed in sets or [(None, None)]:
            settings = [*shared, changed, node.child("set")]
            tree_of = _tree_of(path, tree, profile, name, settings, options, problems, factors)
            made = varied.each(config.of_tree(tree_of, problems), node, problems)
            for experiment in data_sets.on(list(made), data_set, node, problems):
                if experiment.name in variants:
                    text = f"variants: {experiment.name} is a duplicate; choose another name"
                    problems.append(Problem(node.key or node.place, text))
                variants[experiment.name] = experiment
    if factors:
        factorial.check(factors, variants, tree, problems)
    most, cells = matrix.MOST_EXPERIMENTS, len(factors.variants) if factors else 0
    if len(variants) - cells > most:
        text = f"variants: expected at most {most}, received {len(variants) - cells}"
        problems.append(Problem(tree.at("variants").place, text))
    return variants


def _tree_of(
    path: Path,
    tree: Node,
    profile: str,
    name: str,
    settings: Sequence[Node | None],
    options: Sequence[Node],
    problems: list[Problem],
    factors: Factors | None = None,
) -> Node:
    """Return a variant's config: the one that it changes, with settings and options applied."""
    found = inheritance.base(path, *_config(tree, profile, name), problems)
    for each in settings:
        found = _with(found, each)
    node = tree.at("variants", name)
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
    return found


def _config(tree: Node, profile: str, variant: str) -> tuple[Node, str]:
    """Return the name of the file that a variant changes, and the key that says so."""
    own = tree.at("variants", variant).child("config")
    of_profile = tree.at("profiles", profile).child("base")
    if own:
        return own, f"variants.{variant}.config"
    return (of_profile, f"profiles.{profile}.base") if of_profile else (tree.at("base"), "base")


def _with(tree: Node, settings: Node | None) -> Node:
    changes = [
        inheritance.nested(inheritance.dotted(key, node, "set"), node, node.key or node.place)
        for key, node in (settings.items() if settings else ())
    ]
    for change in inheritance.models_first(changes):
        tree = inheritance.merge(tree, change)
    return tree


def check_combinations(file: StudyFile, tree: Node, problems: list[Problem]) -> None:
    """Report sections that can't stand in one study: what both would mean is not defined."""
    looks = any(isinstance(each.seeds, dict) for each in file.profiles.values())
    varied_ones = any(each.vary for each in file.variants.values())
    together: dict[str, dict[str, object]] = {
        "data_sets": {"tune": file.tune, "factors": file.factors, "looks": looks},
        "factors": {"looks": looks},
        "tune": {"factors": file.factors, "vary": varied_ones},
    }
    for section, others in together.items():
        node = tree.child(section)
        for other, used in others.items():
            if node and used:
                text = f"{section}: cannot be combined with {other}; make two studies of it"
                problems.append(Problem(node.key or node.place, text))


def contest_of_each_profile(
    path: Path,
    file: StudyFile,
    tree: Node,
    overrides: Mapping[str, Sequence[str]],
    problems: list[Problem],
) -> dict[str, Contest]:
    """Return the contest of each profile; {} if the study has none, or is invalid."""
    if not file.tune:
        for name, variant in file.variants.items():
            if variant.tune:
                node = tree.at("variants", name, "tune")
                text = f"variants.{name}.tune: expected tune: {{trials: 16}} in the study too"
                problems.append(Problem(node.key or node.place, text))
        return {}
    if problems:
        return {}
    found = {}
    for name, profile in file.profiles.items():
        entrants = [
            (each, node.child("tune"))
            for node, config_tree in _trees(path, tree, name, overrides[name], [])
            for each in matrix.expand(config_tree, [])
        ]
        contest = contests.of_study(path.stem, tree, profile.tune, file.tune, entrants, problems)
        if contest:
            found[name] = contest
    return found


def with_cells(tree: Node, cells: dict[str, Node], problems: list[Problem]) -> Node:
    """Return the tree with a variant for each combination of the factors, after its own."""
    assert isinstance(tree.content, dict)
    own = dict(tree.items("variants"))
    if not own and not tree.child("factors"):
        expected = "expected a mapping by name, or factors with levels"
        raise YamlError(tree.place, f"variants: missing; {expected}")
    for name in own.keys() & cells.keys():
        text = f"variants: {name} is a combination of the factors; choose another name"
        problems.append(Problem(own[name].key or own[name].place, text))
    place = tree.at("variants").place
    return replace(tree, content=tree.content | {"variants": Node(own | cells, place)})


def _options(
    tree: Node, profile: str, overrides: Sequence[str], problems: list[Problem]
) -> tuple[list[Node], list[Node | None]]:
    """Return the options of the command line, and the changes that all variants share."""
    options = [inheritance.override(each, problems) for each in overrides]
    return options, [tree.child("set"), tree.at("profiles", profile).child("set")]


def _trees(
    path: Path, tree: Node, profile: str, overrides: Sequence[str], problems: list[Problem]
) -> Iterator[tuple[Node, Node]]:
    """Yield each variant's node in the study, and the mapping of its config, with any matrix."""
    options, shared = _options(tree, profile, overrides, problems)
    for name, node in tree.items("variants"):
        settings = [*shared, node.child("set")]
        yield node, _tree_of(path, tree, profile, name, settings, options, problems)
