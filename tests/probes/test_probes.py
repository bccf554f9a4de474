"""Probes against independent implementations in NumPy, on networks that NumPy can run."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from regbench import config, datasets, probes
from regbench.models.build import build, compile_model, to_inputs
from regbench.probes import Subject, batch_norm, confidence, dropout, gap_ledger, harness, weights
from regbench.regularizers.keras_layers import DropBlock2D
from regbench.runs.probe_results import Pixels
from regbench.training.evaluate import Curves

TINY = ["data.name=shapes", "data.train_examples=300", "data.test_examples=200"]
TINY += ["model.blocks=[]", "model.dense=[16]", "train.batch_size=50", "train.learning_rate=1e-2"]
ROW = {
    "epoch": 1, "penalty": 0.1, "reported_loss": 2.0, "reported_accuracy": 0.3,
    "train_loss": 1.5, "train_accuracy": 0.4, "test_loss": 1.8, "test_accuracy": 0.35,
}  # fmt: skip


def trained(*overrides, steps=6):
    """Return a model after a few updates, away from its initial weights, and all that it saw."""
    experiment = config.load("configs/baseline.yaml", [*TINY, *overrides])
    splits = datasets.load(experiment.data, 0)
    model = build(experiment, splits.train_images.shape[1:], len(splits.classes))
    compile_model(model, experiment, 6)
    for step in range(steps):
        batch = slice(step % 6, None, 6)
        model.train_on_batch(to_inputs(splits.train_images[batch]), splits.train_labels[batch])
    test = splits.test_images, splits.test_labels
    return Subject(model, experiment, Curves(splits, 0).train, test), splits


@pytest.fixture(scope="module")
def normalized():
    return trained("batch_norm.momentum=0.9")


@pytest.fixture(scope="module")
def dropping():
    return trained("dropout.dense=0.3", "model.dense=[64]", "train.learning_rate=1e-3", steps=150)


def arrays(model, name):
    return [np.asarray(each, "float64") for each in model.get_layer(name).get_weights()]


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def flat(images):
    return images.reshape(len(images), -1) / 255


def hidden(model, images):
    kernel, bias = arrays(model, "dense1")
    return flat(images) @ kernel + bias


def normalized_output(model, before, mean, variance):
    """Return probabilities of an MLP with batch normalization, from what enters the latter."""
    gamma, beta, _, _ = arrays(model, "dense1_batch_norm")
    kernel, bias = arrays(model, "output")
    after = gamma * (before - mean) / np.sqrt(variance + 1e-3) + beta
    return softmax(np.maximum(after, 0) @ kernel + bias)


def nats(outputs, labels):
    return np.mean([-np.log(row[label]) for row, label in zip(outputs, labels, strict=True)])


def test_norms_sparsity_and_histogram_are_those_of_numpy(normalized):
    model = normalized[0].model
    kernel = arrays(model, "dense1")[0].ravel()
    found = next(each for each in weights.kernels(model) if each.layer == "dense1")
    assert found.weights == 3072 * 16
    assert found.one_norm == pytest.approx(sum(abs(kernel)))
    assert found.two_norm == pytest.approx(np.linalg.norm(kernel))
    assert found.sparsity == np.mean([abs(weight) < 1e-3 for weight in kernel])
    histogram = weights.histograms(model)["dense1"]
    limit = abs(kernel).max()
    width = 2 * limit / 41
    middle = sum(abs(kernel) < width / 2)
    assert (histogram.low, histogram.high) == pytest.approx((-limit, limit))
    assert sum(histogram.counts) == len(kernel)
    assert histogram.counts[20] == pytest.approx(middle, abs=2)  # a weight on a bin's edge


def test_true_statistics_are_those_of_numpy(normalized):
    examined, _ = normalized
    images = examined.train[0]
    ((mean, variance),) = batch_norm.statistics(examined.model, images)
    before = hidden(examined.model, images)
    np.testing.assert_allclose(mean, before.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(variance, before.var(axis=0), rtol=1e-4)


def test_statistics_of_maps_are_taken_over_places_too():
    examined, _ = trained("model.blocks=[4]", "batch_norm=true", steps=1)
    model, images = examined.model, examined.train[0][:9]
    found = batch_norm.statistics(model, images)
    (kernel, bias), padded = arrays(model, "block1_conv1"), np.zeros((9, 34, 34, 3))
    padded[:, 1:-1, 1:-1] = images / 255
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
    maps = np.einsum("nhwcij,ijco->nhwo", windows, kernel) + bias
    np.testing.assert_allclose(found[0][0], maps.mean(axis=(0, 1, 2)), atol=1e-5)
    np.testing.assert_allclose(found[0][1], maps.var(axis=(0, 1, 2)), rtol=1e-4)


def test_batch_norm_is_judged_as_numpy_does(normalized):
    examined, _ = normalized
    model, (images, labels) = examined.model, examined.few(examined.test, "statistics")
    found = batch_norm.measure(examined)
    before, at_train = hidden(model, images), hidden(model, examined.train[0])
    _, _, mean, variance = arrays(model, "dense1_batch_norm")

    moving = normalized_output(model, before, mean, variance)
    assert found.moving.loss == pytest.approx(nats(moving, labels), rel=1e-4)
    recalibrated = normalized_output(model, before, at_train.mean(axis=0), at_train.var(axis=0))
    assert found.recalibrated.loss == pytest.approx(nats(recalibrated, labels), rel=1e-4)
    own = np.concatenate(
        [
            normalized_output(model, part, part.mean(axis=0), part.var(axis=0))
            for part in (before[start : start + 50] for start in range(0, 200, 50))
        ]
    )
    assert found.batch.loss == pytest.approx(nats(own, labels), rel=1e-4)
    assert found.batch.accuracy == np.mean(own.argmax(axis=1) == labels)

    shift = abs(mean - at_train.mean(axis=0)) / np.sqrt(at_train.var(axis=0) + 1e-3)
    ratio = np.log((variance + 1e-3) / (at_train.var(axis=0) + 1e-3))
    (layer,) = found.layers
    assert layer.mean_shift == pytest.approx(shift.mean(), rel=1e-4)
    assert layer.variance_ratio == pytest.approx(np.exp(ratio.mean()), rel=1e-4)


def test_training_mode_is_what_numpy_computes_from_batch_statistics(normalized):
    examined, _ = normalized
    images, labels = examined.train
    found, losses = gap_ledger.training_mode(examined), []
    for number in range(found.passes):
        order = gap_ledger.order_of_pass(0, number, len(labels))
        before = hidden(examined.model, images[order])
        parts = [before[start : start + 50] for start in range(0, len(before), 50)]
        outputs = [
            normalized_output(examined.model, part, part.mean(axis=0), part.var(axis=0))
            for part in parts
        ]
        losses.append(nats(np.concatenate(outputs), labels[order]))
    assert found.loss == pytest.approx(np.mean(losses), rel=1e-4)
    expected = np.std(losses, ddof=1) / np.sqrt(len(losses))
    assert found.loss_error == pytest.approx(expected, rel=0.01)


def test_as_many_units_are_dropped_as_were_asked_for(dropping):
    found = dropout.measure(dropping[0])
    assert [each.layer for each in found.layers] == ["dense1_dropout", "output_dropout"]
    for each in found.layers:
        assert each.rate == 0.3
        assert each.dropped == pytest.approx(0.3, abs=0.01)


def test_the_ensemble_is_what_numpy_averages(dropping):
    """Masks differ, so the two ensembles of 64 passes agree only up to their noise."""
    examined, _ = dropping
    images, labels = examined.test
    found = dropout.measure(examined)
    rng = np.random.default_rng(0)
    (kernel, bias), (last, last_bias) = (
        arrays(examined.model, "dense1"),
        arrays(examined.model, "output"),
    )

    def thinned(inputs):
        return inputs * (rng.random(inputs.shape) < 0.7) / 0.7

    def one_pass():
        between = np.maximum(thinned(flat(images)) @ kernel + bias, 0)
        return softmax(thinned(between) @ last + last_bias)

    passes = np.cumsum([one_pass() for _ in range(64)], axis=0)
    scaled = softmax(np.maximum(flat(images) @ kernel + bias, 0) @ last + last_bias)
    assert found.passes == [1, 2, 4, 8, 16, 32, 64]
    assert found.weight_scaling.loss == pytest.approx(nats(scaled, labels), rel=1e-4)
    for count, measured in zip(found.passes, found.ensemble, strict=True):
        expected = nats(passes[count - 1] / count, labels)
        assert measured.loss == pytest.approx(expected, rel=0.2 / np.sqrt(count))


def test_64_passes_agree_with_weight_scaling_within_noise(dropping):
    # On what it was trained on: at chance any two models agree.
    found = dropout.measure(replace(dropping[0], test=dropping[0].train))
    accuracy = found.weight_scaling.accuracy
    noise = 2 * np.sqrt(accuracy * (1 - accuracy) / found.examples)
    assert accuracy > 0.6
    assert found.ensemble[0].accuracy < accuracy - noise / 2  # one pass is worse
    assert found.ensemble[-1].accuracy == pytest.approx(accuracy, abs=noise)


def test_the_standard_error_of_an_ensemble_is_how_much_other_masks_change_it(monkeypatch, dropping):
    derive, found = harness.seeding.derive, []
    for repeat in range(5):
        with monkeypatch.context() as patch:
            patch.setattr(harness.seeding, "derive", lambda *key, extra=repeat: derive(*key, extra))
            found.append(dropout.measure(dropping[0]))
    for quantity in ("accuracy", "loss"):
        spread = np.std([getattr(each.ensemble[-1], quantity) for each in found], ddof=1)
        claimed = np.mean([getattr(each.standard_error, quantity) for each in found])
        assert claimed > 0
        assert 0.3 < claimed / spread < 3


def test_the_ensemble_is_of_all_test_images_that_64_passes_can_afford(monkeypatch, dropping):
    examined, _ = dropping
    assert dropout.measure(examined).examples == 200
    monkeypatch.setattr(dropout, "BUDGET", 64 * 70)
    monkeypatch.setattr(dropout, "LEAST_EXAMPLES", 10)
    assert dropout.measure(examined).examples == 70
    monkeypatch.setattr(dropout, "LEAST_EXAMPLES", 90)
    assert dropout.measure(examined).examples == 90


def test_spatial_dropout_drops_whole_maps_and_is_measured():
    """Its layer takes maps alone, and its mask is one number for each of them."""
    experiment = config.load("configs/baseline.yaml", TINY)
    splits = datasets.load(experiment.data, 0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(4, 3, strides=4),
            layers.SpatialDropout2D(0.25, seed=1),
            layers.Dropout(0.4, noise_shape=(None, 1, 1, 4), seed=2),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )
    pair = (splits.train_images, splits.train_labels), (splits.test_images, splits.test_labels)
    found = dropout.measure(Subject(model, experiment, *pair))
    # 200 examples of 4 maps are 800 draws: 0.06 is more than 3 of their standard deviations.
    assert [each.dropped for each in found.layers] == pytest.approx([0.25, 0.4], abs=0.06)
    assert found.examples == 200


KINDS = {
    "dropout": (lambda: keras.layers.Dropout(0.4), 0.4, 0.4 / 0.6),
    "spatial": (lambda: keras.layers.SpatialDropout2D(0.4), 0.4, 0.4 / 0.6),
    "gaussian": (lambda: keras.layers.GaussianDropout(0.4), 0, 0.4 / 0.6),
    "dropblock": (lambda: DropBlock2D(0.4, 1), 0.4, 0.4 / 0.6),
    "stochastic depth": (lambda: keras.layers.Dropout(0.4, (None, 1, 1, 1)), 0.4, 0.4 / 0.6),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_factors_of_every_kind_of_dropout_have_mean_one_and_the_variance_of_its_rate(kind):
    """p / (1 - p) for all of them: 0 with probability p, or 1 / (1 - p); or Gaussian."""
    make, dropped, variance = KINDS[kind]
    layer = make()
    layer.seed_generator.state.assign(np.asarray([3, 0], "uint32"))
    found = dropout._dropped(layer, "mine", (4, 4, 8))
    assert found.rate == 0.4
    assert found.dropped == pytest.approx(dropped, abs=0.01)
    assert found.factor_mean == pytest.approx(1, abs=0.02)
    assert found.factor_deviation == pytest.approx(np.sqrt(variance), rel=0.03)


class Halving(keras.layers.Dropout):
    """Someone's own kind of dropout, which takes maps alone."""

    def call(self, inputs, training=False):
        assert len(inputs.shape) == 4
        mask = keras.random.uniform(keras.ops.shape(inputs), seed=self.seed_generator) < 0.5
        return inputs * keras.ops.cast(mask, "float32") * 2 if training else inputs


