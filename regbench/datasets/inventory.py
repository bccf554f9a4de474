"""Lists the data on this machine and its size, as `regbench data` shows it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from regbench import plugins
from regbench.datasets import DATASETS, DataError, Progress, Splits, cache, digits
from regbench.datasets.published import Published

# Only data sets that are read or fetched can be missing.
State = Literal[
    "decoded",
    "archive",
    "partial",
    "missing",
    "drawn when needed",
    "installed",
    "from a plugin",
]


@dataclass(frozen=True)
class Item:
    """One file or folder of a data set, present or missing."""

    dataset: str
    state: State
    path: Path  # its place; for a missing one, its expected place
    bytes: int
    source: str = ""  # for a decoded one, its source

    def as_dict(self) -> dict[str, object]:
        return dataclasses.asdict(self) | {"path": str(self.path)}


def where() -> list[Item]:
    """Return the items present for every data set, at least one each.

    Decoded files are verified only if they changed.
    """
    items: list[Item] = []
    for name in DATASETS:
        found = [*_decoded(name), *_archives(name)]
        items += found or [_absent(name)]
    return items


def fetch(name: str, progress: Progress | None = None) -> Splits:
    """Return a whole data set, verified; download, decode or draw it first if needed.

    Raises:
        DataError: the data set is unknown, unavailable, or one that is never downloaded.
    """
    if name not in DATASETS:
        raise DataError(f"expected one of {', '.join(DATASETS)}, received {name!r}")
    return DATASETS[name].load(None, None, progress)


def _decoded(name: str) -> Iterator[Item]:
    for description in sorted((cache.folder() / name).glob("*/description.json")):
        place = description.parent
        if cache.read(place) is not None:
            source = str(cache.description(place).get("source", ""))
            size = sum(file.stat().st_size for file in place.iterdir())
            yield Item(name, "decoded", place, size, source)


def _archives(name: str) -> Iterator[Item]:
    dataset = DATASETS[name]
    for place in dataset.places() if isinstance(dataset, Published) else ():
        present = place.present()
        if present:
            state: State = "archive" if place.is_complete else "partial"
            path = place.path if len(place.files) > 1 else present[0]
            yield Item(name, state, path, sum(file.stat().st_size for file in present))


def _absent(name: str) -> Item:
    """Return the item for a data set that is in none of its places."""
    for plugin in plugins.loaded():
        if ("dataset", name) in plugin.registered:
            return Item(name, "from a plugin", Path(plugin.place), 0)
    installed = digits.installed() if name == "digits" else None
    if installed:
        return Item(name, "installed", installed, 0)
    state: State = "drawn when needed" if name == "shapes" else "missing"
    return Item(name, state, cache.folder() / name, 0)
