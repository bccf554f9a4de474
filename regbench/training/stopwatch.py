"""A stopwatch for the parts of a run: wall-clock seconds, summed for each part."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


class Stopwatch:
    """Adds up the seconds that each part of a run takes, at about a microsecond per use."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._began = time.perf_counter()

    @contextlib.contextmanager
    def time(self, part: str) -> Iterator[None]:
        """Count the time spent inside as `part`."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._add(part, time.perf_counter() - began)

    def each(self, part: str, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items, counting the time it takes to produce each one as `part`."""
        iterator = iter(items)
        while True:
            with self.time(part):
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item

    def breakdown(self) -> dict[str, float]:
        """Return the seconds of each part, the rest as `other`, and the sum as `total`."""
        total = time.perf_counter() - self._began
        return {**self.seconds, "other": total - sum(self.seconds.values()), "total": total}

    def _add(self, part: str, seconds: float) -> None:
        self.seconds[part] = self.seconds.get(part, 0.0) + seconds
