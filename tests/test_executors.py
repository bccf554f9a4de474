"""Worker processes: events, failures, deaths and endings, without Keras."""

import os
import signal
import time
from pathlib import Path

import pytest

from regbench.executors import local


def double(number, emit):
    emit("half", {"number": number})
    return 2 * number


def fail_on_two(number, emit):
    if number == 2:
        raise ValueError("two is not welcome")
    return number


def die_on_two(number, emit):
    if number == 2:
        os.write(2, b"last words\n")
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def process_and_variable(_, emit):
    return os.getpid(), os.environ["REGBENCH_TEST"]


def write_pid_and_sleep(path, emit):
    Path(path).write_text(str(os.getpid()))
    emit("asleep", {})
    time.sleep(60)


def results(function, jobs, workers=2, variables=None):
    events = list(local(function, jobs, workers, variables or {}))
    return {event.job: event for event in events if event.kind in ("done", "failed")}, events


def test_every_job_is_started_emits_and_ends_once():
    ended, events = results(double, [1, 2, 3])
    assert [ended[job].result for job in range(3)] == [2, 4, 6]
    for job in range(3):
        kinds = [event.kind for event in events if event.job == job]
        assert kinds == ["started", "half", "done"]


def test_a_worker_serves_job_after_job_with_its_variables_set():
    ended, _ = results(process_and_variable, list(range(4)), 1, {"REGBENCH_TEST": "yes"})
    assert {event.result for event in ended.values()} == {(ended[0].result[0], "yes")}
    assert ended[0].result[0] != os.getpid()


def test_an_exception_fails_its_job_alone():
    ended, _ = results(fail_on_two, [1, 2, 3])
    assert [ended[job].kind for job in range(3)] == ["done", "failed", "done"]
    failure = ended[1].failure
    assert (failure.error, failure.message) == ("ValueError", "ValueError: two is not welcome")
    assert "fail_on_two" in failure.details


def test_a_killed_worker_fails_its_job_alone_and_is_replaced():
    ended, _ = results(die_on_two, [2, 1, 3], workers=1)
    assert [ended[job].kind for job in range(3)] == ["failed", "done", "done"]
    failure = ended[0].failure
    assert "SIGKILL" in failure.message
    assert "last words" in failure.details


def test_closing_the_iterator_ends_every_worker(tmp_path):
    jobs = [tmp_path / "0", tmp_path / "1"]
    events = local(write_pid_and_sleep, jobs, 2, {})
    asleep = 0
    while asleep < 2:
        asleep += next(events).kind == "asleep"
    pids = [int(path.read_text()) for path in jobs]
    events.close()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_no_jobs_need_no_worker():
    assert list(local(double, [], 2, {})) == []
