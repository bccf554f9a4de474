"""`matrix:` in a config: one file, and an experiment for every combination of some values.

    matrix: {dropout.dense: [0.2, 0.3, 0.5], l2: [0, 1e-3]}       # every pair: six experiments
    matrix: {zip: {model.blocks: [[16], [32]], l2: [1e-3, 1e-4]}}  # first with first: two

The two can be combined: the lists in `zip` then count as one. An experiment is named after the file
and its changes, as in `mine-dense_0.2-l2_0.001`.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pydantic.json_schema import JsonSchemaValue

from regbench.config.inheritance import dotted, merge, models_first, nested
from regbench.config.yaml12 import Node, Problem, YamlError

# With more, a single seed takes over four hours at a minute per run; ten short lists make
# thousands.
MOST_EXPERIMENTS = 256
LONGEST_NAME = 64
ZIP = "zip"
_LISTS = {"additionalProperties": {"type": "array", "minItems": 1}, "minProperties": 1}
SCHEMA: JsonSchemaValue = {
    "type": "object",
    "description": "lists of values by dotted key: an experiment for every combination",
    "properties": {
        ZIP: {
            "type": "object",
            "description": "lists of equal length that advance together",
            **_LISTS,
        }
    },
    **_LISTS,
}

# A dotted key, where it was written, and one of its values.
Change = tuple[str, Node]


def expand(tree: Node, problems: list[Problem]) -> list[Node]:
    """Return the tree of every combination; the tree itself if it has no matrix.

    Errors are added to `problems`. Raises YamlError for an invalid matrix.
    """
    matrix = tree.child("matrix")
    if matrix is None:
        return [tree]
    assert isinstance(tree.content, dict)
    base = replace(tree, content={k: v for k, v in tree.content.items() if k != "matrix"})
    axes = _axes(matrix, problems)
    number = math.prod(len(axis) for axis in axes)
    if number > MOST_EXPERIMENTS:
        raise YamlError(
            matrix.place,
            f"matrix: expected at most {MOST_EXPERIMENTS} experiments, received {number}; "
            "split it into several files",
        )
    combinations = [list(itertools.chain(*each)) for each in itertools.product(*axes)]
    return [_changed(base, combination) for combination in combinations]


def check_override(tree: Node, change: Node) -> None:
    """Raise YamlError for `--set` of a key that the matrix sets: names would be wrong."""
    matrix = tree.child("matrix")
    if matrix is None:
        return
    overridden = _path(change)
    for key, node in _keys(matrix):
        keys = key.split(".")
        shorter = min(len(keys), len(overridden))
        if keys[:shorter] == overridden[:shorter]:
            raise YamlError(change.place, f"the matrix sets {key}, at {node.key or node.place}")


def check_distinct(
    experiments: Sequence[tuple[str, str]], tree: Node, problems: list[Problem]
) -> None:
    """Add a problem for two combinations, (name, hash) each, that are the same experiment."""
    seen: dict[str, str] = {}
    for name, config_hash in experiments:
        if config_hash in seen:
            matrix = tree.child("matrix") or tree
            text = f"matrix: {seen[config_hash]} and {name} are the same experiment; leave one out"
            problems.append(Problem(matrix.key or matrix.place, text))
        seen.setdefault(config_hash, name)


def _axes(matrix: Node, problems: list[Problem]) -> list[list[list[Change]]]:
    """Return the lists to combine: each item holds the changes of one step."""
    if not isinstance(matrix.content, dict) or not matrix.content:
        text = "matrix: expected lists of values by key, such as {l2: [0, 1e-3]}"
        raise YamlError(matrix.place, text)
    axes = []
    for key, node in matrix.content.items():
        if key == ZIP:
            axes.append(_zipped(node, problems))
        else:
            axes.append([[(key, value)] for value in _values(key, node, problems)])
    keys = [key for key, _ in _keys(matrix)]
    for key, node in _keys(matrix):
        above = [other for other in keys if key.startswith(f"{other}.")]
        if keys.count(key) > 1 or above:
            also = f"{above[0]} sets it too" if above else "it is in zip too"
            problems.append(Problem(node.key or node.place, f"matrix: {key}: {also}; name it once"))
    return axes


def _zipped(node: Node, problems: list[Problem]) -> list[list[Change]]:
    if not isinstance(node.content, dict) or not node.content:
        text = "matrix.zip: expected lists of equal length by key, such as {l1: [0, 1], l2: [1, 0]}"
        raise YamlError(node.place, text)
    lists = {key: _values(key, each, problems) for key, each in node.content.items()}
    lengths = {key: len(values) for key, values in lists.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{key}: {length}" for key, length in lengths.items())
        raise YamlError(node.place, f"matrix.zip: expected lists of equal length, received {said}")
    return [
        [(key, values[index]) for key, values in lists.items()]
        for index in range(next(iter(lengths.values())))
    ]


def _values(key: str, node: Node, problems: list[Problem]) -> list[Node]:
    """Return the values of a key, at whose place an unknown key is reported."""
    dotted(key, node, "matrix")
    place = node.key or node.place
    if not isinstance(node.content, list) or not node.content:
        text = f"matrix.{key}: expected a list of at least one value, such as [0, 1e-3]"
        raise YamlError(node.place, text)
    return [replace(value, key=place) for value in node.content]


def _changed(base: Node, combination: list[Change]) -> Node:
    changes = [
        nested(key.split("."), value, value.key or value.place) for key, value in combination
    ]
    for change in models_first(changes):
        base = merge(base, change)
    name = base.child("name")
    if name is None or not isinstance(name.content, str):
        return base
    assert isinstance(base.content, dict)
    named = replace(name, content=name_of(name.content, combination))
    return replace(base, content=base.content | {"name": named})


def name_of(name: str, combination: list[Change]) -> str:
    """Return the experiment's name, at most 64 characters.

    It ends in a digest if parts had to be cut, or do not show all of their values.
    """
    full = [key for key, _ in combination]
    last = [key.rpartition(".")[2] for key in full]
    parts, whole = [], True
    for key, short, (_, value) in zip(full, last, combination, strict=True):
        label = short if last.count(short) == 1 else key
        text = _text(value.plain())
        clean = re.sub(r"[^A-Za-z0-9_.-]+", "_", f"{label}_{text}")
        whole = whole and clean == f"{label}_{text}"
        parts.append(clean)
    long = "-".join([name, *parts])
    if whole and len(long) <= LONGEST_NAME:
        return long
    canonical = json.dumps([(key, value.plain()) for key, value in combination])
    digest = hashlib.sha256(canonical.encode()).hexdigest()[:8]
    return f"{long[: LONGEST_NAME - 9]}-{digest}"


def _text(value: object) -> str:
    if isinstance(value, list):
        return "x".join(map(_text, value))
    if isinstance(value, dict):
        return "-".join(f"{key}_{_text(each)}" for key, each in value.items())
    return value if isinstance(value, str) else json.dumps(value)


def _keys(matrix: Node) -> Iterator[tuple[str, Node]]:
    if not isinstance(matrix.content, dict):
        return
    for key, node in matrix.content.items():
        if key == ZIP and isinstance(node.content, dict):
            yield from node.content.items()
        elif key != ZIP:
            yield key, node


def _path(change: Node) -> list[str]:
    """Return the keys of a tree that `override` made, which has a single branch."""
    keys = []
    while isinstance(change.content, dict) and len(change.content) == 1:
        ((key, change),) = change.content.items()
        keys.append(key)
    return keys
