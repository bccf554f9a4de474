"""The numbers of the book: verdicts and runs of the shipped studies.

A study may be shipped more than once: on drawn shapes, on real images, and on these with the full
baseline. Each folder is one `Evidence`; that on real images, which takes minutes, leads. Verdicts
are read from `verdicts.json`, all other numbers from the runs in the bundle beside it.
"""

from __future__ import annotations

import csv
import functools
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from regbench import config
from regbench.analysis import metrics
from regbench.analysis.effects import Effects
from regbench.analysis.metrics import Metric, Run
from regbench.analysis.sequential import Look
from regbench.analysis.statistics import Interval
from regbench.runs import storage
from regbench.runs import summary as summaries
from regbench.runs.files import CONFIG, HISTORY_FILE
from regbench.studies import markdown, sentences
from regbench.studies.looks import VERDICTS
from regbench.studies.sections import Claim
from regbench.studies.verdicts import Verdict
from regbench.text import number, plain_markdown

RESULTS = Path(__file__).parents[2] / "results" / "studies"
DRAWN = "shapes"
NAMES = {"cifar10": "CIFAR-10", DRAWN: "drawn shapes"}
# The profile that has the full baseline, and hours to run.
FULL = "full"
# The most by which a mean in `verdicts.json` may differ from that of the runs: rounding.
ROUNDING = 1e-9


class BookError(Exception):
    """A page asks for something that no shipped study has."""


def _dropped_share(run: Run) -> float | None:
    dropout = run.numbers.dropout if run.numbers else None
    return float(np.mean([each.dropped for each in dropout.layers])) if dropout else None


# Metrics that the book shows and no claim is about.
FURTHER = {
    "reported_accuracy": Metric(
        "train accuracy as Keras reports it", lambda run: run.last("reported_accuracy")
    ),
    "dropped_share": Metric("share of the units that were off", _dropped_share),
}


def metric(name: str) -> Metric:
    """Return a metric of regbench or of the book."""
    return FURTHER.get(name) or metrics.metric(name)


@dataclass(frozen=True)
class Evidence:
    """The shipped results of a study with one of its profiles."""

    folder: Path
    stored: Mapping[str, Any]

    @property
    def study(self) -> str:
        """The study's name."""
        return str(self.stored["study"])

    @property
    def bundle(self) -> Path:
        """The runs."""
        return self.folder / storage.BUNDLE

    @property
    def variants(self) -> list[str]:
        """The names of the variants, in the order of the study."""
        return [each["name"] for each in self.stored["variants"]]

    @functools.cached_property
    def _chosen(self) -> config.Data:
        """The data of the first variant."""
        first = self.run(self.variants[0])
        return config.parse(storage.text(first, CONFIG), str(first / CONFIG)).data

    @property
    def drawn(self) -> bool:
        """True if the images are drawn, false if they are real."""
        return self._chosen.name == DRAWN

    @property
    def full(self) -> bool:
        """True if the network is the full baseline."""
        return bool(self.stored["profile"] == FULL)

    @property
    def images(self) -> str:
        """The name of its data set, with the network unless it is a small one: "CIFAR-10"."""
        name = NAMES.get(self._chosen.name, self._chosen.name)
        return f"{name} with the full network" if self.full else name

    @property
    def data(self) -> str:
        """The data set, with the number of training images: "1,000 drawn shapes"."""
        count = self._chosen.train_examples
        if not isinstance(count, int):
            return self.images
        return f"{count:,} {self.images if self.drawn else f'images of {self.images}'}"

    @functools.cached_property
    def verdicts(self) -> dict[str, Verdict]:
        """The verdicts by the `key` of their claims."""
        found = [_verdict(each) for each in self.stored["verdicts"]]
        return {key(each.claim): each for each in found}

    def verdict(self, claim: str) -> Verdict:
        """Return the verdict on a claim."""
        if claim not in self.verdicts:
            known = "; ".join(self.verdicts)
            raise BookError(
                f"{self.folder}/{VERDICTS}: expected one of the claims {known}, received {claim!r}"
            )
        return self.verdicts[claim]

    def run(self, variant: str, seed: int | None = None) -> Path:
        """Return a run in the bundle, by default that of the first seed."""
        hashes = {each["name"]: each["config_hash"] for each in self.stored["variants"]}
        if variant not in hashes:
            known = ", ".join(hashes)
            raise BookError(
                f"{self.folder}: expected one of the variants {known}, received {variant!r}"
            )
        first = self.stored["seeds"][0]
        return self.bundle / f"{variant}-{hashes[variant]}-s{first if seed is None else seed}"

    def values(self, name: str, variant: str) -> dict[int, float]:
        """Return a metric of the variant's finished runs by seed, from the bundle."""
        chosen, found = metric(name), {}
        for seed in self.stored["seeds"]:
            folder = self.run(variant, seed)
            value = chosen.of(_read(folder)) if storage.exists(folder / HISTORY_FILE) else None
            if value is not None:
                found[seed] = value
        return found

    def interval(self, name: str, variant: str) -> Interval:
        """Return mean and interval of a metric over the variant's runs."""
        values = self.values(name, variant)
        if not values:
            raise BookError(f"{self.bundle}: no run of {variant} has the metric {name}")
        return metrics.interval(np.array(list(values.values())))

    def mean(self, name: str, variant: str) -> str:
        """Return the same as text: "0.716 ±0.011", or "156,074" for what is counted."""
        found = self.interval(name, variant)
        if metric(name).exact:
            return f"{found.mean:,.10g}"
        return number(found, large=True, small=True)

    def mismatches(self) -> Iterator[str]:
        """Yield each claim whose stored mean is not that of the runs in the bundle."""
        for name, verdict in self.verdicts.items():
            claim = verdict.claim
            if verdict.mean is None or not claim.variant:
                continue
            mean = float(np.mean(list(self._differences(claim).values())))
            if abs(mean - verdict.mean) > ROUNDING * max(1.0, abs(mean)):
                yield (
                    f"{self.folder}/{VERDICTS}: {name}: expected {mean:.6g}, the mean of the runs "
                    f"in {storage.BUNDLE}, received {verdict.mean:.6g}"
                )

    def _differences(self, claim: Claim) -> dict[int, float]:
        first = self.values(claim.metric, claim.variant)
        if not isinstance(claim.against, str):
            return {seed: value - claim.against for seed, value in first.items()}
        found = _less(first, self.values(claim.metric, claim.against))
        if claim.beyond is None:
            return found
        left, right = (
            self.values(claim.metric, each) for each in (claim.beyond.variant, claim.beyond.against)
        )
        return _less(found, _less(left, right))


