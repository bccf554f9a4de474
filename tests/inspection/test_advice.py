"""Advice: each rule speaks where it should, gives reason and source, and is silent elsewhere."""

import math
import re
from pathlib import Path

import pytest

from regbench import config
from regbench.datasets import validation_examples
from regbench.inspection import advice
from regbench.inspection.advice import ADVICE, Network
from regbench.models import cost
from regbench.models.build import build
from regbench.training import evaluate


def advised(name, *overrides, data=None, size=(32, 32)):
    """Return the advice; `data` is the name of another data set, whose images are of a size."""
    experiment = config.load(f"configs/{name}.yaml", overrides)
    if data:
        other = experiment.data.model_copy(update={"name": data})
        experiment = experiment.model_copy(update={"data": other})
    examples = experiment.data.train_examples
    batches = math.ceil((10_000 if examples == "all" else examples) / experiment.train.batch_size)
    model = build(experiment, (32, 32, 3), 10)
    layers, penalty = cost.layers(model), evaluate.penalty(model)
    chosen = validation_examples.count(experiment.data, 10_000)
    updates = experiment.train.epochs * batches
    network = Network(experiment, layers, 10, penalty, updates, chosen, size)
    return advice.advise(network)


def topics(name, *overrides, **images):
    found = advised(name, *overrides, **images)
    for each in found:
        assert each.advice.endswith(".")
        assert each.reason.endswith(".")
        assert re.search(r'"[A-Z].+", (19|20)\d\d', each.source)
    return [each.topic for each in found]


TRAILING = "trailing moving averages"
NEGATIVE = "stochastic pooling of negative values"
TWO = {"variance shift", "bias before batch normalization"}


@pytest.mark.parametrize(
    ("name", "overrides", "expected"),
    [
        ("baseline", [], set()),
        ("dropout", [], set()),
        ("dropout", ["dropout.dense=0.2"], set()),
        ("dropout", ["dropout.dense=0.1"], {"dropout rate"}),
        ("dropout", ["dropout.dense=0.7"], {"dropout rate"}),
        ("dropout_conv", [], {"dropout in convolutions"}),
        ("batch_norm", [], {"bias before batch normalization"}),
        ("batch_norm_after_activation", [], set()),
        # 79 updates an epoch: 474 are too few for a momentum of 0.99, 553 are not.
        ("batch_norm_after_activation", ["train.epochs=6"], {TRAILING}),
        ("batch_norm_after_activation", ["train.epochs=7"], set()),
        ("batch_norm_after_activation", ["train.epochs=1", "batch_norm.momentum=0.9"], set()),
        ("baseline", ["train.epochs=1"], set()),
        ("batch_norm", ["dropout.dense=0.5"], TWO),
        ("batch_norm", ["dropout.dense=0.5", "model.dense=[]"], TWO - {"variance shift"}),
        ("batch_norm_after_activation", ["spatial_dropout=0.2"], {"variance shift"}),
        ("batch_norm_after_activation", ["gaussian_dropout=0.5"], {"variance shift"}),
        ("spatial_dropout", [], set()),
        ("gaussian_dropout", ["layer_norm=true"], set()),
        ("group_norm", [], set()),
        ("group_norm", ["group_norm.groups=1"], {"group normalization with one group"}),
        ("gaussian_noise", [], set()),
        ("gaussian_noise", ["gaussian_noise.input=0.5"], {"large noise"}),
        ("gaussian_noise", ["gaussian_noise={input: 0.1, hidden: 1.0}"], set()),
        ("dropblock", [], set()),
        ("dropblock", ["dropblock.size=4"], {"squares as large as maps"}),
        ("mixed_pooling", ["model.activation=tanh"], set()),
        ("stochastic_pooling", [], set()),
        ("stochastic_pooling", ["model.activation=tanh"], {NEGATIVE}),
        ("l2", [], {"L2 with Adam"}),
        ("l2", ["train.optimizer=sgd"], set()),
        ("l1", [], set()),
        ("all", [], TWO | {"L2 with Adam", "L2 with batch normalization"}),
        ("l1", ["l1=0.1"], {"large penalty"}),
        ("label_smoothing", [], set()),
        ("mixup", [], set()),
        ("cutmix", ["label_smoothing=0.1"], {"softened twice"}),
        ("mixup", ["label_smoothing=0.1", "cutmix=true"], {"softened twice", "mixed twice"}),
        ("flip", [], set()),
        ("crop", [], set()),
        ("crop", ["crop.padding=7"], {"far move"}),
        ("cutout", ["cutout.size=20"], set()),
        ("cutout", ["cutout.size=21"], {"large square"}),
        ("overlapping_pooling", [], set()),
        ("max_pooling", ["pooling.stride=3"], {"pool stride"}),
        ("no_pooling", ["pooling.stride=3"], set()),
        ("weight_decay", [], set()),
        ("weight_decay", ["weight_decay=0.02"], {"weak weight decay"}),
        ("weight_decay", ["l2=1e-4"], {"weight decay with L2", "L2 with Adam"}),
        ("max_norm", [], set()),
        ("gradient_clipping", [], {"clipping with Adam"}),
        ("gradient_clipping", ["train.optimizer=sgd"], set()),
        ("ema", [], set()),
        ("ema", ["train.epochs=6"], {"trailing average"}),
        ("swa", [], set()),
        ("swa", ["train.schedule=cosine"], {"SWA with a falling rate"}),
        ("early_stopping", [], set()),
        ("early_stopping", ["data.validation_examples=100"], {"few validation examples"}),
    ],
)
def test_advice_is_given_where_it_applies_and_nowhere_else(name, overrides, expected):
    assert set(topics(name, *overrides)) == expected


