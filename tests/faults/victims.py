"""Tiny runs to be killed: real ones, in processes of their own, with faults at chosen moments.

A victim is forked from a process that has imported TensorFlow and computed nothing with it: that
saves the seconds of the import. What it runs is `regbench.train.train`, untouched; faults come from
functions of `os` that are replaced in the victim alone.
"""

from __future__ import annotations

import csv
import io
import os
import signal
import time
import traceback
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from regbench import config
from regbench.config import Experiment
from regbench.execution.environment import Runtime
from regbench.runs.files import HISTORY
from regbench.runs.folder import RunFolder
from regbench.training import train
from regbench.training.train import Job

RUNTIME = Runtime("tensorflow", "cpu", 1)
# All that has a state, on a few hundred weights; a checkpoint after every step.
TINY = [
    "data.name=shapes",
    "data.train_examples=70",  # three full batches and one that is not
    "data.test_examples=20",
    "model.blocks=[2]",
    "model.convolutions=1",
    "model.head=global_average_pooling",
    "model.dense=[4]",
    "dropout.dense=0.5",
    "batch_norm=true",
    "train.batch_size=20",
    "train.schedule=cosine",
    "train.checkpoint_minutes=1e-9",
]
Outcome = tuple[list[list[str]], dict[str, bytes]]


def prepare() -> None:
    """Set the variables of a worker and import what forking is to save; compute nothing."""
    os.environ.update(RUNTIME.variables())
    import h5py  # noqa: F401
    import keras  # noqa: F401
    import tensorflow  # noqa: F401


def experiment(epochs: int, *overrides: str) -> Experiment:
    return config.load("configs/baseline.yaml", [*TINY, f"train.epochs={epochs}", *overrides])


def start(
    run: Experiment,
    results: Path,
    before: Callable[[], object] = lambda: None,
    restart: bool = False,
) -> tuple[int, int]:
    """Fork a victim that calls `before` and trains; return its process id and a pipe.

    With `restart` it trains a finished run again.

    The number of every epoch comes through the pipe at its end, as a byte. The exit code is 0 for a
    run that finished, 1 for one that raised; the traceback is then in `<results>.log`.
    """
    begun, told = os.pipe()

    def body() -> int:
        before()
        train.train(Job(run, results, RUNTIME, ["regbench", "run"], restart), _tell(told))
        return 0

    pid = forked(f"{results}.log", body)
    os.close(told)
    return pid, begun


def forked(log: str, body: Callable[[], int]) -> int:
    """Fork a process that ends with the code `body` returns, 1 if it raises; return its id.

    What it prints, and the traceback, are in the file `log`.
    """
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, 1)
        os.dup2(file, 2)
        code = body()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def exit_code(pid: int) -> int:
    """Wait for a process; return its exit code, or minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _tell(pipe: int) -> Callable[[str, dict[str, Any]], None]:
    def emit(kind: str, figures: dict[str, Any]) -> None:
        if kind == "epoch":
            os.write(pipe, bytes([figures["epoch"]]))

    return emit


def wait(victim: tuple[int, int]) -> int:
    """Return a victim's `exit_code`."""
    pid, pipe = victim
    code = exit_code(pid)
    os.close(pipe)
    return code


def kill_after(victim: tuple[int, int], epoch: int, seconds: float) -> tuple[int, int]:
    """Kill a victim some seconds after it has trained an epoch; 0 stands for its start.

    Returns its exit code and the last epoch that it is known to have trained, 0 for none.
    """
    pid, pipe = victim
    reached = 0
    while reached < epoch and (told := os.read(pipe, 1)):  # nothing if it ended before
        reached = told[0]
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    return wait(victim), reached


def run_to_the_end(run: Experiment, results: Path) -> bool:
    return wait(start(run, results)) == 0


def outcome(run: Experiment, results: Path) -> Outcome:
    """Return the history without its seconds, and the bytes of every weight that was saved."""
    folder = RunFolder.of(results, run).path
    seconds = HISTORY.index("seconds")
    rows = list(csv.reader(io.StringIO((folder / "history.csv").read_text())))
    return [row[:seconds] + row[seconds + 1 :] for row in rows], _weights(folder / "model.keras")


def _weights(path: Path) -> dict[str, bytes]:
    import h5py

    weights = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            weights[name] = item[()].tobytes()

    with zipfile.ZipFile(path) as archive:
        content = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(content, "r") as file:
        file.visititems(visit)
    return weights


class WritePoints:
    """Counts calls of some functions of `os` in this process; a fault happens at one of them.

    Every file of a run is written by `regbench.files`: under a temporary name, synced, renamed, its
    folder synced. Between two of these calls nothing is promised, so that a fault before each of
    them is a fault at every point that matters.
    """

    def __init__(self, point: int, fault: Callable[[], object], calls: Iterable[str]) -> None:
        self.count = 0
        self.point = point
        self.fault = fault
        self.originals = {name: getattr(os, name) for name in calls}

    def install(self) -> None:
        for name, call in self.originals.items():
            setattr(os, name, self._counted(call))

    def remove(self) -> None:
        for name, call in self.originals.items():
            setattr(os, name, call)

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            self.count += 1
            if self.count == self.point:
                self.fault()
            return call(*arguments, **options)

        return counted