def branching(*droppers):
    """Return a model whose branch has dropout, beside a skip, and what it is examined on."""
    experiment = config.load("configs/baseline.yaml", TINY)
    splits = datasets.load(experiment.data, 0)
    layers, inputs = keras.layers, keras.Input((32, 32, 3))
    skip = layers.Conv2D(2, 8, strides=8, name="conv")(inputs)
    branch = skip
    for dropper in droppers:
        branch = dropper(branch)
    flat = layers.Flatten()(layers.Add()([skip, branch]))
    model = keras.Model(inputs, layers.Dense(10, activation="softmax", name="output")(flat))
    pair = (splits.train_images, splits.train_labels), (splits.test_images, splits.test_labels)
    return Subject(model, experiment, *pair), splits


def test_spatial_dropout_beside_a_skip_is_the_ensemble_that_numpy_averages():
    """Of the branch alone, since the skip keeps every map; equal up to the noise of the masks."""
    examined, _ = branching(keras.layers.SpatialDropout2D(0.4, seed=1))
    (images, labels), model = examined.test, examined.model
    found = dropout.measure(examined)
    kernel, bias = arrays(model, "conv")
    last, last_bias = arrays(model, "output")
    parts = (images / 255).reshape(len(images), 4, 8, 4, 8, 3)
    maps = np.einsum("nahbwc,hwco->nabo", parts, kernel) + bias
    rng = np.random.default_rng(0)

    def outputs(factors):
        return softmax((maps * (1 + factors)).reshape(len(maps), -1) @ last + last_bias)

    passes = [outputs((rng.random((len(maps), 1, 1, 2)) < 0.6) / 0.6) for _ in range(64)]
    assert found.weight_scaling.loss == pytest.approx(nats(outputs(1), labels), rel=1e-4)
    for count, measured in zip(found.passes, found.ensemble, strict=True):
        expected = nats(np.mean(passes[:count], axis=0), labels)
        assert measured.loss == pytest.approx(expected, rel=0.2 / np.sqrt(count))


