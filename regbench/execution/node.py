"""One job on a node of a cluster, in a worker process that is kept for the next one.

The cluster's own process imports no numerical library and does not fork; a job that exhausts the
memory takes its worker with it, and the cluster sees an ordinary failure.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import types
from collections.abc import Callable, Iterator, Mapping

from regbench.execution import failures
from regbench.execution import parcel as parcels
from regbench.execution.environment import NODE
from regbench.execution.local import REPEATS, SECONDS_TO_STOP, Event, Worker
from regbench.execution.parcel import Parcel

SECONDS_BETWEEN_QUESTIONS = 1.0
SECONDS_BETWEEN_STEPS = 1.0
DATA = "REGBENCH_DATA"

_kept: list[tuple[dict[str, str], Worker]] = []


def variables(wanted: Mapping[str, str], node: str) -> dict[str, str]:
    """Return the variables of a worker on this node: its name, and its own cache where it has one.

    A cluster that gives each job some of the node's GPUs says so with CUDA_VISIBLE_DEVICES.
    """
    found = {key: value for key, value in wanted.items() if key != DATA or DATA not in os.environ}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return {**({"CUDA_VISIBLE_DEVICES": visible} if visible else {}), **found, NODE: node}


def run(
    parcel: Parcel,
    wanted: dict[str, str],
    tell: Callable[[Event], None],
    is_stopping: Callable[[], bool],
) -> Event:
    """Run a job and return its last event, "done" or "failed"; `tell` gets those before it.

    Once `is_stopping`, which is asked every second, the job has a minute to write a checkpoint.
    """
    for retry in range(1, REPEATS + 2):
        worker = _taken(wanted) or _started(wanted)
        try:
            tell(worker.begin(0, parcels.run, [parcel]))
            event = _followed(worker, tell, is_stopping)
        except BaseException:
            worker.kill()
            raise
        if worker.alive:
            worker.job = None
            _kept.append((wanted, worker))
            return event
        death = worker.death()
        worker.kill()
        if retry > REPEATS or is_stopping():
            break
        text = f"{death}; restarting, retry {retry} of {REPEATS}"
        tell(Event(0, "repeated", {"text": text}))
    return event


def end() -> None:
    """End the workers that are kept."""
    while _kept:
        _kept.pop()[1].kill()


def _followed(
    worker: Worker, tell: Callable[[Event], None], is_stopping: Callable[[], bool]
) -> Event:
    """Pass a worker's events on until its job ends; return the last one."""
    told, deadline = 0.0, None
    while True:
        if worker.connection.poll(SECONDS_BETWEEN_QUESTIONS):
            event = worker.receive()
            if event.kind in ("done", "failed"):
                return event
            now = time.monotonic()
            # A thousand runs would send more steps than anybody reads.
            if event.kind != "step" or now - told > SECONDS_BETWEEN_STEPS:
                told = now
                tell(event)
        if deadline is None and is_stopping():
            deadline = time.monotonic() + SECONDS_TO_STOP
            worker.ask_to_stop()
        if deadline and time.monotonic() > deadline:
            worker.kill()
            worker.alive = False
            return Event(0, "failed", failure=failures.of_death(worker.exit_code or 0, ""))


def _taken(wanted: Mapping[str, str]) -> Worker | None:
    """Return a kept worker with these variables; end the others, which hold memory."""
    while _kept:
        its, worker = _kept.pop()
        if its == wanted and worker.exit_code is None:
            return worker
        worker.kill()
    return None


def _started(wanted: dict[str, str]) -> Worker:
    with _no_main(), _ignored():
        return Worker(wanted)


@contextlib.contextmanager
def _ignored() -> Iterator[None]:
    """Let processes that start in this block ignore signals which only this one understands.

    SLURM sends those before a time limit to every process of a job, and they would end a worker.
    """
    numbers = [getattr(signal, each) for each in ("SIGUSR1", "SIGUSR2") if hasattr(signal, each)]
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _no_main() -> Iterator[None]:
    """Keep workers from importing the cluster's program, which is `__main__` in this process."""
    before = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = before
