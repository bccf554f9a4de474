"""The gap ledger: its terms, and that nothing is left over."""

import dataclasses
import functools
import json
from types import SimpleNamespace

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from regbench import config, datasets
from regbench.datasets import Splits
from regbench.models.batches import trained_on
from regbench.models.build import to_inputs
from regbench.models.evaluate import measure, predict
from regbench.probes import Subject, harness
from regbench.probes import gap_ledger as probe
from regbench.runs import gap_ledger
from regbench.runs.gap_ledger import TrainingMode
from regbench.training import compiled_models, train
from regbench.training.averages import Averages
from regbench.training.checkpoints import Position
from regbench.training.evaluate import Curves
from regbench.training.selection import Selection
from regbench.training.steps import Steps
from regbench.training.stopwatch import Stopwatch

numbers = st.floats(-100, 100)
TINY = ["data.name=shapes", "data.train_examples=150", "data.test_examples=100"]
TINY += ["model.blocks=[4]", "model.dense=[8]", "train.epochs=2", "train.batch_size=50"]


@hypothesis.given(
    reported=numbers, penalty=numbers, training_mode=numbers, train=numbers, test=numbers
)
def test_the_terms_sum_to_the_whole(**measured):
    balanced = gap_ledger.balance(**measured)
    whole = measured["reported"] - measured["test"]
    assert sum(balanced.terms.values()) == pytest.approx(whole, abs=1e-6)


def test_each_term_is_the_difference_that_it_is_named_after():
    balanced = gap_ledger.balance(
        reported=2.0, penalty=0.5, training_mode=1.25, train=0.75, test=1.75
    )
    assert balanced.terms == {"penalty": 0.5, "noise": 0.5, "moving": 0.25, "gap": -1.0}


def ledgers(*overrides, same=False):
    """Train in this process; return the ledgers and the last row of the history."""
    experiment = config.load("configs/baseline.yaml", [*TINY, *overrides])
    splits = datasets.load(experiment.data, 0)
    if same:
        pair = splits.train_images, splits.train_labels
        splits = Splits(*pair, *pair, splits.classes)
    model = compiled_models.build(experiment, splits.train_images.shape[1:], len(splits.classes))
    compiled_models.compile_model(model, experiment, 3)
    curves, position = Curves(splits, 0), Position()
    keeper = SimpleNamespace(is_due=False)
    run = train._Run(
        experiment=experiment,
        model=model,
        trainer=Steps(model),
        is_traced=False,
        splits=splits,
        curves=curves,
        averages=Averages(model, experiment, splits),
        selection=Selection(experiment, model),
        keeper=keeper,
        position=position,
        watch=Stopwatch(),
        emit=lambda kind, figures: None,
    )
    *_, row = train._epochs(run)
    subject = Subject(model, experiment, curves.train, (splits.test_images, splits.test_labels))
    return probe.ledgers(subject, row), row


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["l2=0.1", "dropout.dense=0.5", "batch_norm=true"],
        ["label_smoothing=true", "mixup=true", "ema=0.9", "flip=true", "l2=0.1", "dropout=0.5"],
    ],
    ids=["none", "all", "changed batches and averaged weights"],
)
def test_the_ledger_of_a_run_sums_to_what_its_history_says(overrides):
    found, row = ledgers(*overrides)
    for metric in ("loss", "accuracy"):
        whole = row[f"reported_{metric}"] - row[f"test_{metric}"]
        assert sum(found[metric].terms.values()) == pytest.approx(whole, abs=1e-6)
        assert ("batch" in found[metric].terms) == ("label_smoothing=true" in overrides)


def test_no_regularizer_and_the_training_set_as_test_set_have_no_gap_and_no_noise():
    found, _ = ledgers(same=True)
    for metric in ("loss", "accuracy"):
        assert found[metric].gap == 0
        assert found[metric].penalty == 0
        assert found[metric].noise == found[metric].noise_error == found[metric].passes == 0
    assert found["loss"].moving > 0.001  # the model was worse while the epoch was going on


