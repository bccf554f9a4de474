"""Reads a paper's file, and makes a study of it: rows are variants, printed numbers are claims.

    columns:
      error: {heading: test error %, metric: test_accuracy, unit: error percent, margin: 0.1}
    settings:
      train.epochs: {value: 20, status: assumed, note: the paper does not say}
    rows:
      l2: {label: L2, settings: {l2: {value: 1e-4, status: assumed}}, printed: {error: 1.62}}
    differences:
      - {text: Max-norm lowers the error, column: error, row: max_norm, against: l2}
    profiles:
      quick:
        seeds: 0-4
        cost: 10 minutes on two cores
        settings: {train.epochs: {value: 2, status: scaled down}}

Settings of the file, of a profile and of a row apply in this order, each with its status beside it.
Validation is as strict as for a config: each error names file, line and column.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from pydantic.json_schema import JsonSchemaValue

from regbench.analysis import metrics
from regbench.config import ConfigError, shipped, yaml12
from regbench.config.messages import explain
from regbench.config.yaml12 import Node, Place, Problem, Scalar, YamlError
from regbench.errors import RegbenchError
from regbench.papers import claims
from regbench.papers.sections import Deviation, PaperFile, Setting
from regbench.studies import file as study_file
from regbench.studies.file import Study

# Keys that say where the data is, not what is done with it.
PLACES = ("data.path", "data.sha256")


@dataclass(frozen=True)
class Paper:
    """A paper with one of its profiles, and the study that rebuilds it."""

    name: str
    file: PaperFile
    profile: str
    study: Study
    overrides: tuple[str, ...] = ()

    @property
    def deviations(self) -> list[tuple[str | None, Deviation]]:
        """Return the deviations that no key expresses: of all rows (None), then of each row."""
        own = [(None, each) for each in self.file.deviations]
        return own + [(row, each) for row in self.rows for each in self.file.rows[row].deviations]

    @property
    def rows(self) -> list[str]:
        """The names of the rows that this profile rebuilds."""
        return self.file.rebuilt(self.profile)

    def settings(self, row: str) -> dict[str, Setting]:
        """Return the settings of a row in this profile, by dotted key."""
        return self.file.settings_of(self.profile, row)


def read(
    path: str | Path,
    profile: str | None = None,
    seeds: Sequence[int] | None = None,
    overrides: Sequence[str] = (),
) -> Paper:
    """Read a paper, with the first of its profiles unless another is named.

    A name such as "zhang2017-mlp", if there is no such file, means a shipped paper. `seeds` replace
    those of the profile.

    Raises:
        ConfigError: the file is invalid; the message has a line for each error.
        RegbenchError: there is no such profile.
    """
    problems = list[Problem]()
    try:
        path = shipped.find(path, "paper")
        tree = _tree(path, problems)
        try:
            file = PaperFile.model_validate(tree.plain())
        except ValidationError as error:
            raise ConfigError(
                study_file.in_order([*problems, *explain(error, tree, _keys())])
            ) from error
    except YamlError as error:
        raise ConfigError(study_file.in_order([*problems, error.problem])) from error
    problems += _unfit(file, tree)
    if problems:
        raise ConfigError(study_file.in_order(problems))
    chosen = study_file.chosen_profile(path, file.profiles, profile)
    file = _overridden(file, chosen, overrides)
    study = study_file.of_tree(path, _study(file, tree, chosen), problems, chosen, seeds, overrides)
    return Paper(path.stem, file, chosen, study, tuple(overrides))


def schema() -> JsonSchemaValue:
    """Return the JSON Schema of a paper's file."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_keys()}


def _keys() -> JsonSchemaValue:
    return PaperFile.model_json_schema()


def _tree(path: Path, problems: list[Problem]) -> Node:
    document = yaml12.read(path, str(path))
    problems += document.problems
    tree = document.root
    if not isinstance(tree.content, dict) or not tree.content.keys() & {"rows", "columns"}:
        raise YamlError(
            tree.place, "expected a paper: a mapping with title, source, columns, rows, profiles"
        )
    study_file.check_file_name(path)
    return tree


