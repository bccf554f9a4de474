"""Simulates how often intervals cover the truth, and writes the tables of `intervals.md`.

    python docs/intervals.py            # about ten minutes; writes into docs/intervals.md
    python docs/intervals.py --show     # prints the tables only

Every table has a row for each kind of distribution and a column for each number of seeds (or data
sets). The functions are those that regbench itself uses; `tests/analysis/test_intervals.py` runs
the same simulations, smaller ones by default and these with `-m slow`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import special

from regbench.analysis import aggregate, coverage, sampling_error, statistics, variance
from regbench.analysis.statistics import Floor, Interval

PAGE = Path(__file__).with_name("intervals.md")
SIMULATIONS = 4_000
COUNTS = (5, 10, 20)
EXAMPLES = 500
# Resamples of each bootstrap, fewer than for a table that somebody reads.
FEWER = 1_000
# How far a share may be from 95% for the table to call it that.
TOLERANCE = 0.015

Numbers = NDArray[np.float64]
Family = Callable[[np.random.Generator, tuple[int, ...]], Numbers]
# Of each kind of interval: how often it covers the truth, by distribution and by count.
Shares = dict[str, dict[int, float]]


def _discrete(rng: np.random.Generator, shape: tuple[int, ...]) -> Numbers:
    """Return differences of two accuracies on 500 examples, of which they disagree on 40."""
    fixes = rng.binomial(40, 0.5, shape)
    return (2 * fixes - 40) / np.sqrt(40)


# Each has mean 0 and variance 1.
FAMILIES: Mapping[str, Family] = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "skewed (exponential)": lambda rng, shape: rng.exponential(size=shape) - 1,
    "heavy tails (t with 3 degrees)": lambda rng, shape: rng.standard_t(3, size=shape) / 3**0.5,
    "discrete (500 test examples)": _discrete,
}


def over_seeds(rng: np.random.Generator, family: Family, count: int, repeats: int) -> float:
    """Return how often the t interval of a mean over seeds covers the true mean."""
    draws = family(rng, (repeats, count))
    half = statistics.t_quantile(0.975, count - 1) * draws.std(axis=1, ddof=1) / count**0.5
    return float((np.abs(draws.mean(axis=1)) <= half).mean())


def scores(rng: np.random.Generator, family: Family, seeds: int) -> tuple[Numbers, float]:
    """Return scores of 500 crossed examples, (seeds, examples), and their mean over all such.

    On 30 in 100 images the models often disagree, and each of these leans to one of the models; the
    others are decided alike by nearly every pair of models.
    """
    by_seed = 0.02 * family(rng, (seeds, 1))
    contested = rng.random(EXAMPLES) < 0.3
    lean = np.where(contested, rng.choice([-0.35, 0.0, 0.35], EXAMPLES), 0.0)
    disagree = np.where(contested, 0.6, 0.1)
    mean = np.clip(0.01 + by_seed + lean, -disagree, disagree)
    drawn = rng.random((seeds, EXAMPLES))
    first = drawn < (disagree + mean) / 2
    return first.astype(float) - ((drawn < disagree) & ~first), 0.01


def over_images(
    rng: np.random.Generator, family: Family, count: int, repeats: int, new_images: bool = True
) -> float:
    """Return how often an interval covers the mean over all seeds and all test images.

    With `new_images`, that of claims `over: images`; without, a plain t interval over seeds.
    """
    covered = 0
    for _ in range(repeats):
        found, truth = scores(rng, family, count)
        floor = Floor()
        if new_images:
            error = sampling_error.of_scores(list(found), shared=True)
            floor = Floor(error=error, added=coverage.of_images(found))
        covered += _covers(statistics.interval(found.mean(axis=1), floor=floor), truth)
    return covered / repeats


def by_two_way_bootstrap(
    rng: np.random.Generator, family: Family, count: int, repeats: int
) -> float:
    """Return how often percentiles of a two-way bootstrap cover the same mean."""
    covered = 0
    for _ in range(repeats):
        found, truth = scores(rng, family, count)
        covered += _covers(two_way_bootstrap(rng, found), truth)
    return covered / repeats


def two_way_bootstrap(rng: np.random.Generator, found: Numbers, resamples: int = 300) -> Interval:
    """Return percentiles of the mean score over resamples of both seeds and images."""
    seeds, images = (aggregate.weights(size, resamples, rng) for size in found.shape)
    low, high = np.quantile(((seeds @ found) * images).sum(axis=1), [0.025, 0.975])
    return Interval(float(found.mean()), float(low), float(high))


def over_samples(
    rng: np.random.Generator,
    family: Family,
    count: int,
    repeats: int,
    corrected: bool = True,
    data_share: float = 1.0,
) -> float:
    """Return how often an interval covers the mean over all training samples.

    Each seed draws 20 of the same 60 training examples, and its number is the mean effect of those,
    to which initial weights and order add the rest of the variance.

    Args:
        rng: the generator.
        family: the distribution of the examples' effects.
        count: how many seeds.
        repeats: how many simulations.
        corrected: whether to use Nadeau and Bengio's correction.
        data_share: the share of the variance over seeds that is due to the training sample.
    """
    chosen, pool = 20, 60
    effects = family(rng, (repeats, 1, pool))
    order = rng.random((repeats, count, pool)).argpartition(chosen, axis=2)[:, :, :chosen]
    drawn = np.take_along_axis(np.broadcast_to(effects, (repeats, count, pool)), order, axis=2)
    rest = (1 / data_share - 1) / chosen
    numbers = drawn.mean(axis=2) + rest**0.5 * rng.normal(size=(repeats, count))
    found = [
        coverage.over_samples(each, chosen, pool) if corrected else statistics.interval(each)
        for each in numbers
    ]
    return float(np.mean([_covers(each, 0.0) for each in found]))


def of_variance(rng: np.random.Generator, family: Family, count: int, repeats: int) -> float:
    """Return how often the chi-square interval of a variance covers it."""
    covered = 0
    for sample in family(rng, (repeats, count)):
        found = variance.of_samples("data", [sample])
        covered += bool(found and found.low is not None and found.low <= 1 <= (found.high or 0))
    return covered / repeats


def over_data_sets(
    rng: np.random.Generator, family: Family, count: int, repeats: int, weighted: bool = False
) -> float:
    """Return how often an interval over data sets covers the mean difference of all such.

    Of `count` data sets with five seeds each, whose spread over seeds differs by up to a factor of
    seven; data sets vary by half of a typical spread. With `weighted`, the interval of Paule and
    Mandel, Hartung and Knapp, which regbench does not use.
    """
    covered = 0
    for _ in range(repeats):
        spread = np.exp(rng.uniform(-1, 1, (count, 1)))
        values = 0.5 * rng.normal(size=(count, 1)) + spread * family(rng, (count, 5))
        means = values.mean(axis=1)
        if weighted:
            found = random_effects(means, values.var(axis=1, ddof=1) / 5)
        else:
            found = statistics.interval(means)
        covered += _covers(found, 0.0)
    return covered / repeats


def of_improvement(rng: np.random.Generator, family: Family, count: int, repeats: int) -> float:
    """Return how often rliable's interval covers the probability of improvement, 1/2.

    Of two equal variants with `count` seeds each on four data sets.
    """
    covered = 0
    for _ in range(repeats):
        first, second = family(rng, (4, count)), family(rng, (4, count))
        covered += _covers(
            aggregate.probability_of_improvement(list(first), list(second), FEWER), 0.5
        )
    return covered / repeats


def of_interquartile_mean(
    rng: np.random.Generator, family: Family, count: int, repeats: int
) -> float:
    """Return how often rliable's interval covers the interquartile mean over four data sets."""
    offsets = np.array([[0.0], [1.0], [2.0], [5.0]])
    whole = np.sort((offsets + family(rng, (4, 250_000))).ravel())
    truth = float(whole[len(whole) // 4 : -len(whole) // 4].mean())
    covered = 0
    for _ in range(repeats):
        covered += _covers(
            aggregate.interquartile_mean(list(offsets + family(rng, (4, count))), FEWER), truth
        )
    return covered / repeats


def _covers(found: Interval, truth: float) -> bool:
    return found.low is not None and found.high is not None and found.low <= truth <= found.high


def random_effects(means: Numbers, variances: Numbers) -> Interval:
    """Return Hartung and Knapp's interval with Paule and Mandel's variance between data sets.

    Never narrower than the random-effects model's own.
    """
    between = paule_mandel(means, variances)
    weights = 1 / (between + variances)
    mean = float((weights * means).sum() / weights.sum())
    spread = float((weights * (means - mean) ** 2).sum()) / (len(means) - 1)
    error = (max(1.0, spread) / weights.sum()) ** 0.5
    half = float(special.stdtrit(len(means) - 1, 0.975)) * error
    return Interval(mean, mean - half, mean + half)


def paule_mandel(means: Numbers, variances: Numbers) -> float:
    """Return the variance between data sets at which their weighted spread is as expected."""

    def excess(between: float) -> float:
        weights = 1 / (between + variances)
        mean = (weights * means).sum() / weights.sum()
        return float((weights * (means - mean) ** 2).sum()) - (len(means) - 1)

    # The weighted spread falls as the variance between data sets grows.
    low, high = 0.0, float(np.ptp(means) ** 2)
    if excess(low) <= 0:
        return 0.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return high


Simulation = Callable[[np.random.Generator, Family, int, int], float]


def _plain(simulation: Callable[..., float], **options: object) -> Simulation:
    return lambda rng, family, count, repeats: simulation(rng, family, count, repeats, **options)


# Each table's simulation, and the share of the simulations that it is worth: slow ones get less.
TABLES: Mapping[str, tuple[Simulation, float]] = {
    "seeds": (over_seeds, 5.0),
    "images": (over_images, 0.5),
    "images, t interval over seeds": (_plain(over_images, new_images=False), 0.25),
    "images, two-way bootstrap": (by_two_way_bootstrap, 0.125),
    "samples": (over_samples, 1.0),
    "samples, half of the variance": (_plain(over_samples, data_share=0.5), 1.0),
    "samples, t interval over seeds": (_plain(over_samples, corrected=False), 1.0),
    "variance": (of_variance, 1.0),
    "data sets": (over_data_sets, 1.0),
    "data sets, weighted": (_plain(over_data_sets, weighted=True), 0.25),
    "improvement": (of_improvement, 0.25),
    "interquartile mean": (of_interquartile_mean, 0.25),
}


def shares(
    name: str, simulations: int = SIMULATIONS, seed: int = 0, counts: Sequence[int] = ()
) -> Shares:
    """Return how often the interval of a table covers the truth."""
    simulation, worth = TABLES[name]
    counts = counts or ((3, 5, 10) if name.startswith("data sets") else COUNTS)
    repeats = max(1, int(simulations * worth))
    found: Shares = {}
    for place, (label, family) in enumerate(FAMILIES.items()):
        for count in counts:
            rng = np.random.default_rng([seed, place, count])
            found.setdefault(label, {})[count] = simulation(rng, family, count, repeats)
    return found


def table(name: str, found: Shares) -> str:
    """Return a Markdown table; a share that is not 95% is bold."""
    unit = "data sets" if name.startswith("data sets") else "seeds"
    counts = list(next(iter(found.values())))
    lines = [
        ["differences", *(f"{count} {unit}" for count in counts)],
        ["---", *["---:"] * len(counts)],
    ]
    for label, by_count in found.items():
        lines.append([label, *(_cell(share) for share in by_count.values())])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(share: float) -> str:
    return f"{share:.3f}" if round(abs(share - 0.95), 3) <= TOLERANCE else f"**{share:.3f}**"


def filled(text: str, tables: Mapping[str, str]) -> str:
    """Return the page with each table between its marks."""
    for name, made in tables.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, _, rest = text.partition(begin)
        _, mark, after = rest.partition(end)
        if not mark:
            raise SystemExit(f"{PAGE}: expected {begin.strip()} and {end}")
        text = f"{before}{begin}{made}{mark}{after}"
    return text


def main() -> None:
    """Write every table into the page, or print them."""
    made = {}
    for name in TABLES:
        made[name] = table(name, shares(name))
        print(f"{name}\n\n{made[name]}", flush=True)
    if "--show" not in sys.argv:
        PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), made), encoding="utf-8")


if __name__ == "__main__":
    main()
