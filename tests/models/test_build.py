"""From an experiment to layers and weights."""

import keras
import numpy as np
import pytest

from regbench import config
from regbench.errors import RegbenchError
from regbench.models.build import build, compile_model, to_inputs

IMAGE = (32, 32, 3)
CLASSES = 10


def built(name="baseline", *overrides):
    return build(config.load(f"configs/{name}.yaml", overrides), IMAGE, CLASSES)


def names(model):
    return [type(layer).__name__ for layer in model.layers]


def assert_same_layers(model, layers):
    """Compare with hand-written Keras layers, names aside: class, config, shapes, parameters."""
    plain = keras.Sequential([keras.Input(IMAGE), *layers])
    assert names(model) == names(plain)
    for ours, theirs in zip(model.layers, plain.layers, strict=True):
        assert ours.get_config() | {"name": ""} == theirs.get_config() | {"name": ""}
        assert ours.output.shape == theirs.output.shape
    assert model.count_params() == plain.count_params()


def test_the_dropout_model_of_the_notes_layer_for_layer():
    layers = keras.layers
    assert_same_layers(
        built("notes_dropout"),
        [
            layers.Conv2D(128, 3, padding="same", activation="relu"),
            layers.Conv2D(128, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.GlobalMaxPooling2D(),
            layers.Dropout(0.3),
            layers.Dense(64, activation="relu"),
            layers.Dropout(0.3),
            layers.Dense(10, activation="softmax"),
        ],
    )


def test_the_batch_normalization_model_of_the_notes_layer_for_layer():
    layers = keras.layers

    def block(channels):
        for _ in range(2):
            yield layers.Conv2D(channels, 3, padding="same")
            yield layers.BatchNormalization()
            yield layers.Activation("relu")
        yield layers.MaxPooling2D(2)

    head = [
        layers.Flatten(),
        layers.Dense(128),
        layers.BatchNormalization(),
        layers.Activation("relu"),
        layers.Dense(10, activation="softmax"),
    ]
    assert_same_layers(built("notes_batch_norm"), [*block(32), *block(64), *head])


def test_the_baseline_has_550570_parameters():
    model = built()
    assert model.count_params() == 550_570
    assert names(model) == ["Conv2D", "Conv2D", "MaxPooling2D"] * 3 + ["Flatten", "Dense", "Dense"]


@pytest.mark.parametrize(
    "variant",
    ["l2", "dropout", "dropout_conv", "batch_norm", "average_pooling", "no_pooling", "all"],
)
def test_variants_share_the_initial_weights_of_every_layer_they_share(variant):
    baseline = {layer.name: layer for layer in built().layers}
    kernels = [layer for layer in built(variant).layers if hasattr(layer, "kernel")]
    assert len(kernels) == 8
    for layer in kernels:
        np.testing.assert_array_equal(layer.kernel, baseline[layer.name].kernel)


def test_another_seed_draws_other_weights():
    first, second = built(), built("baseline", "seed=1")
    assert np.abs(np.subtract(first.layers[0].kernel, second.layers[0].kernel)).max() > 0.01


def test_initial_weights_have_the_scale_of_glorot_uniform():
    kernel = np.asarray(built().get_layer("dense1").kernel)
    limit = np.sqrt(6 / (2048 + 128))
    assert np.abs(kernel).max() <= limit
    assert kernel.std() == pytest.approx(limit / np.sqrt(3), rel=0.02)


def test_strided_convolutions_keep_the_size_of_the_head_and_have_no_pooling():
    model = built("no_pooling")
    assert "MaxPooling2D" not in names(model)
    assert model.count_params() == 550_570


def test_overlapping_pooling_keeps_the_size_of_the_head():
    model = built("overlapping_pooling")
    assert model.get_layer("block1_pooling").get_config()["pool_size"] == (3, 3)
    assert model.count_params() == 550_570


def test_dropout_stands_before_every_dense_layer_and_behind_every_block():
    model = built("baseline", "dropout={dense: 0.5, conv: 0.2}")
    rates = {layer.name: layer.rate for layer in model.layers if "dropout" in layer.name}
    blocks = {f"block{number}_dropout": 0.2 for number in (1, 2, 3)}
    assert rates == {**blocks, "dense1_dropout": 0.5, "output_dropout": 0.5}


def test_every_layer_with_random_numbers_is_seeded():
    """Keras on torch draws from a generator that no run owns where a layer was made without."""
    model = built("dropout", "dropout.conv=0.2")
    layers = [layer for layer in model.layers if hasattr(layer, "seed_generator")]
    seeds = {layer.name: layer.seed_generator._initial_seed for layer in layers}
    assert len(seeds) > 2
    assert None not in seeds.values()
    assert len(set(seeds.values())) == len(seeds)


def test_dropout_masks_depend_on_the_seed_and_the_layer():
    def mask(seed, layer):
        model = built("dropout", f"seed={seed}")
        return np.asarray(model.get_layer(layer)(np.ones((1, 500), "float32"), training=True))

    np.testing.assert_array_equal(mask(0, "dense1_dropout"), mask(0, "dense1_dropout"))
    assert (mask(0, "dense1_dropout") != mask(1, "dense1_dropout")).any()
    assert (mask(0, "dense1_dropout") != mask(0, "output_dropout")).any()


def test_batch_normalization_takes_either_side_of_the_activation():
    before, after = built("batch_norm"), built("batch_norm_after_activation")
    assert names(before)[:3] == ["Conv2D", "BatchNormalization", "Activation"]
    assert names(after)[:2] == ["Conv2D", "BatchNormalization"]
    assert after.layers[0].activation is keras.activations.relu
    assert before.layers[0].activation is keras.activations.linear


@pytest.mark.parametrize("head", ["global_max_pooling", "global_average_pooling"])
def test_global_pooling_leaves_one_number_a_map(head):
    model = built("baseline", f"model.head={head}")
    assert model.get_layer(head).output.shape == (None, 128)


def test_no_blocks_at_all_give_a_multilayer_perceptron():
    model = built("baseline", "model.blocks=[]", "model.dense=[64, 32]")
    assert names(model) == ["Flatten", "Dense", "Dense", "Dense"]


@pytest.mark.parametrize(
    ("toggle", "expected"),
    [
        ("l1=0.01", lambda w: 0.01 * np.abs(w).sum()),
        ("l2=0.01", lambda w: 0.01 * np.square(w).sum()),
        ("lp={p: 1.5, strength: 0.01}", lambda w: 0.01 * (np.abs(w) ** 1.5).sum()),
    ],
)
def test_penalties_are_p_norms_of_every_kernel_and_of_no_bias(toggle, expected):
    model = built("baseline", toggle)
    for layer in model.layers:
        if hasattr(layer, "bias"):
            layer.bias.assign(np.ones(layer.bias.shape))
    kernels = [
        np.asarray(each.kernel, "float64") for each in model.layers if hasattr(each, "kernel")
    ]
    assert len(model.losses) == len(kernels) == 8
    assert float(sum(model.losses)) == pytest.approx(sum(map(expected, kernels)), rel=1e-5)


def test_penalties_add_up():
    each = [float(sum(built("baseline", toggle).losses)) for toggle in ("l1=0.01", "l2=0.02")]
    both = built("baseline", "l1=0.01", "l2=0.02")
    assert float(sum(both.losses)) == pytest.approx(sum(each), rel=1e-6)


def test_a_saved_model_with_every_penalty_loads_in_safe_mode(tmp_path):
    model = built("baseline", "l1=0.01", "l2=0.02", "lp={p: 3, strength: 0.1}", "model.blocks=[4]")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert float(sum(loaded.losses)) == pytest.approx(float(sum(model.losses)), rel=1e-6)


def test_lp_gradients_are_finite_at_zero():
    import tensorflow as tf

    from regbench.regularizers.keras_penalties import LpNorm

    for p in (1, 1.5, 2, 3):
        weights = tf.Variable([0.0, 1.0, -2.0])
        with tf.GradientTape() as tape:
            loss = LpNorm(p, 0.5)(weights)
        expected = 0.5 * p * np.array([0.0, 1.0, -(2.0 ** (p - 1))])
        np.testing.assert_allclose(tape.gradient(loss, weights), expected, rtol=1e-6)


def test_maps_that_shrink_to_nothing_are_refused_with_the_way_out():
    with pytest.raises(RegbenchError, match=r"32x32 pixels.*fewer model\.blocks"):
        built("baseline", "model.blocks=[4, 4, 4, 4, 4, 4, 4]")


def test_sgd_has_momentum_and_the_cosine_schedule_ends_at_zero():
    overrides = ["train.optimizer=sgd", "train.momentum=0.8", "train.learning_rate=0.1"]
    experiment = config.load("configs/baseline.yaml", [*overrides, "train.schedule=cosine"])
    model = build(experiment, IMAGE, CLASSES)
    compile_model(model, experiment, steps_per_epoch=4)
    assert model.optimizer.momentum == pytest.approx(0.8)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1)
    model.optimizer.iterations.assign(25 * 4)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.0, abs=1e-8)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_the_first_step_makes_no_variable(optimizer):
    """One that does is traced twice, and TensorFlow keeps what it traced."""
    experiment = config.load("configs/baseline.yaml", [f"train.optimizer={optimizer}"])
    model = built("baseline")
    compile_model(model, experiment, 1)

    def variables():
        return [each.path for each in [*model.optimizer.variables, *model.metrics_variables]]

    before = variables()
    assert all(np.array(each).sum() == 0 for each in model.metrics_variables)
    model.train_on_batch(np.zeros((2, 32, 32, 3), np.float32), np.zeros(2, np.int64))
    assert variables() == before
    assert any("momentum" in path for path in before)
    assert any("accuracy" in path for path in before)


def test_inputs_are_the_pixels_scaled_to_one():
    inputs = to_inputs(np.array([[0, 51, 255]], np.uint8))
    assert inputs.dtype == np.float32
    np.testing.assert_allclose(inputs, [[0, 0.2, 1]], rtol=1e-6)
