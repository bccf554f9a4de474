"""Decoded data sets: whole or not at all, decoded once, mapped afterwards."""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from regbench.datasets import cache, checksums, fingerprint
from regbench.datasets.cache import CacheError
from regbench.datasets.errors import DataError
from regbench.datasets.splits import Splits
from tests.faults import hostile


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REGBENCH_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache"


def toy(value: int = 1) -> Splits:
    images = np.full((4, 2, 3, 3), value, np.uint8)
    labels = np.array([0, 1, 0, 1])
    return Splits(images, labels, images[:2], labels[:2], ("a", "b"))


# Of the toy above.
TOY = "e0ec3a7df91e1f71508406e3379989b65abf2ed90c9728442563a86bedeeb925"


def never() -> Splits:
    raise AssertionError("decoded again")


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files that were written a moment ago count as settled, as they do two seconds later."""
    monkeypatch.setattr(cache, "SETTLED_SECONDS", 0.0)


def replace_pixels(place: Path, value: int = 2) -> None:
    """Write other pixels of the same shape over those in the cache, at the same time as before."""
    path = place / "train_images.npy"
    before = path.stat()
    np.save(path, np.full((4, 2, 3, 3), value, np.uint8))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


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


@pytest.mark.parametrize("late", [True, False], ids=["later", "at once"])
def test_pixels_that_were_replaced_in_the_cache_are_noticed_and_decoded_again(
    late, request, caplog
):
    if late:  # the entry has been checked, and its files were recorded
        request.getfixturevalue("settled")
    cache.splits("toy", "key", toy)
    place = cache.entry("toy", "key")
    assert ("checked" in cache.description(place)) == late
    replace_pixels(place)
    with caplog.at_level(logging.WARNING):
        again = cache.splits("toy", "key", toy)
    assert np.array_equal(again.train_images, toy().train_images)
    assert again.pool == fingerprint.of(toy())
    (message,) = caplog.messages
    assert message.startswith(str(place))
    assert "changed since; decoding again" in message


def test_labels_and_class_names_that_were_replaced_are_decoded_again():
    cache.splits("toy", "key", toy)
    place = cache.entry("toy", "key")
    np.save(place / "train_labels.npy", np.array([1, 0, 1, 0]))
    assert cache.splits("toy", "key", toy).train_labels.tolist() == [0, 1, 0, 1]
    about = cache.description(place)
    (place / "description.json").write_text(json.dumps(about | {"classes": ["b", "a"]}))
    assert cache.splits("toy", "key", toy).classes == ("a", "b")


def test_what_was_checked_is_not_hashed_again_until_it_changes(settled, monkeypatch):
    cache.splits("toy", "key", toy)
    place = cache.entry("toy", "key")
    with monkeypatch.context() as patch:
        patch.setattr(fingerprint, "of", None)
        assert cache.splits("toy", "key", never).pool == TOY
    # A copy has other inodes: it is hashed once, and recorded.
    shutil.copytree(place, place.with_name("copy"))
    shutil.rmtree(place)
    place.with_name("copy").rename(place)
    assert cache.splits("toy", "key", never).pool == TOY
    monkeypatch.setattr(fingerprint, "of", None)
    assert cache.splits("toy", "key", never).train_images.max() == 1
    assert not list(place.glob(".checked-*"))


def test_an_entry_without_a_fingerprint_is_decoded_again():
    cache.splits("toy", "key", toy)
    place = cache.entry("toy", "key")
    about = cache.description(place)
    del about["fingerprint"]
    (place / "description.json").write_text(json.dumps(about))
    assert cache.read(place) is None
    assert cache.splits("toy", "key", lambda: toy(3)).train_images.max() == 3


def test_what_killed_processes_left_is_removed_and_what_others_decode_is_not(folder):
    left = folder / "toy" / f".decoding-{cache.entry('toy', 'key').name}-abc"
    old, young = folder / "toy" / ".decoding-old", folder / "toy" / ".decoding-young"
    for path in (left, old, young):
        path.mkdir(parents=True)
        (path / "train_images.npy").write_bytes(b"half")
    os.utime(old, (0, 0))
    cache.splits("toy", "key", toy)
    assert [path.name for path in (folder / "toy").glob(".decoding-*")] == [".decoding-young"]


def test_a_clock_that_jumps_does_not_remove_what_another_process_decodes(folder, monkeypatch):
    other = cache.entry("toy", "other")
    decoded = folder / "toy" / f".decoding-{other.name}-abc"
    decoded.mkdir(parents=True)
    later = time.time() + 2 * cache.ABANDONED_SECONDS
    monkeypatch.setattr(time, "time", lambda: later)
    with cache.lock(other):
        cache.splits("toy", "key", toy)
        assert decoded.exists()
    cache.splits("toy", "third", toy)
    assert not decoded.exists()


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


@pytest.mark.parametrize(
    ("name", "put"),
    [
        ("description.json", lambda path: path.write_text("[" * 100_000)),
        ("description.json", os.mkfifo),
        ("train_images.npy", os.mkfifo),
        ("train_labels.npy", lambda path: path.write_bytes(b"PK\x03\x04")),
        ("train_labels.npy", lambda path: np.savez(path.open("wb"), a=np.zeros(3))),
        (
            "test_images.npy",
            lambda path: path.write_bytes(
                hostile.npy(
                    f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({2**62}, {2**62})}}"
                )
            ),
        ),
        ("test_labels.npy", lambda path: path.write_bytes(b"\x93NUMPY\x02\x00\xff\xff\xff\xff")),
        ("test_images.npy", lambda path: path.write_bytes(b"\x93NUMPY\x01\x00\x02\x00(\n")),
    ],
)
def test_what_is_no_file_of_the_cache_is_decoded_again(name, put):
    cache.splits("toy", "key", toy)
    path = cache.entry("toy", "key") / name
    path.unlink()
    put(path)
    assert cache.read(cache.entry("toy", "key")) is None
    assert cache.splits("toy", "key", toy).pool == TOY


def test_a_file_with_holes_is_not_read_for_its_checksum(tmp_path):
    with (tmp_path / "images.tar").open("wb") as holes:
        holes.truncate(2**40)
    with pytest.raises(DataError, match="expected at most 68719476736 bytes"):
        checksums.sha256(tmp_path / "images.tar")


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


def test_a_checksum_is_read_from_the_file_once(tmp_path, monkeypatch, settled):
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


@pytest.mark.parametrize("late", [True, False], ids=["later", "at once"])
def test_a_file_of_the_same_size_and_time_is_read_again(tmp_path, request, late):
    if late:
        request.getfixturevalue("settled")
    path = tmp_path / "archive"
    path.write_bytes(b"abc")
    pinned, before = checksums.sha256(path), path.stat()
    path.write_bytes(b"xyz")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(DataError, match=f"expected SHA-256 {pinned}, received"):
        checksums.verified(path, (pinned,))


@pytest.mark.parametrize("content", ["", "[]", "{", "[" * 100_000, '{"x": 1}', "\x00"])
def test_a_damaged_memory_of_checksums_is_forgotten(tmp_path, folder, content, settled):
    folder.mkdir()
    (folder / "checksums.json").write_text(content)
    path = tmp_path / "archive"
    path.write_bytes(b"abc")
    assert checksums.sha256(path).startswith("ba7816bf")
    assert str(path) in json.loads((folder / "checksums.json").read_text())


@pytest.mark.parametrize("chosen", [None, "~/data"])
def test_without_a_home_there_is_no_cache_in_the_current_folder(chosen, monkeypatch):
    monkeypatch.delenv("REGBENCH_DATA")
    if chosen:
        monkeypatch.setenv("REGBENCH_DATA", chosen)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)  # a user whom the system does not know
    with pytest.raises(CacheError, match=r"no home folder is known; set REGBENCH_DATA"):
        cache.folder()