def test_a_model_that_does_not_move_has_no_moving_average():
    found, _ = ledgers("train.learning_rate=1e-30", "l2=0.1", same=True)
    assert found["loss"].moving == pytest.approx(0, abs=1e-5)
    assert found["loss"].penalty > 1


def test_dropout_is_noise_and_l2_is_penalty():
    learning = ["train.epochs=8", "train.learning_rate=3e-3", "model.blocks=[]", "model.dense=[32]"]
    plain, _ = ledgers(*learning)
    noisy, _ = ledgers(*learning, "dropout.dense=0.3")
    penalized, row = ledgers("l2=0.1")
    assert abs(plain["loss"].noise) < 1e-6 < 0.005 < noisy["loss"].noise
    assert penalized["loss"].penalty == row["penalty"] > 1
    assert penalized["accuracy"].penalty == 0


def test_before_training_there_is_no_ledger():
    row = {"reported_loss": None, "reported_accuracy": None}
    assert gap_ledger.of_row(row, TrainingMode(1.0, 0.5)) is None


def test_a_loss_that_is_not_finite_has_no_ledger():
    row = {"reported_loss": 1.0, "reported_accuracy": 0.5}
    assert gap_ledger.of_row(row, TrainingMode(np.nan, 0.5)) is None


def test_the_noise_is_a_mean_whose_standard_error_is_recorded_and_bounded(monkeypatch):
    """Of one trained model, measured again and again with other masks."""
    means, errors = [], []
    real = probe.seeding.generator
    derive = harness.seeding.derive
    for repeat in range(6):
        with monkeypatch.context() as patch:
            patch.setattr(probe.seeding, "generator", lambda *key, extra=repeat: real(*key, extra))
            patch.setattr(harness.seeding, "derive", lambda *key, extra=repeat: derive(*key, extra))
            found = probe.training_mode(subject_with("dropout.dense=0.3"))
        means.append(found.loss)
        errors.append(found.loss_error)
        assert probe.LEAST_PASSES <= found.passes <= probe.MOST_PASSES
        assert found.loss_error <= probe.LOSS_ERROR or found.passes == probe.MOST_PASSES
    assert len(set(means)) == len(means)
    assert 0.3 < np.std(means, ddof=1) / np.mean(errors) < 3


@functools.cache
def subject_with(*overrides):
    """Return a model after some updates; it is the same one every time."""
    learning = ["train.learning_rate=1e-3", "model.blocks=[]", "model.dense=[64]"]
    experiment = config.load("configs/baseline.yaml", [*TINY, *learning, *overrides])
    splits = datasets.load(experiment.data, 0)
    model = compiled_models.build(experiment, splits.train_images.shape[1:], len(splits.classes))
    compiled_models.compile_model(model, experiment, 3)
    for _ in range(20):
        model.train_on_batch(to_inputs(splits.train_images), splits.train_labels)
    return Subject(
        model, experiment, Curves(splits, 0).train, (splits.test_images, splits.test_labels)
    )


def examined(*overrides, model=()):
    """Return a subject with techniques that change batches; its model is trained without them."""
    changing = config.load("configs/baseline.yaml", [*TINY, *model, *overrides])
    return dataclasses.replace(subject_with(*model), experiment=changing)


def test_targets_add_what_the_papers_loss_is_above_the_plain_one():
    subject = examined("label_smoothing=0.2")
    outputs, labels = predict(subject.model, subject.train[0]), subject.train[1]
    logarithms = np.log(outputs.astype(float))
    of_truth = logarithms[np.arange(len(labels)), labels]
    smoothed = -(0.8 * of_truth + 0.2 * logarithms.mean(axis=1)).mean()
    found = probe.on_batches(subject)
    assert found.loss == pytest.approx(smoothed + of_truth.mean(), abs=4 * found.loss_error + 1e-6)
    assert found.loss > 0.05
    assert found.accuracy == found.accuracy_error == 0


