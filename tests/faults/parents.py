"""Whole sweeps of two workers, whose parent is killed, starved, or has a clock that jumps."""

from __future__ import annotations

import functools
import os
import random
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from regbench.config import Experiment
from regbench.errors import RegbenchError
from regbench.runs.folder import RunFolder
from regbench.sweeps import sweep
from regbench.training import train
from tests.faults import victims
from tests.faults.report import Line, show

EPOCHS = 12
RUNS = 4
DAY = 86_400.0
# Seconds that a worker may outlive its parent: a step of a tiny run takes some milliseconds.
LONGEST = 5.0
FEW_FILES = (8, 12, 16, 24, 40)
FEW_PROCESSES = (1, 2, 4)
NOBODY = 65_533  # a user that has no other processes


def disturbed(folder: Path, tries: int) -> Iterator[Line]:
    """Kill parents alone, let clocks jump, and leave a sweep few files and processes."""
    runs = [victims.experiment(EPOCHS).with_seed(seed) for seed in range(RUNS)]
    assert victims.exit_code(_sweep(runs, folder / "reference")) == 0
    reference = [victims.outcome(each, folder / "reference") for each in runs]
    yield _orphaned(folder, runs, reference, tries)
    yield _jumping(folder, runs, reference)
    yield _few(folder, runs, reference)


def _sweep(
    runs: Sequence[Experiment], results: Path, before: Callable[[], object] = lambda: None
) -> int:
    """Fork the parent of a sweep of two jobs, which calls `before`; return its process id."""

    def body() -> int:
        try:
            before()
            return sweep.run(runs, results, jobs=2, threads=1, device="cpu").exit_code
        except (OSError, RegbenchError) as error:
            print(f"Error: {error}", flush=True)
            return 1

    return victims.forked(f"{results}.log", body)


def _orphaned(
    folder: Path, runs: Sequence[Experiment], reference: Sequence[victims.Outcome], tries: int
) -> Line:
    """Kill the parent of a sweep alone, and look at what its workers still do."""
    counts: Counter[str] = Counter()
    slowest = 0.0
    for number in range(tries):
        results = folder / f"orphaned{number}"
        pid = _sweep(runs, results)
        _until(lambda results=results: list(results.glob("*/history.csv")), 120)
        time.sleep(random.Random(number).uniform(0, 1.5))
        workers = _descendants(pid)
        os.kill(pid, signal.SIGKILL)
        victims.exit_code(pid)
        began = time.monotonic()
        counts["alive"] += not _until(lambda workers=workers: not any(map(_is_alive, workers)), 60)
        slowest = max(slowest, time.monotonic() - began)
        counts["orphans"] += len(workers)
        counts["locked"] += any(not _is_free(results, each) for each in runs)
        before = _files(results)
        time.sleep(1)
        counts["writing"] += _files(results) != before
        counts["lost"] += victims.exit_code(_sweep(runs, results)) != 0
        counts["different"] += _outcomes(runs, results) != reference
        show(f"{number + 1} of {tries} parents killed, {dict(counts)}, {slowest:.1f} s")
    bad = sum(counts[each] for each in ("alive", "locked", "writing", "lost", "different"))
    return Line(
        "SIGKILL of the parent of two workers alone",
        tries,
        f"{counts['orphans']} processes left, the last ended {slowest:.1f} s later; "
        f"{counts['locked']} locked, {counts['writing']} still writing, {counts['lost']} lost, "
        f"{counts['different']} different",
        not bad and slowest < LONGEST and counts["orphans"] > 0,
    )


