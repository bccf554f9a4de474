"""The shipped results: what made them, and whether runs made now are the same.

On the same kind of processor, with the same versions, a run comes out the same to the last digit.
Elsewhere sums round otherwise and training amplifies it: then the data and the first measurement,
before any update, have to be the same, and the last one close.
"""

from __future__ import annotations

import csv
import json
import math
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regbench.runs.storage import BUNDLE
from regbench.studies import file as study_file

RESULTS = Path("results/studies")
# Before training, networks differ by the rounding of one forward pass.
INITIAL_LOSS = 1e-4
# After it, by what such roundings grow into: 0.005 was seen between a machine with AVX-512 and one
# without. At worst the run is a fresh draw, which differs from the shipped one as two seeds do.
FINAL_ACCURACY, DEVIATIONS = 0.05, 4
# What has to be equal for equal digits.
SAME = ("packages", "backend", "device", "threads", "processor")


@dataclass(frozen=True)
class Study:
    """A study whose results are shipped: its file, profile and settings, and where they are.

    Settings name an archive of other bytes than the published one, which holds the same images in
    another order.
    """

    file: Path
    profile: str | None = None
    settings: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of its results: that of the file, and the profile unless it is the first."""
        return f"{self.file.stem}-{self.profile}" if self.profile else self.file.stem

    @property
    def folder(self) -> Path:
        return RESULTS / self.name

    @property
    def bundle(self) -> Path:
        return self.folder / BUNDLE

    @property
    def trials(self) -> Path:
        """The runs that a contest's winners were chosen from."""
        return self.folder / "trials" / BUNDLE

    @property
    def options(self) -> list[str]:
        """Return the options of `regbench study` that make these results."""
        profile = ["--profile", self.profile] if self.profile else []
        return [*profile, *(part for each in self.settings for part in ("--set", each))]

    @property
    def is_drawn(self) -> bool:
        """Return whether the images are drawn by the code, so that every machine has them."""
        study = self.read()
        runs = study.contest.runs if study.contest else study.experiments
        return all(each.data.name == "shapes" for each in runs)

    def read(self) -> study_file.Study:
        """Read the study as these results are made of it."""
        return study_file.read(self.file, self.profile, overrides=self.settings)

    def first_seed(self) -> str:
        verdicts = json.loads((self.folder / "verdicts.json").read_text(encoding="utf-8"))
        return str(min(verdicts["seeds"]))


# README shows the demo's numbers, which a test compares with those of a demo run.
DEMO = "demo"
# Its quick profile tries what the full one does, on so few images that it says nothing.
CONTEST = "contest"
# README's figure is that of the full baseline against its regularizers.
FLAGSHIP = "overfitting"
# The binary archive that studies of real images were made of: every pixel as published, in another
# order.
ARCHIVE = "data.sha256=9c97372c64eb22aea0dbcb4abcb2e908f899cb0277dd27cb934a86dbf39e7ff5"


def _shipped() -> Iterator[Study]:
    for path in sorted(Path("configs/studies").glob("*.yaml")):
        if path.stem == CONTEST:
            yield Study(path, "full", (ARCHIVE,))
        elif path.stem != DEMO:
            yield Study(path)
            yield Study(path, "cifar10", (ARCHIVE,))
        if path.stem == FLAGSHIP:
            yield Study(path, "full", (ARCHIVE,))


STUDIES = list(_shipped())


@dataclass(frozen=True)
class Finding:
    """Whether a run made now is the shipped one, and what was compared."""

    run: str
    holds: bool
    text: str


def compare(bundle: Path, made: Path, names: Sequence[str] | None = None) -> list[Finding]:
    """Compare run folders in `made`, all unless named, with those of the same name in a bundle."""
    with tempfile.TemporaryDirectory() as folder:
        extract(bundle, Path(folder))
        runs = sorted(path.parent for path in made.glob("*/summary.json"))
        runs = [run for run in runs if names is None or run.name in names]
        return [_compare(Path(folder) / run.name, run, _allowed(Path(folder), run)) for run in runs]


def _allowed(shipped: Path, made: Path) -> float:
    """Return by how much the final accuracy may differ, from the spread of the seeds."""
    config = made.name.rpartition("-s")[0]
    seeds = shipped.glob(f"{config}-s*/history.csv")
    finals = [_final_accuracy(_history(path.parent)) for path in seeds]
    spread = statistics.stdev(finals) if len(finals) > 1 else 0.0
    return max(FINAL_ACCURACY, DEVIATIONS * spread)


def extract(bundle: Path, folder: Path) -> None:
    """Write the run folders of a bundle into a folder."""
    command = [sys.executable, "-m", "regbench", "bundle", "--extract", bundle, "-o", folder]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


def _compare(shipped: Path, made: Path, allowed: float) -> Finding:
    if not shipped.is_dir():
        return Finding(made.name, False, "no such run is shipped: the config has changed")
    before, now = (_read(folder / "environment.json") for folder in (shipped, made))
    if before["data"] != now["data"]:
        return Finding(made.name, False, "it reads other data than the shipped run did")
    old, new = _history(shipped), _history(made)
    if all(before.get(key) == now.get(key) for key in SAME):
        return Finding(made.name, old == new, f"history {'equal' if old == new else 'DIFFERS'}")
    initial = abs(float(old[0]["train_loss"]) - float(new[0]["train_loss"]))
    final = abs(_final_accuracy(old) - _final_accuracy(new))
    holds = len(old) == len(new) and initial <= INITIAL_LOSS and final <= allowed
    # A loss that is not a number compares as false, and so does not hold.
    holds = holds and math.isfinite(initial + final)
    return Finding(
        made.name,
        holds,
        f"another machine: initial loss differs by {initial:.1e} (at most {INITIAL_LOSS:.0e}), "
        f"final accuracy by {final:.3f} (at most {allowed:.3f})",
    )


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def _history(run: Path) -> list[dict[str, str]]:
    """Return the rows without their seconds, which no two runs share."""
    with (run / "history.csv").open(encoding="utf-8", newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def _final_accuracy(history: list[dict[str, str]]) -> float:
    """Return the last test accuracy; of a trial, which has none, that on validation examples."""
    return float(history[-1]["test_accuracy"] or history[-1]["validation_accuracy"])
