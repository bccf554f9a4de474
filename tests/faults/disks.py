"""A disk that is full at every write: one clear line, nothing damaged, and then it goes on."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from regbench.execution import failures
from regbench.runs import loading
from regbench.runs.files import HISTORY
from regbench.runs.folder import RunFolder
from regbench.training import checkpoints, train
from regbench.training.train import Job
from tests.faults import lanes, victims
from tests.faults.report import Line, show
from tests.faults.victims import WritePoints

EPOCHS = 1
PAGE = 4096
ENOUGH = 1000 * PAGE
# The calls that take up space on a disk, or first notice that there is none.
CALLS = ("fsync", "replace", "mkdir")
FULL = "No space left on device; make room"


def full_at_every_size(folder: Path) -> Iterator[Line]:
    """Run on file systems of every size, from one page to as many as a run needs."""
    fault = "ENOSPC on a file system of every size"
    if os.geteuid() != 0:
        yield Line(fault, 0, "left out: only root can mount a tiny file system", True)
        return

    def work(lane: int, count: int, own: Path) -> Counter[str]:
        reference, counts = _reference(own), Counter[str]()
        for pages in range(1 + lane, 1000, count):
            with _tiny(own / "tiny", pages * PAGE) as disk:
                message = _train(disk)
                if message is None:
                    break
                fine = _is_clear(message) and _is_whole(disk)
                _resize(disk, ENOUGH)
                _count(counts, fine and _goes_on(disk, reference), message)
            show(f"{own.name}: {pages} pages, {dict(counts)}: {message}")
        return counts

    yield _line(fault, lanes.run(work, folder))


def full_at_every_call(folder: Path) -> Iterator[Line]:
    """Let each mkdir, fsync and rename of a run say that the disk is full."""

    def work(lane: int, count: int, own: Path) -> Counter[str]:
        reference, counts = _reference(own), Counter[str]()
        results, point = own / "run", 1 + lane
        while True:
            shutil.rmtree(results, ignore_errors=True)
            points = WritePoints(point, _full, CALLS)
            points.install()
            message = _train(results)
            points.remove()
            if points.count < point:
                return counts
            if message is None:  # of a folder that is there already, nobody needs to hear
                fine = victims.outcome(victims.experiment(EPOCHS), results) == reference
            else:
                fine = _is_clear(message) and _is_whole(results)
            _count(counts, fine and _goes_on(results, reference), message or "")
            show(f"{own.name}: call {point}, {dict(counts)}: {message}")
            point += count

    yield _line("ENOSPC from every mkdir, fsync and rename", lanes.run(work, folder))


def _line(fault: str, counts: Counter[str]) -> Line:
    bad = counts["bad"] + counts["crashed"]
    result = f"{bad} corrupt or unclear; {counts['model']} while Keras saved the model"
    return Line(fault, counts["tries"], result, not bad and counts["model"] > 0)


def _count(counts: Counter[str], fine: bool, message: str) -> None:
    counts["tries"] += 1
    counts["bad"] += not fine
    counts["model"] += "model.keras" in message


def _full() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _is_clear(message: str) -> bool:
    return FULL in message and "\n" not in message


def _reference(folder: Path) -> victims.Outcome:
    assert _train(folder / "reference") is None
    return victims.outcome(victims.experiment(EPOCHS), folder / "reference")


def _train(results: Path) -> str | None:
    """Train; return the line that a user would read of an error, None for a run that finished."""
    job = Job(victims.experiment(EPOCHS), results, victims.RUNTIME, ["regbench", "run"])
    try:
        train.train(job, lambda kind, figures: None)
    except Exception as error:
        return failures.message(error)
    return None


def _goes_on(results: Path, reference: victims.Outcome) -> bool:
    finished = _train(results) is None
    return finished and victims.outcome(victims.experiment(EPOCHS), results) == reference


def _is_whole(results: Path) -> bool:
    """Whether everything that has its name is complete, and no temporary file is left."""
    folder = RunFolder.of(results, victims.experiment(EPOCHS))
    if not folder.path.exists():
        return True
    for path in folder.path.glob("*.json"):
        json.loads(path.read_text())
    history = folder.path / "history.csv"
    if history.exists():
        loading.parse_history(history.read_text())
        assert history.read_text().startswith(",".join(HISTORY))
    for path in checkpoints._newest_first(folder.checkpoints):
        checkpoints._read(path, checkpoints.CONTENT)
    return not list(folder.path.rglob(".*.tmp*"))


@contextmanager
def _tiny(place: Path, size: int) -> Iterator[Path]:
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def _resize(place: Path, size: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", place], check=True)
