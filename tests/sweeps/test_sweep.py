"""Which runs a sweep starts, on how much of the machine, and what becomes of failures."""

import inspect
import multiprocessing

import pytest

from regbench import config
from regbench.errors import RegbenchError
from regbench.execution import environment, executors
from regbench.execution.failures import Failure
from regbench.execution.local import Event
from regbench.runs.folder import RunFolder
from regbench.sweeps import plan, sweep
from regbench.sweeps.options import PlanOptions, RunOptions
from regbench.sweeps.schedule import Resources
from regbench.sweeps.sweep import Outcome
from regbench.training import checkpoints
from tests import made_up_runs
from tests.faults import sweeps


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
    assert Resources(jobs=jobs, threads=threads).share(runs) == expected


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
    assert Resources(device=device).share(9) == expected
    assert Resources(device=device, jobs=3).share(9) == (3, 2)


def experiments(*seeds):
    return [config.load("configs/smoke.yaml").with_seed(seed) for seed in seeds]


def pretend(outcomes, calls=None):
    """An executor that trains nothing: a status ends a job well, a Failure ends it badly."""

    def executor(function, jobs, workers, variables):
        if calls is not None:
            calls.append((variables["OMP_NUM_THREADS"], workers, jobs))
        for index, job in enumerate(jobs):
            outcome = outcomes[job.experiment.seed]
            if isinstance(outcome, Failure):
                yield Event(index, "failed", failure=outcome)
            else:
                ended = made_up_runs.summary(status=outcome, seed=job.experiment.seed)
                yield Event(index, "done", result=ended.as_dict())

    return executor


def swept(monkeypatch, results, outcomes, calls=None, **options):
    monkeypatch.setitem(executors.EXECUTORS, "pretend", pretend(outcomes, calls))
    asked = experiments(*outcomes)
    return sweep.run(asked, results, executor="pretend", **options)


def test_a_finished_run_is_skipped_unless_forced(monkeypatch, tmp_path):
    folder = RunFolder.of(tmp_path, experiments(0)[0])
    folder.start("name: smoke\n", {})
    folder.finish(made_up_runs.summary())
    outcomes = {0: "completed", 1: "completed"}
    outcome = swept(monkeypatch, tmp_path, outcomes)
    assert [each.seed for each in outcome.skipped] == [0]
    assert [summary.seed for summary in outcome.done] == [1]
    forced = swept(monkeypatch, tmp_path, outcomes, force=True)
    assert [summary.seed for summary in forced.done] == [0, 1]


def test_a_finished_run_that_is_being_replaced_resumes(monkeypatch, tmp_path):
    folder = RunFolder.of(tmp_path, experiments(0)[0])
    made_up_runs.write_run(tmp_path, experiments(0)[0], 0, 2, probed=False)
    with folder.writing(restart=True):  # and is interrupted
        pass
    failure = Failure("MemoryError", "no memory", "Traceback: no memory")
    outcome = swept(monkeypatch, tmp_path, {0: failure})
    assert outcome.failed == [(experiments(0)[0], failure)]
    assert folder.is_complete
    assert not folder.has_failed
    assert folder.current.has_failed


def test_a_failure_is_written_into_its_run_folder_and_others_go_on(monkeypatch, tmp_path):
    failure = Failure("MemoryError", "no memory", "Traceback: no memory")
    outcome = swept(monkeypatch, tmp_path, {0: failure, 1: "completed"})
    assert outcome.failed == [(experiments(0)[0], failure)]
    assert len(outcome.done) == 1
    error = RunFolder.of(tmp_path, experiments(0)[0]).path / "error.txt"
    assert "no memory" in error.read_text()


def test_the_first_failure_stops_all_if_it_is_to(monkeypatch, tmp_path):
    failure = Failure("MemoryError", "no memory", "Traceback: no memory")
    outcomes = {0: "completed", 1: failure, 2: "completed", 3: "completed"}
    outcome = swept(monkeypatch, tmp_path, outcomes, fail_fast=True)
    assert [summary.seed for summary in outcome.done] == [0]
    assert outcome.failed == [(experiments(1)[0], failure)]
    assert outcome.left == experiments(2, 3)
    assert outcome.exit_code == 3
    again = swept(monkeypatch, tmp_path, {**outcomes, 1: "completed"}, fail_fast=True)
    assert again.exit_code == 0
    assert again.left == []


def test_a_run_that_has_diverged_is_told_again_and_not_trained_again(monkeypatch, tmp_path):
    folder = RunFolder.of(tmp_path, experiments(0)[0])
    folder.start("name: smoke\n", {})
    folder.finish(made_up_runs.summary(status="diverged"))
    calls = []
    outcome = swept(monkeypatch, tmp_path, {0: "completed"}, calls)
    assert outcome.diverged_before == experiments(0)
    assert calls == []
    assert outcome.exit_code == 1


