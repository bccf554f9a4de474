"""The executor for SLURM, on a real SLURM of one node and two slots, started for the tests."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from regbench import config
from regbench.execution import slurm as executor
from regbench.execution import slurm_commands
from regbench.execution.cluster import Cluster
from regbench.sweeps import sweep
from regbench.sweeps.sweep import Observer
from tests.execution import slurm_cluster, stub_jobs

REASON = slurm_cluster.missing() or (
    None if importlib.util.find_spec("submitit") else "not installed: submitit"
)
pytestmark = [pytest.mark.slurm, pytest.mark.skipif(REASON is not None, reason=REASON or "")]

ROOT = Path(__file__).resolve().parents[2]
VARIABLES = {"OMP_NUM_THREADS": "1", "KERAS_BACKEND": "tensorflow"}
RUNS = int(os.environ.get("REGBENCH_SLURM_RUNS", "12"))


@pytest.fixture(scope="module", autouse=True)
def running_slurm(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slurm")
    for parent in (folder, *folder.parents[:3]):
        parent.chmod(0o755)  # munged insists on folders that others can't write
    paths = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", paths)
        for name, value in slurm_cluster.start(folder).items():
            patch.setenv(name, value)
        try:
            yield
        finally:
            slurm_cluster.stop(folder)


def jobs_of(results, *seconds):
    return [
        stub_jobs.Job(results, stub_jobs.Named(f"job-{index}"), each)
        for index, each in enumerate(seconds)
    ]


def run(function, jobs, **options):
    cluster = Cluster(slurm={"time": "10m"} | options.pop("slurm", {}), **options)
    return executor.slurm(function, jobs, 2, VARIABLES, cluster)


def ends(events):
    return {event.job: event.result for event in events if event.kind == "done"}


def test_a_job_that_was_cancelled_is_submitted_again_and_goes_on_where_it_was(tmp_path):
    cancelled, events = False, []
    for event in run(stub_jobs.count_and_stop, jobs_of(tmp_path, 5, 5)):
        events.append(event)
        if event.kind == "step" and not cancelled:
            recorded = json.loads((tmp_path / executor.FOLDER / executor.JOBS).read_text())
            slurm_commands.cancel([recorded[f"job-{event.job}"]["number"]])
            cancelled = True
    assert ends(events) == {0: 5, 1: 5}
    assert "was lost; submitting it again" in texts(events)


def test_a_job_past_its_time_limit_is_queued_again_and_goes_on_where_it_was(tmp_path):
    # The first job has a minute and a half; a busy machine may take half a minute to start it.
    limit = {"time": "3", "signal": "USR1@90"}
    events = list(run(stub_jobs.count_and_stop, jobs_of(tmp_path, 110), slurm=limit))
    assert ends(events) == {0: 110}
    assert "its time limit is near: a checkpoint is written" in texts(events)


def test_detached_jobs_are_told_of_later_and_those_that_are_lost_submitted_again(tmp_path):
    jobs = jobs_of(tmp_path, 20, 20)
    first = texts(run(stub_jobs.count_and_stop, jobs, detach=True))
    numbers = [line.rpartition(" ")[2] for line in first.splitlines()]
    assert len(set(numbers)) == 2
    slurm_commands.cancel([numbers[0]])
    while numbers[0] in slurm_commands.queue():
        time.sleep(1)
    second = texts(run(stub_jobs.count_and_stop, jobs, detach=True))
    assert f"SLURM job {numbers[0]}" in second
    assert "submitting it again" in second
    assert f"as SLURM job {numbers[1]}" in second  # followed, not submitted twice
    assert ends(run(stub_jobs.count_and_stop, jobs)) == {0: 20, 1: 20}


def texts(events):
    return "\n".join(event.figures["text"] for event in events if "text" in event.figures)


def test_closing_cancels_the_jobs(tmp_path):
    running = run(stub_jobs.count_and_stop, jobs_of(tmp_path, 300))
    while next(running).kind != "step":
        pass
    running.close()
    assert slurm_commands.queue() == {}


def test_a_job_that_fails_says_why(tmp_path):
    (job,) = jobs_of(tmp_path, "no number")
    events = list(run(stub_jobs.rest, [job]))
    assert events[-1].failure.error == "TypeError"


class Cancels(Observer):
    """Cancels one job once its run has finished its first epoch."""

    def __init__(self, results):
        self.results, self.cancelled = results, None

    def see(self, experiment, event):
        if event.kind == "epoch" and self.cancelled is None:
            self.cancelled = experiment.seed
            recorded = json.loads((self.results / executor.FOLDER / executor.JOBS).read_text())
            slurm_commands.cancel([recorded[experiment.run_name]["number"]])


def test_runs_end_as_local_ones_do(tmp_path):
    import pandas as pd

    small = ["data.name=shapes", "data.train_examples=100", "data.test_examples=100"]
    experiment = config.load("configs/smoke.yaml", [*small, "train.epochs=2"])
    asked = [experiment.with_seed(seed) for seed in range(RUNS)]
    observer = Cancels(tmp_path / "slurm")
    outcome = sweep.run(
        asked, tmp_path / "slurm", threads=1, probes=False, executor="slurm",
        cluster=Cluster(slurm={"time": "20m"}), observer=observer,
    )  # fmt: skip
    assert len(outcome.done) == RUNS, outcome.failed
    local = sweep.run(asked, tmp_path / "local", threads=1, jobs=2, probes=False)
    assert len(local.done) == RUNS
    for each in asked:
        tables = [
            pd.read_csv(tmp_path / where / each.run_name / "history.csv").drop(columns="seconds")
            for where in ("slurm", "local")
        ]
        assert tables[0].to_csv() == tables[1].to_csv()


def test_the_plan_counts_the_cores_of_the_cluster():
    done = subprocess.run(
        [sys.executable, "-m", "regbench", "run", "configs/smoke.yaml", "--seeds", "0-3",
         "--executor", "slurm", "--slurm", "time=1h", "--dry-run", "--smoke"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    said = " ".join(done.stdout.split())  # wrapped where the time is long
    assert "2 jobs of 1 thread on SLURM's default partition: 1 node, 2 cores" in said
