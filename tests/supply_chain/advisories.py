"""Known vulnerabilities in the lock, by a copy of the OSV advisories, without a network.

The copy is a folder of advisories as JSON files, or the archive `all.zip` that OSV publishes for
PyPI.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from tests.supply_chain.dependencies import Pin

Advisory = dict[str, Any]


def read(path: Path) -> Iterator[Advisory]:
    """Yield the advisories of a folder or an archive. Raises ValueError if there are none."""
    count = 0
    if path.is_dir():
        texts: Iterable[bytes] = (each.read_bytes() for each in sorted(path.rglob("*.json")))
    else:
        texts = _members(path)
    for text in texts:
        count += 1
        yield json.loads(text)
    if not count:
        raise ValueError(f"expected advisories as JSON files, received none in {path}")


def _members(path: Path) -> Iterator[bytes]:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".json"):
                yield archive.read(name)


def found(pins: Iterable[Pin], advisories: Iterable[Advisory]) -> list[str]:
    """Return a line for every pin that an advisory names, unless the advisory was withdrawn."""
    versions = {pin.name: pin.version for pin in pins}
    lines = set()
    for advisory in advisories:
        for affected in advisory.get("affected", ()):
            package = affected.get("package", {})
            name = canonicalize_name(str(package.get("name", "")))
            if package.get("ecosystem") != "PyPI" or name not in versions:
                continue
            if "withdrawn" not in advisory and is_affected(versions[name], affected):
                summary = advisory.get("summary") or "no summary"
                lines.add(f"{name} {versions[name]}: {advisory['id']}: {summary}")
    return sorted(lines)


def is_affected(version: str, affected: Advisory) -> bool:
    """Whether a version is listed by an advisory, or lies in one of its ranges.

    A version that can't be compared counts as affected: it is looked at by a person.
    """
    if version in affected.get("versions", ()):
        return True
    ranges = [each for each in affected.get("ranges", ()) if each.get("type") == "ECOSYSTEM"]
    try:
        return any(_is_in(Version(version), each["events"]) for each in ranges)
    except InvalidVersion:
        return True


def _is_in(version: Version, events: list[dict[str, str]]) -> bool:
    """Apply the events of a range in the order of their versions, as OSV's schema says."""
    inside = False
    for event in sorted(events, key=_order):
        ((kind, at),) = event.items()
        reached = at == "0" or Version(at) <= version
        if kind == "introduced" and reached:
            inside = True
        elif (kind == "fixed" and reached) or (kind == "last_affected" and Version(at) < version):
            inside = False
    return inside


def _order(event: dict[str, str]) -> Version:
    (at,) = event.values()
    return Version(at)
