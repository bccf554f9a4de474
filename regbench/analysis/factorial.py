"""Factorial designs: which combinations of levels are trained, and the effects that they show.

A full design has every combination. A fraction of two-level factors has half or a quarter of them:
the last factors are set by *generators*, such as D = ABC, so that some effects share their numbers
(are *aliased*). Products of generators that are constant are the *defining words*; the shortest of
them is the *resolution*: at III a main effect is aliased with a two-way interaction, at IV two such
interactions with each other, at V neither.

The main effect of a factor is the mean over all other factors at a level minus that at its first
level. An interaction is by how much an effect changes with another factor: a difference of
differences. Both are linear contrasts of the combinations with weights that sum to 0, and equal to
least squares with a term for each block, since the designs are balanced.

Source: Box, Hunter and Hunter, "Statistics for Experimenters", 2nd edition, 2005, chapters 5 and 6.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MOST_COMBINATIONS = 512
FRACTIONS = {"1/2": 1, "1/4": 2}
ROMAN = ("0", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI")

# A set of two-level factors: bit i stands for factor i.
Word = int


@dataclass(frozen=True)
class Effect:
    """A main effect of one factor, or the interaction of two: each at a level, against the first.

    `factors` and `levels` hold indices, one or two of them.
    """

    factors: tuple[int, ...]
    levels: tuple[int, ...]


@dataclass(frozen=True)
class Design:
    """Combinations of levels: a row for each, with the index of every factor's level.

    `words` are the defining words of a fraction, without the empty one.
    """

    sizes: tuple[int, ...]
    combinations: tuple[tuple[int, ...], ...]
    words: tuple[Word, ...] = ()

    @property
    def resolution(self) -> int | None:
        """The length of the shortest defining word; None for a full design."""
        return min(map(int.bit_count, self.words), default=None)

    def effects(self) -> list[Effect]:
        """Return all main effects, then all two-way interactions, against the first levels."""
        factors = range(len(self.sizes))
        found = []
        for chosen in [*itertools.combinations(factors, 1), *itertools.combinations(factors, 2)]:
            levels = itertools.product(*(range(1, self.sizes[factor]) for factor in chosen))
            found += [Effect(chosen, each) for each in levels]
        return found

    def weights(self, effect: Effect) -> list[tuple[int, float]]:
        """Return the combinations of an effect's contrast, by index, each with its weight."""
        found = dict[int, float]()
        for signs in itertools.product((0, 1), repeat=len(effect.factors)):
            asked = [level * on for level, on in zip(effect.levels, signs, strict=True)]
            group = [
                index
                for index, levels in enumerate(self.combinations)
                if all(levels[f] == each for f, each in zip(effect.factors, asked, strict=True))
            ]
            sign = -1 if (len(signs) - sum(signs)) % 2 else 1
            found |= {index: sign / len(group) for index in group}
        return sorted(found.items())

    def aliases(self, effect: Effect) -> list[Effect]:
        """Return the other main effects and two-way interactions with the same contrast."""
        mask = sum(1 << factor for factor in effect.factors)
        others = [mask ^ word for word in self.words]
        return [
            Effect(factors, (1,) * len(factors))
            for factors in map(_factors, sorted(others, key=lambda each: (each.bit_count(), each)))
            if len(factors) <= 2
        ]


def full(sizes: Sequence[int]) -> Design:
    """Return the design of every combination; the last factor changes fastest."""
    return Design(tuple(sizes), tuple(itertools.product(*map(range, sizes))))


def fraction(factors: int, halvings: int) -> Design:
    """Return a fraction of the combinations of two-level factors, 1/2 to the power of `halvings`.

    Of all generators those are taken that give the highest resolution, and of these the ones with
    the fewest shortest words, then the fewest of the next length (least aberration).

    Raises:
        ValueError: there are too few factors: main effects would be aliased with each other.
    """
    free = factors - halvings
    candidates = [word for word in range(1 << max(0, free)) if word.bit_count() >= 2]
    choices = (
        _closure([word | 1 << free + i for i, word in enumerate(chosen)])
        for chosen in itertools.combinations(candidates, halvings)
    )
    words = min(choices, key=_aberration, default=())
    if not words or min(map(int.bit_count, words)) < 3:
        raise ValueError("main effects would be aliased with each other")
    combinations = [
        levels
        for levels in itertools.product((0, 1), repeat=factors)
        # The product of a word's factors, each -1 or 1, is 1: an even number of them is -1.
        if all(sum(1 - levels[f] for f in _factors(word)) % 2 == 0 for word in words)
    ]
    return Design((2,) * factors, tuple(combinations), words)


def least_factors(halvings: int) -> int:
    """Return how many factors a fraction needs at least."""
    return {1: 3, 2: 5}[halvings]


def number(sizes: Sequence[int], halvings: int = 0) -> int:
    """Return how many combinations a design has, without making it."""
    return math.prod(sizes) >> halvings


def _closure(generators: Sequence[Word]) -> tuple[Word, ...]:
    """Return all products of defining words but the empty one."""
    found = list(generators)
    for first, second in itertools.combinations(generators, 2):
        found.append(first ^ second)  # a factor's square is 1
    return tuple(found)


def _aberration(words: Sequence[Word]) -> list[int]:
    """Return a key that is least for the best words: how many of each length, short ones first."""
    lengths = [word.bit_count() for word in words]
    return [lengths.count(length) for length in range(1, len(ROMAN))]


def _factors(word: Word) -> tuple[int, ...]:
    return tuple(_bits(word))


def _bits(word: Word) -> Iterator[int]:
    while word:
        yield (word & -word).bit_length() - 1
        word &= word - 1
