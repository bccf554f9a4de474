"""Decoded data sets: whole or not at all, decoded once, mapped afterwards."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from regbench.datasets import cache, checksums
from regbench.datasets.cache import CacheError
from regbench.datasets.errors import DataError
from regbench.datasets.splits import Splits


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REGBENCH_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache"


def toy(value: int = 1) -> Splits:
    images = np.full((4, 2, 3, 3), value, np.uint8)
    labels = np.array([0, 1, 0, 1])
    return Splits(images, labels, images[:2], labels[:2], ("a", "b"))


def never() -> Splits:
    raise AssertionError("decoded again")


def test_the_folder_is_the_variable_or_else_the_platforms(monkeypatch, folder):
    assert cache.folder() == folder
    monkeypatch.setenv("REGBENCH_DATA", "~/data")
    assert cache.folder() == Path.home() / "data"
    monkeypatch.delenv("REGBENCH_DATA")
    assert "regbench" in cache.folder().name.lower() or "regbench" in str(cache.folder()).lower()


def test_what_was_decoded_is_mapped_read_only():
    cache.splits("toy", "key", toy)
    again = cache.splits("toy", "key", never)
    assert np.array_equal(again.train_images, toy().train_images)
    assert again.classes == ("a", "b")
    assert isinstance(again.train_images.base, np.memmap)
    assert not again.train_labels.flags.writeable


def test_another_key_is_another_entry():
    cache.splits("toy", "one", lambda: toy(1))
    assert cache.splits("toy", "two", lambda: toy(2)).train_images.max() == 2
    assert cache.splits("toy", "one", never).train_images.max() == 1


@pytest.mark.parametrize(
    "damage",
    [
        lambda entry: (entry / "train_images.npy").unlink(),
        lambda entry: (entry / "test_labels.npy").write_bytes(b""),
        lambda entry: os.truncate(entry / "train_images.npy", 140),
        lambda entry: (entry / "description.json").write_text("{"),
        lambda entry: (entry / "description.json").write_text("[]"),
        lambda entry: np.save(entry / "train_images.npy", np.zeros((3, 2, 3, 3), np.uint8)),
        lambda entry: np.save(entry / "train_labels.npy", np.full(4, 7)),
    ],
    ids=["missing", "empty", "truncated", "no JSON", "no object", "another shape", "no such class"],
)
def test_a_damaged_entry_is_decoded_again(damage):
    cache.splits("toy", "key", toy)
    damage(cache.entry("toy", "key"))
    assert cache.splits("toy", "key", lambda: toy(3)).train_images.max() == 3
    assert cache.splits("toy", "key", never).train_images.max() == 3


class MakesFolder:
    """Unpickled, it makes a folder."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_an_array_of_objects_in_the_cache_is_not_unpickled(tmp_path):
    cache.splits("toy", "key", toy)
    objects = np.array([MakesFolder(tmp_path / "executed")] * 4, dtype=object)
    np.save(cache.entry("toy", "key") / "train_labels.npy", objects, allow_pickle=True)
    assert cache.read(cache.entry("toy", "key")) is None
    assert not (tmp_path / "executed").exists()


def test_a_decoder_that_fails_leaves_nothing_behind(folder):
    def fail() -> Splits:
        raise DataError("damaged")

    with pytest.raises(DataError, match="damaged"):
        cache.splits("toy", "key", fail)
    assert [path.name for path in (folder / "toy").iterdir() if path.suffix != ".lock"] == []


def test_a_write_that_fails_leaves_no_half_entry(folder, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.os, "fsync", full)
    with pytest.raises(CacheError, match="No space left on device; set REGBENCH_DATA"):
        cache.splits("toy", "key", toy)
    assert [path.name for path in (folder / "toy").iterdir() if path.suffix != ".lock"] == []


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("REGBENCH_DATA", str(tmp_path / "file"))
    with pytest.raises(CacheError, match="set REGBENCH_DATA to a folder that can"):
        cache.splits("toy", "key", toy)


def test_a_checksum_is_read_from_the_file_once(tmp_path, monkeypatch):
    path = tmp_path / "archive"
    path.write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert checksums.sha256(path) == expected
    monkeypatch.setattr(checksums.hashlib, "file_digest", None)
    assert checksums.sha256(path) == expected


def test_a_file_that_changed_is_read_again(tmp_path):
    path = tmp_path / "archive"
    path.write_bytes(b"abc")
    first = checksums.sha256(path)
    path.write_bytes(b"abcd")
    assert checksums.sha256(path) != first


@pytest.mark.parametrize("content", ["", "[]", "{", '{"x": 1}', "\x00"])
def test_a_damaged_memory_of_checksums_is_forgotten(tmp_path, folder, content):
    folder.mkdir()
    (folder / "checksums.json").write_text(content)
    path = tmp_path / "archive"
    path.write_bytes(b"abc")
    assert checksums.sha256(path).startswith("ba7816bf")
    assert str(path) in json.loads((folder / "checksums.json").read_text())
