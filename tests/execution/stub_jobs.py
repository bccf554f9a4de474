"""Jobs for executors that do next to nothing; a module, so that other processes can import it."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from regbench.execution import signals


def double(number, emit):
    if number == "bad":
        raise ValueError("no number")
    emit("half", {"number": number})
    return 2 * number


def sleep(seconds, emit):
    time.sleep(seconds)
    return os.getpid()


def priority(number, emit):
    return os.nice(0)


def die(path, emit):
    os.kill(os.getpid(), signal.SIGKILL)


def signal_itself(number, emit):
    os.kill(os.getpid(), number)
    return "alive"


def work_until_stopped(path, emit):
    Path(path).write_text(str(os.getpid()))
    emit("asleep", {})
    while not signals.stop_requested():
        time.sleep(0.01)
    Path(path).write_text("stopped in order")
    raise signals.Stopped("stopped")


@dataclass(frozen=True)
class Named:
    """In place of an experiment, which a run's name comes from."""

    run_name: str


@dataclass(frozen=True)
class Job:
    """A job with a results folder, as training has it."""

    results: Path
    experiment: Named
    seconds: float
    restart: bool = False


def rest(job, emit):
    time.sleep(job.seconds)
    return job.seconds


def count_and_stop(job, emit):
    """Count to the job's seconds, a count a second, from where the last attempt stopped."""
    path = job.results / f"{job.experiment.run_name}.count"
    count = int(path.read_text()) if path.exists() else 0
    while count < job.seconds:
        if signals.stop_requested():
            raise signals.Stopped(f"stopped at {count}; the same command resumes it")
        time.sleep(1)
        count += 1
        path.write_text(str(count))
        emit("step", {"epoch": 1, "step": count, "steps": job.seconds})
    return count
