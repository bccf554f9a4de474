"""CIFAR-10 from small archives in the official layouts, and from every place it is looked for."""

from __future__ import annotations

import dataclasses
import io
import os
import pickle
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from regbench.datasets import cache, checksums, cifar_archive, image_folder
from regbench.datasets.cifar import Cifar
from regbench.datasets.cifar10 import BINARY, CIFAR10, PYTHON
from regbench.datasets.download import Remote
from regbench.datasets.errors import DataError

BATCH = 20
CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


NOWHERE = "http://127.0.0.1:9/file"
TOY = dataclasses.replace(CIFAR10.contents, batches=dict.fromkeys(CIFAR10.contents.batches, BATCH))


def source(sha256: str = "01" * 32, size: int = 1) -> Cifar:
    """Return CIFAR-10 with batches of 20 images, an archive of this checksum, and no network."""
    remote = Remote((NOWHERE,), sha256, size)
    releases = {sha256: {PYTHON: remote}, sha256[::-1]: {BINARY: remote}}
    return dataclasses.replace(CIFAR10, contents=TOY, releases=releases)


@pytest.fixture(autouse=True)
def own_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGBENCH_DATA", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))


def batch(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return planes (20, 3072), all different, and labels."""
    planes = np.random.default_rng(number).integers(0, 256, (BATCH, 3072), np.uint8)
    return planes, (np.arange(BATCH) + number) % 10


def python_files() -> dict[str, bytes]:
    files = {}
    for number, name in enumerate(CIFAR10.contents.batches):
        planes, labels = batch(number)
        content = {b"batch_label": b"x", b"labels": labels.tolist(), b"data": planes}
        files[name] = pickle.dumps(content, 2)
    meta = {b"label_names": [name.encode() for name in CLASSES], b"num_vis": 3072}
    return files | {"batches.meta": pickle.dumps(meta, 2), "readme.html": b"<html>"}


def binary_files() -> dict[str, bytes]:
    files = {}
    for number, name in enumerate(CIFAR10.contents.batches):
        planes, labels = batch(number)
        records = np.concatenate([labels[:, None].astype(np.uint8), planes], axis=1)
        files[f"{name}.bin"] = records.tobytes()
    return files | {"batches.meta.txt": "\n".join([*CLASSES, "\n"]).encode()}


def write(path: Path, files: dict[str, bytes], folder: str = "cifar-10-batches/") -> Path:
    """Write an archive; its last member comes first, as the official order is no order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name, content in reversed(files.items()):
            member = tarfile.TarInfo(folder + name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def load_pinned(path: Path):
    return source().load(path, checksums.sha256(path))


def pinned(path: Path) -> Cifar:
    """Return CIFAR-10 whose official archive is this one."""
    return source(checksums.sha256(path), path.stat().st_size)


@pytest.mark.parametrize("files", [python_files, binary_files])
def test_both_layouts_give_the_images_in_the_official_order(tmp_path, files):
    splits = load_pinned(write(tmp_path / "archive.tar.gz", files()))
    assert splits.classes == tuple(CLASSES)
    assert splits.train_images.shape == (5 * BATCH, 32, 32, 3)
    assert splits.test_images.shape == (BATCH, 32, 32, 3)
    for number, images, labels in (
        (0, splits.train_images[:BATCH], splits.train_labels[:BATCH]),
        (4, splits.train_images[-BATCH:], splits.train_labels[-BATCH:]),
        (5, splits.test_images, splits.test_labels),
    ):
        planes, expected = batch(number)
        assert np.array_equal(labels, expected)
        # Red row by row first, then green, then blue.
        assert images[3, 0, 1, 0] == planes[3, 1]
        assert images[3, 1, 0, 0] == planes[3, 32]
        assert images[3, 0, 0, 2] == planes[3, 2048]
        assert np.array_equal(images.transpose(0, 3, 1, 2).reshape(BATCH, 3072), planes)


def test_a_second_start_maps_the_cache_and_decodes_nothing(tmp_path, monkeypatch):
    path = write(tmp_path / "archive.tar.gz", python_files())
    first = load_pinned(path)
    monkeypatch.setattr(cifar_archive, "decode", None)
    second = load_pinned(path)
    assert np.array_equal(first.train_images, second.train_images)
    assert isinstance(second.train_images.base, np.memmap)
    assert not second.train_images.flags.writeable


def test_an_archive_with_another_checksum_is_refused_unless_pinned(tmp_path):
    path = write(tmp_path / "archive.tar.gz", python_files())
    actual = checksums.sha256(path)
    with pytest.raises(DataError, match=f"received {actual}; .* set data.sha256 to {actual}"):
        source().load(path, None)
    with pytest.raises(DataError, match="expected SHA-256 aaaa"):
        source().load(path, "a" * 64)
    assert len(source().load(path, actual).train_labels) == 5 * BATCH


def test_the_official_checksums_are_pinned():
    sums = {
        name: remote.sha256
        for key, files in CIFAR10.releases.items()
        for name, remote in files.items()
        if key == remote.sha256
    }
    assert sums == {
        "cifar-10-python.tar.gz": "6d958be074577803d12ecdefd02955f3"
        "9262c83c16fe9348329d7fe0b5c001ce",
        "cifar-10-binary.tar.gz": "c4a38c50a1bc5f3a1c5537f2155ab9d6"
        "8f9f25eb1ed8d9ddda3db29a59bca1dd",
    }


@pytest.mark.parametrize(
    "place",
    [
        "cache/cifar-10-python.tar.gz",
        "cache/cifar-10-binary.tar.gz",
        "keras/datasets/cifar-10-batches-py-target_archive",
        "keras/datasets/cifar-10-batches-py.tar.gz",
    ],
)
def test_an_archive_in_either_cache_is_found(tmp_path, place):
    official = pinned(write(tmp_path / place, python_files()))
    assert len(official.load(None, None).train_labels) == 5 * BATCH
    (tmp_path / place).unlink()
    assert len(official.load(None, None).train_labels) == 5 * BATCH  # decoded is enough


def test_half_a_download_of_keras_is_passed_over(tmp_path):
    whole = write(tmp_path / "keras" / "datasets" / CIFAR10.keras_names[1], python_files())
    whole.with_name(CIFAR10.keras_names[0]).write_bytes(whole.read_bytes()[:1000])
    assert len(pinned(whole).load(None, None).train_labels) == 5 * BATCH


def test_another_archive_in_the_cache_folder_is_refused(tmp_path):
    path = write(tmp_path / "cache" / PYTHON, python_files())
    with pytest.raises(DataError, match=f"{path}: expected SHA-256"):
        source().load(None, None)


def test_without_network_and_cache_one_line_names_the_three_ways_out(tmp_path):
    with pytest.raises(DataError) as failure:
        source().load(None, None)
    text = str(failure.value)
    assert "\n" not in text
    assert "no connection" in text
    for way in (
        "data.path",
        "`regbench data cifar10`",
        str(tmp_path / "cache"),
        "data.name=shapes",
    ):
        assert way in text


def test_a_checksum_that_nothing_has_says_so():
    with pytest.raises(DataError, match=r"data.sha256: no archive of SHA-256 aaaa"):
        source().load(None, "a" * 64)


def test_a_folder_for_a_path_is_refused_with_advice(tmp_path):
    with pytest.raises(DataError, match="image_folder"):
        source().load(tmp_path, None)


def test_a_folder_that_holds_the_archive_as_torchvision_keeps_it_is_read(tmp_path):
    path = write(tmp_path / "root" / PYTHON, python_files())
    assert len(pinned(path).load(tmp_path / "root", None).train_labels) == 5 * BATCH


class Evil:
    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self):
        return os.mkdir, (str(self.witness),)


def test_an_archive_that_would_run_a_command_is_refused_before_it_does(tmp_path):
    evil = python_files() | {"data_batch_3": pickle.dumps({b"data": Evil(tmp_path / "witness")})}
    path = write(tmp_path / "archive.tar.gz", evil)
    with pytest.raises(DataError, match=r"data_batch_3.*mkdir"):
        load_pinned(path)
    assert not (tmp_path / "witness").exists()
    assert not cache.entry("cifar10", checksums.sha256(path)).exists()


def broken_batch(**changes) -> bytes:
    planes, labels = batch(0)
    content = {"data": planes, "labels": labels.tolist()} | changes
    return pickle.dumps(content, 2)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"data_batch_1": broken_batch(data=np.zeros((BATCH, 3000), np.uint8))}, r"\(20, 3000\)"),
        ({"data_batch_1": broken_batch(data=[1])}, "received list"),
        ({"data_batch_1": broken_batch(labels=[10] * BATCH)}, "0 to 9"),
        ({"data_batch_1": broken_batch(labels=[-1] * BATCH)}, "0 to 9"),
        ({"data_batch_1": broken_batch(labels=[True] * BATCH)}, "list of integers"),
        ({"data_batch_1": broken_batch(labels=[1] * 19)}, "expected 20, received 19"),
        ({"data_batch_1": broken_batch(labels=b"x" * BATCH)}, "list of integers"),
        ({"batches.meta": pickle.dumps({"label_names": CLASSES[:9]})}, "names of 10 classes"),
        ({"batches.meta": pickle.dumps({"label_names": ["a"] * 10})}, "names of 10 classes"),
        ({"batches.meta": pickle.dumps({})}, "names of 10 classes"),
    ],
)
def test_a_batch_that_is_not_what_it_should_be_is_refused(tmp_path, files, message):
    with pytest.raises(DataError, match=message):
        load_pinned(write(tmp_path / "archive.tar.gz", python_files() | files))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"test_batch.bin": bytes(3073 * 19)}, "expected 61460 bytes, received 58387"),
        ({"test_batch.bin": b"\x0a" * (3073 * 20)}, "0 to 9, received 10"),
        ({"batches.meta.txt": b"one\ntwo"}, "names of 10 classes"),
    ],
)
def test_binary_records_that_are_not_what_they_should_be_are_refused(tmp_path, files, message):
    with pytest.raises(DataError, match=message):
        load_pinned(write(tmp_path / "archive.tar.gz", binary_files() | files))