def _overridden(file: PaperFile, profile: str, overrides: Sequence[str]) -> PaperFile:
    """Return the file with the settings that the command line replaces, in every row.

    They count as scaled down: a printed number is not judged by an experiment of another kind.
    """
    given = {
        key: Setting(value=value, status="scaled down", note="given on the command line")
        for key, _, value in (each.partition("=") for each in overrides)
        if key not in PLACES
    }
    asked = file.profiles[profile]
    sized = asked.model_copy(update={"settings": {**asked.settings, **given}})
    rows = {
        name: row.model_copy(
            update={"settings": {key: given.get(key, each) for key, each in row.settings.items()}}
        )
        for name, row in file.rows.items()
    }
    return file.model_copy(update={"profiles": {**file.profiles, profile: sized}, "rows": rows})


def _study(file: PaperFile, tree: Node, profile: str) -> Node:
    """Return the tree of the study that rebuilds the rows of a profile."""
    place = tree.place

    def node(content: object, near: Node | None = None) -> Node:
        return _node(content, near.place if near else place)

    rows = file.rebuilt(profile)
    content = {
        "question": node(file.title),
        "base": tree.at("base"),
        "set": _values(tree.child("settings"), place),
        "profiles": node({name: _sized(each) for name, each in tree.items("profiles")}),
        "variants": node(
            {
                name: node({"set": _values(tree.at("rows", name).child("settings"), place)})
                for name in rows
            }
        ),
        "claims": node([each.as_dict() for each in claims.of_paper(file, profile)]),
    }
    return Node(content, place)


def _sized(profile: Node) -> Node:
    """Return the study's profile of a paper's."""
    changed = _values(profile.child("settings"), profile.place)
    return Node({"seeds": profile.at("seeds"), "set": changed}, profile.place)


def _values(written: Node | None, place: Place) -> Node:
    """Return the mapping of keys to values that a section of settings stands for."""
    values = {
        key: Node(each.at("value").content, each.at("value").place, each.key)
        for key, each in (written.items() if written else ())
    }
    return Node(values, written.place if written else place)


def _node(content: object, place: Place) -> Node:
    """Return plain values, and nodes among them, as a tree."""
    if isinstance(content, Node):
        return content
    if isinstance(content, Mapping):
        return Node({key: _node(each, place) for key, each in content.items()}, place)
    if isinstance(content, list):
        return Node([_node(each, place) for each in content], place)
    assert isinstance(content, Scalar)
    return Node(content, place)


def _unfit(file: PaperFile, tree: Node) -> Iterator[Problem]:
    """Yield a problem for each name that is not there, and each number without a meaning."""
    yield from _unfit_columns(file, tree)
    for row, each in file.rows.items():
        for name in each.printed.keys() - file.columns.keys():
            place = tree.at("rows", row, "printed", name)
            yield Problem(place.place, _unknown(f"rows.{row}.printed", name, file.columns))
    for profile, asked in file.profiles.items():
        for name in set(asked.rows or ()) - file.rows.keys():
            node = tree.at("profiles", profile, "rows")
            yield Problem(node.place, _unknown(f"profiles.{profile}.rows", name, file.rows))
    for index, difference in enumerate(file.differences):
        node, where = tree.at("differences", index), f"differences[{index}]"
        named: dict[str, Mapping[str, object]] = {
            "row": file.rows, "against": file.rows, "column": file.columns,
        }  # fmt: skip
        wrong = False
        for key, known in named.items():
            if getattr(difference, key) not in known:
                wrong = True
                text = _unknown(f"{where}.{key}", getattr(difference, key), known)
                yield Problem(node.at(key).place, text)
        if not wrong and claims.direction(file, difference) is None:
            text = f"{where}: expected two different printed numbers, or expect: lower or higher"
            yield Problem(node.place, text)


def _unfit_columns(file: PaperFile, tree: Node) -> Iterator[Problem]:
    for name, column in file.columns.items():
        node = tree.at("columns", name)
        try:
            exact = metrics.metric(column.metric).exact
        except RegbenchError as error:
            yield Problem(node.at("metric").place, f"columns.{name}.{error}")
            continue
        if not exact and not column.margin and _printed(file, name):
            text = "expected above 0: no sample shows that a number is exactly the printed one"
            yield Problem(node.place, f"columns.{name}.margin: {text}")


def _printed(file: PaperFile, column: str) -> bool:
    return any(column in row.printed for row in file.rows.values())


def _unknown(where: str, name: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f'did you mean "{near[0]}"?' if near else f"expected one of {', '.join(known)}"
    return f"{where}: no {name!r} in this file; {hint}"