def test_every_probe_takes_ones_own_dropout_in_a_model_with_a_skip():
    examined, splits = branching(Halving(0.5, name="mine"), DropBlock2D(0.3, 2, name="squares"))
    sample, experiment = examined.train, examined.experiment
    found, failed = probes.measure(examined.model, experiment, splits, sample, ROW)
    assert failed == {}
    mine, squares = found.numbers.dropout.layers
    assert (mine.layer, squares.layer) == ("mine", "squares")
    assert mine.dropped == pytest.approx(0.5, abs=0.01)
    assert 0.2 < squares.dropped < 0.3
    assert found.numbers.ledger["loss"].passes >= gap_ledger.LEAST_PASSES


def test_a_compiled_pass_is_what_the_layers_compute_one_by_one(normalized):
    model, images = normalized[0].model, to_inputs(normalized[0].train[0][:50])
    everything = (keras.layers.Layer,)
    with harness.unchanged(model):
        expected = images
        for layer in model.layers:
            expected = layer(expected, training=True)
        run = harness.compiled(harness.whole(model), everything)
        np.testing.assert_allclose(run(images), harness.numpy(expected), atol=1e-6)


def test_a_short_training_allows_a_short_look(dropping, monkeypatch):
    """The costs are counted in images through the whole network, of which training took so many."""
    examined = replace(dropping[0], images_seen=300)
    assert examined.affordable(0.1, 1000) == pytest.approx(90)
    assert examined.affordable(0.1, 50) == 50
    assert dropping[0].affordable(0.1, 50) == 50
    monkeypatch.setattr(dropout, "LEAST_EXAMPLES", 10)
    found = dropout.measure(examined)  # 300 images are 6 updates, which are as many as 4 passes
    assert found.passes == [1, 2, 4]
    assert found.examples == 10
    assert gap_ledger.training_mode(examined).passes == gap_ledger.LEAST_PASSES


