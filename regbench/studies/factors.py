"""`factors:` of a study: a factorial design, each combination of which is a variant.

    factors: {dropout.dense: [0, 0.5], batch_norm: [false, true], l2: [0, 5e-4]}
    fraction: 1/2

A factor lists the values of a key, or names its levels, each of which sets what keys it needs:

    factors: {optimizer: {sgd: {train.optimizer: sgd, train.learning_rate: 0.1}, adam: {}}}

Seeds are blocks: each trains every combination, so that a seed gives one number for each effect, a
contrast of its own runs. Intervals are t intervals over those numbers. Unlike the pooled residual
of a linear model, that does not assume that all combinations vary alike, which networks with and
without dropout do not. The estimates are those of least squares.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic.json_schema import JsonSchemaValue

from regbench.analysis import factorial
from regbench.analysis.factorial import ROMAN, Design, Effect
from regbench.config import Experiment, matrix
from regbench.config.yaml12 import Node, Problem

# Names of combinations begin with this where the matrix puts the file's name.
PREFIX = "cell"
SCHEMA: JsonSchemaValue = {
    "type": "object",
    "additionalProperties": {
        "anyOf": [
            {
                "type": "array",
                "description": "values of the key that the factor is named after",
                "minItems": 2,
            },
            {
                "type": "object",
                "description": "levels by name, each with the settings that it stands for",
                "additionalProperties": {"type": "object"},
                "minProperties": 2,
            },
        ]
    },
}


@dataclass(frozen=True)
class _Level:
    """A level of a factor: its value or its name, and the keys that it sets."""

    value: Node
    settings: Mapping[str, Node]

    @property
    def text(self) -> str:
        return _text(self.value)


@dataclass(frozen=True)
class Factors:
    """The factors of a study, their levels as text, and the variant of each combination."""

    levels: dict[str, tuple[str, ...]]
    variants: tuple[str, ...]
    design: Design

    def of_claim(self, written: str | Sequence[str]) -> Effect:
        """Return the effect that a claim names: of a level, the last unless told by `key=level`."""
        named = [split(each) for each in ([written] if isinstance(written, str) else written)]
        keys = list(self.levels)
        chosen = sorted(
            (keys.index(key), self.levels[key].index(level or self.levels[key][-1]))
            for key, level in named
        )
        return Effect(tuple(key for key, _ in chosen), tuple(level for _, level in chosen))

    def name(self, effect: Effect) -> str | list[str]:
        """Return an effect as a claim names it."""
        keys = list(self.levels)
        named = [
            keys[factor] + (f"={self.levels[keys[factor]][level]}" if self.many(factor) else "")
            for factor, level in zip(effect.factors, effect.levels, strict=True)
        ]
        return named if len(named) > 1 else named[0]

    def many(self, factor: int) -> bool:
        """Return whether a factor has more than two levels."""
        return self.design.sizes[factor] > 2

    def weights(self, effect: Effect) -> list[tuple[str, float]]:
        """Return the variants of an effect's contrast, each with its weight."""
        return [(self.variants[index], each) for index, each in self.design.weights(effect)]

    def text(self, effect: Effect) -> str:
        """Return an effect in words: `dropout.dense 0 -> 0.5`, `dropout.dense x batch_norm`."""
        keys = [list(self.levels)[factor] for factor in effect.factors]
        if len(keys) == 1:
            levels = self.levels[keys[0]]
            return f"{keys[0]} {levels[0]} -> {levels[effect.levels[0]]}"
        named = [
            f"{key} {self.levels[key][level]}" if len(self.levels[key]) > 2 else key
            for key, level in zip(keys, effect.levels, strict=True)
        ]
        return " x ".join(named)

    def aliased(self, effect: Effect) -> str:
        """Return the effects that cannot be told from one, as text; "" if there are none."""
        found = [self.text(each) for each in self.design.aliases(effect)]
        return f"aliased with {', '.join(found)}" if found else ""

    def distinct(self) -> list[Effect]:
        """Return the effects with contrasts of their own: of aliased ones the first."""
        found: list[Effect] = []
        for effect in self.design.effects():
            if not any(each in found for each in self.design.aliases(effect)):
                found.append(effect)
        return found

    def __str__(self) -> str:
        """Return the design in words."""
        count, full = len(self.variants), factorial.number(self.design.sizes)
        if self.design.resolution is None:
            return f"full factorial design, {count} combinations"
        return (
            f"{count} of {full} combinations, resolution {ROMAN[self.design.resolution]} ("
            + ", ".join(f"I = {self._word(word)}" for word in self.design.words)
            + ")"
        )

    def _word(self, word: int) -> str:
        keys = list(self.levels)
        return " x ".join(key for index, key in enumerate(keys) if word >> index & 1)


def read(tree: Node, problems: list[Problem]) -> tuple[Factors | None, dict[str, Node]]:
    """Return the factors of a study's file, and a variant of the file for each combination.

    Both are empty if there are none, or if they are invalid, which is added to `problems`.
    """
    section, asked = tree.child("factors"), tree.child("fraction")
    if section is None or not isinstance(section.content, dict):
        if asked is not None:
            text = "fraction: expected factors, of which it is a fraction; received none"
            problems.append(Problem(asked.key or asked.place, text))
        return None, {}
    before = len(problems)
    levels = {factor: _levels(factor, node, problems) for factor, node in section.content.items()}
    halvings = factorial.FRACTIONS.get(str(asked.plain()), 0) if asked else 0
    if len(problems) > before:
        return None, {}
    sizes = [len(each) for each in levels.values()]
    wrong = _wrong(levels, halvings)
    if wrong:
        place = (asked if halvings and not wrong.startswith("factors") else section) or section
        problems.append(Problem(place.key or place.place, wrong))
        return None, {}
    design = factorial.fraction(len(sizes), halvings) if halvings else factorial.full(sizes)
    cells = dict(_cells(section, levels, design))
    texts = {factor: tuple(each.text for each in own) for factor, own in levels.items()}
    return Factors(texts, tuple(cells), design), cells


