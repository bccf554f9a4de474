"""CIFAR-100 from small archives in the official layouts: the fine labels, and the shared places."""

from __future__ import annotations

import dataclasses
import io
import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest

from regbench.datasets import checksums
from regbench.datasets.cifar100 import BINARY, CIFAR100, PYTHON
from regbench.datasets.download import Remote
from regbench.datasets.errors import DataError

COUNTS = {"train": 200, "test": 100}
CLASSES = [f"class {number}" for number in range(100)]
TOY = dataclasses.replace(CIFAR100, contents=dataclasses.replace(CIFAR100.contents, batches=COUNTS))


@pytest.fixture(autouse=True)
def own_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGBENCH_DATA", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))


def batch(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return planes (n, 3072), all different, and fine labels."""
    count = COUNTS[name]
    planes = np.random.default_rng(count).integers(0, 256, (count, 3072), np.uint8)
    return planes, np.arange(count)[::-1] % 100


def python_files() -> dict[str, bytes]:
    files = {"meta": pickle.dumps({b"fine_label_names": [each.encode() for each in CLASSES]}, 2)}
    for name in COUNTS:
        planes, labels = batch(name)
        names = [f"{index}.png".encode() for index in range(len(labels))]
        content = {b"data": planes, b"fine_labels": labels.tolist(), b"filenames": names}
        files[name] = pickle.dumps(content | {b"coarse_labels": (labels // 5).tolist()}, 2)
    return files | {"file.txt~": b""}


def binary_files() -> dict[str, bytes]:
    names = "\n".join(each.replace(" ", "_") for each in CLASSES)
    files = {"fine_label_names.txt": names.encode(), "coarse_label_names.txt": b"one\ntwo\n"}
    for name in COUNTS:
        planes, labels = batch(name)
        both = np.stack([labels // 5, labels], axis=1).astype(np.uint8)
        files[f"{name}.bin"] = np.concatenate([both, planes], axis=1).tobytes()
    return files


def write(path: Path, files: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar-100/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("files", [python_files, binary_files])
def test_both_layouts_give_the_fine_labels_in_the_official_order(tmp_path, files):
    path = write(tmp_path / "archive.tar.gz", files())
    splits = TOY.load(path, checksums.sha256(path))
    assert [each.replace("_", " ") for each in splits.classes] == CLASSES
    for images, labels, name in (
        (splits.train_images, splits.train_labels, "train"),
        (splits.test_images, splits.test_labels, "test"),
    ):
        planes, expected = batch(name)
        assert np.array_equal(labels, expected)
        assert np.array_equal(images.transpose(0, 3, 1, 2).reshape(-1, 3072), planes)


def test_the_official_checksums_are_pinned():
    sums = {
        name: (remote.sha256, key)
        for key, files in CIFAR100.releases.items()
        for name, remote in files.items()
    }
    python = "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"
    binary = "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec"
    assert sums == {PYTHON: (python, python), BINARY: (binary, binary)}


def test_the_archive_that_keras_downloaded_is_found(tmp_path):
    place = tmp_path / "keras" / "datasets" / "cifar-100-python-target_archive"
    digest = checksums.sha256(write(place, python_files()))
    releases = {digest: {PYTHON: Remote(("http://127.0.0.1:9/file",), digest, 1)}}
    official = dataclasses.replace(TOY, releases=releases)
    assert len(official.load(None, None).train_labels) == 200
    place.unlink()
    assert len(official.load(None, None).train_labels) == 200  # decoded is enough


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"train": pickle.dumps({"data": batch("train")[0], "labels": [0] * 200})}, "fine_labels"),
        ({"meta": pickle.dumps({"fine_label_names": CLASSES[:20]})}, "names of 100 classes"),
        ({"test": pickle.dumps({"data": batch("train")[0]})}, r"expected \(100, 3072\)"),
    ],
)
def test_an_archive_that_is_not_what_it_should_be_is_refused(tmp_path, files, message):
    path = write(tmp_path / "archive.tar.gz", python_files() | files)
    with pytest.raises(DataError, match=message):
        TOY.load(path, checksums.sha256(path))


def test_an_archive_of_cifar10_says_which_files_it_lacks(tmp_path):
    path = write(tmp_path / "archive.tar.gz", {"data_batch_1": b"", "batches.meta": b""})
    with pytest.raises(DataError, match=r"train, test and meta of an archive of CIFAR-100"):
        TOY.load(path, checksums.sha256(path))


@pytest.mark.skipif("REGBENCH_CIFAR100" not in os.environ, reason="needs REGBENCH_CIFAR100")
def test_the_real_data_has_equally_many_of_each_class():
    path = Path(os.environ["REGBENCH_CIFAR100"])
    splits = CIFAR100.load(path, checksums.sha256(path))
    assert np.bincount(splits.train_labels).tolist() == [500] * 100
    assert np.bincount(splits.test_labels).tolist() == [100] * 100
