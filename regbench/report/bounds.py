"""The part of the runs that fits on a page of 5 MB, and what the page says of the rest.

A page that stays below is not changed. Above, it shows fewer model cards, and of its curves the
points without which no eye would tell a difference (see `regbench.report.thinning`); where that is
not enough, fewer variants. Those with the best test accuracy stay.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING

from regbench.figures import Shared, probes, variants
from regbench.figures.curves import Curves
from regbench.report import model_cards, thinning
from regbench.report.model_cards import Model

if TYPE_CHECKING:
    import pandas

    from regbench.analysis.rows import ConfigRow
    from regbench.errors import Warn
    from regbench.runs import Results

MOST_BYTES = 5_000_000
# More lines than that in one chart are a cloud, and more panels take a browser minutes.
MOST_DRAWN, LEAST_DRAWN = 300, 8
MOST_LINES, LEAST_LINES = 500, 20
# Where the page would be too large, model cards leave this much to the curves.
CARD_BYTES = 1_200_000
# Measured, and rounded up: a variant's lines in the tables that list all of them, and in one table
# of another tool's metric; what it adds to the figures besides curves, with and without probes.
LINE_BYTES, MEASURE_BYTES, DRAWN_BYTES, PROBED_BYTES = 1_500, 200, 3_000, 4_500
# What a page has without a single variant: Vega, above all, and the most of its origins.
EMPTY_BYTES = 1_200_000
# Farther from where all points would put it, in pixels, a curve looks different.
VISIBLE = 1.0
EVERYTHING = "regbench compare has all of them"


@dataclass(frozen=True)
class Contents:
    """The part of the runs that a page shows.

    `drawn` are the variants in its figures, `results` their runs and `shared` the data of these;
    `listed` are those in its tables, and `notes` tell what is left out.
    """

    drawn: frozenset[str]
    listed: frozenset[str]
    results: Results
    shared: Shared
    models: list[Model]
    notes: list[str]


def fit(
    results: Results, rows: Sequence[ConfigRow], labels: Sequence[str], warn: Warn | None
) -> Contents:
    """Return what of the runs fits on a page.

    Args:
        results: all runs.
        rows: their comparison, the baseline first.
        labels: the variant of each row.
    """
    ranked = _ranked(rows, labels)
    line = LINE_BYTES + MEASURE_BYTES * len(results.measures)
    lines = min(len(rows), max(LEAST_LINES, MOST_LINES * LINE_BYTES // line))
    room = MOST_BYTES - EMPTY_BYTES - lines * line
    everything = _Drawing.of(results, rows, ranked[:MOST_DRAWN], warn)
    for count in _halves(len(everything.labels)):
        drawing = everything.only(count)
        thinned, distance, notes = drawing.thinned(room)
        if distance <= VISIBLE:
            break
    if count < len(rows):
        notes.append(f"{count:,} of {len(rows):,} variants in its figures, those that test best")
    if lines < len(rows):
        notes.append(f"{lines:,} of {len(rows):,} variants in its tables; {EVERYTHING}")
    shared = Shared(thinned.rows, thinned.found, thinned.curves)
    listed = frozenset(ranked[:lines])
    return Contents(
        frozenset(thinned.labels), listed, thinned.results, shared, thinned.models, notes
    )


def _ranked(rows: Sequence[ConfigRow], labels: Sequence[str]) -> list[str]:
    """Return the variants, the first one, which is the baseline, before those that test best."""
    (_, first), *others = zip(rows, labels, strict=True)
    others.sort(key=lambda each: -(each[0].test_accuracy.mean or 0))
    return [first, *(label for _, label in others)]


def _halves(count: int) -> Iterator[int]:
    yield count
    while count > LEAST_DRAWN:
        count = max(LEAST_DRAWN, count // 2)
        yield count


@dataclass(frozen=True)
class _Drawing:
    """Some variants, the best first, with all that figures and model cards show of them."""

    labels: Sequence[str]
    results: Results
    rows: Sequence[ConfigRow]
    found: probes.Found
    models: list[Model]
    curves: Curves

    @classmethod
    def of(
        cls, results: Results, rows: Sequence[ConfigRow], labels: Sequence[str], warn: Warn | None
    ) -> _Drawing:
        table = variants.labeled(results)
        if len(labels) < len(rows):
            results, rows = _only(results, rows, table, labels)
        found = probes.found_in(results, warn)
        curves: dict[str, pandas.DataFrame] = {
            metric: variants.by_epoch(results, metric) for metric in ("accuracy", "loss")
        }
        models = [model_cards.describe(variant, each) for variant, each in found.items()]
        return cls(labels, results, rows, found, models, curves)

    def only(self, count: int) -> _Drawing:
        """Return the drawing of the best variants."""
        if count == len(self.labels):
            return self
        labels = self.labels[:count]
        results, rows = _only(self.results, self.rows, variants.labeled(self.results), labels)
        return _Drawing(
            labels,
            results,
            rows,
            {variant: each for variant, each in self.found.items() if variant in labels},
            [each for each in self.models if each.variant in labels],
            {metric: each[each["variant"].isin(labels)] for metric, each in self.curves.items()},
        )

    def thinned(self, room: int) -> tuple[_Drawing, float, list[str]]:
        """Return a drawing for so many bytes, how far off its curves are, and what is left out."""
        room -= len(self.labels) * DRAWN_BYTES + len(self.found) * PROBED_BYTES
        sizes = {metric: _size(each) for metric, each in self.curves.items()}
        points = sum(sizes.values())
        if sum(map(_card_size, self.models)) + points <= room:
            return self, 0.0, []
        notes = []
        models = self._best_models(max(CARD_BYTES, room - points))
        if len(models) < len(self.models):
            notes.append(f"{len(models):,} of {len(self.models):,} models from inside, the best")
        share = max(0.0, (room - sum(map(_card_size, models))) / max(1, points))
        if share >= 1:
            return replace(self, models=models), 0.0, notes
        curves, distance = {}, 0.0
        for metric, data in self.curves.items():
            curves[metric], off = thinning.thin(data, metric, int(share * len(data)))
            distance = max(distance, off)
        notes.insert(0, _thinned(self.curves, curves, distance))
        return replace(self, models=models, curves=curves), distance, notes

    def _best_models(self, most: int) -> list[Model]:
        """Return the cards of the best variants that fit, in the page's order."""
        by_rank = sorted(self.models, key=lambda each: self.labels.index(each.variant))
        totals = accumulate(map(_card_size, by_rank))
        kept = {each.variant for each, total in zip(by_rank, totals, strict=True) if total <= most}
        return [each for each in self.models if each.variant in kept]


