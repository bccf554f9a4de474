"""The embedded data set: the same bytes everywhere, without network and without a cache."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from regbench.datasets import shapes
from regbench.datasets.errors import DataError
from regbench.datasets.shapes.drawing import draw
from regbench.datasets.shapes.outlines import OUTLINES

# Change either, and the set is another one: raise `shapes.VERSION`.
TRAIN = "3db7a905d453c3b1fdda149f818e625dac0cfc7700f4b824997f44a25983ad1f"
TEST = "4a9652107cec525054f0d942b06b3cc7ae5ad7168a57c1a09a712359e0a38cc8"


def sha256(*arrays: np.ndarray) -> str:
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


@pytest.fixture(scope="module")
def drawn():
    return shapes.drawn()


def test_the_set_has_the_same_bytes_on_every_machine(drawn):
    assert sha256(drawn.train_images, drawn.train_labels) == TRAIN
    assert sha256(drawn.test_images, drawn.test_labels) == TEST


def test_there_are_ten_classes_of_equal_size(drawn):
    assert drawn.train_images.shape == (10_000, 32, 32, 3)
    assert drawn.test_images.shape == (2_000, 32, 32, 3)
    assert np.bincount(drawn.train_labels).tolist() == [1_000] * 10
    assert np.bincount(drawn.test_labels).tolist() == [200] * 10
    assert len(drawn.classes) == len(set(drawn.classes)) == 10


def test_no_image_is_drawn_twice(drawn):
    images = [*drawn.train_images, *drawn.test_images]
    assert len({image.tobytes() for image in images}) == 12_000


@pytest.mark.parametrize(("name", "outline"), OUTLINES.items())
def test_an_outline_has_an_inside_and_ends_near_the_unit_circle(name, outline):
    axis = np.linspace(-1.5, 1.5, 61, dtype=np.float32)
    x, y = np.meshgrid(axis, axis)
    inside = outline(x, y) < 0
    assert 0.05 < inside.mean() < 0.5, name
    assert not inside[np.hypot(x, y) > 1.2].any()


def test_the_label_decides_the_shape():
    one, other = (draw(np.full(50, label), np.random.default_rng(0)) for label in (0, 5))
    assert np.mean(one != other) > 0.02


def test_the_second_start_maps_the_cache(tmp_path, monkeypatch, drawn):
    monkeypatch.setenv("REGBENCH_DATA", str(tmp_path))
    monkeypatch.setattr(shapes, "drawn", lambda: drawn)
    shapes.load(None, None)
    monkeypatch.setattr(shapes, "drawn", None)
    assert np.array_equal(shapes.load(None, None).test_images, drawn.test_images)


def test_the_set_is_there_where_no_cache_can_be_written(tmp_path, monkeypatch, drawn):
    (tmp_path / "file").touch()
    monkeypatch.setenv("REGBENCH_DATA", str(tmp_path / "file"))
    monkeypatch.setattr(shapes, "drawn", lambda: drawn)
    assert shapes.load(None, None) is drawn


@pytest.mark.parametrize(
    ("path", "sha256", "key"), [(Path("x"), None, "path"), (None, "a" * 64, "sha256")]
)
def test_a_path_or_a_checksum_is_refused(path, sha256, key):
    with pytest.raises(DataError, match=rf"data\.{key}: shapes is drawn"):
        shapes.load(path, sha256)
