"""Pairs of a study's runs: decides by the data they read which runs a claim may compare."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from regbench.analysis import consistency
from regbench.analysis.pairing import Fingerprint, Unpaired, obstacle
from regbench.runs import Results, Warn, results_of
from regbench.studies.file import Study
from regbench.studies.sections import Claim

if TYPE_CHECKING:
    import pandas


DATA = ("data_pool", "data_examples")


class Pairs:
    """The finished runs of a study, and whether two of them make a pair."""

    def __init__(
        self, study: Study, frame: Results | pandas.DataFrame, warn: Warn | None = None
    ) -> None:
        """Check the pairs that the study's claims need.

        Args:
            study: its claims say which variants are compared.
            frame: what `regbench.load` returns, of the study's own runs.
            warn: called with a line for each reason why runs make no pair, and for runs that differ
                in data, versions or machines (see `regbench.analysis.consistency`).
        """
        results = results_of(frame)
        self.made_elsewhere = bool(results.elsewhere)
        runs = results.frame.drop_duplicates(["results", "run"])
        columns = (runs[each] for each in ("name", "config_hash", "seed", *DATA))
        self._study = study
        self._read = {
            (name, config_hash, seed): Fingerprint.of(*data)
            for name, config_hash, seed, *data in zip(*columns, strict=True)
        }
        if warn:
            consistency.check(runs, warn)
            self._tell(warn)

    def agree(self, claim: Claim, seed: int) -> bool:
        """Return whether a seed's runs that the claim compares all read the same data."""
        return not any(self._obstacle(one, other, seed) for one, other in self._compared(claim))

    def _obstacle(self, one: str, other: str, seed: int) -> str | None:
        mine, theirs = self._study.variants[one], self._study.variants[other]
        here = self._read.get((one, mine.hash, seed))
        there = self._read.get((other, theirs.hash, seed))
        if here is None or there is None:
            return None
        return obstacle(here, there, mine.data == theirs.data)

    def _tell(self, warn: Warn) -> None:
        unpaired = Unpaired()
        for claim in self._study.claims:
            for one, other in self._compared(claim):
                for seed in self._study.seeds:
                    reason = self._obstacle(one, other, seed)
                    if reason:
                        unpaired.add(reason, one, other, seed)
        unpaired.tell(warn)

    def _compared(self, claim: Claim) -> Iterator[tuple[str, str]]:
        """Yield each pair of variants that a claim compares."""
        if claim.effect is not None and self._study.factors:
            first, *others = self._study.factors.variants
            yield from ((each, first) for each in others)
        if isinstance(claim.against, str):
            yield claim.variant, claim.against
        if claim.beyond:
            yield claim.beyond.variant, claim.beyond.against
