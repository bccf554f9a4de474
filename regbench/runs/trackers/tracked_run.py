"""A run as a tracker keeps it, and what it is called in a comparison: its name and its seed."""

from __future__ import annotations

import math
import re
import zlib
from dataclasses import dataclass, field
from typing import Literal

SEED_KEYS = ("seed", "random_seed", "random_state")
NAME_KEYS = ("name", "method")
# As in `baseline-s3`, `baseline_seed=3`, `baseline/seed_3`; and, as a folder alone, `baseline/3`.
SEED_IN_LABEL = re.compile(r"[-_./ ]*(?:(?<![A-Za-z])(?:seed|s)[-_= ]?|(?<=/))(\d{1,9})$")
# Runs without a seed get numbers that nobody chooses, so that none of them makes a pair.
UNKNOWN_SEEDS = 2**32

CURVES = {
    "train": "train", "training": "train", "test": "test", "val": "validation",
    "valid": "validation", "validation": "validation",
}  # fmt: skip
MEASURES = {"acc": "accuracy", "accuracy": "accuracy", "loss": "loss"}


@dataclass
class TrackedRun:
    """A run of another tool.

    `key` is unique in its store, `label` what its tool shows, `group` what its tool says it belongs
    to, `settings` its config, and `steps` has the numbers logged at each step.
    """

    key: str
    label: str
    state: Literal["completed", "diverged", "unfinished"] = "completed"
    group: str | None = None
    settings: dict[str, object] = field(default_factory=dict)
    steps: dict[int, dict[str, float]] = field(default_factory=dict)

    def log(self, step: int, tag: str, value: object, curve: str = "") -> None:
        """Record a number under the name of its column; anything but a number is left out."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return
        number = float(value) if math.isfinite(value) else math.nan
        self.steps.setdefault(step, {})[column(tag, curve)] = number

    @property
    def seed(self) -> int | None:
        """The seed, by its settings or else by its label."""
        for key in SEED_KEYS:
            told = str(self.settings.get(key, ""))
            if re.fullmatch(r"\d{1,18}(\.0)?", told):
                return int(told.removesuffix(".0"))
        found = SEED_IN_LABEL.search(self.label)
        return int(found[1]) if found else None

    @property
    def unknown_seed(self) -> int:
        """A number in the place of a seed, of this run alone."""
        return UNKNOWN_SEEDS + zlib.crc32(self.key.encode())

    @property
    def name(self) -> str:
        """The method that the run belongs to: its setting, its group, or its label without seed."""
        for key in NAME_KEYS:
            if isinstance(told := self.settings.get(key), str) and told:
                return told
        return self.group or SEED_IN_LABEL.sub("", self.label) or self.label


def column(tag: str, curve: str = "") -> str:
    """Return the column of a logged number: as a run of regbench calls it, or else as it is.

    `Loss/train`, `train/loss`, `epoch_loss` in a folder `train` and `val_acc` are known.
    """
    plain = tag.lower().removeprefix("epoch_")
    if curve:
        own = MEASURES.get(plain)
        return f"{CURVES.get(curve, curve)}_{own or tag}"
    parts = re.split(r"[/_.]", plain)
    if len(parts) == 2:
        for which, what in (parts, parts[::-1]):
            if which in CURVES and what in MEASURES:
                return f"{CURVES[which]}_{MEASURES[what]}"
    return tag
