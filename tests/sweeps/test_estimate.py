"""The pace of a run, measured on noise in workers like those of a sweep."""

import time

import pytest

from regbench import config, files
from regbench.execution.environment import Runtime
from regbench.execution.failures import Failure
from regbench.sweeps import estimate

RUNTIME = Runtime("tensorflow", "cpu", 1)
SMALL = ["data.test_examples=200", "model.dense=[8]", "dropout.dense=0.5"]


def test_every_config_is_measured_once_and_one_that_cannot_be_built_says_why():
    quick = config.load("configs/smoke.yaml", [*SMALL, "data.train_examples=200"])
    slow = config.load("configs/smoke.yaml", [*SMALL, "data.train_examples=8000"])
    broken = config.load("configs/smoke.yaml", [*SMALL, "model.blocks=[2,2,2,2,2,2,2]"])
    runs = [each.with_seed(seed) for each in (quick, slow, broken) for seed in range(3)]
    paces = estimate.calibrate(runs, RUNTIME, 1)
    assert set(paces) == {quick.hash, slow.hash, broken.hash}
    assert isinstance(paces[broken.hash], Failure)
    fast, long = paces[quick.hash], paces[slow.hash]
    assert long.training > 10 * fast.training  # forty times as many batches
    assert min(fast.start, fast.overhead, fast.training, fast.measuring) > 0
    assert fast.start == long.start
    begun, going_on = long.of_run(3, begins=True), long.of_run(3, begins=False)
    assert begun - going_on == pytest.approx(long.measuring_all)
    between = begun - long.overhead - 3 * long.training - 2 * long.measuring_all
    assert between == pytest.approx(2 * long.measuring)


def test_what_a_slow_disk_takes_after_each_epoch_is_part_of_the_estimate(monkeypatch):
    from regbench.models.build import build, compile_model

    synced, usual = [], files._sync

    def slow(path):
        synced.append(path)
        time.sleep(0.02)
        usual(path)

    monkeypatch.setattr(files, "_sync", slow)
    experiment = config.load("configs/smoke.yaml")
    model = build(experiment, (32, 32, 3), 10)
    compile_model(model, experiment, steps_per_epoch=1)
    seconds = estimate._seconds_to_save(model, experiment, epoch=1.0)
    assert seconds >= 0.02 * len(synced) / estimate.SAVED
    assert len(synced) >= 4 * estimate.SAVED  # a row and a checkpoint, each with its folder
