"""`vary:` in a config: which sources of variance get the run's seed, while the others are held.

    vary: [init]      # other initial weights with each seed; data, order and technique as ever
    base_seed: 0      # the seed of the sources that are held

Without `vary`, all of them get the run's seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field, Strict

# The training, validation and test examples that are chosen, and the noise of labels; initial
# weights; the order of examples in each epoch; whatever a technique draws, such as dropout masks.
Source = Literal["data", "init", "order", "technique"]
SOURCES: tuple[Source, ...] = get_args(Source)


def _ordered(sources: Sequence[Source]) -> tuple[Source, ...] | None:
    """Return the sources in one order, so that equal configs have equal hashes; None for all."""
    if len(set(sources)) < len(sources):
        raise ValueError("expected each source once")
    found = tuple(each for each in SOURCES if each in sources)
    return None if found == SOURCES else found


# Each of these sources, one at a time.
Sources = Annotated[tuple[Source, ...], Strict(False), Field(min_length=1, max_length=len(SOURCES))]
Vary = Annotated[Sources, AfterValidator(_ordered)] | None
