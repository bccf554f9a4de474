"""What an update trains on: order, techniques that change batches, and their random draws."""

import numpy as np
import pytest

from regbench import config, datasets
from regbench.errors import RegbenchError
from regbench.models.batches import batches, steps
from regbench.regularizers.dropout import Dropout
from regbench.regularizers.penalties import L1, L2

OVERRIDES = ["data.name=shapes", "data.train_examples=20", "train.batch_size=8"]


def experiment(*overrides):
    return config.load("configs/baseline.yaml", [*OVERRIDES, *overrides])


def drawn(monkeypatch, technique, *overrides, epoch=1, done=0):
    """Return the number that a technique's `batch` draws in each step of an epoch."""
    numbers = []

    def draw(self, images, targets, rng):
        numbers.append(rng.random())
        return images, targets

    with monkeypatch.context() as patch:
        patch.setattr(technique, "batch", draw)
        asked = experiment(*overrides)
        list(batches(asked, datasets.load(asked.data, asked.seed), epoch, done))
    return numbers


def test_without_a_technique_that_changes_batches_targets_are_the_labels():
    asked = experiment("l2=1e-3")
    splits = datasets.load(asked.data, 0)
    targets = [targets for _, targets in batches(asked, splits, 1)]
    assert {each.dtype for each in targets} == {np.dtype("int64")}
    assert [len(each) for each in targets] == [8, 8, 4]
    assert steps(asked, splits) == 3
    (last,) = batches(asked, splits, 1, done=2)
    np.testing.assert_array_equal(last[1], targets[2])


def test_draws_depend_on_seed_epoch_step_and_technique_alone(monkeypatch):
    first = drawn(monkeypatch, L2, "l2=1e-3")
    assert len(set(first)) == 3
    assert drawn(monkeypatch, L2, "l2=1e-2", "dropout=0.5", "train.epochs=9") == first
    assert drawn(monkeypatch, L2, "l2=1e-3", done=1) == first[1:]
    others = [
        drawn(monkeypatch, L2, "l2=1e-3", "seed=1"),
        drawn(monkeypatch, L2, "l2=1e-3", epoch=2),
        drawn(monkeypatch, L1, "l1=1e-3"),
    ]
    for other in others:
        assert not set(other) & set(first)


def test_techniques_change_batches_one_after_another_in_the_order_of_the_registry(monkeypatch):
    def double(self, images, targets, rng):
        assert images.dtype == targets.dtype == np.float32
        assert images.min() >= 0
        np.testing.assert_array_equal(targets.sum(axis=1), 1)
        return images * np.float32(2), targets

    def add(self, images, targets, rng):
        return images + np.float32(1), targets[:, ::-1]

    monkeypatch.setattr(L1, "batch", double)
    monkeypatch.setattr(Dropout, "batch", add)
    asked, plain = experiment("dropout=0.5", "l1=1e-3"), experiment()
    splits = datasets.load(asked.data, 0)
    for mine, theirs in zip(batches(asked, splits, 1), batches(plain, splits, 1), strict=True):
        np.testing.assert_array_equal(mine[0], theirs[0] * np.float32(2) + np.float32(1))
        np.testing.assert_array_equal(mine[1].argmax(axis=1), 9 - theirs[1])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda x, y: (x[:4], y), r"images as float32 \(8, 32, 32, 3\), received float32 \(4, 32"),
        (lambda x, y: (x, y.argmax(1)), r"targets as float32 \(8, 10\), received int64 \(8,\)"),
        (lambda x, y: (x.astype("float64"), y), r"images as .*, received float64 \(8, 32"),
    ],
)
def test_a_batch_of_another_type_or_shape_is_an_error(monkeypatch, change, expected):
    monkeypatch.setattr(L2, "batch", lambda self, images, targets, rng: change(images, targets))
    asked = experiment("l2=1e-3")
    with pytest.raises(RegbenchError, match=rf"^l2.batch: expected {expected}"):
        next(batches(asked, datasets.load(asked.data, 0), 1))
