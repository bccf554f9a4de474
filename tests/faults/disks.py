"""A disk that is full at every write: one clear line, nothing damaged, and then it goes on."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from regbench import checkpoints, failures, runs, train
from regbench.runs import HISTORY, RunFolder
from regbench.train import Job
from tests.faults import victims
from tests.faults.report import Line, show
from tests.faults.victims import WritePoints

EPOCHS = 1
PAGE = 4096
ENOUGH = 1000 * PAGE


def full_at_every_size(folder: Path) -> Line:
    """Run on file systems of every size, from one page to as many as a run needs."""
    fault = "ENOSPC on a file system of every size"
    if os.geteuid() != 0:
        return Line(fault, 0, "left out: only root can mount a tiny file system", True)
    return _in_a_victim(folder, lambda: _every_size(folder, fault))


def full_at_every_call(folder: Path) -> Line:
    """Let each fsync and rename of a run say that the disk is full."""
    return _in_a_victim(folder, lambda: _every_call(folder, "ENOSPC from every fsync and rename"))


def _every_size(folder: Path, fault: str) -> Line:
    reference = _reference(folder)
    tries = bad = 0
    for pages in range(1, 1000):
        with _tiny(folder / "tiny", pages * PAGE) as disk:
            message = _train(disk)
            if message is None:
                break
            tries += 1
            fine = "No space left on device" in message and _is_whole(disk)
            _resize(disk, ENOUGH)
            bad += not (fine and _goes_on(disk, reference))
        show(f"{fault}: {tries}, {bad} bad: {message}")
    return Line(fault, tries, f"{bad} corrupt", not bad)


def _every_call(folder: Path, fault: str) -> Line:
    reference = _reference(folder)
    fsync, replace = os.fsync, os.replace
    tries = bad = 0
    while True:
        results = folder / "run"
        shutil.rmtree(results, ignore_errors=True)
        WritePoints(tries + 1, _full).install()
        message = _train(results)
        os.fsync, os.replace = fsync, replace
        if message is None:
            return Line(fault, tries, f"{bad} corrupt", not bad)
        tries += 1
        fine = "No space left on device" in message and _is_whole(results)
        bad += not (fine and _goes_on(results, reference))
        show(f"{fault}: {tries}, {bad} bad: {message}")


def _full() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _in_a_victim(folder: Path, campaign: Callable[[], Line]) -> Line:
    """Compute in a fork: this process must not, or it could fork no more."""
    answer, told = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(told, json.dumps(campaign()).encode())
        os._exit(0)
    os.close(told)
    with os.fdopen(answer) as pipe:
        content = pipe.read()
    os.waitpid(pid, 0)
    return Line(*json.loads(content)) if content else Line("ENOSPC", 0, "the run crashed", False)


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
        list(runs._history(history.read_text()))
        assert history.read_text().startswith(",".join(HISTORY))
    for path in checkpoints._newest_first(folder.checkpoints):
        checkpoints._read(path)
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