def test_an_incomplete_archive_says_what_it_has(tmp_path):
    files = python_files()
    del files["data_batch_5"]
    with pytest.raises(DataError, match=r"received batches.meta, data_batch_1, .*test_batch$"):
        load_pinned(write(tmp_path / "archive.tar.gz", files))


def test_a_truncated_archive_is_refused(tmp_path):
    path = write(tmp_path / "archive.tar.gz", python_files())
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(DataError, match="damaged or truncated"):
        load_pinned(path)


@pytest.mark.parametrize("folder", ["../", "/etc/", "a/../../"])
def test_a_name_that_leads_out_of_the_archive_is_refused(tmp_path, folder):
    with pytest.raises(DataError, match="names inside the archive"):
        load_pinned(write(tmp_path / "archive.tar.gz", python_files(), folder))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE])
def test_a_link_or_device_is_refused(tmp_path, kind):
    path = tmp_path / "archive.tar"
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo("data_batch_1")
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)
    with pytest.raises(DataError, match="link or device: 'data_batch_1'"):
        load_pinned(path)


def test_a_file_that_comes_twice_is_refused(tmp_path):
    path = tmp_path / "archive.tar.gz"
    write(path, python_files() | {"copy/test_batch": python_files()["test_batch"]})
    with pytest.raises(DataError, match="test_batch twice"):
        load_pinned(path)