def test_a_network_that_is_the_same_in_training_is_not_run_again(monkeypatch):
    examined, splits = trained(steps=1)
    outputs = examined.outputs
    monkeypatch.setattr(type(examined.model), "predict_on_batch", forbidden)
    for layer in examined.model.layers:
        monkeypatch.setattr(layer, "call", only_zeros(layer.call))
    sample, model = examined.train, examined.model
    found, failed = probes.measure(model, examined.experiment, splits, sample, ROW, outputs)
    assert failed == {}
    assert found.numbers.ledger["loss"].noise == pytest.approx(
        nats(outputs.train, sample[1]) - ROW["train_loss"], abs=1e-5
    )


def forbidden(*arguments, **options):
    raise AssertionError("an image went through the network")


def only_zeros(call):
    """Let a single example through, with which the layers' shapes are looked up."""

    def guarded(inputs, **options):
        return call(inputs, **options) if len(inputs) == 1 else forbidden()

    return guarded


def test_a_probe_that_fails_costs_its_own_numbers_alone(monkeypatch, normalized):
    examined, splits = normalized

    def fail(subject):
        raise ValueError("expected maps\n\x1b[2J" + "x" * 1000)

    monkeypatch.setattr(batch_norm, "measure", fail)
    sample, model = examined.train, examined.model
    found, failed = probes.measure(model, examined.experiment, splits, sample, ROW)
    assert list(failed) == ["batch_norm"]
    assert failed["batch_norm"].startswith("ValueError: expected maps\\n\\x1b[2Jxxx")
    assert len(failed["batch_norm"]) == probes.MOST_CHARACTERS
    assert found.numbers.batch_norm is None
    assert found.numbers.ledger
    assert found.numbers.weights


