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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
    """A study whose results are shipped: its file, its options, and where its results are."""

    file: Path
    suffix: str = ""
    options: tuple[str, ...] = field(default=())

    @property
    def name(self) -> str:
        return self.file.stem + self.suffix

    @property
    def folder(self) -> Path:
        return RESULTS / self.name

    @property
    def bundle(self) -> Path:
        return self.folder / "runs.zip"

    def first_seed(self) -> str:
        verdicts = json.loads((self.folder / "verdicts.json").read_text(encoding="utf-8"))
        return str(min(verdicts["seeds"]))


# README shows the demo's numbers, which a test compares with those of a demo run.
DEMO = "demo"
# Studies whose runs are still to be made; a result for one of them has to leave this list.
NOT_YET_RUN = ("contest", "interactions", "variance")
STUDIES = [
    Study(path)
    for path in sorted(Path("configs/studies").glob("*.yaml"))
    if path.stem not in (DEMO, *NOT_YET_RUN)
]


@dataclass(frozen=True)
class Finding:
    """Whether a run made now is the shipped one, and what was compared."""

    run: str
    holds: bool
    text: str


def compare(bundle: Path, made: Path) -> list[Finding]:
    """Compare each run folder in `made` with the run of the same name in a bundle."""
    with tempfile.TemporaryDirectory() as folder:
        extract(bundle, Path(folder))
        runs = sorted(path.parent for path in made.glob("*/summary.json"))
        return [_compare(Path(folder) / run.name, run, _allowed(Path(folder), run)) for run in runs]


def _allowed(shipped: Path, made: Path) -> float:
    """Return by how much the final test accuracy may differ, from the spread of the seeds."""
    config = made.name.rpartition("-s")[0]
    seeds = shipped.glob(f"{config}-s*/history.csv")
    finals = [float(_history(path.parent)[-1]["test_accuracy"]) for path in seeds]
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
    final = abs(float(old[-1]["test_accuracy"]) - float(new[-1]["test_accuracy"]))
    holds = len(old) == len(new) and initial <= INITIAL_LOSS and final <= allowed
    # A loss that is not a number compares as false, and so does not hold.
    holds = holds and math.isfinite(initial + final)
    return Finding(
        made.name,
        holds,
        f"another machine: initial loss differs by {initial:.1e} (at most {INITIAL_LOSS:.0e}), "
        f"final test accuracy by {final:.3f} (at most {allowed:.3f})",
    )


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def _history(run: Path) -> list[dict[str, str]]:
    """Return the rows without their seconds, which no two runs share."""
    with (run / "history.csv").open(encoding="utf-8", newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]
