"""SIGKILL at random moments and at every write point: no run is lost, none comes out otherwise."""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from regbench import runs
from tests.faults import lanes, victims
from tests.faults.report import Line, show
from tests.faults.victims import WritePoints

LONG, SHORT = 30, 1  # epochs
# Every call by which a run changes what is on the disk, but for writes into temporary files.
CALLS = ("fsync", "replace", "mkdir", "unlink", "rmdir")


def at_random_moments(folder: Path, kills: int, seed: int) -> Iterator[Line]:
    """Kill runs again and again until they finish all the same; compare each with its reference."""
    run = victims.experiment(LONG)
    victims.run_to_the_end(run, folder / "reference")
    reference = victims.outcome(run, folder / "reference")

    def work(lane: int, count: int, own: Path) -> Counter[str]:
        share = len(range(lane, kills, count))
        return _kill_randomly(run, own, share, random.Random(f"{seed} {lane}"), reference)

    counts = lanes.run(work, folder)
    result = (
        f"{counts['finished']} runs finished after them, {counts['different']} different, "
        f"{counts['lost']} lost"
    )
    bad = counts["different"] + counts["lost"] + counts["crashed"]
    yield Line("SIGKILL at a random moment", counts["kills"], result, not bad)


def _kill_randomly(
    run: victims.Experiment,
    folder: Path,
    kills: int,
    moments: random.Random,
    reference: victims.Outcome,
) -> Counter[str]:
    counts: Counter[str] = Counter()
    results = folder / "run"
    reached = 0
    while counts["kills"] < kills:
        epoch, seconds = _moment(moments, reached)
        code, seen = victims.kill_after(victims.start(run, results), epoch, seconds)
        reached = max(reached, seen)
        counts["kills"] += code == -signal.SIGKILL
        if code == 0:
            counts += _finished(run, results, reference)
            reached = 0
        else:
            counts["lost"] += code == 1 or _pretends_to_be_finished(results)
        show(f"{folder.name}: {counts['kills']} of {kills} kills, {dict(counts)}")
    if results.exists():
        counts["lost"] += not victims.run_to_the_end(run, results)
        counts += _finished(run, results, reference)
    return counts


def _moment(moments: random.Random, reached: int) -> tuple[int, float]:
    """Return when to kill: the epoch to wait for, and the seconds after it.

    Half of a tiny run is its start, and a good part its end, where it writes model, probes and
    summary. A kill in ten at the start is enough; the others move on, some epochs each.
    """
    if moments.random() < 0.1:
        return 0, moments.uniform(0, 2.5)
    epoch = min(LONG, reached + moments.randint(1, 6))
    return epoch, moments.uniform(0, 1.5 if epoch == LONG else 0.1)


def _finished(run: victims.Experiment, results: Path, reference: victims.Outcome) -> Counter[str]:
    different = victims.outcome(run, results) != reference
    shutil.rmtree(results)
    return Counter(finished=1, different=int(different))


def _pretends_to_be_finished(results: Path) -> bool:
    """Whether a comparison would show a run that was killed before it was complete."""
    complete = list(results.glob("*/summary.json")) if results.exists() else []
    return results.exists() and not complete and len(runs.load(results)) > 0


def at_every_write_point(folder: Path) -> Iterator[Line]:
    """Kill a run at each of its write points, from its start and when it goes on."""
    run = victims.experiment(SHORT)
    victims.run_to_the_end(run, folder / "reference")
    reference = victims.outcome(run, folder / "reference")
    half = folder / "half"
    _kill_at(run, half, 20)

    def work(lane: int, count: int, own: Path) -> Counter[str]:
        counts: Counter[str] = Counter()
        for begin in (None, half):
            point = lane + 1
            while _is_survived(run, begin, own / "run", point, reference, counts):
                point += count
                show(f"{own.name}: write point {point}, {dict(counts)}")
        return counts

    counts = lanes.run(work, folder)
    bad = counts["bad"] + counts["crashed"]
    result = f"{bad} lost or different"
    yield Line("SIGKILL at every write point", counts["points"], result, not bad)


def _is_survived(
    run: victims.Experiment,
    begin: Path | None,
    results: Path,
    point: int,
    reference: victims.Outcome,
    counts: Counter[str],
) -> bool:
    """Kill a run at a point, count what came of it; False if it has no such point."""
    shutil.rmtree(results, ignore_errors=True)
    if begin:
        shutil.copytree(begin, results)
    code = _kill_at(run, results, point)
    if code == 0:
        return False
    counts["points"] += 1
    fine = code == -signal.SIGKILL and not _pretends_to_be_finished(results)
    fine = victims.run_to_the_end(run, results) and fine
    counts["bad"] += not (fine and victims.outcome(run, results) == reference)
    return True


def _kill_at(run: victims.Experiment, results: Path, point: int) -> int:
    def kill() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    before: Callable[[], object] = WritePoints(point, kill, CALLS).install
    return victims.wait(victims.start(run, results, before))