def _until(is_so: Callable[[], object], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _descendants(pid: int) -> list[int]:
    """Return the processes below one, by their numbers, without those that have ended."""
    parents: dict[int, int] = {}
    for each in Path("/proc").iterdir():
        if each.name.isdigit() and (found := _stat(int(each.name))):
            parents[int(each.name)] = int(found[1])
    below, last = [], {pid}
    while last := {each for each, parent in parents.items() if parent in last}:
        below.extend(last)
    return [each for each in below if _is_alive(each)]


def _stat(pid: int) -> list[str] | None:
    """Return a process's state, its parent's number, and more; None if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _is_alive(pid: int) -> bool:
    found = _stat(pid)
    return found is not None and found[0] not in "ZX"


def _is_free(results: Path, run: Experiment) -> bool:
    try:
        with RunFolder.of(results, run).lock():
            return True
    except RegbenchError:
        return False


def _files(results: Path) -> dict[str, tuple[int, int]]:
    found = {}
    for path in results.rglob("*"):
        state = path.stat()
        found[str(path)] = state.st_mtime_ns, state.st_size
    return found


def _outcomes(runs: Sequence[Experiment], results: Path) -> list[victims.Outcome] | list[str]:
    try:
        return [victims.outcome(each, results) for each in runs]
    except (OSError, KeyError, ValueError) as error:
        return [str(error)]


def _jumping(
    folder: Path, runs: Sequence[Experiment], reference: Sequence[victims.Outcome]
) -> Line:
    """Let the clocks of the parent and of its workers jump by days, and back to 1970."""
    results = folder / "jumping"
    began = time.monotonic()

    def before() -> None:
        _let_clock_jump(os.getpid())
        sweep.train = train_while_clock_jumps  # type: ignore[attr-defined]

    code = victims.exit_code(_sweep(runs, results, before))
    longest = time.monotonic() - began
    problems = [] if code == 0 else [f"ended with {code}"]
    if not problems:
        import json

        found = [RunFolder.of(results, each).path for each in runs]
        seconds = [json.loads((each / "summary.json").read_text())["seconds"] for each in found]
        problems += [f"{each} seconds" for each in seconds if not 0 < each < longest]
        problems += ["different"] * (_outcomes(runs, results) != reference)
    for each in problems:
        print(f"\na clock that jumps: {each}", file=sys.stderr)
    result = f"{len(problems)} failed, different, or with durations that can't be"
    return Line("a clock that jumps by days, in all processes", len(runs), result, not problems)


def train_while_clock_jumps(job: train.Job, emit: Callable[[str, dict[str, Any]], None]) -> object:
    """Train in a worker whose clock jumps."""
    _let_clock_jump(job.experiment.seed)
    return train.train(job, emit)


def _let_clock_jump(seed: int) -> None:
    moments, real = random.Random(seed), time.time

    def jumping() -> float:
        now = real()
        return now + moments.choice((0.0, 0.0, DAY, -DAY, 2 * DAY, -now))

    time.time = jumping
    time.time_ns = lambda: int(jumping() * 1e9)


def _few(folder: Path, runs: Sequence[Experiment], reference: Sequence[victims.Outcome]) -> Line:
    """Leave a sweep few open files, then few processes: a line, and later it goes on."""
    bad = refused = 0
    limits = [(resource.RLIMIT_NOFILE, most) for most in FEW_FILES]
    limits += [(resource.RLIMIT_NPROC, most) for most in FEW_PROCESSES]
    for number, (limit, most) in enumerate(limits):
        results = folder / f"few{number}"
        results.mkdir(mode=0o777)
        results.chmod(0o777)
        code = victims.exit_code(_sweep(runs[:2], results, functools.partial(_limit, limit, most)))
        said = Path(f"{results}.log").read_text(errors="replace")
        refused += code != 0
        problem = None
        if "Traceback" in said or code not in (0, 1, 3):
            problem = f"ended with {code}: {said[-300:]}"
        elif victims.exit_code(_sweep(runs[:2], results)) != 0 or (
            _outcomes(runs[:2], results) != reference[:2]
        ):
            problem = "lost or different"
        bad += problem is not None
        show(f"{'files' if limit == resource.RLIMIT_NOFILE else 'processes'}: {most}: {problem}")
        if problem:
            print(f"\n{most} of {limit}: {problem:.500}", file=sys.stderr)
    result = f"{bad} lost, different or unclear; {refused} refused"
    return Line("a sweep with few open files or processes", len(limits), result, not bad)


def _limit(limit: int, most: int) -> None:
    if limit == resource.RLIMIT_NPROC and os.geteuid() == 0:  # whom it does not bind
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    resource.setrlimit(limit, (most, most))
