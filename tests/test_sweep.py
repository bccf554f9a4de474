"""Which runs a sweep starts, on how much of the machine, and what becomes of failures."""

import pytest

from regbench import config, environment, executors, sweep
from regbench.errors import RegbenchError
from regbench.executors import Event, Failure
from regbench.runs import RunFolder
from regbench.sweep import Outcome


@pytest.mark.parametrize(
    ("runs", "jobs", "threads", "expected"),
    [
        (1, None, None, (1, 4)),  # one run uses every core
        (9, None, None, (4, 1)),  # many runs: a process of one thread for each core
        (2, None, None, (2, 2)),
        (9, 2, None, (2, 2)),
        (9, None, 2, (2, 2)),
        (9, 8, 3, (8, 3)),  # as told, though it is more than there is
        (3, 8, None, (3, 1)),
        (0, None, None, (1, 4)),
    ],
)
def test_runs_share_the_machine(monkeypatch, runs, jobs, threads, expected):
    monkeypatch.setattr(environment, "cores", lambda: 4)
    assert sweep.share_machine(runs, jobs, threads) == expected


@pytest.mark.parametrize(
    ("memory", "device", "expected"),
    [
        (80 * 2**30, "auto", (8, 1)),  # a large card: the cores are the limit
        (9 * 2**30, "gpu", (2, 4)),  # a laptop's card
        (2**30, "auto", (1, 8)),
        (9 * 2**30, "cpu", (8, 1)),
    ],
)
def test_as_many_runs_share_a_gpu_as_fit_into_its_memory(monkeypatch, memory, device, expected):
    monkeypatch.setattr(environment, "cores", lambda: 8)
    monkeypatch.setattr(environment, "free_gpu_memory", lambda: memory)
    assert sweep.share_machine(9, None, None, device) == expected
    assert sweep.share_machine(9, 3, None, device) == (3, 2)


def experiments(*seeds):
    return [config.load("configs/smoke.yaml").with_seed(seed) for seed in seeds]


def pretend(outcomes):
    """An executor that trains nothing: a status ends a job well, a Failure ends it badly."""

    def executor(function, jobs, workers, variables):
        for index, job in enumerate(jobs):
            outcome = outcomes[job.experiment.seed]
            if isinstance(outcome, Failure):
                yield Event(index, "failed", failure=outcome)
            else:
                yield Event(index, "done", result={"status": outcome, "seed": job.experiment.seed})

    return executor


def swept(monkeypatch, results, outcomes, **options):
    monkeypatch.setitem(executors.EXECUTORS, "pretend", pretend(outcomes))
    asked = experiments(*outcomes)
    return sweep.run(asked, results, executor="pretend", **options)


def test_a_finished_run_is_skipped_unless_forced(monkeypatch, tmp_path):
    folder = RunFolder.of(tmp_path, experiments(0)[0])
    folder.start("name: smoke\n", {})
    folder.finish({"status": "completed"})
    outcomes = {0: "completed", 1: "completed"}
    outcome = swept(monkeypatch, tmp_path, outcomes)
    assert [each.seed for each in outcome.skipped] == [0]
    assert [summary["seed"] for summary in outcome.done] == [1]
    forced = swept(monkeypatch, tmp_path, outcomes, force=True)
    assert [summary["seed"] for summary in forced.done] == [0, 1]


def test_a_failure_is_written_into_its_run_folder_and_others_go_on(monkeypatch, tmp_path):
    failure = Failure("MemoryError", "no memory", "Traceback: no memory")
    outcome = swept(monkeypatch, tmp_path, {0: failure, 1: "completed"})
    assert outcome.failed == [(experiments(0)[0], failure)]
    assert len(outcome.done) == 1
    error = RunFolder.of(tmp_path, experiments(0)[0]).path / "error.txt"
    assert "no memory" in error.read_text()


def test_a_folder_in_use_is_left_to_its_owner(monkeypatch, tmp_path):
    busy = Failure("RunBusy", "in use", "Traceback: in use")
    outcome = swept(monkeypatch, tmp_path, {0: busy})
    assert outcome.exit_code == 1
    assert not (RunFolder.of(tmp_path, experiments(0)[0]).path / "error.txt").exists()


def test_exit_codes_tell_all_some_and_none_apart():
    run, failure = experiments(0)[0], Failure("E", "m", "d")
    assert Outcome().exit_code == 0
    assert Outcome(done=[{}], skipped=[run]).exit_code == 0
    assert Outcome(failed=[(run, failure)]).exit_code == 1
    assert Outcome(diverged=[{}]).exit_code == 1
    assert Outcome(done=[{}], failed=[(run, failure)]).exit_code == 3
    assert Outcome(skipped=[run], diverged=[{}]).exit_code == 3


def test_the_same_run_asked_for_twice_is_an_error(tmp_path):
    with pytest.raises(RegbenchError, match="smoke with seed 0 was asked for twice"):
        sweep.run(experiments(0, 0), tmp_path)
