"""The result of one check."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Check:
    """What was checked of a technique, what was measured, and what was expected of it."""

    technique: str
    rule: str
    measured: str
    expected: str
    passed: bool

    def as_dict(self) -> dict[str, Any]:
        """Return what `regbench doctor --json` prints."""
        return dataclasses.asdict(self)
