"""What does not need a cluster: shares of its machines, parcels, returned runs, SLURM's words."""

import os
import pickle
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from regbench import plugins
from regbench.errors import RegbenchError
from regbench.execution import executors, node, parcel, returned, slurm_commands, slurm_task
from regbench.execution.cluster import Capacity, Cluster, Node, gpus_of_a_run
from regbench.execution.failures import Failure
from regbench.execution.local import Event
from regbench.runs.files import CHECKPOINTS, SUMMARY
from regbench.sweeps.schedule import Resources
from regbench.training import train
from tests import made_up_runs
from tests.execution import stub_jobs


@pytest.mark.parametrize(
    ("nodes", "gpus", "runs", "jobs", "threads", "expected"),
    [
        ([4, 2], 0, 100, None, None, (6, 1)),
        ([4, 2], 0, 1, None, None, (1, 1)),  # a single run computes as one of many does
        ([4, 3], 0, 100, None, 2, (3, 2)),  # a run does not span nodes
        ([4, 2], 0, 100, 5, None, (5, 1)),
        ([(8, 1)], 0.25, 100, None, None, (4, 1)),
        ([(8, 1), (8, 0)], 1, 100, None, None, (1, 1)),
    ],
)
def test_runs_share_the_nodes_of_a_cluster(nodes, gpus, runs, jobs, threads, expected):
    machines = [Node(*each) if isinstance(each, tuple) else Node(each) for each in nodes]
    resources = Resources(jobs=jobs, threads=threads, machines=Capacity("x", machines, gpus))
    assert resources.share(runs) == expected


def test_a_run_that_fits_no_node_is_an_error():
    with pytest.raises(RegbenchError, match="expected a node with 8 CPU cores"):
        Capacity("Ray", [Node(4), Node(4)]).share(3, None, 8)


def test_a_run_gets_a_gpu_where_there_is_one_and_none_on_the_cpu():
    assert gpus_of_a_run(None, "auto", [Node(2), Node(2, 1)]) == 1
    assert gpus_of_a_run(None, "auto", [Node(2)]) == 0
    assert gpus_of_a_run(0.25, "gpu", [Node(2, 1)]) == 0.25
    assert gpus_of_a_run(0.25, "cpu", [Node(2, 1)]) == 0


@pytest.mark.parametrize(
    ("executor", "cluster", "message"),
    [
        ("local", Cluster(address="a:1"), "--address: expected --executor ray, received local"),
        ("ray", Cluster(detach=True), "--detach: expected --executor slurm, received ray"),
        ("rya", Cluster(), 'did you mean "ray"'),
    ],
)
def test_an_option_of_another_executor_is_refused(executor, cluster, message):
    with pytest.raises(RegbenchError, match=message):
        executors.capacity(executor, cluster)


def run_in_another_process(sent, code=""):
    """Open a pickled parcel in a process without plugins, after some code."""
    program = f"""
        import pickle, sys
        from regbench.execution import parcel
        {code}
        print(parcel.run(pickle.load(sys.stdin.buffer), lambda *_: None))
    """
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        input=pickle.dumps(sent),
        capture_output=True,
        cwd=Path(__file__).resolve().parents[2],
    )


def pixels_of(experiment, emit):
    return [experiment.run_name, sorted(plugins.names("dataset"))]


def test_a_plugin_that_only_the_sender_has_reaches_the_machine(tmp_path):
    from regbench import config

    file = tmp_path / "mine.py"
    file.write_text(
        "import regbench\n\n@regbench.dataset('mine')\ndef load(data, seed):\n    return None\n"
    )
    plugins.load(file)
    try:
        experiment = config.load("configs/smoke.yaml", ["data.name=mine"])
        (sent,) = parcel.pack(pixels_of, [experiment], {}, "")
    finally:
        plugins.unload()
    file.unlink()
    done = run_in_another_process(sent)
    assert done.returncode == 0, done.stderr.decode()
    assert "'mine'" in done.stdout.decode()


def test_a_machine_with_another_version_is_refused():
    (sent,) = parcel.pack(stub_jobs.double, [2], {"KERAS_BACKEND": "tensorflow"}, "")
    other = replace(sent, versions={**sent.versions, "numpy": "1.0"})
    with pytest.raises(parcel.OtherVersions, match=r"expected numpy 1\.0, received \d"):
        parcel.run(other, print)
    with pytest.raises(parcel.OtherVersions, match="regbench's source"):
        parcel.run(replace(sent, versions=sent.versions | {"regbench's source": "x"}), print)


def write_run(job, emit):
    made_up_runs.write_run(job.results, job.experiment, 1, 2, False)
    return "result"


def returned_run(tmp_path):
    from regbench import config

    job = train.Job(config.load("configs/smoke.yaml"), tmp_path, None, [])
    sent = replace(job, results=tmp_path / "results")
    (tmp_path / "results").mkdir()
    return sent, returned.train(write_run, sent, print)


