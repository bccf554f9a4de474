"""Advice: each rule speaks where it should, gives reason and source, and is silent elsewhere."""

import re
from pathlib import Path

import pytest

from regbench import config
from regbench.inspection import advice
from regbench.inspection.advice import ADVICE, Network
from regbench.models import cost
from regbench.models.build import build
from regbench.training import evaluate


def topics(name, *overrides):
    experiment = config.load(f"configs/{name}.yaml", overrides)
    model = build(experiment, (32, 32, 3), 10)
    network = Network(experiment, cost.layers(model), 10, evaluate.penalty(model))
    found = advice.advise(network)
    for each in found:
        assert each.advice.endswith(".")
        assert each.reason.endswith(".")
        assert re.search(r'"[A-Z].+", (19|20)\d\d', each.source)
    return [each.topic for each in found]


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
        ("batch_norm", ["dropout.dense=0.5"], TWO),
        ("batch_norm", ["dropout.dense=0.5", "model.dense=[]"], TWO - {"variance shift"}),
        ("l2", [], {"L2 with Adam"}),
        ("l2", ["train.optimizer=sgd"], set()),
        ("l1", [], set()),
        ("all", [], TWO | {"L2 with Adam", "L2 with batch normalization"}),
        ("l1", ["l1=0.1"], {"large penalty"}),
        ("overlapping_pooling", [], set()),
        ("max_pooling", ["pooling.stride=3"], {"pool stride"}),
        ("no_pooling", ["pooling.stride=3"], set()),
    ],
)
def test_advice_is_given_where_it_applies_and_nowhere_else(name, overrides, expected):
    assert set(topics(name, *overrides)) == expected


def test_every_rule_speaks_in_some_case():
    speaks = topics("all", "l1=1", "dropout.conv=0.1", "pooling.stride=3")
    assert len(set(speaks)) == len(ADVICE)


@pytest.mark.parametrize("path", sorted(Path("configs").glob("*.yaml")), ids=lambda p: p.stem)
def test_no_config_that_comes_along_has_a_rate_or_stride_to_warn_of(path):
    assert not {"dropout rate", "pool stride", "large penalty"} & set(topics(path.stem))
