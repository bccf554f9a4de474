"""A network as the rules of advice see it, and a piece of advice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from regbench.config import Experiment
from regbench.models.cost import Layer

# Moving averages look back on about 1 / (1 - momentum) updates; after 5 times as many, their
# initial values have a weight of e^-5, less than 1%.
LOOK_BACKS = 5


@dataclass(frozen=True)
class Advice:
    """One piece of advice: what to do, the reason for it, and the source of the reason."""

    topic: str
    advice: str
    reason: str
    source: str


@dataclass(frozen=True)
class Network:
    """The facts about a network that the rules use.

    `penalty` is the sum of the kernel penalties with the initial weights, in nats; `updates` is the
    number in the whole training. `image_size` is (height, width).
    """

    experiment: Experiment
    layers: Sequence[Layer]
    classes: int
    penalty: float
    updates: int
    validation_examples: int = 0
    image_size: tuple[int, ...] | None = None


Rule = Callable[[Network], Iterator[Advice]]


def updates_needed(momentum: float) -> int:
    """Return how many updates a moving average takes to forget the values it began with."""
    return round(LOOK_BACKS / (1 - momentum))