def test_a_run_comes_back_whole_where_the_results_are_not_shared(tmp_path):
    job, bundled = returned_run(tmp_path)
    assert bundled.result == "result"
    assert not any(job.results.iterdir())  # nothing is written where the node would have
    folder = job.results / job.experiment.run_name
    (folder / CHECKPOINTS / "000001-000000000").mkdir(parents=True)  # an attempt on this machine
    (folder / "history.csv").write_text("left over")
    returned.unpack(bundled, job)
    made_up_runs.write_run(tmp_path / "there", job.experiment, 1, 2, False)
    expected = tmp_path / "there" / job.experiment.run_name
    for path in expected.rglob("*.*"):
        assert (folder / path.name).read_bytes() == path.read_bytes()
    assert not (folder / CHECKPOINTS).exists()
    assert [path.name for path in job.results.iterdir()] == [folder.name]


def test_a_run_that_comes_back_damaged_leaves_the_folder_as_it_was(tmp_path):
    job, bundled = returned_run(tmp_path)
    folder = job.results / job.experiment.run_name
    folder.mkdir()
    (folder / "history.csv").write_text("left over")
    with pytest.raises(RegbenchError):
        returned.unpack(replace(bundled, content=bundled.content[:-40]), job)
    assert [path.name for path in folder.iterdir()] == ["history.csv"]
    assert [path.name for path in job.results.iterdir()] == [folder.name]


def test_a_parcel_is_opened_in_place_only_where_its_mark_is(tmp_path):
    job, _ = returned_run(tmp_path)
    with parcel.marked([job]) as mark:
        (sent,) = parcel.pack(write_run, [job], {}, mark)
        assert parcel.run(sent, print) == "result"
        assert (job.results / job.experiment.run_name / SUMMARY).is_file()
    assert isinstance(parcel.run(sent, print), returned.Bundled)


def test_a_job_on_a_node_has_a_process_that_the_next_one_uses_too():
    (sent,) = parcel.pack(stub_jobs.sleep, [0], {}, "")
    told = []
    try:
        events = [node.run(sent, {"A": "1"}, told.append, lambda: False) for _ in range(2)]
        other = node.run(sent, {"A": "2"}, told.append, lambda: False)
    finally:
        node.end()
    assert events[0].result == events[1].result not in (os.getpid(), other.result)
    assert [event.kind for event in told] == ["started"] * 3


def test_a_job_that_kills_its_process_fails_after_retries():
    (sent,) = parcel.pack(stub_jobs.die, [0], {}, "")
    told = []
    event = node.run(sent, {}, told.append, lambda: False)
    assert event.failure.error == "WorkerDied"
    assert [each.kind for each in told] == ["started", "repeated"] * 2 + ["started"]


def test_a_job_on_a_node_that_is_to_stop_ends_at_its_next_step(tmp_path):
    path = tmp_path / "job"
    (sent,) = parcel.pack(stub_jobs.work_until_stopped, [path], {}, "")
    told = []
    event = node.run(sent, {}, told.append, lambda: any(e.kind == "asleep" for e in told))
    node.end()
    assert event.failure.error == "Stopped"
    assert path.read_text() == "stopped in order"


def test_a_worker_ignores_the_signals_before_a_time_limit():
    (sent,) = parcel.pack(stub_jobs.signal_itself, [signal.SIGUSR1], {}, "")
    event = node.run(sent, {}, print, lambda: False)
    node.end()
    assert event.result == "alive"


def test_events_are_read_once_they_are_written_whole(tmp_path):
    path, failure = tmp_path / "events", Failure("ValueError", "no", "no\nmore")
    sent = [Event(0, "epoch", {"loss": float("inf")}), Event(0, "failed", failure=failure)]
    for event in sent:
        slurm_task.append(path, event)
    with path.open("a") as file:
        file.write('{"job": 0, "ki')
    found, place = slurm_task.read(path, 0)
    assert found == sent
    assert slurm_task.read(path, place) == ([], place)
    assert slurm_task.read(tmp_path / "none", 0) == ([], 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"partition": "gpu"}, "expected the time limit of a job, received none"),
        ({"time": "1h", "Partition": "x"}, "expected an option of sbatch .* received 'Partition'"),
        ({"time": "1h", "array": "0-9"}, "expected an option of sbatch .* received 'array'"),
    ],
)
def test_options_that_sbatch_does_not_take_are_refused(options, message):
    with pytest.raises(RegbenchError, match=message):
        slurm_commands.parameters(options)


def test_a_time_limit_is_given_as_for_a_budget_or_as_slurm_has_it():
    assert slurm_commands.parameters({"time": "1h30m"})["time"] == "90"
    assert slurm_commands.parameters({"time": "1-00:00:00"})["time"] == "1-00:00:00"
    assert slurm_commands.parameters({"time": "90s"})["time"] == "2"
