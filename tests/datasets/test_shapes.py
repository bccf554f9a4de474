"""The embedded data set: the same bytes everywhere, without network and without a cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from regbench.datasets import cache, fingerprint, shapes
from regbench.datasets.errors import DataError
from regbench.datasets.shapes import drawing
from regbench.datasets.shapes.drawing import draw
from regbench.datasets.shapes.outlines import OUTLINES

ROOT = Path(__file__).parents[2]
# The runs in results/, README and the guide were made on this set. Whoever changes the drawing
# changes what they say: make them again, and then these lines.
POOL = "1bb3aadc364398f3fd8d0405c280c9bcd13a9861044f41211e6e6f2c05915118"
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
    assert fingerprint.of(drawn) == POOL


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


# Loads the set as a run does, and prints its fingerprint.
LOAD = "from regbench.datasets import shapes; print(shapes.load(None, None).pool)"


def test_whoever_changes_the_drawing_gets_other_images_from_a_cache_of_the_old_ones(tmp_path):
    """In a copy of the package: nothing but one constant changes, no version or name does."""
    copy = tmp_path / "regbench"
    shutil.copytree(ROOT / "regbench", copy, ignore=shutil.ignore_patterns("__pycache__"))

    def pool() -> str:
        environment = os.environ | {"REGBENCH_DATA": str(tmp_path / "cache"), "PYTHONPATH": ""}
        command = [sys.executable, "-c", LOAD]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    assert pool() == POOL
    source = copy / "datasets" / "shapes" / "drawing.py"
    text = source.read_text()
    source.write_text(text.replace("GROUND_SHARE = 0.42", "GROUND_SHARE = 0.40"))
    assert source.read_text() != text
    assert pool() != POOL
    source.write_text(text)
    assert pool() == POOL


def test_a_constant_that_a_program_sets_is_part_of_the_key(monkeypatch):
    before = shapes._key()
    assert shapes._key() == before
    monkeypatch.setattr(drawing, "CLUTTER", 2)
    assert shapes._key() != before


def test_without_its_source_the_set_is_drawn_and_not_taken_from_the_cache(monkeypatch, drawn):
    def missing(module):
        raise OSError("could not get source code")

    monkeypatch.setattr(shapes.inspect, "getsource", missing)
    monkeypatch.setattr(shapes, "drawn", lambda: drawn)
    monkeypatch.setattr(cache, "splits", None)
    assert shapes.load(None, None) is drawn


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
