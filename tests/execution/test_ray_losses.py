"""How the driver of the executor for Ray takes losses, with a Ray that is made up and runs nothing.

`test_ray.py` has the same with a real one, which is slow to start and not always installed.
"""

from __future__ import annotations

import itertools
import os
from types import SimpleNamespace

import pytest

from regbench.errors import RegbenchError
from regbench.execution import ray as executor
from regbench.execution import ray_connection
from regbench.execution.cluster import Cluster
from regbench.execution.failures import Failure
from regbench.execution.local import Event


class RayError(Exception):
    pass


class RayTaskError(RayError):
    cause = ValueError("no number")


class MadeUpRay:
    """Answers each task with the next of the outcomes of its job; keeps what it was asked for."""

    exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)

    def __init__(self, outcomes, mail=()):
        self.outcomes, self.mail = outcomes, list(mail)
        self.cancelled, self.declared, self.attempts, self.stopped = [], [], [], False
        scheduling = SimpleNamespace(NodeAffinitySchedulingStrategy=lambda *_, **__: None)
        self.util = SimpleNamespace(scheduling_strategies=scheduling)
        self.clock = itertools.count()

    def get_runtime_context(self):
        return SimpleNamespace(get_node_id=lambda: "node")

    def remote(self, **declared):
        self.declared.append(declared)
        return lambda thing: self if thing is executor._work else self._actor()

    def _actor(self):
        def stop():
            self.stopped = True

        def take():
            return [self.mail.pop(0)] if self.mail else []

        box = SimpleNamespace(take=SimpleNamespace(remote=take), stop=SimpleNamespace(remote=stop))
        made = SimpleNamespace(remote=lambda: box)
        return SimpleNamespace(options=lambda **_: made)

    def task(self, parcel, variables, mailbox, job, attempt):
        self.attempts.append((job, attempt))
        return (job, attempt, next(self.clock))

    def wait(self, tasks, num_returns, timeout):
        ready = [task for task in tasks if self.outcomes[task[0]]]
        return ready[:num_returns], []

    def get(self, asked):
        if not isinstance(asked, tuple):
            return asked
        outcome = self.outcomes[asked[0]].pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def cancel(self, task, force=False):
        self.cancelled.append((task[0], force))

    def kill(self, actor):
        pass


def done(result=1):
    return Event(0, "done", result=result)


def failed(error):
    return Event(0, "failed", failure=Failure(error, "message", "details"))


@pytest.fixture
def running(monkeypatch):
    """Make the executor's jobs with a made-up Ray that has these outcomes."""

    def start(outcomes, workers=2, mail=()):
        library = MadeUpRay(outcomes, mail)
        monkeypatch.setattr(ray_connection, "library", lambda: library)
        monkeypatch.setattr(executor, "SECONDS_BETWEEN_LOOKS", 0.001)
        monkeypatch.setattr(executor, "SECONDS_BEFORE_ANOTHER_TRY", 0.01)
        count = len(outcomes)
        jobs = executor._Jobs([None] * count, [None] * count, {}, workers, 3, 0.5)
        jobs.task = SimpleNamespace(remote=library.task)
        return library, jobs

    return start


def kinds(events, job=0):
    return [event.kind for event in events if event.job == job]


def test_each_task_declares_its_cores_and_gpus_and_leaves_retries_to_the_driver(running):
    library, jobs = running([[done()]])
    assert kinds(jobs.events()) == ["done"]
    (declared,) = [each for each in library.declared if each["num_cpus"]]
    assert (declared["num_cpus"], declared["num_gpus"], declared["max_retries"]) == (3, 0.5, 0)


def test_a_job_of_a_lost_node_is_restarted_after_the_others(running):
    library, jobs = running([[RayError("node died"), done()], [done()], [done()]], workers=1)
    events = list(jobs.events())
    assert kinds(events) == ["repeated", "done"]
    assert "was lost; restarting, retry 1 of 10" in events[0].figures["text"]
    assert library.attempts == [(0, 0), (1, 0), (2, 0), (0, 1)]


