"""A job of SLURM's on its node: trains its runs and writes their events for the driver to read.

The driver and the node share the results folder and nothing else, so events are lines of a file
there, one for each run. A job that nears its time limit gets SIGUSR1: the run writes a checkpoint,
and the job goes back into the queue under its own number, for the runs that are left.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from regbench.execution import node, slurm_commands
from regbench.execution.failures import Failure
from regbench.execution.local import Event
from regbench.execution.parcel import Parcel

# The lock of a process that died with its node lives until the file server has seen it.
SECONDS_UNTIL_UNLOCKED = 180.0
SECONDS_BETWEEN_TRIES = 5.0
TIME_LIMIT = (signal.SIGUSR1, signal.SIGUSR2)
QUEUED_AGAIN = "its time limit is near: a checkpoint is written, and the job queued again"
TOO_SHORT = "the job's time limit leaves no time to train; choose more with --slurm time=..."


@dataclass(frozen=True)
class Share:
    """A run of a job's: its parcel, its file of events, whether an earlier job of it was lost."""

    parcel: Parcel
    events: Path
    again: bool = False


@dataclass(frozen=True)
class Task:
    """What submitit calls on the node: runs that the job trains one after the other."""

    runs: Sequence[Share]
    variables: dict[str, str]

    def __call__(self) -> None:
        """Train the runs; return when they have ended, or once the job is queued again."""
        name = f"{platform.node()} (SLURM job {job_number()})"
        advanced = False
        with _asked_to_stop() as asked:
            for run in self.runs:
                if last(run.events):  # a job that was queued again has all of its runs once more
                    continue
                advanced = self._train(run, name, asked, advanced)
                if asked:
                    break
            node.end()
            if _at_limit(asked) and not all(last(run.events) for run in self.runs):
                slurm_commands.requeue(job_number())

    def _train(self, run: Share, name: str, asked: list[int], advanced: bool) -> bool:
        """Train a run and write its last event; return whether the job has advanced so far."""

        def tell(event: Event) -> None:
            nonlocal advanced
            advanced = advanced or event.kind in ("step", "epoch")
            append(run.events, event)

        event = self._ended(run, name, tell, lambda: bool(asked))
        stopped = event.failure is not None and event.failure.error == "Stopped"
        if stopped and _at_limit(asked):
            event = Event(0, "repeated", {"text": QUEUED_AGAIN})
            if not advanced:
                event = Event(0, "failed", failure=Failure("TimeLimit", TOO_SHORT, ""))
        append(run.events, event)
        return advanced or event.kind == "done"

    def _ended(
        self, run: Share, name: str, tell: Callable[[Event], None], is_stopping: Callable[[], bool]
    ) -> Event:
        """Train a run once its folder is unlocked; return its last event."""
        deadline = time.monotonic() + SECONDS_UNTIL_UNLOCKED
        while True:
            variables = node.variables(self.variables, name)
            event = node.run(run.parcel, variables, tell, is_stopping)
            busy = event.failure is not None and event.failure.error == "RunBusy"
            if not (busy and run.again) or time.monotonic() > deadline or is_stopping():
                return event
            time.sleep(SECONDS_BETWEEN_TRIES)


def job_number() -> str:
    """Return the number of this job: 12, or 12_3 in an array."""
    array, index = (os.environ.get(f"SLURM_ARRAY_{each}_ID") for each in ("JOB", "TASK"))
    return f"{array}_{index}" if array else os.environ.get("SLURM_JOB_ID", "")


def append(path: Path, event: Event) -> None:
    """Add an event to the file as one line, which is there at once or not at all."""
    line = json.dumps(asdict(event)) + "\n"
    with path.open("a", encoding="utf-8") as file:
        file.write(line)


def read(path: Path, offset: int) -> tuple[list[Event], int]:
    """Return the events after a place in a file, and the place behind them."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            content = file.read()
    except OSError:  # the job has not started
        return [], offset
    whole = content[: content.rfind(b"\n") + 1]
    return [_event(line) for line in whole.splitlines()], offset + len(whole)


def last(path: Path) -> Event | None:
    """Return the event with which a run has ended; None if it has not."""
    events, _ = read(path, 0)
    return events[-1] if events and events[-1].kind in ("done", "failed") else None


def _event(line: bytes) -> Event:
    content = json.loads(line)
    failure = content.pop("failure")
    return Event(**content, failure=Failure(**failure) if failure else None)


def _at_limit(asked: Sequence[int]) -> bool:
    return bool(asked) and asked[0] in TIME_LIMIT


@contextlib.contextmanager
def _asked_to_stop() -> Iterator[list[int]]:
    """Collect, in this block, the signals that ask for an end."""
    asked: list[int] = []
    numbers = (signal.SIGTERM, *TIME_LIMIT)
    before = {
        number: signal.signal(number, lambda number, _: asked.append(number)) for number in numbers
    }
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
