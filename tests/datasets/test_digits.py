"""Digits, the real images that come with scikit-learn, and what is said where it is missing."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from regbench import config
from regbench.datasets import cache, digits, fingerprint, inventory
from regbench.datasets.errors import DataError


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGBENCH_DATA", str(tmp_path / "cache"))


def pretend(monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Put a package in scikit-learn's place that has the same format; return its images."""
    images = np.random.default_rng(0).integers(0, 17, (600, 8, 8)).astype(float)
    package, module = ModuleType("sklearn"), ModuleType("sklearn.datasets")
    labels = np.arange(600) % 10
    module.load_digits = lambda: SimpleNamespace(images=images, target=labels)
    monkeypatch.setitem(sys.modules, "sklearn", package)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", module)
    return images


def test_gray_levels_are_spread_over_a_byte_and_the_last_500_are_for_testing(monkeypatch):
    images = pretend(monkeypatch)
    with pytest.raises(DataError, match=r"expected images of fingerprint .*received") as failure:
        digits.load(None, None)
    actual = str(failure.value).split("received ")[1][:64]
    monkeypatch.setattr(digits, "SHA256", actual)
    splits = digits.load(None, None)
    assert splits.train_images.shape == (100, 8, 8, 1)
    assert splits.test_images.shape == (500, 8, 8, 1)
    assert np.abs(splits.train_images[..., 0] / 255 - images[:100] / 16).max() < 0.002
    assert splits.test_labels[:3].tolist() == [0, 1, 2]
    assert splits.pool == fingerprint.of(splits) == actual


def test_once_decoded_scikit_learn_is_not_needed(monkeypatch):
    pretend(monkeypatch)
    with pytest.raises(DataError) as failure:
        digits.decode()
    monkeypatch.setattr(digits, "SHA256", str(failure.value).split("received ")[1][:64])
    digits.load(None, None)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    assert len(digits.load(None, None).test_labels) == 500


def test_without_scikit_learn_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(DataError, match=r"pip install 'regbench\[digits\]'"):
        digits.load(None, None)
    assert not cache.entry("digits", digits.SHA256).exists()


def test_a_scikit_learn_that_cant_be_imported_is_not_called_missing(monkeypatch, tmp_path):
    (tmp_path / "sklearn").mkdir()
    (tmp_path / "sklearn/__init__.py").write_text("import a_package_that_it_needs\n")
    for name in [each for each in sys.modules if each.partition(".")[0] == "sklearn"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DataError, match=r"No module named 'a_package_that_it_needs'.*pip install"):
        digits.load(None, None)


@pytest.mark.parametrize(("package", "state"), [("numpy", "installed"), ("missing", "missing")])
def test_the_list_says_whether_scikit_learn_is_installed(monkeypatch, package, state):
    found = digits.importlib.util.find_spec
    monkeypatch.setattr(digits.importlib.util, "find_spec", lambda _: found(package))
    (item,) = (each for each in inventory.where() if each.dataset == "digits")
    assert item.state == state


def test_a_path_or_a_checksum_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"data\.path: digits comes with scikit-learn"):
        digits.load(tmp_path, None)
    with pytest.raises(ValueError, match="digits comes with scikit-learn"):
        config.Data(name="digits", sha256="a" * 64)


def test_the_installed_images_are_the_ones_that_are_pinned():
    pytest.importorskip("sklearn")
    splits = digits.load(None, None)
    assert len(splits.train_labels) == 1297
    assert np.bincount(splits.test_labels).min() >= 46
