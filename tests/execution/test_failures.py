"""What people read of an error: one line that says what, where and what to do."""

import errno

import pytest

from regbench.errors import RunFailed
from regbench.execution import failures


class ResourceExhaustedError(Exception):
    """Named as TensorFlow names it."""


def full(number=errno.ENOSPC, path="results/run/history.csv"):
    return OSError(number, "No space left on device", path)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RunFailed("in use"), "in use"),
        (ValueError("two\nlines"), "ValueError: two"),
        (ValueError(), "ValueError: no message"),
        (full(), "results/run/history.csv: No space left on device; make room"),
        (full(errno.EROFS), "history.csv: No space left on device; choose a folder that can be"),
        (full(path=None), "input or output: No space left on device; make room"),
        (full(errno.EIO), "results/run/history.csv: No space left on device"),
        (MemoryError(), "out of memory: try fewer --jobs"),
        (ResourceExhaustedError("OOM when\nallocating"), "out of memory: try fewer --jobs"),
    ],
)
def test_an_error_is_one_line_with_advice(error, expected):
    message = failures.message(error)
    assert expected in message
    assert "\n" not in message
    assert failures.of_exception(error).error == type(error).__name__


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "make room; the same command resumes from the last checkpoint"),
        (errno.EROFS, "choose a folder that can be written with --results"),
    ],
)
def test_a_run_is_told_more_than_a_command_that_writes_a_page(number, advice):
    error = full(number)
    assert failures.of_exception(error).message.endswith(f"No space left on device; {advice}")
    assert not failures.message(error).endswith(advice)


def test_a_killed_worker_is_told_why_that_happens_and_what_it_said_last():
    failure = failures.of_death(-9, "one\n" * 30 + "last words\n")
    assert failure.message.startswith("the worker process died: signal SIGKILL, often sent when")
    assert "resumes from the last checkpoint" in failure.message
    assert failure.details.splitlines()[-1] == "last words"
    assert len(failure.details.splitlines()) == 21
    assert failures.of_death(3, "").message.startswith("the worker process died: exit code 3;")
