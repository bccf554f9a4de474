"""The blocks of residual networks for CIFAR: three stages, between which the maps shrink."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

# He et al., 2016: twice and four times as many maps in the second and third stage.
FACTORS = (1, 2, 4)


@dataclass(frozen=True)
class Block:
    """A residual block: its name, how many times the first stage's maps it has, and its strides.

    `depth` is its place in the network, from above 0 to 1 for the last block.
    """

    name: str
    factor: int
    strides: int
    depth: float


def blocks(of_stage: int) -> Iterator[Block]:
    """Yield the blocks of a network with so many in each stage; a stage's first one may shrink."""
    total = len(FACTORS) * of_stage
    for stage, factor in enumerate(FACTORS):
        for number in range(1, of_stage + 1):
            strides = 2 if stage > 0 and number == 1 else 1
            depth = (stage * of_stage + number) / total
            yield Block(f"block{stage + 1}_{number}", factor, strides, depth)


def six_n_plus(rest: int) -> Callable[[int], int]:
    """Return the check of a depth: two convolutions in each block of three stages, and `rest`."""

    def check(depth: int) -> int:
        if depth % 6 != rest:
            lower = max(6 + rest, depth - (depth - rest) % 6)
            raise ValueError(
                f"expected 6n + {rest}, such as {lower} or {lower + 6}, received {depth}"
            )
        return depth

    return check