def check(
    factors: Factors, variants: Mapping[str, Experiment], tree: Node, problems: list[Problem]
) -> None:
    """Add a problem for each two combinations that are the same experiment."""
    seen: dict[str, str] = {}
    section = tree.child("factors") or tree
    for name in factors.variants:
        if name not in variants:
            continue  # invalid, which is already reported
        first = seen.setdefault(variants[name].hash, name)
        if first != name:
            text = f"factors: {first} and {name} are the same experiment; leave out a level"
            problems.append(Problem(section.key or section.place, text))


def as_matrix(tree: Node) -> Node:
    """Return a tree whose matrix has the keys that the factors set, for what the two share."""
    section = tree.child("factors") or tree
    keys = {
        key: setting
        for factor, node in section.items()
        for level in _levels(factor, node, [])
        for key, setting in level.settings.items()
    }
    return Node({"matrix": Node(keys, section.place)}, section.place)


def _levels(factor: str, node: Node, problems: list[Problem]) -> list[_Level]:
    """Return the levels of a factor: values of the key that it is named after, or named levels."""
    place = node.key or node.place
    if isinstance(node.content, dict):
        for name, each in node.content.items():
            if not isinstance(each.content, dict):
                expected = "expected what it sets, such as {l2: 5e-4}, or {} for nothing"
                text = f"factors.{factor}.{name}: {expected}; received {_text(each)}"
                problems.append(Problem(each.key or place, text))
        levels = [
            _Level(Node(name, each.key or place), dict(each.items()))
            for name, each in node.content.items()
        ]
    elif isinstance(node.content, list):
        values = [replace(each, key=place) for each in node.content]
        levels = [_Level(each, {factor: each}) for each in values]
    else:
        expected = "expected a list of values or named levels"
        problems.append(Problem(place, f"factors.{factor}: {expected}; received {_text(node)}"))
        return []
    if len(levels) < 2:
        received = "one level" if levels else "none"
        text = (
            f"factors.{factor}: expected at least two levels, such as [0, 0.5], received {received}"
        )
        problems.append(Problem(place, text))
    texts = [each.text for each in levels]
    for text in dict.fromkeys(each for each in texts if texts.count(each) > 1):
        problems.append(Problem(place, f"factors.{factor}: {text} is a duplicate; name it once"))
    return levels


def _wrong(levels: Mapping[str, Sequence[_Level]], halvings: int) -> str | None:
    """Return an error of the factors as a whole; None if there is none."""
    keys = [
        (factor, key)
        for factor, own in levels.items()
        for key in dict.fromkeys(key for level in own for key in level.settings)
    ]
    for factor, key in keys:
        for other, above in keys:
            if other != factor and f"{key}.".startswith(f"{above}."):
                return f"factors.{factor}: {other} sets {key} too; name it in one of them"
    if halvings:
        more = [key for key, each in levels.items() if len(each) != 2]
        if more:
            return f"fraction: expected factors of two levels, {more[0]} has {len(levels[more[0]])}"
        least = factorial.least_factors(halvings)
        if len(levels) < least:
            return (
                f"fraction: expected at least {least} factors, received {len(levels)}; with fewer, "
                "main effects could not be told apart"
            )
    count = factorial.number([len(each) for each in levels.values()], halvings)
    if count > factorial.MOST_COMBINATIONS:
        return (
            f"factors: expected at most {factorial.MOST_COMBINATIONS} combinations, received "
            f"{count}; leave out a factor, or train a fraction of them"
        )
    return None


def _cells(
    section: Node, levels: Mapping[str, Sequence[_Level]], design: Design
) -> Iterator[tuple[str, Node]]:
    for combination in design.combinations:
        chosen = [
            (factor, own[level])
            for (factor, own), level in zip(levels.items(), combination, strict=True)
        ]
        place = section.key or section.place
        name = matrix.name_of(PREFIX, [(factor, level.value) for factor, level in chosen])
        settings = {key: each for _, level in chosen for key, each in level.settings.items()}
        yield name, Node({"set": Node(settings, section.place, place)}, section.place, place)


def _text(node: Node) -> str:
    value: object = node.plain()
    return value if isinstance(value, str) else json.dumps(value)


def split(written: str) -> tuple[str, str]:
    """Return the key and the level of an effect such as `dropout.dense=0.5`; "" for no level."""
    key, _, level = written.partition("=")
    return key, level


def check_effect(
    written: str | Sequence[str] | None, claim: Node, where: str, factors: Factors | None
) -> Iterator[Problem]:
    """Yield a problem for each part of a claim's effect that is no factor of the study."""
    if written is None:
        return
    node = claim.child("effect") or claim
    named = [written] if isinstance(written, str) else list(written)
    if factors is None:
        yield Problem(node.place, f"{where}.effect: the study has no valid factors")
        return
    keys = [split(each) for each in named]
    for key, level in keys:
        if key not in factors.levels:
            known = ", ".join(factors.levels)
            text = f"{where}.effect: no factor {key!r}; expected one of {known}"
            yield Problem(node.place, text)
        elif level and level not in factors.levels[key][1:]:
            known = ", ".join(factors.levels[key][1:])
            text = f"{where}.effect: expected {key}= one of {known}, received {level}"
            yield Problem(node.place, text)
    if len({key for key, _ in keys}) < len(keys):
        yield Problem(node.place, f"{where}.effect: expected two factors, received one twice")
