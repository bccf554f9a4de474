"""Several updates per compiled call: the same updates, and never too many of them."""

import itertools

import keras
import numpy as np
import pytest

from regbench import config, datasets
from regbench.errors import RegbenchError
from regbench.models import batches
from regbench.models.build import build, compile_model
from regbench.training import steps
from regbench.training.steps import Steps, Update
from tests import tiny

# Whatever a step has a state of: seed generators, moving averages, Adam's slots, a falling rate.
STATEFUL = [
    *tiny.RUN,
    "data.train_examples=75",
    "dropout.dense=0.5",
    "batch_norm=true",
    "mixup=0.2",
    "gradient_clipping=1",
    "train.schedule=cosine",
]
EPOCHS = (1, 2)
several_steps = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="one step per call on other backends"
)


@pytest.fixture(scope="module")
def toy():
    """Return an experiment, its data, its compiled model, and all variables of the model."""
    experiment = config.load("configs/baseline.yaml", STATEFUL)
    splits = datasets.load(experiment.data, experiment.seed)
    model = build(experiment, splits.train_images.shape[1:], len(splits.classes))
    compile_model(model, experiment, batches.steps(experiment, splits))
    return experiment, splits, model, [*model.variables, *model.optimizer.variables]


@pytest.fixture(scope="module")
def untrained(toy):
    return [keras.ops.convert_to_numpy(variable).copy() for variable in toy[-1]]


@pytest.fixture
def trainer(toy, untrained):
    """Return what trains the untrained model."""
    for variable, value in zip(toy[-1], untrained, strict=True):
        variable.assign(value)
    return Steps(toy[2])


def trained(toy, trainer, epochs=EPOCHS):
    """Train; return the calls' updates, and the bytes of all variables."""
    experiment, splits, _, variables = toy
    calls = []
    for epoch in epochs:
        with trainer.prefetched(batches.batches(experiment, splits, epoch)) as prepared:
            calls += [trainer.train(call) for call in prepared]
    return calls, [np.asarray(variable).tobytes() for variable in variables]


@pytest.fixture(scope="module")
def expected(toy, untrained):
    """Return what Keras' own `train_on_batch` computes."""
    experiment, splits, model, variables = toy
    for variable, value in zip(variables, untrained, strict=True):
        variable.assign(value)
    updates = []
    for epoch in EPOCHS:
        for images, targets in batches.batches(experiment, splits, epoch):
            logs = model.train_on_batch(images, targets, return_dict=True)
            updates.append(Update(len(images), float(logs["loss"]), float(logs["accuracy"])))
    return updates, [np.asarray(variable).tobytes() for variable in variables]


@several_steps
@pytest.mark.parametrize("most", [1, 2, 7])
def test_updates_are_those_of_train_on_batch_to_the_last_bit(
    monkeypatch, toy, expected, trainer, most
):
    """Twice 9 batches of 8 examples, and a last one of 3."""
    monkeypatch.setattr(steps, "SECONDS_PER_CALL", 1e9)
    monkeypatch.setattr(steps, "MOST_STEPS", most)
    calls, variables = trained(toy, trainer)
    assert max(map(len, calls)) == most
    assert ([update for call in calls for update in call], variables) == expected


@several_steps
@pytest.mark.parametrize("limit", ["SECONDS_PER_CALL", "MOST_BYTES"])
def test_slow_steps_and_large_batches_are_alone_in_a_call(monkeypatch, toy, trainer, limit):
    monkeypatch.setattr(steps, limit, 0)
    calls, _ = trained(toy, trainer)
    assert [len(call) for call in calls] == [1] * 20


@several_steps
def test_calls_grow_while_they_are_short_and_shrink_when_they_take_long(monkeypatch, toy, trainer):
    """On a clock that advances between two readings, whatever happens in between."""
    clock = itertools.count()
    monkeypatch.setattr(steps, "perf_counter", lambda: 0.01 * next(clock))
    trained(toy, trainer)
    assert trainer.per_call > 4
    monkeypatch.setattr(steps, "perf_counter", lambda: 10.0 * next(clock))
    trained(toy, trainer)
    assert trainer.per_call == 1


def test_an_error_in_preparing_a_batch_is_raised_where_the_batch_is_needed(toy, trainer):
    experiment, splits, _, _ = toy

    def broken():
        yield next(batches.batches(experiment, splits, 1))
        raise RegbenchError("mine.batch: expected images")

    with trainer.prefetched(broken()) as calls:
        assert len(trainer.train(next(calls))) == 1
        with pytest.raises(RegbenchError, match=r"mine\.batch"):
            next(calls)