def key(claim: Claim) -> str:
    """Return how a page names a claim: "test_accuracy: dropout - baseline", without a level."""
    name = claim.metric.partition("(")[0]
    if not isinstance(claim.against, str):
        return f"{name}: {claim.variant}"
    own = f"{claim.variant} - {claim.against}"
    if claim.beyond is None:
        return f"{name}: {own}"
    return f"{name}: ({own}) - ({claim.beyond.variant} - {claim.beyond.against})"


def of_study(name: str) -> tuple[Evidence, ...]:
    """Return the shipped results of a study, those on real images first."""
    return _of_study(name, RESULTS)


@functools.cache
def _of_study(name: str, results: Path) -> tuple[Evidence, ...]:
    found = []
    for path in sorted(results.glob(f"{name}*/{VERDICTS}")):
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["study"] == name:
            found.append(Evidence(path.parent, stored))
    if not found:
        raise BookError(f"{results}: expected results of a study {name}, received none")
    return tuple(sorted(found, key=lambda each: (each.drawn, each.full)))


def measured(verdict: Verdict) -> str:
    """Return what the runs say of a claim, and what makes it doubtful, as Markdown."""
    remark = markdown.remark(verdict)
    named = "_" in remark.partition(" ")[0]  # a metric, which is written in lower case
    doubt = f" {remark if named else remark[:1].upper() + remark[1:]}." if remark else ""
    return plain_markdown(f"{sentences.sentence(verdict)}.{doubt}")


def _verdict(stored: Mapping[str, Any]) -> Verdict:
    """Return a verdict as it was before it was stored."""
    own = {name: value for name, value in stored.items() if name != "across"}
    parts: dict[str, Any] = {"claim": Claim.model_validate(own["claim"])}
    for name, form in (("effects", Effects), ("look", Look)):
        parts[name] = form(**own[name]) if own.get(name) else None
    return Verdict(**own | parts)


def _less(first: Mapping[int, float], second: Mapping[int, float]) -> dict[int, float]:
    return {seed: value - second[seed] for seed, value in first.items() if seed in second}


@functools.cache
def _read(folder: Path) -> Run:
    rows = list(csv.DictReader(io.StringIO(storage.text(folder, HISTORY_FILE))))
    history = {
        name: np.array([float(row[name] or "nan") for row in rows], np.float64) for name in rows[0]
    }
    return Run(folder, history, summaries.read(folder).parameters)
