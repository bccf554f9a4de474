"""Where variance comes from: a config whose sources vary one at a time, against all of them.

Runs whose config has `vary: [init]` differ between seeds in their initial weights alone. The
variance of a metric over such runs is the part of that source, conditional on what is held; the
parts need not add up to the variance of runs in which all sources vary, since sources interact. A
sum well below the total says that they do.

(n - 1) s^2 / sigma^2 of n normal values follows a chi-square distribution with n - 1 degrees of
freedom, which gives each interval; for a sum of independent variances it is scaled, with
Satterthwaite's degrees of freedom. This covers 95% for normal values and for counts of test
examples; for skewed or heavy-tailed values it covers less: see docs/intervals.md.

Sources: Cochran, "The Distribution of Quadratic Forms in a Normal System", 1934; Bouthillier et
al., "Accounting for Variance in Machine Learning Benchmarks", 2021.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from regbench.analysis import metrics, statistics
from regbench.analysis.statistics import CONFIDENCE, Sample
from regbench.config.sources import SOURCES
from regbench.errors import Warn
from regbench.runs.results import Results, results_of

if TYPE_CHECKING:
    import pandas

# The names of the two rows that are not a source.
TOTAL, SUM = "all together", "sum"


@dataclass(frozen=True)
class Variance:
    """The variance of a metric over runs in which one source varies, or all, or their sum.

    `low` and `high` are the ends of its 95% interval, and `runs` is how many it is computed from.
    """

    source: str
    variance: float
    low: float | None
    high: float | None
    runs: int

    @property
    def deviation(self) -> float:
        """The standard deviation, in the unit of the metric."""
        return math.sqrt(self.variance)


@dataclass(frozen=True)
class Decomposition:
    """The variances of a config: each source's, their sum, and that of all sources together."""

    name: str
    config_hash: str
    metric: str
    sources: Sequence[Variance]
    total: Variance | None
    sum: Variance

    def as_dict(self) -> dict[str, object]:
        """Return the decomposition as JSON."""
        return asdict(self)

    @property
    def rows(self) -> list[Variance]:
        """Every variance: of the sources, of their sum, and of all together if that is known."""
        return [*self.sources, self.sum, *([self.total] if self.total else [])]


def decompose(
    runs: Results | pandas.DataFrame, metric: str = "test_accuracy", warn: Warn | None = None
) -> list[Decomposition]:
    """Return the variances of every config of which two runs or more vary a single source.

    Args:
        runs: the result of `regbench.load`, which knows the configs.
        metric: the name of a metric of `regbench.metrics`.
        warn: called with a line for each run whose probes are damaged.
    """
    results = results_of(runs)
    varied = {key: values for key, values in results.configs.items() if values.get("vary")}
    if not varied:
        return []
    table = metrics.table(results, [metric], warn)
    table = table[table["status"] == "completed"]
    table = table.drop_duplicates(["name", "config_hash", "seed"])
    samples = {
        str(config_hash): (str(rows["name"].iloc[0]), statistics.finite(rows[metric].to_numpy()))
        for config_hash, rows in table.groupby("config_hash")
    }
    whole = {
        _held(values): key
        for key, values in results.configs.items()
        if key not in varied and key in samples
    }
    groups: dict[str, dict[str, list[Sample]]] = {}
    names: dict[str, str] = {}
    for key, values in varied.items():
        sources = values.get("vary")
        if key in samples and isinstance(sources, list) and len(sources) == 1:
            name, sample = samples[key]
            found = groups.setdefault(_held(values), {})
            found.setdefault(str(sources[0]), []).append(sample)
            names.setdefault(_held(values), name.removesuffix(f"-{sources[0]}"))
    made = [
        _decomposition(
            samples[whole[held]][0] if held in whole else names[held],
            whole.get(held, ""),
            metric,
            found,
            samples[whole[held]][1] if held in whole else None,
        )
        for held, found in groups.items()
    ]
    known = [each for each in made if each is not None]
    return sorted(known, key=lambda each: (each.name != "baseline", each.name))


def _held(values: Mapping[str, object]) -> str:
    """Return a config without the keys that say what varies."""
    kept = {key: value for key, value in values.items() if key not in ("vary", "base_seed")}
    return json.dumps(kept, sort_keys=True, default=str)


def _decomposition(
    name: str,
    config_hash: str,
    metric: str,
    found: Mapping[str, Sequence[Sample]],
    together: Sample | None,
) -> Decomposition | None:
    sources = [
        variance
        for source in SOURCES
        if (variance := of_samples(source, found.get(source, ()))) is not None
    ]
    if not sources:
        return None
    total = None if together is None else of_samples(TOTAL, [together])
    return Decomposition(name, config_hash, metric, sources, total, _sum(sources, found))


def of_samples(
    source: str, samples: Iterable[Sample], confidence: float = CONFIDENCE
) -> Variance | None:
    """Return the pooled variance within samples, each (n,), with its chi-square interval.

    None without a sample of two. A variance of 0 has no interval.
    """
    known = [each for each in samples if len(each) > 1]
    degrees = sum(len(each) - 1 for each in known)
    if not degrees:
        return None
    # Equal numbers may get a tiny variance from rounding.
    squares = sum(float(((e - e.mean()) ** 2).sum()) for e in known if np.ptp(e) > 0)
    variance = squares / degrees
    runs = sum(map(len, known))
    return Variance(source, variance, *_ends(variance, degrees, confidence), runs)


def _sum(sources: Sequence[Variance], found: Mapping[str, Sequence[Sample]]) -> Variance:
    total = sum(each.variance for each in sources)
    runs = sum(each.runs for each in sources)
    uncertain = sum(
        each.variance**2 / sum(len(sample) - 1 for sample in found[each.source] if len(sample) > 1)
        for each in sources
    )
    return Variance(SUM, total, *_ends(total, total**2 / uncertain if uncertain else 1.0), runs)


def _ends(
    variance: float, degrees: float, confidence: float = CONFIDENCE
) -> tuple[float | None, float | None]:
    from scipy import special

    if not variance:
        return None, None
    tail = (1 - confidence) / 2
    high, low = (float(special.chdtri(degrees, each)) for each in (1 - tail, tail))
    return variance * degrees / low, variance * degrees / high
