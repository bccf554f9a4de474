"""Seeds until decided, as a profile of a study writes them: `seeds: {first: 5, most: 40}`."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from pydantic import Field, ValidationError, model_validator

from regbench.analysis.sequential import Design, Spending
from regbench.config.experiment import Section
from regbench.config.messages import explain
from regbench.config.yaml12 import Node, Problem


class Looks(Section):
    """Seeds until every claim is decided: how many at the first look, and at most.

    `looks` doubles from `first` to `most` unless it is given; `start` is the first seed.
    """

    first: Annotated[int, Field(ge=2, le=1000)]
    most: Annotated[int, Field(ge=3, le=1000)]
    looks: Annotated[list[int] | None, Field(min_length=2, max_length=20)] = None
    spending: Spending = "obrien_fleming"
    start: Annotated[int, Field(ge=0, le=10**9)] = 0

    @model_validator(mode="after")
    def _grow(self) -> Looks:
        looks = self.looks or [self.first, self.most]
        if any(later <= earlier for earlier, later in pairwise(looks)):
            what = "looks" if self.looks else "most"
            raise ValueError(f"expected growing numbers of seeds in {what}, received {looks}")
        if (looks[0], looks[-1]) != (self.first, self.most):
            raise ValueError(
                f"expected looks from first ({self.first}) to most ({self.most}), received {looks}"
            )
        return self

    def design(self) -> Design:
        """Return the looks, and how alpha is spent on them."""
        doubled = [self.first]
        while doubled[-1] * 2 < self.most:
            doubled.append(doubled[-1] * 2)
        return Design(tuple(self.looks or [*doubled, self.most]), self.spending)

    def seeds(self) -> list[int]:
        """Return the seeds of the last look; each look has the first of them."""
        return list(range(self.start, self.start + self.most))


def read(node: Node, where: str, problems: list[Problem]) -> tuple[list[int], Design | None]:
    """Return the seeds of the last look, and the looks; append what is wrong to `problems`."""
    try:
        looks = Looks.model_validate(node.plain())
        return looks.seeds(), looks.design()
    except ValidationError as error:
        for place, text in explain(error, node, Looks.model_json_schema()):
            # What is said of the mapping as a whole names no key of it.
            whole = text.removeprefix("the config")
            problems.append(Problem(place, where + (f".{text}" if whole == text else whole)))
        return [0], None
