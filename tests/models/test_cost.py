"""Costs of networks: against Keras' own summary, numbers worked out by hand, and built networks."""

import re
from pathlib import Path

import pytest

from regbench import config
from regbench.models import cost
from regbench.models.build import build

CONFIGS = sorted(Path("configs").glob("*.yaml"), key=lambda path: path.stem)


def network(name, *overrides, shape=(32, 32, 3)):
    return build(config.load(f"configs/{name}.yaml", overrides), shape, 10)


@pytest.mark.parametrize("name", [path.stem for path in CONFIGS])
def test_parameters_are_those_of_keras_summary(name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")  # else the summary is cut at 80
    model, lines = network(name), []
    model.summary(print_fn=lambda text, **_: lines.append(text), line_length=200)
    text = re.sub(r"\x1b\[[\d;]*m", "", "\n".join(lines))  # bold and colors
    (total,) = re.findall(r"Total params: ([\d,]+)", text)
    assert cost.totals(cost.layers(model)).parameters == int(total.replace(",", ""))
    for layer in cost.layers(model):
        (row,) = [line for line in text.splitlines() if re.search(rf"\b{layer.name} \(", line)]
        assert f" {layer.parameters:,} " in row
        assert f"(None, {', '.join(map(str, layer.output_shape))}" in row


def test_multiply_adds_of_the_notes_dropout_model_are_those_worked_out_by_hand():
    by_hand = {
        "block1_conv1": 3_538_944,  # 3*3*3 weights * 128 maps * 32*32 places
        "block1_conv2": 150_994_944,  # 3*3*128 * 128 * 32*32
        "dense1": 8_192,  # 128 * 64
        "output": 640,  # 64 * 10
    }
    layers = cost.layers(network("notes_dropout"))
    assert {each.name: each.multiply_adds for each in layers if each.multiply_adds} == by_hand
    assert cost.totals(layers).multiply_adds == 154_542_720


def test_multiply_adds_of_the_notes_batch_norm_model_are_those_worked_out_by_hand():
    by_hand = {
        "block1_conv1": 884_736,  # 3*3*3 * 32 * 32*32
        "block1_conv2": 9_437_184,  # 3*3*32 * 32 * 32*32
        "block2_conv1": 4_718_592,  # 3*3*32 * 64 * 16*16
        "block2_conv2": 9_437_184,  # 3*3*64 * 64 * 16*16
        "dense1": 524_288,  # 8*8*64 * 128
        "output": 1_280,  # 128 * 10
    }
    layers = cost.layers(network("notes_batch_norm"))
    assert {each.name: each.multiply_adds for each in layers if each.multiply_adds} == by_hand
    assert cost.totals(layers).multiply_adds == 25_003_264


def test_activations_take_four_bytes_a_number_and_flattening_none():
    layers = {layer.name: layer for layer in cost.layers(network("baseline"))}
    assert layers["block1_conv1"].activation_bytes == 4 * 32 * 32 * 32
    assert layers["block1_pooling"].activation_bytes == 4 * 16 * 16 * 32
    assert layers["flatten"].activation_bytes == 0


@pytest.mark.parametrize("head", ["flatten", "global_max_pooling"])
@pytest.mark.parametrize("pooling", ["max", "none"])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_without_pooling_is_what_a_network_of_pools_of_one_costs(head, pooling, padding):
    options = ["model.blocks=[4, 6]", f"model.head={head}", "batch_norm=true", "dropout.conv=0.1"]
    pools = [f"pooling.kind={pooling}", f"pooling.padding={padding}"]
    small = (10, 10, 3)
    pooled = cost.layers(network("baseline", *options, *pools, shape=small))
    built = [
        layer
        for layer in cost.layers(
            network("baseline", *options, *pools, "pooling.size=1", shape=small)
        )
        if layer.kind not in cost.WINDOWS
    ]
    assert cost.without_pooling(pooled, small) == cost.totals(built)


def test_a_multilayer_perceptron_costs_the_same_without_pooling():
    layers = cost.layers(network("baseline", "model.blocks=[]"))
    assert cost.without_pooling(layers, (32, 32, 3)) == cost.totals(layers)
