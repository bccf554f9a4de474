"""Techniques that draw in training: their mathematics against NumPy, and what they leave alone."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from regbench import config
from regbench.errors import RegbenchError
from regbench.models.build import build
from regbench.regularizers.keras_layers import DropBlock2D, MixedPooling2D, StochasticPooling2D
from regbench.regularizers.stochastic_depth import StochasticDepth

SMALL = ["model.blocks=[4]", "model.convolutions=1", "model.dense=[8]"]
TOGGLES = {
    "gaussian_noise={input: 0.1, hidden: 0.2}": [
        "input_gaussian_noise", "block1_conv1_gaussian_noise", "dense1_gaussian_noise",
    ],
    "gaussian_dropout={dense: 0.5, conv: 0.1}": [
        "block1_gaussian_dropout", "dense1_gaussian_dropout", "output_gaussian_dropout",
    ],
    "spatial_dropout=0.2": ["block1_spatial_dropout"],
    "dropblock=0.2": ["block1_dropblock"],
    "pooling=stochastic": ["block1_pooling"],
    "pooling=mixed": ["block1_pooling"],
}  # fmt: skip


def built(*overrides):
    return build(config.load("configs/baseline.yaml", [*SMALL, *overrides]), (8, 8, 3), 10)


def array(tensor):
    return keras.ops.convert_to_numpy(tensor)


def maps(*shape, seed=0):
    return np.random.default_rng(seed).normal(0.3, 1, shape).astype("float32")


def drawn(layer, inputs):
    return array(layer(inputs, training=True))


@pytest.mark.parametrize("toggle", TOGGLES)
def test_a_technique_stands_in_its_places_and_every_layer_draws_by_seed_and_name(toggle):
    model, again, other = built(toggle), built(toggle), built(toggle, "seed=1")
    random = [layer for layer in model.layers if hasattr(layer, "seed_generator")]
    assert [layer.name for layer in random] == TOGGLES[toggle]
    states = [tuple(array(layer.seed_generator.state)) for layer in random]
    assert len(set(states)) == len(states)
    name = TOGGLES[toggle][0]
    layer, twin, stranger = (each.get_layer(name) for each in (model, again, other))
    inputs = np.abs(maps(50, *layer.input.shape[1:]))
    first = drawn(layer, inputs)
    np.testing.assert_array_equal(first, drawn(twin, inputs))
    assert (first != drawn(stranger, inputs)).any()
    assert (first != drawn(layer, inputs)).any()  # the next batch has other draws
    for each in random:
        assert any(each.seed_generator.state is variable for variable in model.variables)


@pytest.mark.parametrize("toggle", [each for each in TOGGLES if not each.startswith("pooling")])
def test_nothing_is_drawn_at_inference(toggle):
    model, images = built(toggle), np.random.default_rng(0).random((4, 8, 8, 3), np.float32)
    np.testing.assert_array_equal(array(model(images)), array(built()(images)))


@pytest.mark.parametrize(
    "toggle",
    [
        "gaussian_noise=0",
        "gaussian_dropout=0",
        "spatial_dropout=0",
        "dropblock={rate: 0, size: 5}",
        "stochastic_depth=0",
    ],
)
def test_a_strength_of_zero_is_the_baseline(toggle):
    assert (
        config.load("configs/baseline.yaml", [toggle]).hash
        == config.load("configs/baseline.yaml").hash
    )


def test_gaussian_noise_is_added_with_the_deviation_that_was_asked_for():
    layer = built("gaussian_noise=0.1").get_layer("input_gaussian_noise")
    images = np.random.default_rng(0).random((100, 8, 8, 3), np.float32)
    noise = drawn(layer, images) - images
    assert noise.mean() == pytest.approx(0, abs=5 * 0.1 / np.sqrt(noise.size))
    assert noise.std() == pytest.approx(0.1, rel=0.03)
    assert abs(np.corrcoef(noise.ravel(), images.ravel())[0, 1]) < 0.04


def test_gaussian_dropout_has_the_mean_and_variance_of_dropout():
    layer = built("gaussian_dropout=0.2").get_layer("dense1_gaussian_dropout")
    factors = drawn(layer, np.ones((400, 64), "float32"))
    dropout = np.where(np.random.default_rng(0).random(factors.shape) < 0.2, 0, 1 / 0.8)
    assert factors.mean() == pytest.approx(dropout.mean(), abs=0.02)
    assert factors.var() == pytest.approx(dropout.var(), rel=0.05)
    assert (factors != 0).all()


def test_spatial_dropout_switches_off_whole_maps_and_scales_the_others():
    layer = built("spatial_dropout=0.25").get_layer("block1_spatial_dropout")
    inputs = maps(300, 4, 4, 4)
    outputs = drawn(layer, inputs)
    kept = (outputs != 0).any(axis=(1, 2))
    expected = inputs * kept[:, None, None, :] / 0.75
    np.testing.assert_allclose(outputs, expected, rtol=1e-5)
    assert kept.mean() == pytest.approx(0.75, abs=0.05)


def blocks_of(starts, size):
    """Return where squares lie that start in `starts` (rows, columns), by two plain loops."""
    rows, columns = starts.shape
    off = np.zeros((rows + size - 1, columns + size - 1), bool)
    for row, column in np.argwhere(starts):
        off[row : row + size, column : column + size] = True
    return off


@pytest.mark.parametrize(("side", "size"), [(8, 3), (7, 4), (5, 1), (3, 3)])
def test_dropblock_drops_the_squares_that_start_where_gamma_says(monkeypatch, side, size):
    draws = np.random.default_rng(1).random((6, side - size + 1, side - size + 1, 2), np.float32)
    monkeypatch.setattr(keras.random, "uniform", lambda shape, **options: draws)
    gamma = 0.3 / size**2 * side**2 / (side - size + 1) ** 2  # the paper's formula
    off = np.zeros((6, side, side, 2), bool)
    for example in range(6):
        for channel in range(2):
            off[example, ..., channel] = blocks_of(draws[example, ..., channel] < gamma, size)
    inputs = maps(6, side, side, 2)
    expected = inputs * ~off * off.size / (~off).sum()
    np.testing.assert_allclose(drawn(DropBlock2D(0.3, size), inputs), expected, rtol=1e-5)


def test_dropblock_of_size_one_drops_the_share_asked_for_and_larger_ones_a_little_less():
    ones = np.ones((200, 8, 8, 4), "float32")
    shares = [(drawn(DropBlock2D(0.2, size, seed=3), ones) == 0).mean() for size in (1, 3)]
    assert shares[0] == pytest.approx(0.2, abs=0.01)
    assert 0.15 < shares[1] < shares[0]


def test_dropblock_on_maps_smaller_than_the_square_drops_them_whole_and_keeps_the_mean():
    outputs = drawn(DropBlock2D(0.4, 7, seed=3), np.ones((300, 2, 2, 4), "float32"))
    assert (outputs.std(axis=(1, 2)) == 0).all()
    assert (outputs == 0).mean() == pytest.approx(0.4, abs=0.06)
    assert outputs.mean() == pytest.approx(1, rel=1e-5)


def test_dropblock_of_which_nothing_is_left_is_zero_and_not_nan(monkeypatch):
    monkeypatch.setattr(keras.random, "uniform", lambda shape, **options: np.zeros(shape, "f4"))
    outputs = drawn(DropBlock2D(0.5, 2), np.ones((1, 4, 4, 1), "float32"))
    np.testing.assert_array_equal(outputs, 0)


def test_stochastic_depth_drops_examples_with_a_probability_in_proportion_to_the_depth():
    technique, inputs = StochasticDepth(rate=0.4), maps(500, 3, 3, 2)
    for depth in (0.25, 1.0):
        (layer,) = technique.around_block("block1", depth)
        outputs = drawn(layer, inputs)
        kept = (outputs != 0).any(axis=(1, 2, 3))
        expected = inputs * kept[:, None, None, None] / (1 - 0.4 * depth)
        np.testing.assert_allclose(outputs, expected, rtol=1e-5)
        assert 1 - kept.mean() == pytest.approx(0.4 * depth, abs=0.07)
        np.testing.assert_array_equal(array(layer(inputs, training=False)), inputs)


@pytest.mark.parametrize("toggle", ["stochastic_depth=0.2", "spatial_dropout=0.2", "dropblock=0.2"])
def test_a_technique_without_a_place_in_the_network_is_refused(toggle):
    with pytest.raises(RegbenchError, match=rf"^{toggle.split('=')[0]}: .* block"):
        built(toggle, "model.blocks=[]")


def windows(inputs, size, stride, padding):
    """Yield row, column and the values (n, values, channels) of every window, by plain loops."""
    height, width = inputs.shape[1:3]
    if padding == "same":
        rows, columns = -(-height // stride), -(-width // stride)
        above = max(0, (rows - 1) * stride + size - height) // 2
        left = max(0, (columns - 1) * stride + size - width) // 2
    else:
        rows, columns, above, left = (
            (height - size) // stride + 1,
            (width - size) // stride + 1,
            0,
            0,
        )
    for row in range(rows):
        for column in range(columns):
            top, start = row * stride - above, column * stride - left
            part = inputs[:, max(0, top) : top + size, max(0, start) : start + size]
            yield row, column, part.reshape(len(inputs), -1, inputs.shape[-1])


SHAPES = [(2, 2, "valid"), (3, 2, "same"), (3, 2, "valid"), (2, 3, "valid"), (3, 1, "same")]


@pytest.mark.parametrize(("size", "stride", "padding"), SHAPES)
def test_stochastic_pooling_weighs_values_by_their_probability_at_inference(size, stride, padding):
    inputs = maps(3, 7, 8, 2)
    inputs[0, :4, :4] = -1  # windows without a positive value
    outputs = array(StochasticPooling2D(size, stride, padding)(inputs))
    pool = keras.layers.MaxPooling2D(size, stride, padding)
    assert outputs.shape == pool(inputs).shape
    for row, column, values in windows(inputs, size, stride, padding):
        positive = np.maximum(values, 0)
        total = positive.sum(axis=1)
        expected = np.divide((positive**2).sum(axis=1), total, where=total > 0, out=0 * total)
        np.testing.assert_allclose(outputs[:, row, column], expected, rtol=1e-5)


@pytest.mark.parametrize(("size", "stride", "padding"), SHAPES)
def test_stochastic_pooling_passes_on_values_of_the_window_in_training(size, stride, padding):
    inputs = maps(3, 7, 8, 2)
    outputs = drawn(StochasticPooling2D(size, stride, padding), inputs)
    for row, column, values in windows(inputs, size, stride, padding):
        for picked, offered in zip(outputs[:, row, column], values, strict=True):
            for channel, value in enumerate(picked):
                assert value in np.maximum(offered[:, channel], 0)


def test_stochastic_pooling_draws_each_value_in_proportion_to_it():
    inputs = np.tile(np.float32([[1, 2], [0, 5]])[None, :, :, None], (8000, 1, 1, 1))
    picked = drawn(StochasticPooling2D(2, seed=1), inputs).ravel()
    values, counts = np.unique(picked, return_counts=True)
    np.testing.assert_array_equal(values, [1, 2, 5])
    np.testing.assert_allclose(counts / 8000, np.array([1, 2, 5]) / 8, atol=0.02)


def test_mixed_pooling_is_max_or_average_for_each_map_and_half_of_each_at_inference():
    inputs, layer = maps(200, 4, 4, 3), MixedPooling2D(2, seed=1)
    blocks = inputs.reshape(200, 2, 2, 2, 2, 3)
    largest, mean = blocks.max(axis=(2, 4)), blocks.mean(axis=(2, 4))
    np.testing.assert_allclose(array(layer(inputs)), (largest + mean) / 2, rtol=1e-4, atol=1e-6)
    outputs = drawn(layer, inputs)
    is_largest = np.isclose(outputs, largest, atol=1e-6).all(axis=(1, 2))
    is_mean = np.isclose(outputs, mean, atol=1e-6).all(axis=(1, 2))
    assert (is_largest != is_mean).all()
    assert is_largest.mean() == pytest.approx(0.5, abs=0.08)


def test_random_pooling_of_maps_that_are_too_small_is_refused_like_any_other():
    for kind in ("stochastic", "mixed"):
        with pytest.raises(RegbenchError, match=r"8x8 pixels.*smaller.*pooling\.size"):
            built(f"pooling={kind}", "model.blocks=[4, 4, 4, 4]")


PLAIN = """
import sys, keras, regbench
names = {type(layer).__name__ for layer in keras.saving.load_model(sys.argv[1]).layers}
assert names == {"DropBlock2D", "StochasticPooling2D", "MixedPooling2D"}, names
"""


def test_plain_keras_loads_the_layers_of_regbench_once_that_is_imported(tmp_path):
    layers = [DropBlock2D(0.3, 2), StochasticPooling2D(), MixedPooling2D()]
    keras.Sequential([keras.Input((8, 8, 2)), *layers]).save(tmp_path / "model.keras")
    done = subprocess.run(
        [sys.executable, "-c", PLAIN, str(tmp_path / "model.keras")],
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-2000:]


LAYERS = [DropBlock2D(0.3, 2, name="a"), StochasticPooling2D(3, 2, "same", name="b"),
          MixedPooling2D(2, name="c")]  # fmt: skip


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
def test_a_layer_of_regbench_is_loaded_in_safe_mode_as_it_was(layer, tmp_path):
    model, inputs = keras.Sequential([keras.Input((6, 6, 2)), layer]), maps(3, 6, 6, 2)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert type(loaded.layers[0]) is type(layer)
    assert loaded.layers[0].get_config() == layer.get_config()
    np.testing.assert_array_equal(array(loaded(inputs)), array(model(inputs)))


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
def test_gradients_pass_through_what_was_kept_or_picked_alone(layer):
    import tensorflow as tf

    inputs = tf.constant(np.abs(maps(3, 6, 6, 2)))
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs, training=True)
        total = tf.reduce_sum(outputs)
    gradients = tape.gradient(total, inputs).numpy()
    # Each output is a weighted sum of inputs, whose weights depend on the draws alone.
    assert np.sum(gradients * inputs.numpy()) == pytest.approx(float(total), rel=1e-4)
