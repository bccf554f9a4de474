"""Rows of a comparison: one for each config, with its means and its differences.

`ConfigRow.as_dict` is the JSON of `regbench compare --json`; other code reads attributes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from regbench.analysis.mcnemar import Disagreement
from regbench.analysis.statistics import Interval
from regbench.text import html_table, number

# The metrics that every comparison has, in their order.
USUAL = ("train_accuracy", "test_accuracy", "train_loss", "test_loss", "gap")

# Numbers of a difference that not every comparison has: left out of JSON where they are unknown.
FURTHER = (
    "correlation", "variance_ratio", "images_low", "images_high", "samples_low", "samples_high",
)  # fmt: skip


@dataclass(frozen=True)
class Difference(Interval):
    """A mean difference from the baseline, paired by seed, with its p-values.

    `p_value` is that of the sign flips, `p_floor` the smallest that this many pairs can give, and
    `p_holm` that of the t test, corrected for the number of configs. `pairs_needed` would show the
    difference at 80% power; from `pairs_needed_low` to `pairs_needed_high` for an 80% interval of
    its spread.

    `correlation` is that of the pairs, and `variance_ratio` the variance of the paired difference
    over that of an unpaired one. `low` and `high` cover other seeds, `images_low` and `images_high`
    other test images as well, and `samples_low` and `samples_high` other training samples.
    """

    p_value: float | None = None
    p_floor: float | None = None
    p_holm: float | None = None
    pairs: int = 0
    pairs_needed: int | None = None
    pairs_needed_low: int | None = None
    pairs_needed_high: int | None = None
    correlation: float | None = None
    variance_ratio: float | None = None
    images_low: float | None = None
    images_high: float | None = None
    samples_low: float | None = None
    samples_high: float | None = None


@dataclass(frozen=True)
class Value(Interval):
    """A metric of a config, and its difference from the baseline, or None."""

    versus_baseline: Difference | None = None


@dataclass(frozen=True)
class ConfigRow:
    """A config: its runs, their means, and how they differ from those of the baseline.

    `seconds` are those of training, in the mean of the runs, and `wall_seconds` those of a whole
    run, None if a run recorded none. `changes` maps each dotted key that differs
    from the baseline to its value, and is None if unknown. `versus_baseline` and `mcnemar` are None
    where nothing is compared, `metrics` where no metric beyond the usual ones was asked for.
    """

    name: str
    config_hash: str
    seeds: Sequence[int]
    runs: int
    diverged: int
    parameters: int
    seconds: float
    changes: Mapping[str, object] | None
    train_accuracy: Interval
    test_accuracy: Interval
    train_loss: Interval
    test_loss: Interval
    gap: Interval
    versus_baseline: Mapping[str, Difference] | None = None
    metrics: Mapping[str, Value] | None = None
    mcnemar: Sequence[Disagreement] | None = None
    wall_seconds: float | None = None

    @property
    def is_baseline(self) -> bool:
        """True if the others are compared with this config."""
        return self.versus_baseline is None and self.changes == {}

    def mean(self, metric: str) -> Interval:
        """Return one of the usual metrics."""
        found: Interval = getattr(self, metric)
        return found

    def versus(self, metric: str) -> Difference | None:
        """Return the difference from the baseline of a usual metric; None without a baseline."""
        return (self.versus_baseline or {}).get(metric)

    def value(self, metric: str) -> Value:
        """Return a requested metric, or one that every comparison has, in the same form."""
        if self.metrics and metric in self.metrics:
            return self.metrics[metric]
        mean = self.mean(metric)
        return Value(mean.mean, mean.low, mean.high, self.versus(metric))

    def as_dict(self) -> dict[str, object]:
        """Return the JSON of `regbench compare --json`."""
        own = asdict(self)
        if self.metrics is None:
            del own["metrics"]
        if self.wall_seconds is None:
            del own["wall_seconds"]
        further = [each["versus_baseline"] for each in (own.get("metrics") or {}).values()]
        for versus in (*(own["versus_baseline"] or {}).values(), *further):
            for name in FURTHER:
                if versus and versus[name] is None:
                    del versus[name]
        return own


class Rows(list[ConfigRow]):
    """The rows of a comparison, which a notebook shows as a table."""

    def _repr_html_(self) -> str:
        metrics = ("train_accuracy", "test_accuracy", "gap")
        more = list(self[0].metrics or {}) if self else []
        headings = ["config", "seeds", *metrics, "Δ test_accuracy", "Δ gap", *more]
        return html_table(
            headings,
            [
                [row.name, str(row.runs), *(number(row.mean(each)) for each in metrics)]
                + [number(row.versus(each), "+") for each in ("test_accuracy", "gap")]
                + [number(row.value(each)) for each in more]
                for row in self
            ],
        )
