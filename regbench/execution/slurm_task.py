"""A job of SLURM's on its node: runs one parcel and writes its events for the driver to read.

The driver and the node share the results folder and nothing else, so events are lines of a file
there. A job that nears its time limit gets SIGUSR1: the run writes a checkpoint, and the job goes
back into the queue under its own number.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import signal
import time
from collections.abc import Callable, Iterator
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
TOO_SHORT = "the job's time limit leaves no time to train; choose more with --slurm time=..."


@dataclass
class Task:
    """What submitit calls on the node; `again` says that an earlier job of this run was lost."""

    parcel: Parcel
    variables: dict[str, str]
    events: Path
    again: bool = False

    def __call__(self) -> None:
        """Run the parcel; return when it has ended, or once the job is queued again."""
        name = f"{platform.node()} (SLURM job {job_number()})"
        advanced = False

        def tell(event: Event) -> None:
            nonlocal advanced
            advanced = advanced or event.kind in ("step", "epoch")
            append(self.events, event)

        with _asked_to_stop() as asked:
            event = self._run(name, tell, lambda: bool(asked))
        node.end()
        stopped = event.failure is not None and event.failure.error == "Stopped"
        if not stopped or asked[:1] not in [[number] for number in TIME_LIMIT]:
            append(self.events, event)
        elif not advanced:
            append(self.events, Event(0, "failed", failure=Failure("TimeLimit", TOO_SHORT, "")))
        else:
            text = "its time limit is near: a checkpoint is written, and the job queued again"
            append(self.events, Event(0, "repeated", {"text": text}))
            slurm_commands.requeue(job_number())

    def _run(
        self, name: str, tell: Callable[[Event], None], is_stopping: Callable[[], bool]
    ) -> Event:
        deadline = time.monotonic() + SECONDS_UNTIL_UNLOCKED
        while True:
            variables = node.variables(self.variables, name)
            event = node.run(self.parcel, variables, tell, is_stopping)
            busy = event.failure is not None and event.failure.error == "RunBusy"
            if not (busy and self.again) or time.monotonic() > deadline or is_stopping():
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


def _event(line: bytes) -> Event:
    content = json.loads(line)
    failure = content.pop("failure")
    return Event(**content, failure=Failure(**failure) if failure else None)


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