def test_augmentation_adds_what_changed_images_are_harder_than_plain_ones():
    subject = examined("flip=1.0")
    images, labels = subject.train
    plain = measure(subject.model, images, labels)
    mirrored = measure(subject.model, images[:, :, ::-1], labels)
    found = probe.on_batches(subject)
    assert found.loss == pytest.approx(mirrored.loss - plain.loss, abs=4 * found.loss_error)
    difference = mirrored.accuracy - plain.accuracy
    assert found.accuracy == pytest.approx(difference, abs=4 * found.accuracy_error)
    assert found.loss > 0.01


def test_with_what_batches_add_a_model_that_does_not_move_has_the_numbers_that_keras_reports():
    subject = examined("label_smoothing=0.5", "flip=1.0", "train.learning_rate=1e-30")
    model, (images, labels), experiment = subject.model, subject.train, subject.experiment
    compiled_models.compile_model(model, experiment, 1)
    batch = trained_on(experiment, to_inputs(images), labels, 10, epoch=1, step=0)
    reported = model.train_on_batch(*batch, return_dict=True)
    plain, found = measure(model, images, labels), probe.on_batches(subject)
    for metric in ("loss", "accuracy"):
        added, error = getattr(found, metric), getattr(found, f"{metric}_error")
        expected = float(reported[metric])
        assert getattr(plain, metric) + added == pytest.approx(expected, abs=4 * error + 1e-5)
    assert found.loss > 10 * found.loss_error


def test_the_standard_error_of_changed_batches_is_what_other_draws_differ_by(monkeypatch):
    subject = examined("mixup=true")
    real, means, errors = probe.trained_on, [], []
    for repeat in range(8):
        monkeypatch.setattr(
            probe,
            "trained_on",
            lambda *key, more=repeat: real(*key[:4], key[4] + 100 * more, key[5]),
        )
        found = probe.on_batches(subject)
        means.append(found.loss)
        errors.append(found.loss_error)
        assert probe.LEAST_BATCHES <= found.batches <= probe.most_changed(100) // 50
    assert 0.3 < np.std(means, ddof=1) / np.mean(errors) < 3


def test_a_probe_of_changed_batches_leaves_the_model_as_it_is():
    subject = examined("mixup=true", model=("dropout.dense=0.3",))
    before = [harness.numpy(each).copy() for each in subject.model.variables]
    first = probe.on_batches(subject)
    for one, other in zip(before, subject.model.variables, strict=True):
        np.testing.assert_array_equal(one, harness.numpy(other))
    assert probe.on_batches(subject) == first


def test_without_a_technique_that_changes_batches_a_ledger_has_the_keys_that_it_always_had():
    row = {f"{kind}_{metric}": 0.5 for kind in ("reported", "train", "test")
           for metric in ("loss", "accuracy")} | {"penalty": 0.25}  # fmt: skip
    found = gap_ledger.of_row(row, TrainingMode(1.0, 0.5, 0.125, 0.0, 4))
    assert json.dumps(found["loss"].model_dump(mode="json")) == (
        '{"reported": 0.5, "penalty": 0.25, "noise": 0.5, "moving": -0.75, "gap": 0.0, '
        '"test": 0.5, "noise_error": 0.125, "passes": 4}'
    )
    changed = gap_ledger.OnBatches(1.5, -0.25, 0.5, 0.25, 8)
    found = gap_ledger.of_row(row, TrainingMode(1.0, 0.5, 0.125, 0.0, 4), changed)
    assert found["loss"].batch == 1.0
    assert found["loss"].batch_error == pytest.approx(np.hypot(0.5, 0.125))
    assert gap_ledger.Ledger.model_validate(found["loss"].model_dump()) == found["loss"]


def test_a_ledger_of_an_earlier_version_is_read():
    terms = {
        "reported": 2.0,
        "penalty": 0.5,
        "noise": 0.5,
        "moving": 0.25,
        "gap": -1.0,
        "test": 1.75,
    }
    read = gap_ledger.Ledger.model_validate(terms)
    assert read.passes is None
    assert "batch" not in read.terms