def test_a_job_that_loses_every_node_fails_in_the_end(running):
    _, jobs = running([[RayError("node died")] * 20])
    events = list(jobs.events())
    assert kinds(events) == ["repeated"] * executor.MOST_LOSSES + ["failed"]
    assert events[-1].failure.error == "NodeLost"
    assert "the same command resumes" in events[-1].failure.message


def test_a_lock_that_a_lost_node_still_holds_is_waited_for(running, monkeypatch):
    busy = failed("RunBusy")
    _, jobs = running([[RayError("node died"), busy, busy, done()]])
    assert kinds(jobs.events()) == ["repeated"] * 3 + ["done"]
    monkeypatch.setattr(executor, "SECONDS_UNTIL_UNLOCKED", 0.0)
    _, jobs = running([[RayError("node died"), busy]])
    assert kinds(jobs.events()) == ["repeated", "failed"]


def test_a_run_that_another_command_trains_is_not_waited_for(running):
    _, jobs = running([[failed("RunBusy")]])
    assert kinds(jobs.events()) == ["failed"]


def test_events_of_a_node_that_was_believed_lost_are_dropped(running):
    late = (0, 0, Event(0, "epoch", {"epoch": 1}))
    _, jobs = running([[RayError("node died"), done()]])
    events = []
    for event in jobs.events():
        events.append(event)
        if event.kind == "repeated":
            ray_connection.library().mail.append(late)
    assert kinds(events) == ["repeated", "done"]


def test_an_error_of_the_task_is_the_failure_of_its_job(running):
    _, jobs = running([[RayTaskError()], [done()]])
    events = list(jobs.events())
    assert kinds(events) == ["failed"]
    assert next(e for e in events if e.job == 0).failure.message == "ValueError: no number"


def test_closing_asks_started_tasks_to_stop_and_drops_the_others(running):
    library, jobs = running([[], []], mail=[(0, 0, Event(0, "started", {"node": "here"}))])
    assert next(jobs.events()).kind == "started"
    jobs.end()
    assert library.stopped
    assert [job for job, force in library.cancelled if not force] == [1]
    assert [job for job, force in library.cancelled if force] == [0, 1]


class StartsLate:
    """A Ray that does not start at the first attempts."""

    def __init__(self, failures):
        self.failures, self.tried, self.ended = failures, 0, 0

    def init(self, **wanted):
        self.tried += 1
        self.paths = os.environ.get("PYTHONPATH")
        if self.tried <= self.failures:
            raise Exception("The current node timed out during startup.")

    def shutdown(self):
        self.ended += 1


def connect(monkeypatch, library, address=None, **variables):
    monkeypatch.setattr(ray_connection, "library", lambda: library)
    monkeypatch.setattr(ray_connection.os, "environ", variables)
    with ray_connection.connected(Cluster(address), 1):
        pass


def test_a_ray_that_a_busy_machine_does_not_start_in_time_is_started_again(monkeypatch):
    library = StartsLate(failures=2)
    connect(monkeypatch, library)
    assert (library.tried, library.ended) == (3, 3)
    with pytest.raises(RegbenchError, match=r"Ray did not start on this machine: .*timed out"):
        connect(monkeypatch, StartsLate(failures=3))


def test_a_cluster_that_does_not_answer_is_asked_once(monkeypatch):
    library = StartsLate(failures=1)
    with pytest.raises(RegbenchError, match="expected a Ray cluster at head:6379, received"):
        connect(monkeypatch, library, "head:6379")
    assert library.tried == 1


def test_a_ray_that_is_started_finds_packages_whose_path_is_relative(monkeypatch, tmp_path):
    """Ray's processes start in an empty folder, where `.` is no folder with packages."""
    monkeypatch.chdir(tmp_path)
    library = StartsLate(failures=0)
    connect(monkeypatch, library, PYTHONPATH=os.pathsep.join([".", "", "libs", "/usr/libs"]))
    expected = [str(tmp_path), str(tmp_path / "libs"), "/usr/libs"]
    assert library.paths.split(os.pathsep) == expected
