"""SIGKILL at random moments and at every write point: no run is lost, none comes out otherwise."""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

from regbench import runs
from tests.faults import victims
from tests.faults.report import Line, show
from tests.faults.victims import WritePoints

LONG, SHORT = 30, 2  # epochs


def at_random_moments(folder: Path, kills: int, seed: int) -> Line:
    """Kill runs again and again until they finish all the same; compare each with its reference."""
    run, moments = victims.experiment(LONG), random.Random(seed)
    victims.run_to_the_end(run, folder / "reference")
    reference = victims.outcome(run, folder / "reference")
    done = finished = lost = different = number = 0
    while done < kills:
        results = folder / f"run{number}"
        victim = victims.start(run, results)
        # Most of a tiny run is its start; most kills are to hit what is written after it.
        once_begun = moments.random() < 0.75
        moment = moments.uniform(0, 0.4 if once_begun else 2.5)
        code = victims.kill_after(victim, moment, once_begun)
        done += code == -signal.SIGKILL
        show(f"{done} of {kills} kills, {finished} runs finished")
        if code == 0:
            finished += 1
            different += victims.outcome(run, results) != reference
            number += 1
            shutil.rmtree(results)
        else:
            lost += code == 1 or _pretends_to_be_finished(results)
    finished += victims.run_to_the_end(run, results) or _lost(results)
    different += victims.outcome(run, results) != reference
    result = f"{finished} runs finished after them, {different} different, {lost} lost"
    return Line("SIGKILL at a random moment", done, result, not different and not lost)


def _lost(results: Path) -> bool:
    raise AssertionError(Path(f"{results}.log").read_text())


def _pretends_to_be_finished(results: Path) -> bool:
    """Whether a comparison would show a run that was killed before it was complete."""
    complete = list(results.glob("*/summary.json")) if results.exists() else []
    return results.exists() and not complete and len(runs.load(results)) > 0


def at_every_write_point(folder: Path) -> Line:
    """Kill a run at each of its write points, from its start and when it goes on."""
    run = victims.experiment(SHORT)
    victims.run_to_the_end(run, folder / "reference")
    reference = victims.outcome(run, folder / "reference")
    _kill_at(run, folder / "half", 30)
    points = bad = 0
    for begin in (None, folder / "half"):
        point = 0
        while True:
            point += 1
            results = folder / "run"
            shutil.rmtree(results, ignore_errors=True)
            if begin:
                shutil.copytree(begin, results)
            if _kill_at(run, results, point) == 0:
                break
            points += 1
            fine = not _pretends_to_be_finished(results)
            fine = victims.run_to_the_end(run, results) and fine
            bad += not (fine and victims.outcome(run, results) == reference)
            show(f"{points} write points, {bad} bad")
    return Line("SIGKILL at every write point", points, f"{bad} lost or different", not bad)


def _kill_at(run: victims.Experiment, results: Path, point: int) -> int:
    def kill() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    before: Callable[[], object] = WritePoints(point, kill).install
    return victims.wait(victims.start(run, results, before))
