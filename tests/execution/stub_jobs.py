"""Jobs for executors that do next to nothing; a module, so that other processes can import it."""

from __future__ import annotations

import os
import signal
import time
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


def die(path, emit):
    os.kill(os.getpid(), signal.SIGKILL)


def work_until_stopped(path, emit):
    Path(path).write_text(str(os.getpid()))
    emit("asleep", {})
    while not signals.stop_requested():
        time.sleep(0.01)
    Path(path).write_text("stopped in order")
    raise signals.Stopped("stopped")
