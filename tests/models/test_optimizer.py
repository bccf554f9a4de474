"""What techniques ask of the optimizer, in plain NumPy: decay, clipping, the moving average."""

import keras
import numpy as np
import pytest

from regbench import config
from regbench.errors import RegbenchError
from regbench.models.build import build, compile_model
from regbench.regularizers.penalties import L2

TINY = ["model={blocks: [2], convolutions: 1, dense: [3]}", "batch_norm=true"]
STEPS = 4


def compiled(*overrides):
    experiment = config.load("configs/baseline.yaml", [*TINY, *overrides])
    model = build(experiment, (4, 4, 3), 2)
    compile_model(model, experiment, STEPS)
    return model


def values(variables):
    return [keras.ops.convert_to_numpy(each).copy() for each in variables]


def gradients(model, rng):
    return [rng.normal(0, 2, each.shape).astype("float32") for each in model.trainable_variables]


def apply(model, given):
    model.optimizer.apply(
        [keras.ops.convert_to_tensor(each) for each in given], model.trainable_variables
    )


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_weight_decay_takes_rate_times_decay_off_kernels_alone(optimizer):
    """Without a gradient only the decay is left; the rate of a schedule multiplies it."""
    schedule = ["train={optimizer: %s, learning_rate: 0.1, schedule: cosine, epochs: 2}"]
    model = compiled(schedule[0] % optimizer, "weight_decay=0.5")
    first = values(model.trainable_variables)
    rates = [0.1 * (1 + np.cos(np.pi * step / (2 * STEPS))) / 2 for step in range(3)]
    for _ in rates:
        apply(model, [np.zeros_like(each) for each in first])
    left = np.prod([1 - rate * 0.5 for rate in rates])
    decayed = set()
    for variable, before in zip(model.trainable_variables, first, strict=True):
        expected = before * left if variable.name == "kernel" else before
        np.testing.assert_allclose(values([variable])[0], expected, rtol=1e-5, atol=1e-8)
        decayed.add((variable.name, variable.name == "kernel"))
    assert {name for name, decays in decayed if not decays} == {"bias", "gamma", "beta"}


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_weight_decay_is_no_part_of_the_gradient(optimizer):
    train = f"train={{optimizer: {optimizer}, learning_rate: 0.1}}"
    plain, decaying = compiled(train), compiled(train, "weight_decay=0.5")
    first, given = values(plain.trainable_variables), gradients(plain, np.random.default_rng(0))
    for model in (plain, decaying):
        apply(model, given)
    for index, variable in enumerate(plain.trainable_variables):
        taken = 0.1 * 0.5 * first[index] if variable.name == "kernel" else 0
        now, other = values([decaying.trainable_variables[index], variable])
        np.testing.assert_allclose(now, other - taken, rtol=1e-4, atol=1e-6)


def clipped(kind, given, limit):
    if kind == "clipvalue":
        return [np.clip(each, -limit, limit) for each in given]
    norms = [np.sqrt((each**2).sum()) for each in given]
    if kind == "global_clipnorm":
        norms = [np.sqrt(sum(norm**2 for norm in norms))] * len(norms)
    return [each * min(1, limit / norm) for each, norm in zip(given, norms, strict=True)]


@pytest.mark.parametrize("kind", ["global_clipnorm", "clipnorm", "clipvalue"])
@pytest.mark.parametrize("limit", [1.5, 1e3])
def test_gradients_are_clipped_as_numpy_clips_them(kind, limit):
    sgd = "train={optimizer: sgd, learning_rate: 1.0, momentum: 0.0}"
    model = compiled(sgd, f"gradient_clipping={{{kind}: {limit}}}")
    first, given = values(model.trainable_variables), gradients(model, np.random.default_rng(1))
    apply(model, given)
    expected = clipped(kind, given, limit)
    for before, now, step in zip(first, values(model.trainable_variables), expected, strict=True):
        np.testing.assert_allclose(before - now, step, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("hook", "argument", "expected"),
    [
        (lambda self: {"lookahead": 3}, "l2=1", r"^l2: .* Keras' Adam takes, received lookahead"),
        (lambda self: {"learning_rate": 1.0}, "l2=1", r"^l2: .*received learning_rate"),
        (lambda self: {"clipvalue": 1.0}, "gradient_clipping=1", r"^l2 and gradient_clipping: "),
    ],
)
def test_arguments_that_keras_refuses_are_an_error_that_names_the_technique(
    monkeypatch, hook, argument, expected
):
    monkeypatch.setattr(L2, "optimizer", hook)
    with pytest.raises(RegbenchError, match=expected):
        compiled("l2=1e-3", argument)
