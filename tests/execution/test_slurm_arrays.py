"""How many jobs the executor for SLURM submits at once, with commands of SLURM that are made up.

`test_slurm.py` has a real one, which is slow to start and not always installed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from regbench.errors import RegbenchError
from regbench.execution import slurm as executor
from regbench.execution import slurm_commands, slurm_task
from regbench.execution.cluster import Cluster
from regbench.execution.failures import Failure
from regbench.execution.local import Event
from tests.execution import stub_jobs

ROOT = Path(__file__).resolve().parents[2]


class MadeUpSlurm:
    """Takes arrays of two jobs and at most `room` jobs; each ends once it is asked about."""

    def __init__(self, room):
        self.room, self.arrays, self.queued = room, [], {}
        self.runs_of_jobs = []

    def submit(self, tasks, folder, workers, threads, options, after=None):
        if len(self.queued) + len(tasks) > self.room:
            raise RegbenchError("--slurm: sbatch refused: too many jobs")
        self.arrays.append((len(tasks), after))
        numbers = [f"{len(self.arrays)}_{index}" for index in range(len(tasks))]
        self.queued |= dict(zip(numbers, tasks, strict=True))
        return numbers

    def queue(self):
        return dict.fromkeys(self.queued, "RUNNING")

    def end_all(self):
        for task in self.queued.values():
            self.runs_of_jobs.append(len(task.runs))
            for run in task.runs:
                slurm_task.append(run.events, Event(0, "done", result=1))
        self.queued.clear()


@pytest.fixture
def slurm(monkeypatch):
    made_up = MadeUpSlurm(room=5)
    for name in ("submit", "queue"):
        monkeypatch.setattr(slurm_commands, name, getattr(made_up, name))
    monkeypatch.setattr(slurm_commands, "require", lambda: None)
    monkeypatch.setattr(slurm_commands, "cancel", lambda jobs: None)
    monkeypatch.setattr(slurm_commands, "longest_array", lambda: 2)
    monkeypatch.setattr(executor, "SECONDS_BEFORE_ANOTHER_TRY", 0.0)

    def sleep(seconds):
        made_up.end_all()

    monkeypatch.setattr(executor.time, "sleep", sleep)
    return made_up


def run(tmp_path, *numbers, slots=3, **options):
    jobs = [stub_jobs.Job(tmp_path, stub_jobs.Named(f"job-{number}"), 0) for number in numbers]
    cluster = Cluster(slurm={"time": "10m"}, **options)
    return executor.slurm(stub_jobs.rest, jobs, slots, {}, cluster)


def test_jobs_beyond_an_array_wait_in_another_one_until_the_first_has_ended(slurm, tmp_path):
    events = list(run(tmp_path, *range(5)))
    assert slurm.arrays == [(2, None), (2, "1_1"), (1, "2_1")]
    assert sorted(event.job for event in events if event.kind == "done") == list(range(5))


def test_jobs_that_slurm_has_no_room_for_are_submitted_once_others_have_ended(slurm, tmp_path):
    events = list(run(tmp_path, *range(9)))
    assert [size for size, _ in slurm.arrays] == [2, 2, 2, 2, 1]
    assert sorted(event.job for event in events if event.kind == "done") == list(range(9))
    (note,) = [event for event in events if event.kind == "note"]
    assert note.job == 4
    assert "too many jobs; trying again once other jobs have ended" in note.figures["text"]


def test_detached_jobs_that_slurm_has_no_room_for_are_submitted_by_a_later_command(slurm, tmp_path):
    with pytest.raises(RegbenchError, match="4 of 9 runs are with SLURM: the same command submits"):
        list(run(tmp_path, *range(9), detach=True))
    slurm.end_all()
    again = list(run(tmp_path, *range(4, 9), detach=True))  # a sweep leaves out finished runs
    assert [size for size, _ in slurm.arrays] == [2, 2, 2, 2, 1]
    assert len(again) == 5


def test_what_slurm_refuses_from_the_start_is_an_error(slurm, tmp_path):
    slurm.room = 1
    with pytest.raises(RegbenchError, match="sbatch refused: too many jobs"):
        list(run(tmp_path, *range(9)))


def test_runs_share_jobs_of_which_each_slot_has_four(slurm, tmp_path):
    slurm.room = 100
    events = list(run(tmp_path, *range(26), slots=2))
    assert slurm.runs_of_jobs == [3] * 8 + [2]
    assert sorted(event.job for event in events if event.kind == "done") == list(range(26))
    assert executor.runs_of_a_job(20_000, 100) == executor.MOST_RUNS_OF_A_JOB


def test_of_a_lost_job_the_runs_that_had_not_ended_are_submitted_again(slurm, tmp_path):
    slurm.room = 100
    first = list(run(tmp_path, *range(8), slots=1, detach=True))
    assert "as SLURM job 2_1" in first[-1].figures["text"]
    ended, lost = slurm.queued.pop("1_0").runs
    slurm_task.append(ended.events, Event(0, "done", result=1))
    slurm_task.append(lost.events, Event(0, "step"))
    # A run that failed is over, though its job still has another one.
    slurm_task.append(slurm.queued["1_1"].runs[0].events, Event(0, "failed", failure=FAILURE))
    texts = [event.figures["text"] for event in run(tmp_path, *range(1, 8), slots=1, detach=True)]
    assert texts[:2] == [
        "SLURM job 1_0 was lost; submitting it again",
        "SLURM job 1_1 failed: no number; submitting it again",
    ]
    assert [len(task.runs) for task in slurm.queued.values()] == [2, 2, 2, 1, 1]


FAILURE = Failure("ValueError", "no number", "")
STOPPED = Failure("Stopped", "stopped", "")


class MadeUpNode:
    """Ends runs with what it is told to, in order; a signal arrives with the last one."""

    def __init__(self, monkeypatch, folder, *outcomes, signal_with_last=None):
        self.outcomes, self.signal, self.requeued = list(outcomes), signal_with_last, []
        monkeypatch.setattr(slurm_task.node, "run", self.run)
        monkeypatch.setattr(slurm_commands, "requeue", self.requeued.append)
        monkeypatch.setenv("SLURM_JOB_ID", "7")
        self.files = [folder / f"{number}.jsonl" for number in range(3)]
        self.task = slurm_task.Task([slurm_task.Share(None, file) for file in self.files], {})

    def run(self, parcel, variables, tell, is_stopping):
        kinds = self.outcomes.pop(0)
        if not self.outcomes and self.signal:
            os.kill(os.getpid(), self.signal)
            assert is_stopping()
        for kind in kinds[:-1]:
            tell(Event(0, kind))
        failure = {"stopped": STOPPED, "failed": FAILURE}.get(kinds[-1])
        return Event(0, "failed" if failure else "done", failure=failure)

    def last_kinds(self):
        read = [slurm_task.read(file, 0)[0] for file in self.files]
        return [events[-1].kind if events else None for events in read]


def test_a_job_trains_its_runs_one_after_the_other_whatever_becomes_of_one(monkeypatch, tmp_path):
    node = MadeUpNode(monkeypatch, tmp_path, ["epoch", "done"], ["failed"], ["done"])
    node.task()
    assert node.last_kinds() == ["done", "failed", "done"]
    assert node.requeued == []


def test_a_job_that_is_queued_again_goes_on_with_the_runs_that_have_not_ended(
    monkeypatch, tmp_path
):
    limit = signal.SIGUSR1
    node = MadeUpNode(monkeypatch, tmp_path, ["done"], ["stopped"], signal_with_last=limit)
    node.task()
    assert node.last_kinds() == ["done", "repeated", None]
    node.outcomes[:] = [["step", "done"]]
    node.task()
    assert node.last_kinds() == ["done", "done", None]
    assert node.requeued == ["7", "7"]
    node.outcomes[:] = [["stopped"]]  # no step in all the time that the job had
    node.task()
    assert node.last_kinds() == ["done", "done", "failed"]
    assert node.requeued == ["7", "7"]


def test_a_job_that_is_cancelled_begins_no_further_run(monkeypatch, tmp_path):
    cancelled = signal.SIGTERM
    node = MadeUpNode(monkeypatch, tmp_path, ["done"], ["stopped"], signal_with_last=cancelled)
    node.task()
    assert node.last_kinds() == ["done", "failed", None]
    assert node.requeued == []


def test_an_array_is_as_long_as_slurm_says(monkeypatch):
    said = "MaxArraySize            = 4001\nMaxDBDMsgs              = 20024\n"
    monkeypatch.setattr(slurm_commands, "_output", lambda *_: said)
    assert slurm_commands.longest_array() == 4001
    monkeypatch.setattr(slurm_commands, "_output", lambda *_: "nothing of that kind")
    assert slurm_commands.longest_array() == 1001


def test_an_array_that_follows_another_keeps_the_dependency_that_the_user_gave():
    given = slurm_commands.parameters({"time": "1h", "dependency": "afterok:7"})
    assert slurm_commands._after(given, "12_999")["dependency"] == "afterok:7,afterany:12"
    assert slurm_commands._after(given, None) is given


def test_a_job_on_a_cluster_starts_without_the_libraries_that_only_training_needs():
    code = (
        "import sys, regbench.execution.slurm_task as _; print({'numpy', 'yaml'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr
