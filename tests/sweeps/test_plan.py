"""What a sweep would do, sorted out without training; the paces are made up."""

import io

import pytest
from rich.console import Console

from regbench import config
from regbench.execution import environment
from regbench.execution.failures import Failure
from regbench.runs.folder import RunFolder
from regbench.sweeps import estimate
from regbench.sweeps.estimate import Pace
from regbench.sweeps.plan import plan
from regbench.terminal import plan as plan_table
from regbench.training import checkpoints
from regbench.training.checkpoints import Checkpoint, Position
from tests import made_up_runs

PACE = Pace(start=5.0, overhead=3.0, training=10.0, measuring=1.0, measuring_all=1.0)


def experiments(*seeds, epochs=4):
    return [
        config.load("configs/smoke.yaml", [f"train.epochs={epochs}"]).with_seed(s) for s in seeds
    ]


@pytest.fixture
def calibrated(monkeypatch):
    """Record what is calibrated, and answer with `PACE`."""
    monkeypatch.setattr(environment, "cores", lambda: 2)
    calls = []

    def answer(group, runtime, workers):
        calls.append(([each.seed for each in group], runtime.threads, workers))
        return {each.hash: PACE for each in group}

    monkeypatch.setattr(estimate, "calibrate", answer)
    return calls


def finish(results, experiment, status="completed"):
    folder = RunFolder.of(results, experiment)
    folder.start("name: smoke\n", {})
    folder.finish(made_up_runs.summary(status=status))


def printed(found):
    console = Console(file=io.StringIO(), width=80, color_system=None)
    console.print(plan_table.terminal(found))
    return console.file.getvalue()


def test_every_run_has_its_state(calibrated, monkeypatch, tmp_path):
    runs = experiments(0, 1, 2, 3, 4)
    finish(tmp_path, runs[0])
    finish(tmp_path, runs[1], "diverged")
    RunFolder.of(tmp_path, runs[2]).fail("no memory")
    held = Position(rows=[{}] * 3, step=2, seconds=5.0)  # half of epoch 3

    def peek(folder):
        of_run = folder.parent.name == runs[3].run_name
        return Checkpoint(folder, {"threads": 1}, held) if of_run else None

    monkeypatch.setattr(checkpoints, "peek", peek)
    before = sorted(tmp_path.rglob("*"))
    found = plan(runs, tmp_path, threads=1)
    assert sorted(tmp_path.rglob("*")) == before
    states = [run.state for run in found.runs]
    assert states == ["finished", "diverged", "failed", "interrupted", "to do"]
    assert [run.seconds for run in found.runs] == [None, None, 48, 3 + 1.5 * 11, 48]
    assert calibrated == [([2, 3, 4], 1, 2)]
    text = printed(found)
    assert "interrupted, resumes from step 2 of epoch 3" in text
    assert "about 0:48" in text
    # Two workers start for 5 s; then 48 s beside 19.5 s, after which comes another of 48 s.
    assert found.seconds == 5 + 19.5 + 48
    assert plan_table.summary(found) == (
        "5 runs: 1 finished, 1 diverged, 1 failed, 1 interrupted, 1 to do; "
        "about 1:12 with 2 jobs of 1 thread"
    )


def test_nothing_to_do_is_calibrated_for_nothing(calibrated, tmp_path):
    (run,) = experiments(0)
    finish(tmp_path, run)
    found = plan([run], tmp_path)
    assert calibrated == []
    assert found.seconds == 0
    assert printed(found).endswith("1 run: 1 finished; nothing to do\n")


def test_forced_runs_start_over(calibrated, tmp_path):
    (run,) = experiments(0)
    finish(tmp_path, run)
    found = plan([run], tmp_path, force=True)
    assert [each.state for each in found.runs] == ["to do"]
    assert found.seconds == 5 + 3 + 4 * 10 + 5 * 1  # the curves are measured before training too


def test_a_config_that_cannot_be_trained_leaves_no_estimate(monkeypatch, tmp_path):
    failure = Failure("RegbenchError", "the network can't be built", "")
    monkeypatch.setattr(
        estimate, "calibrate", lambda group, *_: {each.hash: failure for each in group}
    )
    found = plan(experiments(0), tmp_path)
    assert found.seconds is None
    assert found.problems == {"smoke": "the network can't be built"}
    assert "no estimate" in printed(found)
    assert found.as_dict()["runs"][0]["problem"] == "the network can't be built"
