"""Simulate studies that look at their seeds once or several times, many at once.

    python -m tests.analysis.simulate_sequential [STUDIES]

prints the tables of docs/sequential.md. A study has nine claims: `lower` and `higher`, `same` and
`beyond`. `NULL` ones have a true difference at their limit, where either verdict would be wrong;
the others are clearly true. Everything is a vectorized copy of what a study does, and a test
compares the two.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from regbench.analysis.sequential import Design
from regbench.analysis.statistics import ALPHA

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
LOOKS = (5, 10, 20, 40)
# Test examples of a discrete difference, and the share of them on which two models disagree.
EXAMPLES, DISAGREE = 500, 0.02
# In standard deviations of a difference: the margin of `same`, and an effect that is clear.
MARGIN, CLEAR = 1.5, 1.5
# The effect that a study is planned to see: the fixed one that has the same power for it is what
# a sequential one is compared with.
PLANNED = 0.5
EXPECTS = ("lower",) * 3 + ("higher",) * 2 + ("same",) * 2 + ("beyond",) * 2


def _discrete(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return differences in accuracy, of models that are right equally often, over their spread."""
    differ = rng.binomial(EXAMPLES, DISAGREE, shape)
    first = rng.binomial(differ, 0.5)
    return (2 * first - differ) / math.sqrt(EXAMPLES * DISAGREE)


DRAWS: dict[str, Draw] = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "skewed": lambda rng, shape: rng.exponential(size=shape) - 1,
    "heavy-tailed": lambda rng, shape: rng.standard_t(3, shape) / math.sqrt(3),
    "discrete": _discrete,
}
# The least deviation that is believed of a difference: half of a step (see studies/differences).
LEAST = {"discrete": 0.5 / math.sqrt(EXAMPLES * DISAGREE)}


@dataclass(frozen=True)
class Studies:
    """Simulated studies: which had a wrong verdict, which claims were decided, after which look."""

    wrong: np.ndarray  # (studies,)
    decided: np.ndarray  # (studies, claims)
    seeds: np.ndarray  # (studies, claims): trained when the claim was decided, or all


def simulate(
    kind: str, design: Design, studies: int, true: int = 0, expects=EXPECTS, seed: int = 0
) -> Studies:
    """Return studies whose last `true` claims are clearly true; the others are at their limit."""
    rng = np.random.default_rng(seed)
    means = np.array([_limit(each) for each in expects])
    for index in range(len(expects) - true, len(expects)):
        means[index] = {"lower": -CLEAR, "same": 0.0}.get(expects[index], CLEAR)
    samples = draw(kind, rng, studies, expects, design.looks[-1]) + means[:, None]
    return judge(samples, design, expects, LEAST.get(kind, 0.0), len(expects) - true)


def draw(kind, rng, studies, expects, seeds):
    """Return differences (studies, claims, seeds) of mean 0 and spread 1."""
    samples = DRAWS[kind](rng, (studies, len(expects), seeds))
    for index, expect in enumerate(expects):
        if expect == "beyond":  # the difference of two differences
            samples[:, index] -= DRAWS[kind](rng, (studies, seeds))
            samples[:, index] /= math.sqrt(2)
    return samples


def judge(samples, design: Design, expects, least: float = 0.0, null: int = 0) -> Studies:
    """Return the verdicts on differences (studies, claims, seeds), a look at a time."""
    decided = np.zeros(samples.shape[:2], bool)
    right = np.zeros_like(decided)
    seeds = np.full(decided.shape, design.looks[-1])
    for look, count in enumerate(design.looks):
        p_values, supported = p_of(samples[:, :, :count], expects, least)
        levels = np.where(decided, np.inf, design.level(look, p_values))
        now = (holm(levels) <= ALPHA) & ~decided
        seeds[now], right[now] = count, supported[now]
        decided |= now
    wrong = decided & ~right
    wrong[:, :null] = decided[:, :null]
    return Studies(wrong.any(axis=1), decided, seeds)


