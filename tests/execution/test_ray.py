"""The executor for Ray, on a real cluster of three nodes on this machine's loopback interface."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from regbench import config, plugins
from regbench.errors import RegbenchError
from regbench.execution import environment, parcel, ray_connection
from regbench.execution import ray as executor
from regbench.execution.cluster import Cluster
from regbench.runs.folder import RunFolder
from regbench.sweeps import sweep
from regbench.sweeps.sweep import Observer
from tests.execution import stub_jobs
from tests.execution.slurm_cluster import free_ports

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(
        importlib.util.find_spec("ray") is None, reason="Ray is not installed (make test-ray does)"
    ),
]

ROOT = Path(__file__).resolve().parents[2]
RUNS = int(os.environ.get("REGBENCH_RAY_RUNS", "24"))
VARIABLES = {"OMP_NUM_THREADS": "1", "KERAS_BACKEND": "tensorflow"}
SMALL = [
    "data.name=shapes", "data.train_examples=100", "data.test_examples=100", "train.epochs=2",
]  # fmt: skip


# Ray gives a new worker a minute to import its libraries, which a busy machine may need for more.
PATIENCE = {"RAY_worker_register_timeout_seconds": "300"}
# A node waits 15 seconds, which no setting changes, for its agents (processes in Python) to write
# the ports that they have chosen, or ends itself. It does not wait for ports that are given.
LISTEN = "dashboard_agent_listen_port"
AGENTS = (
    LISTEN, "metrics_agent_port", "metrics_export_port", "runtime_env_agent_port",
)  # fmt: skip


def node_args(**more):
    return {"num_cpus": 1} | dict(zip(AGENTS, free_ports(len(AGENTS)), strict=True)) | more


def with_every_port(start_ray_process):
    """Give a node's process the one port of its agents that Ray 2.60 does not hand on to it."""

    def start(command, process_type, *args, **kwargs):
        if process_type == "raylet":
            (agents,) = [each for each in command if each.startswith("--dashboard_agent_command=")]
            port = re.search(r"--listen-port=(\d+)", agents)[1]
            command = [*command, f"--{LISTEN}={port}"]
        return start_ray_process(command, process_type, *args, **kwargs)

    return start


@pytest.fixture(scope="module")
def cluster():
    """Start three nodes of one core each; yield the cluster of ray.cluster_utils."""
    from ray._private import services
    from ray.cluster_utils import Cluster as RayCluster

    # A node starts Python afresh: it must find this very source, whatever is installed.
    paths = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", paths)
        for name, value in (ray_connection.SETTINGS | PATIENCE).items():
            patch.setenv(name, value)
        patch.setattr(services, "start_ray_process", with_every_port(services.start_ray_process))
        head = {"include_dashboard": False, "include_log_monitor": False}
        started = RayCluster(initialize_head=True, head_node_args=head | node_args())
        try:
            for _ in range(2):
                started.add_node(**node_args())
            yield started
        finally:
            started.shutdown()


def events_of(cluster, function, jobs, workers=3):
    options = Cluster(cluster.address)
    return list(executor.ray(function, jobs, workers, VARIABLES, options))


def smoke_runs(count, *changes):
    experiment = config.load("configs/smoke.yaml", [*SMALL, *changes])
    return [experiment.with_seed(seed) for seed in range(count)]


def histories(results):
    return {path.parent.name: path.read_bytes() for path in sorted(results.glob("*/history.csv"))}


def descendants_of_nodes():
    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    return [line for line in found.splitlines() if "ray::" in line or "raylet" in line]


def test_every_job_is_started_emits_and_ends_once(cluster):
    events = events_of(cluster, stub_jobs.double, [1, 2, "bad"])
    ended = {event.job: event for event in events if event.kind in ("done", "failed")}
    assert [ended[job].result for job in range(2)] == [2, 4]
    assert ended[2].failure.message == "ValueError: no number"
    for job in range(2):
        kinds = [event.kind for event in events if event.job == job]
        assert kinds == ["started", "half", "done"]


def test_a_job_has_the_priority_of_the_command_and_not_that_which_ray_gives_tasks(cluster):
    (ended,) = [e for e in events_of(cluster, stub_jobs.priority, [0]) if e.kind == "done"]
    assert ended.result == os.nice(0)


def test_closing_lets_jobs_stop_in_order(cluster, tmp_path):
    path = tmp_path / "job"
    running = executor.ray(
        stub_jobs.work_until_stopped, [path], 1, VARIABLES, Cluster(cluster.address)
    )
    while next(running).kind != "asleep":
        pass
    running.close()
    assert path.read_text() == "stopped in order"


