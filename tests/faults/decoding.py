"""SIGKILL while a data set is decoded into the cache: the next run decodes again, and rightly."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from regbench.datasets import cache
from regbench.datasets.splits import ARRAYS, Splits
from tests.faults.report import Line, show
from tests.faults.victims import WritePoints

# Every call of `os` by which an entry of the cache changes what is on the disk.
CALLS = ("fsync", "rename", "replace", "mkdir", "unlink", "rmdir", "open")
EXAMPLES = 2_000
LONGEST = 60.0  # seconds that a lock may be waited for


def killed(folder: Path, kills: int, seed: int) -> Iterator[Line]:
    """Kill a process that decodes, at every write point and at random moments."""
    before = os.environ.get("REGBENCH_DATA")
    os.environ["REGBENCH_DATA"] = str(folder)
    try:
        yield _at_every_point()
        yield _at_random_moments(kills, random.Random(seed))
    finally:
        if before is None:
            del os.environ["REGBENCH_DATA"]
        else:
            os.environ["REGBENCH_DATA"] = before


def _at_every_point() -> Line:
    """Kill at each call that changes the disk: of a new entry, and of one that was damaged."""
    counts: Counter[str] = Counter()
    for damaged in (False, True):
        point = 1
        while True:
            place = cache.entry("made_up", f"{int(damaged)}-{point}")
            if damaged:
                _decode()(place)
                (place / "train_labels.npy").write_bytes(b"damage")
            points = WritePoints(point, lambda: os.kill(os.getpid(), signal.SIGKILL), CALLS)
            if _end_of(_decode(points.install), place) == 0:
                break
            _judge(place, counts)
            show(f"write point {point} of decoding: {dict(counts)}")
            point += 1
    return _line("SIGKILL at every write point of decoding", counts)


def _at_random_moments(kills: int, moments: random.Random) -> Line:
    counts: Counter[str] = Counter()
    place = cache.entry("made_up", "timed")
    began = time.monotonic()
    _end_of(_decode(), place)
    longest = time.monotonic() - began
    for number in range(kills):
        place = cache.entry("made_up", f"random-{number}")
        pid = _started(_decode(), place)
        time.sleep(moments.uniform(0, longest))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        _judge(place, counts)
        show(f"kill {number + 1} of {kills} of decoding: {dict(counts)}")
    return _line("SIGKILL at a random moment of decoding", counts)


def _line(fault: str, counts: Counter[str]) -> Line:
    bad = counts["wrong"] + counts["stuck"] + counts["left"]
    result = (
        f"{counts['wrong']} read otherwise, {counts['stuck']} still locked, "
        f"{counts['left']} with leftovers; {counts['again']} decoded again"
    )
    return Line(fault, counts["kills"], result, not bad and counts["again"] > 0)


def _judge(place: Path, counts: Counter[str]) -> None:
    """Count what a process reads that comes after the kill."""
    counts["kills"] += 1
    found = cache.read(place)
    counts["wrong"] += found is not None and not _is_whole(found)
    counts["again"] += found is None
    decoded = _end_of(_decode(), place)
    counts["stuck"] += decoded != 0
    found = cache.read(place)
    counts["wrong"] += found is None or not _is_whole(found)
    counts["left"] += bool(list(place.parent.glob(f"{cache._prefix(place)}*")))
    shutil.rmtree(place, ignore_errors=True)


def _decode(before: Callable[[], object] = lambda: None) -> Callable[[Path], None]:
    def decode(place: Path) -> None:
        before()
        key = place.name.removesuffix(f"-v{cache.FORMAT}")
        cache.splits("made_up", key, _splits)

    return decode


def _splits() -> Splits:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, EXAMPLES, 8, 8, 1), np.uint8)
    labels = np.arange(2 * EXAMPLES, dtype=np.int64).reshape(2, -1) % 10
    return Splits(images[0], labels[0], images[1], labels[1], tuple("abcdefghij"))


def _is_whole(found: Splits) -> bool:
    whole = _splits()
    return found.classes == whole.classes and all(
        np.array_equal(getattr(found, name), getattr(whole, name)) for name in ARRAYS
    )


def _started(work: Callable[[Path], None], place: Path) -> int:
    pid = os.fork()
    if not pid:
        code = 1
        try:
            work(place)
            code = 0
        finally:
            os._exit(code)
    return pid


def _end_of(work: Callable[[Path], None], place: Path) -> int:
    """Return the exit code of a fork that does some work; 99 if it takes too long."""
    pid = _started(work, place)
    deadline = time.monotonic() + LONGEST
    while not (ended := os.waitpid(pid, os.WNOHANG))[0]:
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return 99
        time.sleep(0.005)
    return os.waitstatus_to_exitcode(ended[1])