def _only(
    results: Results, rows: Sequence[ConfigRow], table: pandas.DataFrame, labels: Sequence[str]
) -> tuple[Results, list[ConfigRow]]:
    """Return the runs and rows of some variants of a labeled frame, under the same labels."""
    keys = table[table["variant"].isin(labels)].drop_duplicates(["name", "config_hash"])
    known = {
        (name, config_hash): label
        for name, config_hash, label in keys[["name", "config_hash", "variant"]].to_numpy()
    }
    pairs = zip(results["name"], results["config_hash"], strict=True)
    kept = replace(results.only([pair in known for pair in pairs]), labels=known)
    return kept, [row for row in rows if (row.name, row.config_hash) in known]


def _size(data: pandas.DataFrame) -> int:
    """Return about how many bytes a figure's data take in the page, from a thousand of its rows."""
    sample = data.iloc[:: max(1, len(data) // 1000)]
    columns = {name: sample[name].tolist() for name in sample}
    text = json.dumps(columns, separators=(",", ":"))
    return len(text) * len(data) // max(1, len(sample))


def _card_size(model: Model) -> int:
    """Return about how many bytes a model's card takes in the page."""
    images = [model.filters or "", *(each.image for each in model.mistakes)]
    cells = sum(map(len, model.confusion)) if len(model.classes) <= model_cards.MOST_CLASSES else 0
    drawings = sum(len(layer.path) + 400 for layer in model.layers)
    return 3_000 + sum(map(len, images)) + 300 * len(model.mistakes) + 45 * cells + drawings


def _thinned(whole: Curves, kept: Curves, distance: float) -> str:
    rows = [sum(map(len, each.values())) for each in (kept, whole)]
    off = "" if not distance else f"; none is off by more than {distance:.2g} of a pixel"
    if distance > VISIBLE:
        off = f"; some are off by up to {distance:.0f} of {thinning.HEIGHT} pixels"
    return (
        f"{rows[0]:,} of {rows[1]:,} points of curves and bands, with the lowest and highest of "
        f"each pixel in charts {thinning.WIDTH} pixels wide{off}"
    )
