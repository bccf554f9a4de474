"""A worker trains run after run, so what one leaves in memory must not add up."""

import gc
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework.func_graph import FuncGraph

from regbench import config
from regbench.execution.environment import Runtime
from regbench.training import compiled_models, memory, train
from regbench.training.train import Job

TINY = [
    "data.name=shapes",
    "data.train_examples=150",
    "data.test_examples=100",
    "model.blocks=[4]",
    "model.dense=[8]",
    "train.epochs=1",
]


def graphs() -> int:
    """Return how many traced graphs are alive, after what is unreachable has been freed."""
    gc.collect()
    return sum(isinstance(each, FuncGraph) for each in gc.get_objects())


def run(results: Path, *overrides: str) -> None:
    experiment = config.load("configs/baseline.yaml", [*TINY, *overrides])
    job = Job(experiment, results, Runtime("tensorflow", "cpu", 1), ["regbench", "run"])
    train.train(job, lambda kind, figures: None)


# silu has a gradient of its own, as the optimizer's step has.
@pytest.mark.parametrize("overrides", [[], ["model.activation=silu", "batch_norm={}"]])
def test_a_run_leaves_no_graph_behind_but_those_that_are_kept(tmp_path, overrides):
    before = graphs()
    run(tmp_path, *overrides)
    compiled_models._kept.clear()
    assert graphs() == before


def test_a_run_that_failed_leaves_no_graph_behind(tmp_path, monkeypatch):
    def fail(*arguments):
        raise OSError("no space left")

    before = graphs()
    monkeypatch.setattr(train, "_summary", fail)
    with pytest.raises(OSError, match="no space left"):
        run(tmp_path)
    assert graphs() == before


def test_gradients_from_before_still_work_afterward(tmp_path):
    @tf.custom_gradient
    def doubled(x):
        return x, lambda gradient: 2 * gradient

    @tf.function
    def loss(x):
        return doubled(x) * 3

    traced = loss.get_concrete_function(tf.TensorSpec([], tf.float32))
    with memory.cleared():
        pass
    x = tf.constant(1.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = traced(x)
    np.testing.assert_equal(tape.gradient(value, x).numpy(), 6)


def test_without_tensorflow_there_is_nothing_to_clear(monkeypatch):
    monkeypatch.delitem(sys.modules, "tensorflow.python.framework.ops")
    with memory.cleared():
        pass
