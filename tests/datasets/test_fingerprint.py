"""The fingerprint of data: equal for equal data, another for any change of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from regbench import config, datasets
from regbench.datasets import Splits, fingerprint


def splits() -> Splits:
    images = np.arange(4 * 2 * 3 * 3, dtype=np.uint8).reshape(4, 2, 3, 3)
    labels = np.array([0, 1, 0, 1])
    return Splits(images, labels, images[:2], labels[:2], ("a", "b"))


def test_the_fingerprint_is_the_same_in_every_version_and_on_every_machine():
    expected = "49615426a65a2c5280138a02e92370892212f669ed05f7b561fcf38123834016"
    assert fingerprint.of(splits()) == expected
    whole = splits()
    strided = np.repeat(whole.train_images, 2, axis=0)[::2]
    assert not strided.flags.c_contiguous
    assert fingerprint.of(replace(whole, train_images=strided, pool="other")) == expected


def flipped(array: np.ndarray) -> np.ndarray:
    other = array.copy()
    other.flat[-1] ^= 1
    return other


@pytest.mark.parametrize(
    "change",
    [
        lambda data: {"train_images": flipped(data.train_images)},
        lambda data: {"train_labels": flipped(data.train_labels)},
        lambda data: {"test_images": flipped(data.test_images)},
        lambda data: {"test_labels": flipped(data.test_labels)},
        lambda data: {"classes": ("a", "c")},
        lambda data: {"classes": ("a", "b", "c")},
        lambda data: {  # the same bytes
            "train_images": data.train_images.reshape(4, 3, 2, 3),
            "test_images": data.test_images.reshape(2, 3, 2, 3),
        },
    ],
    ids=["train pixel", "train label", "test pixel", "test label", "name", "class", "shape"],
)
def test_any_change_is_another_fingerprint(change):
    data = splits()
    assert fingerprint.of(replace(data, **change(data))) != fingerprint.of(data)


def load(seed: int = 0, **settings) -> dict[str, str]:
    chosen = {"name": "shapes", "train_examples": 40, "test_examples": 20} | settings
    return fingerprint.record(datasets.load(config.Data(**chosen), seed))


def test_a_run_records_the_whole_set_and_the_examples_that_it_reads():
    first = load()
    assert first == load()
    assert first["pool"] == load(seed=1)["pool"] == load(train_examples=50)["pool"]
    others = [load(seed=1), load(train_examples=50), load(test_examples=30), load(label_noise=0.5)]
    assert len({each["examples"] for each in (first, *others)}) == 5
    whole = load(train_examples="all", test_examples="all")
    assert whole == {"pool": first["pool"], "examples": first["pool"]}
