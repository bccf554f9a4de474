"""What an installation of regbench consists of: packages, versions, hashes, licenses."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCK = Path("requirements.lock")
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)")
# SPDX identifiers of licenses under which a package may be used with regbench: none of them asks
# more of its users than to keep notices, and MPL-2.0 covers changes of its own files alone.
ALLOWED = {
    *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MIT-CMU"),
    *("MPL-2.0", "PSF-2.0", "Unlicense", "Zlib"),
}
# How packages without an SPDX expression name theirs, in a classifier or in free text.
NAMES = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
# Packages whose metadata says nothing, and what their repositories say.
KNOWN = {"namex": "Apache-2.0"}


class Pin(NamedTuple):
    """A package of the lock."""

    name: str
    version: str
    hashes: tuple[str, ...]


class Package(NamedTuple):
    """An installed package, its license as an SPDX expression, and the packages it needs."""

    name: str
    version: str
    license: str
    needs: tuple[str, ...]


def pins(text: str) -> list[Pin]:
    """Return the packages of a lock. Raises ValueError for a line that is none."""
    found = []
    for block in re.split(r"\n(?=\S)", text.strip()):
        if block.startswith("#"):
            continue
        match = PIN.match(block)
        hashes = tuple(re.findall(r"--hash=sha256:([0-9a-f]{64})", block))
        if not match or not hashes:
            raise ValueError(f"expected NAME==VERSION with its hashes, received {block[:60]!r}")
        found.append(Pin(canonicalize_name(match[1]), match[2], hashes))
    return found


def installed(root: str = "regbench") -> list[Package]:
    """Return a package of this environment and all that it needs, by name."""
    found: dict[str, Package] = {}
    waiting = [canonicalize_name(root)]
    while waiting:
        name = waiting.pop()
        if name not in found:
            distribution = importlib.metadata.distribution(name)
            needs = tuple(sorted(set(_needs(distribution))))
            found[name] = Package(name, distribution.version, license_of(distribution), needs)
            waiting += needs
    return [found[name] for name in sorted(found)]


def _needs(distribution: importlib.metadata.Distribution) -> Iterator[str]:
    for each in distribution.requires or ():
        requirement = Requirement(each)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield canonicalize_name(requirement.name)


def license_of(distribution: importlib.metadata.Distribution) -> str:
    """Return a package's license as an SPDX expression; "unknown: ..." where it can't be told."""
    metadata = distribution.metadata
    if metadata["License-Expression"]:
        return str(metadata["License-Expression"])
    if known := KNOWN.get(canonicalize_name(metadata["Name"])):
        return known
    classifiers = [
        each.rpartition(" :: ")[2]
        for each in metadata.get_all("Classifier") or ()
        if each.startswith("License :: ")
    ]
    said = classifiers or [str(metadata["License"] or "").strip()]
    return " OR ".join(
        NAMES.get(each, each if each in ALLOWED else f"unknown: {each:.60}") for each in said
    )


def is_allowed(expression: str) -> bool:
    """Whether a license, or one of several to choose from, is on the list."""
    return any(
        all(part.strip(" ()") in ALLOWED for part in choice.split(" AND "))
        for choice in expression.split(" OR ")
    )