@pytest.mark.processes
def test_a_killed_worker_costs_a_sweep_nothing_but_time(tmp_path):
    # make faults does the same with twelve runs.
    killer, outcome, runs = sweeps.run(tmp_path / "sweep", 3)
    assert len(outcome.done) == 3
    assert outcome.exit_code == 0
    assert len(killer.repeated) == 1
    assert not multiprocessing.active_children()
    assert sweeps.different(runs, tmp_path / "sweep", tmp_path / "alone") == []


@pytest.mark.parametrize("error", ["RunBusy", "Stopped"])
def test_a_folder_in_use_or_stopped_in_order_has_no_error_file(monkeypatch, tmp_path, error):
    failure = Failure(error, "why", "Traceback: why")
    outcome = swept(monkeypatch, tmp_path, {0: failure})
    assert outcome.exit_code == 1  # since nothing is finished
    assert not (RunFolder.of(tmp_path, experiments(0)[0]).path / "error.txt").exists()


def test_a_run_that_another_process_trains_is_left_to_it_and_no_failure(monkeypatch, tmp_path):
    busy = Failure("RunBusy", "another process is training this run", "")
    outcome = swept(monkeypatch, tmp_path, {0: busy, 1: "completed"})
    assert [each.seed for each in outcome.busy] == [0]
    assert outcome.failed == []
    assert outcome.exit_code == 0
    outcome = swept(monkeypatch, tmp_path / "2", {0: busy, 1: Failure("E", "m", "d")})
    assert outcome.exit_code == 1


def test_a_run_that_goes_on_keeps_its_number_of_threads(monkeypatch, tmp_path):
    monkeypatch.setattr(environment, "cores", lambda: 4)
    began_with = {"smoke-614f084a-s1": 3}
    monkeypatch.setattr(checkpoints, "threads", lambda folder: began_with.get(folder.parent.name))
    outcomes = {0: "completed", 1: "completed", 2: "completed", 3: "completed"}
    calls = []
    swept(monkeypatch, tmp_path, outcomes, calls)
    told = [
        (threads, workers, [job.experiment.seed for job in jobs], jobs[0].runtime.threads)
        for threads, workers, jobs in calls
    ]
    assert told == [("1", 3, [0, 2, 3], 1), ("3", 1, [1], 3)]
    assert not any(job.restart for _, _, jobs in calls for job in jobs)


def test_a_forced_run_starts_over_with_the_threads_that_were_asked_for(monkeypatch, tmp_path):
    monkeypatch.setattr(checkpoints, "threads", lambda folder: 3)
    calls = []
    swept(monkeypatch, tmp_path, {0: "completed"}, calls, threads=1, force=True)
    ((threads, _, (job,)),) = calls
    assert (threads, job.restart) == ("1", True)


@pytest.mark.parametrize(("status", "left"), [("completed", False), ("diverged", True)])
def test_checkpoints_that_a_completed_run_left_are_removed(monkeypatch, tmp_path, status, left):
    folder = RunFolder.of(tmp_path, experiments(0)[0])
    folder.start("name: smoke\n", {})
    folder.finish(made_up_runs.summary(status=status))
    (folder.checkpoints / "000002-000000000").mkdir(parents=True)
    swept(monkeypatch, tmp_path, {0: "completed"})
    assert folder.checkpoints.exists() == left


@pytest.mark.parametrize("probes", [True, False])
def test_every_run_is_told_whether_to_probe(monkeypatch, tmp_path, probes):
    calls = []
    swept(monkeypatch, tmp_path, {0: "completed"}, calls, probes=probes)
    assert [job.probes for _, _, jobs in calls for job in jobs] == [probes]


def test_exit_codes_tell_all_some_and_none_apart():
    run, failure = experiments(0)[0], Failure("E", "m", "d")
    assert Outcome().exit_code == 0
    assert Outcome(done=[{}], skipped=[run]).exit_code == 0
    assert Outcome(failed=[(run, failure)]).exit_code == 1
    assert Outcome(diverged=[{}]).exit_code == 1
    assert Outcome(done=[{}], failed=[(run, failure)]).exit_code == 3
    assert Outcome(skipped=[run], diverged=[{}]).exit_code == 3
    assert Outcome(diverged_before=[run]).exit_code == 1
    assert Outcome(skipped=[run], diverged_before=[run]).exit_code == 3


def test_the_same_run_asked_for_twice_is_an_error(tmp_path):
    with pytest.raises(RegbenchError, match="smoke with seed 0 was requested twice"):
        sweep.run(experiments(0, 0), tmp_path)


@pytest.mark.parametrize(
    ("function", "options"), [(sweep.run, RunOptions), (plan.plan, PlanOptions)]
)
def test_the_typed_options_are_those_that_the_function_takes(function, options):
    parameters = inspect.signature(function).parameters.values()
    taken = {each.name for each in parameters if each.kind is each.KEYWORD_ONLY}
    assert set(options.__annotations__) == taken
