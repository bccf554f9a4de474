"""A config looked at without training it, and what a terminal shows of that."""

import io
import json

import numpy as np
import pytest
from rich.console import Console

from regbench import config
from regbench.config import Experiment
from regbench.datasets import cifar10, cifar100, digits, fashion_mnist, mnist
from regbench.errors import RegbenchError
from regbench.execution.environment import Runtime
from regbench.inspection import inspect as inspection
from regbench.inspection.inspect import Question
from regbench.terminal import inspection as layer_table

SMALL = ["model.blocks=[4]", "model.dense=[8]", "data.name=shapes"]


def inspect(name, *overrides, measure_time=False):
    """Inspect in this process."""
    experiment = config.load(f"configs/{name}.yaml", overrides)
    runtime = Runtime("tensorflow", "cpu", 1)
    question = Question(experiment, Experiment(name="baseline"), runtime, measure_time)
    return inspection.answer(question, lambda kind, figures: None)


def printed(found, width=80):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(layer_table.terminal(found))
    return console.file.getvalue()


def test_80_columns_hold_all():
    text = printed(inspect("all", "dropout.conv=0.1"))
    assert max(map(len, text.splitlines())) <= 80
    assert "block1_conv1_batch_norm" in text
    assert "total" in text
    assert "552,874" in text
    assert "l2=0.0005, batch_norm=true" in text
    assert "…" not in text


def test_the_baseline_changes_nothing_and_differs_from_nothing():
    found = inspect("baseline")
    assert found.changes == {}
    assert found.versus_baseline.parameters == 0
    assert "nothing: this is the baseline" in printed(found)


def test_the_difference_from_the_baseline_is_in_parameters_and_multiply_adds():
    found = inspect("notes_dropout")
    assert found.changes["model.dense"] == [64]
    assert found.versus_baseline.parameters == 160_074 - 550_570
    assert "-390,496 parameters (-70.9%)" in printed(found)


def test_techniques_that_change_batches_say_what_they_do_in_a_line_each():
    found = inspect("flip", "mixup=0.2", "l2=1e-4")
    assert list(found.batches) == ["flip", "mixup"]
    text = printed(found, 100)
    assert "batches        flip mirrors each image left to right with probability 0.5" in text
    assert "mixup mixes each example with another one, in a share from Beta(0.2, 0.2)" in text
    assert inspect("l2").batches == {}
    assert "batches" not in printed(inspect("l2"))


def test_pooling_saves_what_maps_of_full_size_would_cost():
    found = inspect("baseline")
    # The first dense layer: 32*32*128 inputs instead of 4*4*128, times 128 units.
    assert found.pooling.parameters == -(32 * 32 - 4 * 4) * 128 * 128
    assert found.pooling.multiply_adds < -200e6
    assert "than unpooled  -16,515,072 parameters" in printed(found)


def test_time_is_measured_and_scaled_to_an_epoch():
    timing = inspect("baseline", *SMALL, measure_time=True).timing
    assert timing.batches_per_epoch == 79
    assert 4 <= timing.batches <= 79
    assert timing.training == pytest.approx(timing.seconds / timing.batches * 79)
    assert timing.measuring > 0


def test_a_short_epoch_is_measured_whole():
    found = inspect("baseline", *SMALL, "data.train_examples=100", measure_time=True)
    assert found.timing.batches == found.timing.batches_per_epoch == 2
    assert "from 2 of 2 batches" in printed(found)


def test_all_of_it_is_json():
    found = json.loads(json.dumps(inspect("l2").as_dict(), allow_nan=False))
    assert found["totals"]["parameters"] == 550_570
    assert found["layers"][0]["output_shape"] == [32, 32, 32]
    assert found["advice"][0]["source"].startswith("Loshchilov")


@pytest.mark.parametrize(("examples", "told"), [(4000, True), (5000, False)])
def test_the_updates_of_the_whole_training_decide_whether_moving_averages_trail(examples, told):
    options = ["train.batch_size=100", "train.epochs=10", f"data.train_examples={examples}"]
    found = inspect("batch_norm", *SMALL, *options)
    assert ("trailing moving averages" in [each.topic for each in found.advice]) == told
    assert ("there are 400: try batch_norm.momentum=0.98" in printed(found, 200)) == told


def test_a_network_that_cant_be_built_is_one_line():
    experiment = config.load("configs/baseline.yaml", [*SMALL, "model.blocks=[2,2,2,2,2,2,2]"])
    with pytest.raises(RegbenchError, match="can't be built for images of 32x32") as failure:
        inspection.inspect(experiment, device="cpu", threads=1, measure_time=False)
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4231, "0.42 s"), (12.4, "12 s"), (185, "3 min"), (7500, "2 h 5 min")],
)
def test_durations_are_as_precise_as_they_can_be_trusted(seconds, text):
    assert layer_table.duration(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"), [(154_542_720, "154.5 M"), (23_400, "23.4 k"), (512, "512 ")]
)
def test_magnitudes_have_a_unit(number, text):
    assert layer_table.magnitude(number) == text


def test_sizes_that_are_known_without_reading_are_those_of_the_data():
    for official in (cifar10.CIFAR10, cifar100.CIFAR100):
        *train, test = official.contents.batches.values()
        expected = ((32, 32, 3), official.contents.classes, sum(train), test)
        assert inspection.SIZES[official.name] == expected
    for official in (mnist.MNIST, fashion_mnist.FASHION_MNIST):
        train, _, test, _ = official.shapes.values()
        assert inspection.SIZES[official.name] == ((*train[1:], 1), 10, train[0], test[0])
    assert inspection.SIZES["digits"] == ((8, 8, 1), 10, 1797 - digits.TEST, digits.TEST)


def test_the_size_of_gray_images_of_ones_own_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv("REGBENCH_DATA", str(tmp_path / "cache"))
    images, labels = np.zeros((6, 9, 13), np.uint8), np.arange(6) % 3
    arrays = {"train_images": images, "test_images": images[:4], "test_labels": labels[:4]}
    np.savez(tmp_path / "own.npz", train_labels=labels, **arrays)
    data = config.Data(name="arrays", path=str(tmp_path / "own.npz"), train_examples="all")
    assert inspection.size_of(data) == inspection.Size((9, 13, 1), 3, 6, 4)
