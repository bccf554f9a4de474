"""`train.precision` and `train.jit_compile`: what they change, and that a run resumes with them."""

import json

import keras
import numpy as np
import pytest

from regbench import config, datasets
from regbench.errors import RegbenchError
from regbench.execution import signals
from regbench.execution.environment import Runtime
from regbench.models import precision
from regbench.models.build import build, compile_model
from regbench.models.evaluate import penalty, predict
from regbench.regularizers.keras_layers import DropBlock2D, StochasticPooling2D
from regbench.runs.folder import RunFolder
from regbench.training import compiled_epochs, compiled_models, steps, train
from regbench.training.train import Job
from tests import tiny

TOY = [
    *tiny.RUN,
    "data.train_examples=72",
    "dropout.dense=0.5",
    "batch_norm=true",
    "l2=0.001",
]
HALF = {"mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}
IMAGE, CLASSES = (32, 32, 3), 5


def experiment(*overrides):
    return config.load("configs/baseline.yaml", [*TOY, *overrides])


def compiled(*overrides):
    made = experiment(*overrides)
    model = build(made, IMAGE, CLASSES)
    compile_model(model, made, 9)
    return model


@pytest.mark.parametrize(
    ("name", "network"),
    [("mixed_float16", "cnn"), ("mixed_float16", "all_cnn"), ("mixed_bfloat16", "resnet20")],
)
def test_hidden_layers_compute_in_half_precision_and_weights_and_probabilities_do_not(
    name, network
):
    changes = ["data.per_image_standardization=true", f"train.precision={name}"]
    made = config.load("configs/baseline.yaml", [f"model.name={network}", *changes])
    model = build(made, IMAGE, CLASSES)
    float32 = {"input_standardization", "output", "global_average_pooling", "softmax"}
    for layer in model.layers:
        if not isinstance(layer, keras.layers.InputLayer) and layer.name not in float32:
            assert layer.compute_dtype == HALF[name], layer.name
    assert {each.dtype for each in model.trainable_variables} == {"float32"}
    assert model.layers[-1].compute_dtype == model.outputs[0].dtype == "float32"
    # The next run in this process has a policy of its own.
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize("name", HALF)
def test_half_precision_rounds_hidden_layers_and_neither_softmax_nor_penalty(name):
    images = np.random.default_rng(0).integers(0, 256, (20, *IMAGE), np.uint8)
    exact, rounded = compiled(), compiled(f"train.precision={name}")
    expected, received = (predict(model, images) for model in (exact, rounded))
    assert received.dtype == np.float32
    assert 1e-5 < np.abs(received - expected).max() < 0.03
    np.testing.assert_allclose(received.sum(axis=1), 1, atol=1e-6)
    assert penalty(rounded) == penalty(exact)


def test_only_float16_scales_the_loss_and_an_update_that_overflows_is_skipped():
    def scales(*overrides):
        return isinstance(compiled(*overrides).optimizer, keras.optimizers.LossScaleOptimizer)

    assert not scales()
    assert not scales("train.precision=mixed_bfloat16")
    model = compiled("train.precision=mixed_float16")
    rng = np.random.default_rng(0)
    batch = rng.random((8, *IMAGE), np.float32), rng.integers(0, CLASSES, 8)
    scale = model.optimizer.dynamic_scale
    before = [np.array(each) for each in model.trainable_variables]
    scale.assign(2.0**60)
    loss, _ = model.train_on_batch(*batch)
    assert 0 < float(loss) < 10  # as it is without a scale
    assert float(scale) == 2.0**59
    for was, now in zip(before, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(was, np.array(now))
    scale.assign(2.0**10)
    model.train_on_batch(*batch)
    assert float(scale) == 2.0**10
    assert not np.array_equal(before[0], np.array(model.trainable_variables[0]))


def run(results, *overrides):
    """Train in this process; return the last model, the history without seconds, the folder."""
    runtime, made = Runtime(keras.backend.backend(), "cpu", 1), experiment(*overrides)
    models = []
    compiled_models._kept.clear()  # the model that is built here is then the one that is trained

    def compile_and_keep(model, *arguments):
        models.append(model)
        compile_model(model, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled_models, "compile_model", compile_and_keep)
        train.train(Job(made, results, runtime, ["regbench", "run"]), lambda *_: None)
    folder = RunFolder.of(results, made).path
    lines = [line.split(",") for line in (folder / "history.csv").read_text().splitlines()]
    seconds = lines[0].index("seconds")
    return models[-1], [line[:seconds] + line[seconds + 1 :] for line in lines], folder


def test_a_float16_run_resumes_exactly_with_its_loss_scale(monkeypatch, tmp_path):
    """The scale grows within the 18 updates: one that started over would be another."""
    scaled = ("train.precision=mixed_float16", "ema=0.9", "gradient_clipping=1")

    def grows(optimizer, _):
        return keras.optimizers.LossScaleOptimizer(optimizer, dynamic_growth_steps=5)

    monkeypatch.setattr(precision, "with_loss_scale", grows)
    model, history, folder = run(tmp_path / "whole", *scaled)
    answers = iter(range(1, 100))
    with monkeypatch.context() as patch:
        patch.setattr(steps, "MOST_STEPS", 1)
        patch.setattr(compiled_epochs, "MOST_STEPS", 1)
        patch.setattr(signals, "stop_requested", lambda: next(answers) >= 7)
        with pytest.raises(signals.Stopped, match="stopped at step 6 of epoch 1"):
            run(tmp_path, *scaled)
    resumed, after, _ = run(tmp_path, *scaled)
    assert after == history
    for mine, theirs in zip(resumed.variables, model.variables, strict=True):
        assert np.array(mine).tobytes() == np.array(theirs).tobytes()
    for key in ("dynamic_scale", "step_counter"):
        values = [float(getattr(each.optimizer, key)) for each in (model, resumed)]
        assert values[0] == values[1]
    assert float(model.optimizer.dynamic_scale) > 2.0**15  # with which it starts
    # Plain Keras loads the model, and finds the types in it.
    loaded = keras.saving.load_model(folder / "model.keras", safe_mode=True)
    assert loaded.layers[0].compute_dtype == "float16"
    environment = json.loads((folder / "environment.json").read_text())
    assert environment["precision"] == "mixed_float16"
    assert "jit_compile" not in environment
    summary = json.loads((folder / "summary.json").read_text())
    assert "probes_failed" not in summary
    assert summary["probes"]["ledger"]


@pytest.mark.parametrize("name", HALF)
def test_random_layers_draw_in_half_precision_as_often_as_in_float32(name):
    """Drawn in bfloat16, a probability would be a multiple of 1/128, and 5 times this one."""
    inputs = np.ones((64, 32, 32, 8), np.float32)
    dropped = np.array(DropBlock2D(0.01, 2, seed=1, dtype=name)(inputs, training=True), np.float32)
    assert (dropped == 0).mean() == pytest.approx(0.01, rel=0.1)
    assert dropped.mean(dtype=np.float64) == pytest.approx(1, abs=1e-2)  # 1/128 is a digit
    windows = np.tile(np.float32([[1, 2], [0, 5]])[None, :, :, None], (8000, 1, 1, 1))
    layer = StochasticPooling2D(2, seed=1, dtype=name)
    picked = np.array(layer(windows, training=True), np.float32)
    assert layer.compute_dtype == HALF[name]
    values, counts = np.unique(picked, return_counts=True)
    np.testing.assert_array_equal(values, [1, 2, 5])  # always one of them
    np.testing.assert_allclose(counts / 8000, np.array([1, 2, 5]) / 8, atol=0.02)


def test_an_own_network_with_probabilities_in_half_precision_is_refused():
    from regbench.models.own import checked

    layers = keras.layers
    made = experiment("train.precision=mixed_bfloat16")
    for output, refused in (None, True), ("float32", False):
        with precision.policy(made.train):
            last = layers.Dense(CLASSES, activation="softmax", name="output", dtype=output)
            model = keras.Sequential([keras.Input(IMAGE), layers.Flatten(), last])
        if refused:
            with pytest.raises(RegbenchError, match=r"float32, received bfloat16; give the output"):
                checked(model, "mine", IMAGE, CLASSES)
        else:
            checked(model, "mine", IMAGE, CLASSES)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="JAX has it")
def test_xla_on_tensorflow_is_refused_in_one_line_before_training(tmp_path, recwarn):
    with pytest.raises(RegbenchError) as refused:
        run(tmp_path, "train.jit_compile=true")
    assert str(refused.value) == (
        "train.jit_compile: expected null or false, received true: Keras has no XLA on TensorFlow "
        "with deterministic operations, as runs have them; leave it out, or use --backend jax"
    )
    assert not list(tmp_path.glob("*/history.csv"))
    assert not [each for each in recwarn if "jit_compile" in str(each.message)]
    # Without XLA it is what it is by default.
    assert not compiled("train.jit_compile=false").jit_compile
    assert not compiled().jit_compile


def test_defaults_leave_hash_and_config_as_they_were():
    made = experiment()
    spelled = experiment("train.precision=float32", "train.jit_compile=null")
    assert spelled.hash == made.hash
    assert {"precision", "jit_compile"}.isdisjoint(config.dump(spelled).split())
    assert experiment("train.jit_compile=false").hash != made.hash
    assert made.train.numerics() == {}
    other = experiment("train.jit_compile=false", "train.precision=mixed_float16").train
    assert other.numerics() == {"precision": "mixed_float16", "jit_compile": False}
    assert datasets.load(made.data, 0).train_images.shape[1:] == IMAGE