def test_where_a_probe_of_every_model_fails_nothing_is_found(monkeypatch, normalized):
    examined, splits = normalized
    monkeypatch.setattr(weights, "filters", forbidden)
    sample, model = examined.train, examined.model
    found, failed = probes.measure(model, examined.experiment, splits, sample, ROW)
    assert found is None
    assert failed == {"weights": "AssertionError: an image went through the network"}


def test_what_is_not_used_is_not_measured(normalized, dropping):
    assert dropout.measure(normalized[0]) is None
    assert batch_norm.measure(dropping[0]) is None


def test_confusion_margins_and_mistakes_are_those_of_a_plain_loop():
    rng = np.random.default_rng(0)
    outputs = softmax(rng.normal(0, 2, (500, 4))).astype("float32")
    labels = rng.integers(0, 4, 500)
    counts, margins, wrong = np.zeros((4, 4), int), [], []
    for index, (row, label) in enumerate(zip(outputs, labels, strict=True)):
        counts[label, row.argmax()] += 1
        margins.append(float(row[label]) - max(float(row[k]) for k in range(4) if k != label))
        if row.argmax() != label:
            wrong.append((-row.max(), index))
    np.testing.assert_array_equal(confidence.confusion(outputs, labels, 4), counts)
    np.testing.assert_allclose(confidence.margins(outputs, labels), margins)
    expected = [index for _, index in sorted(wrong)[:8]]
    assert confidence.most_confidently_wrong(outputs, labels).tolist() == expected


