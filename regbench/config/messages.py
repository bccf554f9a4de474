"""Turns pydantic's errors into lines: place, expected, received."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator

from pydantic import ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import ErrorDetails

from regbench.config.model import named
from regbench.config.yaml12 import Node, Problem

Schema = JsonSchemaValue
LONGEST_VALUE = 60
# The similarity, from 0 to 1, above which one key is taken for a misspelling of another.
MISSPELT = 0.8


def explain(error: ValidationError, tree: Node, schema: Schema, hint: str = "") -> list[Problem]:
    """Return a problem for every invalid value, with its place in the file.

    Args:
        error: the error from validating `tree.plain()`.
        tree: the values and their places.
        schema: the JSON Schema of the values, from which messages take what was expected.
        hint: text to add if a top-level key is unknown and hardly a misspelling.
    """
    problems: dict[tuple[str | int, ...], Problem] = {}
    model = tree.child("model")
    schema = named(schema, model.plain() if model else None)
    details = error.errors(include_url=False)
    places = [detail["loc"] for detail in details]
    for detail in details:
        own = detail["loc"]
        # A list whose only item is invalid is not too short: pydantic counts only valid items.
        if detail["type"] == "too_short" and any(_is_below(own, each) for each in places):
            continue
        path = _written(tree, detail["loc"])
        # An alternative such as `int | "all"` fails once for each of its branches.
        key = detail["loc"] if detail["type"] in ("missing", "extra_forbidden") else path
        problems.setdefault(key, _problem(detail, path, tree, schema, hint))
    return list(problems.values())


def _is_below(location: tuple[str | int, ...], other: tuple[str | int, ...]) -> bool:
    return len(other) > len(location) and other[: len(location)] == location


def _written(tree: Node, location: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Return the part of pydantic's location that exists in the tree."""
    node: Node | None = tree
    for length, key in enumerate(location):
        node = node.child(key) if node else None
        if node is None:
            return location[:length]
    return location


def _problem(
    detail: ErrorDetails,
    path: tuple[str | int, ...],
    tree: Node,
    schema: Schema,
    hint: str,
) -> Problem:
    node = _at(tree, path)
    if detail["type"] == "extra_forbidden":
        return Problem(node.key or node.place, _unknown_key(path, schema, hint))
    if detail["type"] == "missing":
        missing = str(detail["loc"][-1])
        expected = describe(_fragment(schema, (*path, missing)), schema)
        return Problem(node.place, f"{_dotted((*path, missing))}: missing; expected {expected}")
    if detail["type"] == "value_error":
        return Problem(node.place, f"{_dotted(path)}: {detail['ctx']['error']}")
    expected = describe(_fragment(schema, path), schema)
    return Problem(node.place, f"{_dotted(path)}: expected {expected}, received {_shown(node)}")


def _unknown_key(path: tuple[str | int, ...], schema: Schema, hint: str) -> str:
    valid = _keys(_fragment(schema, path[:-1]), schema)
    # `epochs` is not a misspelling but a key whose section was left out.
    elsewhere = [
        f"{section}.{key}"
        for section, fragment in schema.get("properties", {}).items()
        for key in _keys(fragment, schema)
        if key == path[-1] and path[-1] not in schema["properties"]
    ]
    near = elsewhere or difflib.get_close_matches(str(path[-1]), valid, n=1)
    *others, last = [f'"{key}"' for key in near] or [""]
    meant = f"{', '.join(others)} or {last}" if others else last
    said = f"did you mean {meant}?" if near else f"expected one of {', '.join(valid)}"
    if hint and len(path) == 1 and not elsewhere and not _is_misspelling(path[0], near):
        said += f" {hint}" if near else f"; {hint}"
    whose = "" if elsewhere else _of_network(path, schema)
    return f"{_dotted(path)}: unknown key{whose}; {said}"


def _is_misspelling(key: str | int, near: list[str]) -> bool:
    return bool(difflib.get_close_matches(str(key), near, n=1, cutoff=MISSPELT))


def _of_network(path: tuple[str | int, ...], schema: Schema) -> str:
    """Return the network whose keys are valid, for a key of `model`."""
    if path[0] != "model":
        return ""
    name = schema["properties"]["model"]["properties"]["name"].get("const")
    return f" of the model {name}" if name else ""


def _keys(fragment: Schema, schema: Schema) -> list[str]:
    """Return the keys that a mapping with this schema can have."""
    return [key for each in _alternatives(fragment, schema) for key in each.get("properties", {})]


def describe(fragment: Schema, schema: Schema) -> str:
    """Return in words what a part of a JSON Schema allows: "an integer >= 1 or all"."""
    words = [_one(each, schema) for each in _alternatives(fragment, schema)]
    return " or ".join(dict.fromkeys(words)) or "something else"


def _one(fragment: Schema, schema: Schema) -> str:
    if "enum" in fragment:
        *others, last = map(str, fragment["enum"])
        return f"{', '.join(others)} or {last}" if others else last
    if "const" in fragment:
        return json.dumps(fragment["const"]).strip('"')
    kind = fragment.get("type")
    if kind in ("integer", "number"):
        return " ".join([{"integer": "an integer", "number": "a number"}[kind], *_bounds(fragment)])
    if kind == "array":
        return f"a list, each item {describe(fragment.get('items', {}), schema)}"
    if kind == "object":
        keys = ", ".join(fragment.get("properties", {}))
        # Without fixed keys, the writer chooses the names.
        return f"a mapping with {keys}" if keys else "a mapping by name"
    if kind == "string":
        return str(fragment.get("description", "text"))
    return "null" if kind == "null" else "something else"


def _bounds(fragment: Schema) -> list[str]:
    signs = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {fragment[key]:.15g}" for key, sign in signs.items() if key in fragment]
    return [" and ".join(bounds)] if bounds else []


def _alternatives(fragment: Schema, schema: Schema) -> Iterator[Schema]:
    """Yield a fragment's branches with references followed."""
    if "$ref" in fragment:
        name = fragment["$ref"].rpartition("/")[2]
        yield from _alternatives(schema["$defs"][name], schema)
    elif "anyOf" in fragment:
        for branch in fragment["anyOf"]:
            yield from _alternatives(branch, schema)
    else:
        yield fragment


def _fragment(schema: Schema, path: tuple[str | int, ...]) -> Schema:
    """Return the part of the schema for the value at `path`; {} if it has none."""
    found = schema
    for key in path:
        branches = _alternatives(found, schema)
        steps = [step for each in branches if (step := _step(each, key)) is not None]
        found = steps[0] if steps else {}
    return found


def _step(fragment: Schema, key: str | int) -> Schema | None:
    """Return the part of a fragment without branches for one of its items or keys."""
    if isinstance(key, int):
        return fragment.get("items")
    others = fragment.get("additionalProperties")
    named = fragment.get("properties", {}).get(key)
    return others if named is None and isinstance(others, dict) else named


def _at(tree: Node, path: tuple[str | int, ...]) -> Node:
    for key in path:
        tree = tree.child(key) or tree
    return tree


def _dotted(path: tuple[str | int, ...]) -> str:
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return text.removeprefix(".") or "the config"


def _shown(node: Node) -> str:
    if isinstance(node.content, dict):
        return "a mapping"
    text = json.dumps(node.plain(), ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."
