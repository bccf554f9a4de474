"""Search spaces: the values that a contest tries, and quasi-random points in them.

    tune: {train.learning_rate: {log: [1e-4, 1e-2]}, dropout.dense: {uniform: [0.1, 0.7]}}

Points come from a Halton sequence, scrambled by a seed that follows from the contest's name: more
even than random ones, at any number of trials, and those of a longer search continue those of a
shorter one. Variants whose spaces begin with the same dimensions get the same values in these, so
that they differ in nothing else.

Sources: Halton, "On the Efficiency of Certain Quasi-Random Sequences of Points in Evaluating
Multi-Dimensional Integrals", 1960; Owen, "A Randomized Halton Algorithm in R", 2017; for tuning,
Bousquet et al., "Critical Hyper-Parameters: No Random, No Cry", 2017.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field, ValidationError, model_validator

from regbench import config, seeding
from regbench.config import ConfigError, Experiment, inheritance, yaml12
from regbench.config.experiment import Section
from regbench.config.messages import explain
from regbench.config.yaml12 import Node, Place, Problem, YamlError

# Enough to tell two trials apart, and short enough to be read in a table.
DIGITS = 3
# Points drawn in one go.
CHUNK = 64

Bound = Annotated[float, Field(ge=-1e12, le=1e12)]
Ends = Annotated[list[Bound], Field(min_length=2, max_length=2)]
WholeEnds = Annotated[
    list[Annotated[int, Field(ge=-(10**9), le=10**9)]], Field(min_length=2, max_length=2)
]
Values = Mapping[str, object]


class Dimension(Section):
    """The values to try for one key: a range, evenly on one of three scales, or a list."""

    log: Ends | None = None
    uniform: Ends | None = None
    integer: WholeEnds | None = None
    choice: Annotated[list[object], Field(min_length=2, max_length=100)] | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Dimension:
        given = [name for name in Dimension.model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            received = " and ".join(given) or "none"
            raise ValueError(
                f"expected one of log, uniform, integer or choice, received {received}"
            )
        if self.is_ordered:
            low, high = self.ends
            if low >= high:
                raise ValueError(f"{self.scale}: expected a range [low, high], received {low:g} "
                                 f"and {high:g}")  # fmt: skip
            if self.log is not None and low <= 0:
                raise ValueError(f"log: expected a range above 0, received {low:g} and {high:g}")
        return self

    @property
    def scale(self) -> str:
        """Which of the four it is: "log", "uniform", "integer" or "choice"."""
        return next(name for name in Dimension.model_fields if getattr(self, name) is not None)

    @property
    def is_ordered(self) -> bool:
        """True for a range, whose values have an order and ends."""
        return self.choice is None

    @property
    def ends(self) -> tuple[float, float]:
        """The ends of a range."""
        low, high = self.log or self.uniform or self.integer or (0.0, 0.0)
        return low, high

    @property
    def examples(self) -> list[object]:
        """The ends of a range, or all choices: valid if every value in between is."""
        return list(self.choice if self.choice is not None else self._range())

    def at(self, unit: float) -> object:
        """Return the value at a place from 0 (included) to 1 (excluded) of the dimension."""
        if self.choice is not None:
            return self.choice[int(unit * len(self.choice))]
        low, high = self.ends
        if self.integer is not None:
            return int(low) + int(unit * (int(high) - int(low) + 1))
        value = low * (high / low) ** unit if self.log is not None else low + unit * (high - low)
        return min(max(float(f"{value:.{DIGITS}g}"), low), high)

    def said(self) -> str:
        """Return the dimension as it is written: "log [0.0001, 0.01]"."""
        return f"{self.scale} [{', '.join(map(_short, self.examples))}]"

    def _range(self) -> Sequence[object]:
        return self.log or self.uniform or self.integer or ()


@dataclass(frozen=True)
class Axis:
    """A dimension of a space: its key in the config, and where it is written."""

    key: str
    dimension: Dimension
    place: Place


@dataclass(frozen=True)
class Space:
    """A config, as the mapping of its file with the key `name`, and the dimensions to search.

    Without a dimension, the space is a single point: the config as written.
    """

    tree: Node
    axes: tuple[Axis, ...] = ()

    @property
    def dimensions(self) -> dict[str, Dimension]:
        """The dimensions by key."""
        return {axis.key: axis.dimension for axis in self.axes}

    def points(self, seed: int) -> Iterator[dict[str, object]]:
        """Yield the values of one point after another, without end; one if there is no dimension.

        Points can be equal, if all values are whole numbers or choices.
        """
        if not self.axes:
            yield {}
            return
        from scipy.stats import qmc

        # The permutations of the first dimensions are drawn first, so that they are the same for
        # every space that begins with these.
        engine = qmc.Halton(len(self.axes), scramble=True, rng=seeding.generator(seed, "trials"))
        while True:
            for point in engine.random(CHUNK):
                yield {
                    axis.key: axis.dimension.at(float(unit))
                    for axis, unit in zip(self.axes, point, strict=True)
                }

    def experiment(self, values: Values, further: Values | None = None) -> Experiment:
        """Return the config with these values, and with further ones.

        Raises:
            ConfigError: the values do not go together; the message names each of them.
        """
        problems = list[Problem]()
        found = self._experiments({**values, **(further or {})}, problems)
        if problems:
            said = ", ".join(f"{key}={_short(value)}" for key, value in values.items())
            raise ConfigError(f"{each} (tried: {said})" if said else each for each in problems)
        return found[0]

    def check(self, problems: list[Problem]) -> None:
        """Add a problem for each end of a range and each choice that is no valid value."""
        lowest = {axis.key: axis.dimension.examples[0] for axis in self.axes}
        for axis in self.axes:
            for value in axis.dimension.examples:
                found = list[Problem]()
                self._experiments({**lowest, axis.key: value}, found)
                problems += found

    def _experiments(self, values: Values, problems: list[Problem]) -> list[Experiment]:
        places = {axis.key: axis.place for axis in self.axes}
        changes = []
        for key, value in values.items():
            place = places.get(key, self.tree.place)
            changes.append(inheritance.nested(key.split("."), _node(value, place), place))
        tree = self.tree
        for change in inheritance.models_first(changes):
            tree = inheritance.merge(tree, change)
        return config.of_tree(tree, problems)


def axes(section: Node, dimensions: Mapping[str, Dimension], where: str) -> tuple[Axis, ...]:
    """Return the axes of a section of a file; `where` names it in errors. Raises YamlError."""
    found = []
    for key, dimension in dimensions.items():
        node = section.child(key) or section
        inheritance.dotted(key, node, where)
        found.append(Axis(key, dimension, node.place))
    return tuple(found)


def parse(text: str, problems: list[Problem]) -> Axis:
    """Return the axis of an option such as `train.learning_rate=log:1e-4:1e-2`.

    Errors in its values are added to `problems`. Raises YamlError for any other form.
    """
    place = Place(f"--tune {text}")
    key, equals, written = text.partition("=")
    scale, *values = written.split(":")
    if not equals or scale not in Dimension.model_fields or not values:
        scales = ", ".join(Dimension.model_fields)
        raise YamlError(
            place, f"expected KEY=SCALE:VALUES, such as l2=log:1e-5:1e-2, with a scale of {scales}"
        )
    inheritance.dotted(key, Node(key, place), "tune")
    parsed = [yaml12.parse(each, place.source, positions=False).root for each in values]
    tree = inheritance.nested([scale], Node(parsed, place), place)
    try:
        return Axis(key, Dimension.model_validate(tree.plain()), place)
    except ValidationError as error:
        for each in explain(error, tree, Dimension.model_json_schema()):
            problems.append(Problem(place, each.text.removeprefix("the config: ")))
        return Axis(key, Dimension(choice=[0, 1]), place)


def _node(value: object, place: Place) -> Node:
    if isinstance(value, Mapping):
        return Node({key: replace(_node(each, place), key=place) for key, each in value.items()},
                    place)  # fmt: skip
    if isinstance(value, list | tuple):
        return Node([_node(each, place) for each in value], place)
    return Node(value, place)  # type: ignore[arg-type]


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else f"{value}"