DECODE = """
import dataclasses, sys, time
from pathlib import Path
from regbench.datasets import cifar_archive
from regbench.datasets.cifar10 import CIFAR10
batches = dict.fromkeys(CIFAR10.contents.batches, 20)
contents = dataclasses.replace(CIFAR10.contents, batches=batches)
decode = cifar_archive.decode
def counted(path, contents):
    with open(sys.argv[3], "a") as log:
        log.write("decoded\\n")
    time.sleep(0.5)  # the other process is here by now
    return decode(path, contents)
cifar_archive.decode = counted
source = dataclasses.replace(CIFAR10, contents=contents)
print(source.load(Path(sys.argv[1]), sys.argv[2]).train_images.sum())
"""


def test_two_processes_at_once_decode_once(tmp_path):
    path = write(tmp_path / "archive.tar.gz", python_files())
    log = tmp_path / "log"
    command = [sys.executable, "-c", DECODE, str(path), checksums.sha256(path), str(log)]
    root = {**os.environ, "PYTHONPATH": str(Path(cifar_archive.__file__).parents[2])}
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, env=root) for _ in range(2)]
    sums = [process.communicate()[0] for process in both]
    assert sums[0] == sums[1] != b""
    assert log.read_text() == "decoded\n"


@pytest.mark.skipif("REGBENCH_CIFAR10" not in os.environ, reason="needs REGBENCH_CIFAR10")
def test_the_real_data_has_equally_many_of_each_class():
    """With the path of an official archive, or of a tar of {train,test}/<class>/*.{png,jpg}."""
    path = Path(os.environ["REGBENCH_CIFAR10"])
    official = "python" in path.name or "binary" in path.name
    sha256 = checksums.sha256(path)
    splits = CIFAR10.load(path, sha256) if official else image_folder.load(path, None)
    assert np.bincount(splits.train_labels).tolist() == [5000] * 10
    assert np.bincount(splits.test_labels).tolist() == [1000] * 10
    assert splits.classes == tuple(CLASSES)
