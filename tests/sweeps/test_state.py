"""How far a sweep is, and what its runs so far say of those to come."""

import pytest

from regbench import config
from regbench.execution.local import Event
from regbench.sweeps import state as sweep_state
from regbench.sweeps.state import RunState, SweepState


@pytest.fixture
def now(monkeypatch):
    """The time, to be set: seconds in a list of one."""
    clock = [100.0]
    monkeypatch.setattr(sweep_state.time, "monotonic", lambda: clock[0])
    return clock


def experiment(name="dropout", seed=0, epochs=10):
    return config.load(f"configs/{name}.yaml", [f"train.epochs={epochs}"]).with_seed(seed)


def epoch(number):
    figures = {"epoch": number, "train_accuracy": 0.5, "test_accuracy": 0.4}
    return Event(0, "epoch", figures)


def ended(status="completed"):
    return Event(0, "done", result={"status": status})


def test_the_pace_of_a_run_that_goes_on_counts_from_where_it_does(now):
    state = RunState(experiment())
    state.see(Event(0, "note", {"text": "resuming from epoch 8", "done": 7.0}))
    assert state.seconds_per_epoch is None
    now[0] += 5
    state.see(epoch(8))
    assert state.seconds_per_epoch == 5
    assert state.seconds_left() == 10
    now[0] += 4
    assert state.seconds_left() == 6  # the clock ticks between events
    assert state.seconds_per_epoch == 5


def test_an_epoch_that_is_not_measured_leaves_the_curve_and_the_last_numbers(now):
    state = RunState(experiment())
    state.see(epoch(1))
    figures = {"epoch": 2, "train_accuracy": None, "test_accuracy": None}
    state.see(Event(0, "epoch", figures))
    assert state.row == {"epoch": 2, "train_accuracy": 0.5, "test_accuracy": 0.4}
    assert state.curve == {1: 0.4}
    assert state.done == 2


def test_a_run_that_is_repeated_waits_and_forgets_the_pause(now):
    state = RunState(experiment())
    for event in (Event(0, "started"), epoch(0), epoch(1)):
        state.see(event)
        now[0] += 2
    state.see(Event(0, "repeated", {"text": "its worker died"}))
    assert state.status == "waiting"
    now[0] += 1000
    state.see(Event(0, "started"))
    state.see(epoch(1))
    now[0] += 3
    state.see(epoch(2))
    assert state.seconds_per_epoch == 3
    assert list(state.curve) == [0, 1, 2]


def follow(sweep, run, seconds, epochs, now):
    """Let a run train some epochs that take so many seconds each, one second after its start."""
    state = sweep.runs[run.run_name]
    state.see(Event(0, "started"))
    now[0] += 1
    state.see(epoch(0))
    for number in range(1, epochs + 1):
        now[0] += seconds
        state.see(epoch(number))
    return state


def test_runs_that_wait_take_as_long_as_others_of_their_config(now):
    slow, fast = experiment("dropout", epochs=4), experiment("l2", epochs=10)
    runs = [slow, fast, slow.with_seed(1), fast.with_seed(1)]
    sweep = SweepState(runs, workers=1)
    assert sweep.seconds_left is None
    follow(sweep, slow, 100, 4, now).see(ended())
    follow(sweep, fast, 2, 5, now)
    # 5 epochs of 2 s; then 4 of 100 s and 10 of 2 s, each after a second's start.
    assert sweep.seconds_left == pytest.approx(10 + 401 + 21)
    assert sweep.summary() == "1 of 4 runs done, 1 running, 2 waiting"


def test_workers_share_what_waits(now):
    runs = [experiment(seed=seed) for seed in range(4)]
    sweep = SweepState(runs, workers=2)
    follow(sweep, runs[0], 1, 10, now).see(ended())
    sweep.runs[runs[1].run_name].see(Event(0, "started"))
    assert sweep.seconds_left == pytest.approx(11 + 11, abs=2)


def test_the_summary_counts_every_state(now):
    runs = [experiment(seed=seed) for seed in range(5)]
    sweep = SweepState(runs, workers=2)
    events = [ended(), ended("diverged"), Event(0, "failed"), Event(0, "started")]
    for run, event in zip(runs, events, strict=False):
        sweep.runs[run.run_name].see(event)
    assert sweep.summary() == "1 of 5 runs done, 1 diverged, 1 failed, 1 running, 1 waiting"
