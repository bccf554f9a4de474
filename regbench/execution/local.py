"""Runs jobs in worker processes, without depending on Keras.

Every executor has the same form: `(function, jobs, workers, variables) -> generator of Event`. The
function is called as `function(job, emit)` in a worker; what it emits and returns comes back as
events. Jobs may end in any order.
"""

from __future__ import annotations

import contextlib
import heapq
import importlib
import multiprocessing
import os
import pickle
import signal
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Never, TypedDict

from regbench.execution import environment, failures, main_guard, signals
from regbench.execution.failures import Failure

# Reports a kind of event, and figures that belong to it, while a job runs.
Emit = Callable[[str, Mapping[str, float | str | None]], None]
# Takes a job, of whatever type its caller sends; both it and the result are pickled.
Function = Callable[[Never, Emit], object]

# The seconds that a worker may take to finish a step or a measurement and write a checkpoint.
SECONDS_TO_STOP = 60.0
# A worker's death is seldom its job's fault: when memory is short, the system kills any process. A
# job that is at fault, because it needs more memory than there is, dies at every attempt.
REPEATS = 2


class Figures(TypedDict, total=False):
    """What an event says beside its kind, which decides what there is."""

    text: str
    node: str
    done: float
    epoch: int
    step: int
    steps: int
    images_per_second: float | None
    train_accuracy: float | None
    test_accuracy: float | None
    validation_accuracy: float | None


@dataclass(frozen=True)
class Event:
    """An event in job number `job`, of one of these kinds or one that the function emits.

    "started", "done" with its `result`, "failed" with its `failure`, or "repeated": its worker
    died, and the job will be restarted. `figures` belong to an emitted event; those of "repeated"
    contain a `text` to display.
    """

    job: int
    kind: str
    figures: Figures = field(default_factory=Figures)
    result: object = None
    failure: Failure | None = None


Executor = Callable[
    [Function, Sequence[object], int, Mapping[str, str]], Generator[Event, None, None]
]


def local(
    function: Function,
    jobs: Sequence[object],
    workers: int,
    variables: Mapping[str, str],
    patience: float | None = None,
) -> Generator[Event, None, None]:
    """Run jobs in `workers` processes on this machine and yield their events as they arrive.

    A worker sets `variables` in its environment before it imports anything else, and runs one job
    after another, since starting it takes seconds. If a worker dies, its job is retried in a fresh
    one once no other job is waiting, and fails after `REPEATS` retries. Closing the iterator stops
    everything: a job sees this in `signals.stop_requested` and has `patience` seconds, by default a
    minute, to finish; an exception during that time kills it at once. Raises SystemExit in a script
    without a `__main__` guard.
    """
    waiting = deque(range(len(jobs)))
    repeats = dict.fromkeys(waiting, 0)
    pool: list[Worker] = []
    try:
        for _ in range(min(workers, len(jobs))):
            pool.append(_taken(variables) or Worker(variables))
        for worker in pool:
            yield worker.begin(waiting.popleft(), function, jobs)
        while busy := [worker for worker in pool if worker.job is not None]:
            ready = wait([worker.connection for worker in busy])
            for worker in [worker for worker in busy if worker.connection in ready]:
                event = worker.receive()
                main_guard.end_if_met_again(worker.exit_code)
                if not worker.alive and repeats[event.job] < REPEATS:
                    repeats[event.job] += 1
                    waiting.append(event.job)  # put last: by then, the memory it lacked may be free
                    text = f"{worker.death()}; restarting, retry {repeats[event.job]} of {REPEATS}"
                    event = Event(event.job, "repeated", {"text": text})
                yield event
                if event.kind not in ("done", "failed", "repeated"):
                    continue
                worker.job = None
                if waiting:
                    if not worker.alive:
                        worker.kill()
                        pool[pool.index(worker)] = worker = Worker(variables)
                    yield worker.begin(waiting.popleft(), function, jobs)
    finally:
        _end(pool, SECONDS_TO_STOP if patience is None else patience)


# Workers that were started ahead of the call of `local` that will take them.
_ahead: list[Worker] = []


@contextlib.contextmanager
def started(workers: int, variables: Mapping[str, str], imports: Sequence[str]) -> Iterator[None]:
    """Start workers for the calls of `local` inside, which take them over where variables agree.

    They import these modules while the caller does other work: Keras takes seconds. Unused workers
    are ended.
    """
    begun: list[Worker] = []
    try:
        for _ in range(workers):
            begun.append(Worker(variables, imports))
            _ahead.append(begun[-1])
        yield
    finally:
        for worker in begun:
            if worker in _ahead:
                _ahead.remove(worker)
                worker.kill()


def _taken(variables: Mapping[str, str]) -> Worker | None:
    """Return a worker that was started ahead with these variables, if there is one left."""
    for worker in _ahead:
        if worker.variables == variables:
            _ahead.remove(worker)
            return worker
    return None


