"""Processes that are stopped, doubled, starved or lose their folder: no run is lost."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from regbench import runs
from regbench.execution import failures
from regbench.runs.folder import RunFolder
from regbench.training import train
from regbench.training.train import Job
from tests.faults import kills, victims
from tests.faults.report import Line, show
from tests.faults.victims import WritePoints

EPOCHS = 2


def disturbed(folder: Path, tries: int) -> Iterator[Line]:
    """Disturb tiny runs in five ways, `tries` times each."""
    run = victims.experiment(EPOCHS)
    victims.run_to_the_end(run, folder / "reference")
    reference = victims.outcome(run, folder / "reference")
    for fault, disturb in DISTURBANCES.items():
        counts: Counter[str] = Counter()
        for number in range(tries):
            results = folder / f"{fault.split()[0]}{number}" / "run"
            results.parent.mkdir()
            problem = disturb(run, results, reference, number)
            counts["bad"] += problem is not None
            show(f"{fault}: {number + 1} of {tries}, {counts['bad']} bad: {problem}")
            if problem:
                print(f"\n{fault}, try {number}: {problem:.500}", file=sys.stderr)
        yield Line(fault, tries, f"{counts['bad']} lost, different or unclear", not counts["bad"])


def _stopped(
    run: victims.Experiment, results: Path, reference: victims.Outcome, number: int
) -> str | None:
    """Stop a run at random moments and let it go on, as Ctrl-Z and `fg` do."""
    moments = random.Random(number)
    victim = victims.start(run, results)
    for _ in range(5):
        time.sleep(moments.uniform(0, 0.5))
        os.kill(victim[0], signal.SIGSTOP)
        time.sleep(moments.uniform(0, 0.1))
        os.kill(victim[0], signal.SIGCONT)
    if (code := victims.wait(victim)) != 0:
        return f"ended with {code}"
    return _compare(run, results, reference)


def _doubled(
    run: victims.Experiment, results: Path, reference: victims.Outcome, number: int
) -> str | None:
    """Let two processes train one run in one folder: one does, the other says so."""
    both = [victims.start(run, results), victims.start(run, results)]
    codes = sorted(victims.wait(each) for each in both)
    said = Path(f"{results}.log").read_text()
    if codes not in ([0, 0], [0, 1]):
        return f"ended with {codes}: {said[-300:]}"
    return _compare(run, results, reference)


def _folder_removed(
    run: victims.Experiment, results: Path, reference: victims.Outcome, number: int
) -> str | None:
    """Remove the results folder at a random moment of a run: a clear error, and no half run."""
    moments = random.Random(number)
    points = WritePoints(1 + moments.randrange(60), lambda: _remove(results), kills.CALLS)
    victim = victims.start(run, results, points.install)
    code = victims.wait(victim)
    if code not in (0, 1):
        return f"ended with {code}"
    if code == 0 and not _is_complete(run, results):
        shutil.rmtree(results, ignore_errors=True)
        return "said to be finished, and nothing there"
    if results.exists() and len(runs.load(results)) and not _is_complete(run, results):
        return "half a run is shown"
    victims.run_to_the_end(run, results)
    return _compare(run, results, reference)


def _remove(results: Path) -> None:
    aside = results.with_name("aside")  # at once, as an unmounted disk is gone
    if results.exists() and not aside.exists():
        results.rename(aside)


def _is_complete(run: victims.Experiment, results: Path) -> bool:
    return (RunFolder.of(results, run).path / "summary.json").exists()


def _forced(
    run: victims.Experiment, results: Path, reference: victims.Outcome, number: int
) -> str | None:
    """Kill a run that replaces a finished one, at a write point: one of them is there."""
    victims.run_to_the_end(run, results)

    def before() -> None:
        WritePoints(1 + number * 7, lambda: os.kill(os.getpid(), 9), kills.CALLS).install()

    code = victims.wait(victims.start(run, results, before, restart=True))
    if code not in (0, -signal.SIGKILL):
        return f"ended with {code}"
    frame = runs.load(results)
    if set(frame.name) != {run.name}:
        return f"no finished run after a kill: {sorted(each.name for each in results.iterdir())}"
    victims.run_to_the_end(run, results)
    return _compare(run, results, reference)


def _starved(
    run: victims.Experiment, results: Path, reference: victims.Outcome, number: int
) -> str | None:
    """Run with few open files, small files or little memory: a line, and then it goes on."""
    limit, most = [
        (resource.RLIMIT_NOFILE, 4 + number),
        (resource.RLIMIT_FSIZE, 100 * (number + 1) ** 2),
        (resource.RLIMIT_AS, 2**28 * (number + 1)),
    ][number % 3]
    said = results.with_name("said")

    def before() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(limit, (most, resource.getrlimit(limit)[1]))

    pid = os.fork()
    if not pid:
        code = 1
        try:
            before()
            job = Job(run, results, victims.RUNTIME, ["regbench", "run"])
            train.train(job, lambda kind, figures: None)
            code = 0
        except Exception as error:
            resource.setrlimit(limit, (resource.getrlimit(limit)[1],) * 2)
            said.write_text(failures.message(error))
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code == 1 and (not said.exists() or "\n" in said.read_text()):
        return "no line"
    if code == 0 and (problem := _compare(run, results, reference)):
        return problem
    if code not in (0, 1, -signal.SIGABRT, -signal.SIGSEGV):  # TensorFlow dies without memory
        return f"ended with {code}"
    victims.run_to_the_end(run, results)
    return _compare(run, results, reference)


def _compare(run: victims.Experiment, results: Path, reference: victims.Outcome) -> str | None:
    try:
        different = victims.outcome(run, results) != reference
    except (OSError, KeyError, ValueError) as error:
        return f"no run: {error}"
    return "a different run" if different else None


DISTURBANCES = {
    "SIGSTOP and SIGCONT": _stopped,
    "two processes in one run's folder": _doubled,
    "results removed during a run": _folder_removed,
    "killed while a finished run is replaced": _forced,
    "few open files, small files, little memory": _starved,
}