@pytest.mark.parametrize(
    ("batch_size", "epochs", "tried"),
    [(100, 20, "0.95"), (50, 20, "0.98"), (100, 5, "0.9"), (1000, 10, "0.5"), (1000, 5, None)],
)
def test_the_momentum_to_try_has_moving_averages_that_keep_up(batch_size, epochs, tried):
    overrides = ["batch_norm=true", "train.learning_rate=1e-3", f"train.epochs={epochs}",
                 f"train.batch_size={batch_size}"]  # fmt: skip
    (found,) = [each for each in advised("quick", *overrides) if each.topic == TRAILING]
    updates = epochs * 1000 // batch_size
    assert f"needs at least 500 updates, and there are {updates:,}:" in found.advice
    assert "train for more epochs, or with smaller batches" in found.advice
    if tried is None:
        assert "try" not in found.advice
    else:
        assert f"try batch_norm.momentum={tried}, or" in found.advice
        assert TRAILING not in topics("quick", *overrides[1:], f"batch_norm.momentum={tried}")


def test_every_rule_speaks_in_some_case():
    changes = ["l1=1", "dropout.conv=0.1", "pooling.stride=3", "train.epochs=1", "group_norm=1"]
    changes += ["gaussian_noise=0.5", "dropblock={rate: 0.1, size: 40}", "pooling.kind=stochastic"]
    speaks = topics("all", *changes, "model.activation=tanh")
    speaks += topics("weight_decay", "weight_decay=1e-3", "l2=1e-3", "gradient_clipping=1")
    speaks += topics("ema", "train.epochs=1") + topics("swa", "train.schedule=cosine")
    speaks += topics("early_stopping", "data.validation_examples=10")
    speaks += topics("mixup", "cutmix=1", "label_smoothing=0.1", "cutout=32", "crop=16")
    speaks += topics("flip", data="mnist")
    assert len(set(speaks)) == len(ADVICE)


@pytest.mark.parametrize(
    ("data", "told"), [("digits", True), ("mnist", True), ("cifar10", False), ("shapes", False)]
)
def test_digits_are_not_to_be_mirrored(data, told):
    assert ("mirrored digits" in topics("flip", data=data)) == told


def test_what_is_usual_for_32_pixels_is_too_much_for_8():
    (square,) = advised("cutout", size=(8, 8))
    assert "try 4." in square.advice
    (move,) = advised("crop", size=(8, 10))
    assert "try 1." in move.advice
    assert not topics("cutout", size=(28, 28)) + topics("crop", size=(28, 28))
    assert not topics("cutout", size=None)


@pytest.mark.parametrize("path", sorted(Path("configs").glob("*.yaml")), ids=lambda p: p.stem)
def test_no_config_that_comes_along_has_a_rate_or_stride_to_warn_of(path):
    unwanted = {"dropout rate", "pool stride", "large penalty", TRAILING, NEGATIVE, "large noise"}
    assert not unwanted & set(topics(path.stem))