def p_of(samples, expects, least=0.0):
    """Return the p-value of each claim (studies, claims), and whether it leans to support."""
    count = samples.shape[-1]
    means = samples.mean(axis=-1)
    errors = np.maximum(samples.std(axis=-1, ddof=1), least) / math.sqrt(count)
    p_values, supported = np.empty_like(means), np.empty(means.shape, bool)
    for index, expect in enumerate(expects):
        mean, error = means[:, index], errors[:, index]
        ends = {"lower": [(0.0, -1)], "same": [(MARGIN, -1), (-MARGIN, 1)]}
        sides = [(mean - end) * side / error for end, side in ends.get(expect, [(0.0, 1)])]
        inside = np.max([_tail(each, count) for each in sides], axis=0)
        outside = np.min([_tail(-each, count) for each in sides], axis=0)
        p_values[:, index] = np.minimum(inside, outside)
        supported[:, index] = inside < outside
    return p_values, supported


def _tail(statistic, count):
    return np.where(statistic > 0, 2 * special.stdtr(count - 1, -np.abs(statistic)), 1.0)


def holm(levels):
    """Return levels (studies, claims) corrected by Holm; infinite ones take no part."""
    order = np.argsort(levels, axis=1)
    factors = np.isfinite(levels).sum(axis=1)[:, None] - np.arange(levels.shape[1])
    ordered = np.take_along_axis(levels, order, axis=1) * np.maximum(factors, 1)
    found = np.empty_like(levels)
    np.put_along_axis(found, order, np.maximum.accumulate(ordered, axis=1), axis=1)
    return found


def _limit(expect: str) -> float:
    return MARGIN if expect == "same" else 0.0


def seeds_trained(effect: float, design: Design, studies: int) -> tuple[float, float]:
    """Return the power of one sequential claim, and the mean number of seeds it takes."""
    rng = np.random.default_rng(1)
    samples = rng.normal(effect, 1, (studies, 1, design.looks[-1]))
    found = judge(samples, design, ("higher",))
    return float(found.decided.mean()), float(found.seeds.mean())


def fixed_seeds(design: Design, studies: int) -> int:
    """Return the seeds of a fixed study with the power that a design has for `PLANNED`."""
    power, seeds = seeds_trained(PLANNED, design, studies)[0], 2
    while _power(PLANNED, seeds) < power:
        seeds += 1
    return seeds


def _power(effect: float, seeds: int) -> float:
    edge = stats.t.isf(ALPHA / 2, seeds - 1)
    return float(stats.nct.sf(edge, seeds - 1, effect * math.sqrt(seeds)))


def table(studies: int) -> str:
    designs = {"5 seeds": Design((5,)), "10 seeds": Design((10,)), "20 seeds": Design((20,)),
               "40 seeds": Design((40,)), "looks, O'Brien-Fleming": Design(LOOKS),
               "looks, Pocock": Design(LOOKS, "pocock")}  # fmt: skip
    lines = [f"| any wrong verdict in {len(EXPECTS)} claims | {' | '.join(DRAWS)} |",
             "| --- |" + " ---: |" * len(DRAWS)]  # fmt: skip
    for true in (0, 4):
        for name, design in designs.items():
            rates = [simulate(kind, design, studies, true).wrong.mean() for kind in DRAWS]
            label = f"{name}, {true} of them true" if true else name
            lines.append(f"| {label} | {' | '.join(f'{rate:.3f}' for rate in rates)} |")
    lines += ["", "| looks | difference / spread | power | mean seeds | fixed | ratio |",
              "| --- | ---: | ---: | ---: | ---: | ---: |"]  # fmt: skip
    for name in ("looks, O'Brien-Fleming", "looks, Pocock"):
        fixed = fixed_seeds(designs[name], studies)
        for effect in (0.0, PLANNED, 0.8, 1.0, 1.5):
            power, mean = seeds_trained(effect, designs[name], studies)
            cells = (name, effect, f"{power:.3f}", f"{mean:.1f}", fixed, f"{mean / fixed:.2f}")
            lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(int(sys.argv[1]) if len(sys.argv) > 1 else 8_000))