def makespan(waiting: Sequence[float], busy: Sequence[float]) -> float:
    """Return the seconds until the last job ends, if each goes to the first free worker.

    Args:
        waiting: the seconds of each job that has not started, in order.
        busy: the seconds until each worker is free.
    """
    free = list(busy)
    heapq.heapify(free)
    for each in waiting:
        heapq.heapreplace(free, free[0] + each)
    return max(free, default=0.0)


def _end(pool: list[Worker], patience: float) -> None:
    """Let every worker stop at a point where its job can resume, then end all workers."""
    deadline = time.monotonic() + patience
    try:
        for worker in pool:
            worker.ask_to_stop()
        for worker in pool:
            worker.wait_until(deadline)
    finally:
        for worker in pool:
            worker.kill()


class Worker:
    """A process that takes jobs from a pipe; its output goes to a file, for error messages."""

    def __init__(self, variables: Mapping[str, str], imports: Sequence[str] = ()) -> None:
        main_guard.end_if_imported_by_worker()
        # Not fork: a forked TensorFlow deadlocks, and Windows and macOS do not have it.
        context = multiprocessing.get_context("spawn")
        self.job: int | None = None
        self.alive = True
        self.variables = dict(variables)
        file, name = tempfile.mkstemp(prefix="regbench-worker-", suffix=".log")
        self._output, self._path = os.fdopen(file, encoding="utf-8", errors="replace"), Path(name)
        self.connection, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve,
            args=(theirs, self.variables, self._path, tuple(imports)),
            daemon=True,
        )
        with environment.safe_path():
            self._process.start()
        theirs.close()

    def begin(self, job: int, function: Function, jobs: Sequence[object]) -> Event:
        self.job = job
        with contextlib.suppress(OSError):  # it has died: receive() will report it
            self.connection.send((function, jobs[job]))
        return Event(job, "started")

    def receive(self) -> Event:
        assert self.job is not None
        try:
            kind, figures, result, failure = self.connection.recv()
        except (EOFError, OSError):
            self._process.join()
            self.alive = False
            return Event(self.job, "failed", failure=self._obituary())
        return Event(self.job, kind, figures, result, failure)

    @property
    def exit_code(self) -> int | None:
        """The exit code of the process; None while it runs."""
        return self._process.exitcode

    def death(self) -> str:
        """Return the cause of this dead process's death."""
        return f"its worker died: {failures.cause_of_death(self._process.exitcode or 0)}"

    def ask_to_stop(self) -> None:
        # A closed pipe ends an idle worker; a signal reaches one in the middle of a job.
        if self.job is None:
            self.connection.close()
        else:
            self._process.terminate()

    def wait_until(self, deadline: float) -> None:
        """Wait for the job and the process to end, at most until `deadline`."""
        # Keep reading: a worker blocks when the pipe is full, and would never reach its end.
        with contextlib.suppress(EOFError, OSError):
            while self.job is not None and self.connection.poll(deadline - time.monotonic()):
                if self.receive().kind in ("done", "failed"):
                    self.job = None
        self.connection.close()
        self._process.join(max(0.0, deadline - time.monotonic()) if self.job is None else 0.0)

    def kill(self) -> None:
        """Kill the process."""
        self.connection.close()
        self._process.kill()
        self._process.join()
        self._output.close()
        self._path.unlink(missing_ok=True)

    def _obituary(self) -> Failure:
        self._output.seek(0)
        return failures.of_death(self._process.exitcode or 0, self._output.read())


def _serve(
    connection: Connection[object, object],
    variables: dict[str, str],
    output: Path,
    imports: Sequence[str],
) -> None:
    """Import some modules, then take jobs from the pipe until it is closed."""
    environment.apply(variables)
    file = os.open(output, os.O_WRONLY | os.O_APPEND)
    # Without a name it can't be left behind, however this process and its parent end.
    with contextlib.suppress(OSError):
        output.unlink()
    threading.Thread(target=_die_with_parent, daemon=True).start()
    # Ctrl-C reaches the whole process group; the parent decides when its workers end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(file, 1)
    os.dup2(file, 2)
    with contextlib.suppress(Exception):  # a job that needs a module raises the error again
        for each in imports:
            importlib.import_module(each)

    def send(
        kind: str,
        figures: Mapping[str, float | str | None],
        result: object = None,
        failure: Failure | None = None,
    ) -> None:
        connection.send((kind, figures, result, failure))

    # A broken pipe means that the parent is gone, and nobody is waiting for the rest.
    with contextlib.suppress(EOFError, OSError):
        while True:
            message = connection.recv_bytes()
            try:
                with signals.postponed():
                    # Loads the plugins that the job needs, each of which may have changed since.
                    function, job = pickle.loads(message)
                    result = function(job, send)
            except (BrokenPipeError, ConnectionError):
                raise
            except Exception as error:
                send("failed", {}, failure=failures.of_exception(error))
            else:
                send("done", {}, result)


def _die_with_parent() -> None:
    """End this process when its parent is gone: nobody needs its results, and it holds locks."""
    parent = multiprocessing.parent_process()
    if parent:
        wait([parent.sentinel])
        os._exit(1)