def test_a_confusion_of_very_many_classes_is_left_out(normalized, monkeypatch):
    classes = tuple("abcdefghij")
    assert len(confidence.measure(normalized[0], classes).confusion) == 10
    monkeypatch.setattr(confidence, "MOST_CONFUSED", 9)
    assert confidence.measure(normalized[0], classes).confusion == []


def test_calibration_error_is_that_of_a_plain_loop():
    rng = np.random.default_rng(1)
    outputs = softmax(rng.normal(0, 2, (800, 3))).astype("float32")
    labels = rng.integers(0, 3, 800)
    error = 0.0
    for low in range(15):
        inside = [
            (float(row.max()), row.argmax() == label)
            for row, label in zip(outputs, labels, strict=True)
            if low / 15 < row.max() <= (low + 1) / 15
        ]
        if inside:
            sure, correct = zip(*inside, strict=True)
            error += abs(sum(sure) - sum(correct)) / 800
    bins = confidence.reliability(outputs, labels)
    assert confidence.calibration_error(bins) == pytest.approx(error, abs=1e-6)
    assert sum(each.examples for each in bins) == 800


def test_a_model_that_is_sure_and_right_is_calibrated():
    bins = confidence.reliability(np.eye(3, dtype="float32"), np.arange(3))
    assert confidence.calibration_error(bins) == 0
    assert confidence.most_confidently_wrong(np.eye(3, dtype="float32"), np.arange(3)).size == 0


def test_filters_are_images_of_the_first_kernel():
    examined, _ = trained("model.blocks=[4]", steps=1)
    images = weights.filters(examined.model).array()
    kernel = arrays(examined.model, "block1_conv1")[0]
    assert images.shape == (4, 3, 3, 3)
    scaled = kernel[..., 2] / abs(kernel[..., 2]).max()
    np.testing.assert_array_equal(images[2], np.rint(127.5 + 127.5 * scaled))


def test_a_network_without_convolutions_has_no_filters(normalized):
    assert weights.filters(normalized[0].model) is None


def test_probing_changes_nothing_and_can_be_repeated():
    examined, splits = trained("dropout.dense=0.5", "batch_norm=true", "l2=1e-3")
    model = examined.model
    before = [harness.numpy(variable).copy() for variable in model.variables]
    sample = examined.train
    once, failed = probes.measure(model, examined.experiment, splits, sample, ROW)
    assert failed == {}
    for left, right in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(left, harness.numpy(right))
    again = probes.measure(model, examined.experiment, splits, sample, ROW, examined.outputs)
    assert again == (once, {})


def test_the_worst_mistakes_come_with_their_images(normalized):
    examined, splits = normalized
    found = confidence.measure(examined, splits.classes)
    outputs = normalized[0].model.predict(to_inputs(splits.test_images), verbose=0)
    worst = confidence.most_confidently_wrong(outputs, splits.test_labels)
    np.testing.assert_array_equal(found.mistake_images.array(), splits.test_images[worst])
    assert [each.truth for each in found.mistakes] == splits.test_labels[worst].tolist()


def test_pixels_survive_their_text():
    images = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3), np.uint8)
    np.testing.assert_array_equal(Pixels.of(images).array(), images)
