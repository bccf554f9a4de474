"""From a config's `data` to the examples of a run, the same for every variant of a seed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from regbench import config, datasets
from regbench.config import experiment
from regbench.datasets import DataError, Splits, digits, fashion_mnist, inventory

BASELINE = Path(__file__).parents[2] / "configs" / "baseline.yaml"


@dataclass
class Toy:
    """A data set of 200 training and 40 test images whose pixels are their number."""

    classes: int = 4

    def load(self, path, sha256, progress) -> Splits:
        def split(count: int):
            images = np.arange(count * 12, dtype=np.uint32).view(np.uint8)[: count * 12]
            return images.reshape(count, 2, 2, 3), np.arange(count) % self.classes

        return Splits(*split(200), *split(40), tuple("abcd"[: self.classes]))


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setitem(datasets.DATASETS, "shapes", Toy())
    monkeypatch.setenv("REGBENCH_DATA", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "debian")


def data(**settings) -> config.Data:
    return config.Data(**{"name": "shapes", "train_examples": "all"} | settings)


def test_every_data_set_of_the_config_is_registered():
    assert set(datasets.DATASETS) == set(experiment.DATASETS)


def test_all_is_the_whole_set_uncopied_and_in_order():
    whole = Toy().load(None, None, None)
    splits = datasets.load(data(), seed=0)
    assert np.array_equal(splits.train_images, whole.train_images)
    assert np.array_equal(splits.test_labels, whole.test_labels)
    assert splits.train_images.base is not None
    assert np.array_equal(datasets.load(data(train_examples=200), 0).train_labels[:4], [0, 1, 2, 3])


def test_a_subset_is_stratified_and_labels_stay_with_their_images():
    whole = Toy().load(None, None, None)
    splits = datasets.load(data(train_examples=40, test_examples=8), seed=3)
    assert np.bincount(splits.train_labels).tolist() == [10] * 4
    assert np.bincount(splits.test_labels).tolist() == [2] * 4
    numbers = {image.tobytes(): label for image, label in zip(*pair(whole), strict=True)}
    for image, label in zip(*pair(splits), strict=True):
        assert numbers[image.tobytes()] == label


def pair(splits: Splits):
    return splits.train_images, splits.train_labels


def test_a_smaller_subset_is_part_of_a_larger_one():
    small, large = (datasets.load(data(train_examples=count), seed=1) for count in (40, 80))
    chosen = {image.tobytes() for image in large.train_images}
    assert all(image.tobytes() in chosen for image in small.train_images)


def test_the_seed_decides_and_nothing_else():
    one, same = (datasets.load(data(train_examples=40), seed=1) for _ in range(2))
    other = datasets.load(data(train_examples=40), seed=2)
    assert np.array_equal(one.train_images, same.train_images)
    assert not np.array_equal(one.train_images, other.train_images)


def test_the_training_subset_does_not_depend_on_the_test_subset_or_on_noise():
    plain = datasets.load(data(train_examples=40), seed=1)
    other = datasets.load(data(train_examples=40, test_examples=8, label_noise=0.5), seed=1)
    assert np.array_equal(plain.train_images, other.train_images)


def test_every_variant_of_a_seed_has_the_same_examples_and_the_same_wrong_labels():
    noisy = {"data.name": "shapes", "data.train_examples": 40, "data.label_noise": 0.25}
    loaded = []
    for toggles in ({}, {"dropout.dense": 0.5}, {"batch_norm": "true", "l2": 0.001}):
        overrides = [f"{key}={value}" for key, value in (noisy | toggles).items()]
        experiment = config.load(BASELINE, overrides)
        loaded.append(datasets.load(experiment.data, seed=4))
    first, *others = loaded
    for each in others:
        assert np.array_equal(each.train_images, first.train_images)
        assert np.array_equal(each.train_labels, first.train_labels)


def test_noise_is_exactly_its_share_of_the_training_labels_alone():
    plain = datasets.load(data(train_examples=40), seed=1)
    noisy = datasets.load(data(train_examples=40, label_noise=0.25), seed=1)
    assert np.count_nonzero(plain.train_labels != noisy.train_labels) == 10
    assert np.array_equal(plain.test_labels, noisy.test_labels)


@pytest.mark.parametrize(("key", "most"), [("train_examples", 200), ("test_examples", 40)])
def test_more_examples_than_there_are_is_an_error(key, most):
    with pytest.raises(DataError, match=rf"data\.{key}: expected at most {most}.* received 1000"):
        datasets.load(data(**{key: 1000}), seed=0)


def test_a_path_that_is_not_there_is_an_error(tmp_path):
    missing = config.Data(name="cifar10", path=str(tmp_path / "missing.tar.gz"))
    with pytest.raises(DataError, match=r"data\.path: .*missing\.tar\.gz does not exist"):
        datasets.load(missing, seed=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_images": np.zeros((2, 4, 4), np.uint8)}, "train images: expected uint8"),
        ({"train_images": np.zeros((2, 4, 4, 4), np.uint8)}, r"\(n, height, width, 1 or 3\)"),
        ({"train_images": np.zeros((2, 4, 4, 3))}, "received float64"),
        ({"train_labels": np.array([0])}, r"train labels: expected int64 \(2,\)"),
        ({"test_labels": np.array([0, 2])}, "expected 0 to 1, received 0 to 2"),
        ({"test_labels": np.array([-1, 0])}, "received -1 to 0"),
        ({"test_images": np.zeros((2, 5, 4, 3), np.uint8)}, "size of the training images"),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(changes, message):
    images, labels = np.zeros((2, 4, 4, 3), np.uint8), np.array([0, 1])
    fitting = {
        "train_images": images,
        "train_labels": labels,
        "test_images": images,
        "test_labels": labels,
        "classes": ("a", "b"),
    }
    Splits(**fitting)
    with pytest.raises(DataError, match=message):
        Splits(**fitting | changes)


def test_where_lists_every_data_set_and_what_there_is_of_it(tmp_path):
    assert {(item.dataset, item.state) for item in inventory.where()} == {
        ("arrays", "missing"),
        ("cifar10", "missing"),
        ("cifar100", "missing"),
        ("digits", "installed" if digits.installed() else "missing"),
        ("fashion_mnist", "missing"),
        ("image_folder", "missing"),
        ("mnist", "missing"),
        ("shapes", "drawn when needed"),
    }
    datasets.cache.splits("shapes", "key", lambda: Toy().load(None, None, None), "drawn")
    (tmp_path / "cache" / "cifar-10-python.tar.gz.part").write_bytes(b"half")
    (tmp_path / "keras" / "datasets").mkdir(parents=True)
    (tmp_path / "keras" / "datasets" / "cifar-10-batches-py.tar.gz").write_bytes(b"whole")
    items = {item.state: item for item in inventory.where()}
    assert items["decoded"].dataset == "shapes"
    assert items["decoded"].source == "drawn"
    assert items["decoded"].bytes > 240 * 12
    assert (items["partial"].dataset, items["partial"].bytes) == ("cifar10", 4)
    assert (items["archive"].dataset, items["archive"].bytes) == ("cifar10", 5)


def test_fetch_loads_a_data_set_by_its_name():
    assert len(inventory.fetch("shapes").train_labels) == 200
    with pytest.raises(DataError, match=r"expected one of arrays, .*received 'imagenet'"):
        inventory.fetch("imagenet")