class KillsANode(Observer):
    """Kills a node of the cluster once a run on it has finished its first epoch."""

    def __init__(self, cluster):
        self.cluster, self.nodes, self.repeated = cluster, {}, []
        self.victim = next(iter(cluster.worker_nodes))

    def see(self, experiment, event):
        if event.kind == "started":
            self.nodes[experiment.seed] = event.figures["node"]
        elif event.kind == "repeated":
            self.repeated.append(event.figures["text"])
        on_victim = self.victim.node_id[:8] in self.nodes.get(experiment.seed, "")
        if event.kind == "epoch" and on_victim and self.victim in self.cluster.worker_nodes:
            self.cluster.remove_node(self.victim, allow_graceful=False)


def test_runs_of_a_lost_node_resume_elsewhere_and_end_as_local_ones(cluster, tmp_path):
    observer = KillsANode(cluster)
    try:
        outcome = sweep.run(
            smoke_runs(RUNS), tmp_path / "ray", threads=1, probes=False,
            executor="ray", cluster=Cluster(cluster.address), observer=observer,
        )  # fmt: skip
    finally:
        cluster.add_node(**node_args())
    assert len(outcome.done) == RUNS
    assert any("was lost; restarting" in text for text in observer.repeated)
    local = sweep.run(smoke_runs(RUNS), tmp_path / "local", threads=1, jobs=2, probes=False)
    assert len(local.done) == RUNS
    # The seconds of an epoch are in the history, and differ between any two runs.
    assert without_seconds(tmp_path / "ray") == without_seconds(tmp_path / "local")


def without_seconds(results):
    import pandas as pd

    return {
        path.parent.name: pd.read_csv(path).drop(columns="seconds").to_csv()
        for path in sorted(results.glob("*/history.csv"))
    }


def test_a_plugin_reaches_nodes_that_share_no_folder(cluster, tmp_path, monkeypatch):
    file = tmp_path / "mine.py"
    file.write_text(PLUGIN)
    plugins.load(file)
    try:
        (experiment,) = smoke_runs(1, "mine.strength=0.1")
        file.rename(tmp_path / "elsewhere.py")  # as on a node that lacks it
        # A mark that no node sees: as if the results folder were this machine's own.
        monkeypatch.setattr(parcel, "run", parcel.run)
        monkeypatch.setattr(parcel, "marked", unseen(parcel.marked))
        outcome = sweep.run(
            [experiment], tmp_path / "results", probes=False,
            executor="ray", cluster=Cluster(cluster.address),
        )  # fmt: skip
    finally:
        plugins.unload()
    assert len(outcome.done) == 1, outcome.failed
    folder = RunFolder.of(tmp_path / "results", experiment)
    assert folder.is_complete
    assert '"node": ' in (folder.path / "environment.json").read_text()


PLUGIN = """
import regbench

@regbench.regularizer("mine")
class Mine(regbench.Toggle):
    strength: float = 0.0
    optional = True
"""


def unseen(marked):
    import contextlib

    @contextlib.contextmanager
    def elsewhere(jobs):
        with marked(jobs) as mark:
            yield f"{mark}-not-here"

    return elsewhere


def test_a_node_with_another_version_is_refused(cluster, tmp_path):
    other = tmp_path / "regbench-9.9.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: regbench\nVersion: 9.9\n")
    paths = os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]])
    node = cluster.add_node(**node_args(env_vars={"PYTHONPATH": paths}))
    try:
        own = environment.versions()["regbench"]
        with pytest.raises(RegbenchError, match=f"expected regbench {own}, received 9.9"):
            events_of(cluster, stub_jobs.double, [1])
    finally:
        cluster.remove_node(node)


def test_no_process_is_left_of_a_ray_that_was_started_here(cluster):
    cluster.shutdown()
    # In a process of its own: one that has used a cluster without a token can't start one with it.
    done = subprocess.run(
        [sys.executable, "-c", STARTS_RAY], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout.split() == ["started", "done"], done.stderr
    deadline = time.monotonic() + 30
    while descendants_of_nodes() and time.monotonic() < deadline:
        time.sleep(0.5)
    assert descendants_of_nodes() == []


STARTS_RAY = f"""
from regbench.execution import ray
from tests.execution import stub_jobs

for event in ray.ray(stub_jobs.sleep, [0, 0], 2, {VARIABLES}):
    if event.job == 0:
        print(event.kind)
"""
