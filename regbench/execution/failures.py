"""Explains why a job failed in one line: the error, its place and a remedy."""

from __future__ import annotations

import errno
import signal
import traceback
from dataclasses import dataclass

from regbench.errors import RegbenchError
from regbench.text import raised

# Also the names in TensorFlow and torch, neither of which is imported here.
OUT_OF_MEMORY = ("MemoryError", "ResourceExhaustedError", "OutOfMemoryError")
MORE_MEMORY = "try fewer --jobs, or a smaller train.batch_size"
RESUMES = "the same command resumes from the last checkpoint"
CHOOSE = "choose a folder that can be written"
ADVICE = {
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room",
    errno.EROFS: CHOOSE,
    errno.EACCES: CHOOSE,
    errno.EPERM: CHOOSE,
}
# Further advice if a run failed.
ADVICE_FOR_RUNS = {"make room": f"; {RESUMES}", CHOOSE: " with --results"}


@dataclass(frozen=True)
class Failure:
    """Why a job failed: the exception's class name, its message, and all details."""

    error: str
    message: str
    details: str


def of_exception(error: BaseException) -> Failure:
    """Return the failure for an exception that is being handled."""
    details = "".join(traceback.format_exception(error))
    text = message(error)
    advice = _advice(error)
    if advice:
        text += ADVICE_FOR_RUNS[advice]
    return Failure(type(error).__name__, text, details)


def of_death(exit_code: int, output: str) -> Failure:
    """Return the failure for a process that ended with this code (-9 for signal 9)."""
    text = f"the worker process died: {cause_of_death(exit_code)}; {RESUMES}"
    return Failure("WorkerDied", text, "\n".join([text, *output.strip().splitlines()[-20:]]))


def cause_of_death(exit_code: int) -> str:
    """Return the cause for a process's exit code, and advice."""
    if exit_code >= 0:
        return f"exit code {exit_code}"
    cause = f"signal {signal.Signals(-exit_code).name}"
    if exit_code == -signal.SIGKILL:
        cause += f", often sent when memory runs out: {MORE_MEMORY}"
    return cause


def message(error: BaseException) -> str:
    """Return the message for an error; an unexpected one is named by its class."""
    name, text = type(error).__name__, str(error).strip()
    if isinstance(error, RegbenchError):
        return text
    if name in OUT_OF_MEMORY:
        return f"out of memory: {MORE_MEMORY}"
    if isinstance(error, OSError) and error.strerror:
        advice = _advice(error)
        where = error.filename or "input or output"
        return f"{where}: {error.strerror}" + (f"; {advice}" if advice else "")
    return raised(error)


def _advice(error: BaseException) -> str | None:
    return ADVICE.get(error.errno or 0) if isinstance(error, OSError) else None
