"""MNIST and Fashion-MNIST from small IDX files, and from every place they are looked for."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import os
import re
import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest

from regbench.datasets import cache, fashion_mnist, idx, idx_files, inventory
from regbench.datasets.download import Remote
from regbench.datasets.errors import DataError
from regbench.datasets.fashion_mnist import FASHION_MNIST
from regbench.datasets.idx_files import SHAPES, File, IdxFiles
from regbench.datasets.mnist import MNIST

SMALL = {name: (shape[0] // 1000, *shape[1:]) for name, shape in SHAPES.items()}


@pytest.fixture(autouse=True)
def own_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGBENCH_DATA", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "debian")


def array(name: str) -> np.ndarray:
    """Return what a file holds: images that are all different, or labels."""
    shape = SMALL[name]
    if len(shape) == 1:
        return (np.arange(shape[0]) % 10).astype(np.uint8)
    return np.random.default_rng(shape[0]).integers(0, 256, shape, np.uint8)


def contents() -> dict[str, bytes]:
    return {name: idx.header(shape) + array(name).tobytes() for name, shape in SMALL.items()}


def write(folder: Path, files: dict[str, bytes], zipped: bool = True) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / (f"{name}.gz" if zipped else name)
        path.write_bytes(gzip.compress(content, 1, mtime=0) if zipped else content)
    return folder


def toy(kind: IdxFiles = MNIST, files: dict[str, bytes] | None = None) -> IdxFiles:
    """Return a set of 60 and 10 images, whose official files are these, and no network."""
    sums = {}
    for name, content in (files or contents()).items():
        zipped = gzip.compress(content, 1, mtime=0)
        digests = (hashlib.sha256(each).hexdigest() for each in (content, zipped))
        sums[name] = File(*digests, len(zipped))
    mirrors = ("http://127.0.0.1:9",)
    return idx_files.published(
        kind.name, kind.title, kind.classes, sums, mirrors, kind.folders, kind.raw, SMALL
    )


def test_the_four_files_give_gray_images_and_labels_in_their_order(tmp_path):
    splits = toy().load(write(tmp_path / "files", contents()), None)
    assert splits.train_images.shape == (60, 28, 28, 1)
    assert np.array_equal(splits.train_images[..., 0], array(idx_files.TRAIN_IMAGES))
    assert np.array_equal(splits.test_images[..., 0], array(idx_files.TEST_IMAGES))
    assert np.array_equal(splits.train_labels, array(idx_files.TRAIN_LABELS))
    assert splits.classes == tuple("0123456789")
    assert isinstance(splits.train_images.base, np.memmap)


@pytest.mark.parametrize("inside", ["", "raw", "MNIST/raw"])
@pytest.mark.parametrize("zipped", [True, False])
def test_files_compressed_or_not_are_read_as_torchvision_keeps_them(tmp_path, inside, zipped):
    write(tmp_path / "root" / inside, contents(), zipped)
    assert len(toy().load(tmp_path / "root", None).train_labels) == 60


def test_files_that_somebody_else_compressed_are_the_same_files(tmp_path):
    first = toy().load(write(tmp_path / "files", contents()), None)
    for name, content in contents().items():
        header = zlib.compressobj(1, wbits=31)
        packed = header.compress(content) + header.flush()
        (tmp_path / "files" / f"{name}.gz").write_bytes(packed)
    again = toy().load(tmp_path / "files", None)
    assert again.pool == first.pool


@pytest.mark.parametrize("place", ["cache/fashion_mnist", "keras/datasets/fashion-mnist", "debian"])
def test_fashion_mnist_is_found_where_regbench_keras_and_debian_put_it(tmp_path, place):
    official = toy(FASHION_MNIST)
    write(tmp_path / place, contents())
    splits = official.load(None, None)
    assert splits.classes[9] == "Ankle boot"
    for name in SMALL:
        (tmp_path / place / f"{name}.gz").unlink()
    assert official.load(None, None).pool == splits.pool  # decoded is enough


@pytest.mark.parametrize("given", [False, True])
def test_the_copy_of_mnist_that_keras_downloaded_is_read_and_verified_alike(tmp_path, given):
    names = {"x_train": idx_files.TRAIN_IMAGES, "y_train": idx_files.TRAIN_LABELS}
    names |= {"x_test": idx_files.TEST_IMAGES, "y_test": idx_files.TEST_LABELS}
    arrays = {key: array(name) for key, name in names.items()}
    path = tmp_path / "keras" / "datasets" / "mnist.npz"
    path.parent.mkdir(parents=True)
    np.savez_compressed(path, **arrays | {"y_test": arrays["y_test"][::-1]})
    with pytest.raises(DataError, match="t10k-labels" if given else "cannot be downloaded"):
        toy().load(path if given else None, None)
    np.savez_compressed(path, **arrays)
    splits = toy().load(path if given else None, None)
    shutil.rmtree(tmp_path / "cache")
    files = toy().load(write(tmp_path / "files", contents()), None)
    assert splits.pool == files.pool


def test_the_official_checksums_are_pinned_for_files_and_contents():
    for each, files, inflated in (
        (MNIST, "440fcabf 3552534a 8d422c7b f7ae60f9", "ba891046 65a50cbb 0fa7898d ff7bcfd4"),
        (
            FASHION_MNIST,
            "3aede38d a04f1713 346e55b9 67da17c7",
            "c59f468a bad3541b 5b4141f0 0402a96d",
        ),
    ):
        (remotes,) = each.releases.values()
        assert [remote.sha256[:8] for remote in remotes.values()] == files.split()
        assert [content[:8] for content in each.contents.values()] == inflated.split()


def test_other_images_are_refused_by_name_unless_their_checksum_is_given(tmp_path):
    files = contents()
    files[idx_files.TEST_IMAGES] = files[idx_files.TEST_IMAGES][:-1] + b"\0"
    folder = write(tmp_path / "files", files)
    with pytest.raises(DataError, match=r"\(t10k-images-idx3-ubyte\); to use") as failure:
        toy().load(folder, None)
    found = re.search("set data.sha256 to ([0-9a-f]{64})$", str(failure.value))
    assert found
    assert toy().load(folder, found[1]).test_images[-1, -1, -1, 0] == 0


def test_other_files_in_the_cache_folder_are_refused_and_in_debians_passed_over(tmp_path):
    others = contents() | {idx_files.TEST_LABELS: idx.header((10,)) + bytes(10)}
    write(tmp_path / "debian", others)
    with pytest.raises(DataError, match="cannot be downloaded"):
        toy(FASHION_MNIST).load(None, None)
    write(tmp_path / "cache" / "fashion_mnist", others)
    with pytest.raises(DataError, match="expected files whose contents have SHA-256"):
        toy(FASHION_MNIST).load(None, None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (idx.header((60, 28, 28)), r"expected 47056 bytes, received 16"),
        (idx.header((60, 28, 28)) + bytes(60 * 784 + 1), "expected 47056 bytes, received more"),
        (idx.header((2**31, 2**10, 2**10)), r"shape \(60, 28, 28\), with the header 00000803"),
        (idx.header((60, 28)) + bytes(60 * 28), "received 00000802"),
        (b"", "received nothing"),
        (b"\x1f\x8b nothing", "cannot be read"),
    ],
    ids=["short", "long", "huge", "flat", "empty", "no gzip"],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_that_is_not_what_it_should_be_is_refused(tmp_path, content, message, zipped):
    if zipped and message == "cannot be read":
        message = "received 1f8b"
    folder = write(tmp_path, contents() | {idx_files.TRAIN_IMAGES: content}, zipped)
    with pytest.raises(DataError, match=message):
        toy().load(folder, None)


def test_a_gzip_of_gigabytes_is_not_inflated_beyond_what_is_expected(tmp_path):
    bomb = idx.header((60, 28, 28)) + bytes(2**22)
    folder = write(tmp_path, contents() | {idx_files.TRAIN_IMAGES: bomb})
    with pytest.raises(DataError, match="expected 47056 bytes, received more"):
        toy().load(folder, None)


@pytest.mark.parametrize("end", [-1, -5, -2000])
def test_a_truncated_or_damaged_gzip_is_refused(tmp_path, end):
    folder = write(tmp_path, contents())
    path = folder / f"{idx_files.TRAIN_IMAGES}.gz"
    content = bytearray(path.read_bytes())
    content[end] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"get it again|expected files whose contents"):
        toy().load(folder, None)
    path.write_bytes(content[:end])
    with pytest.raises(DataError, match="get it again"):
        toy().load(folder, None)


def test_a_folder_that_lacks_a_file_says_which_four_are_needed(tmp_path):
    files = contents()
    del files[idx_files.TEST_LABELS]
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte, .*which lacks some of them"):
        toy().load(write(tmp_path, files), None)


def test_without_network_and_cache_one_line_names_the_ways_out(tmp_path):
    with pytest.raises(DataError, match="Fashion-MNIST is not on this machine") as failure:
        toy(FASHION_MNIST).load(None, None)
    for way in ("data.path to its folder", "`regbench data fashion_mnist`", "train-labels-idx1"):
        assert way in str(failure.value)
    assert str(tmp_path / "cache" / "fashion_mnist") in str(failure.value)


def test_a_download_of_four_files_counts_as_one(tmp_path, monkeypatch):
    official = toy()
    sizes = [remote.size for remote in next(iter(official.releases.values())).values()]
    seen = []

    def download(remote: Remote, target: Path, progress) -> None:
        name = target.name.removesuffix(".gz")
        write(target.parent, {name: contents()[name]})
        progress(remote.size, remote.size)

    monkeypatch.setattr("regbench.datasets.published.download", download)
    splits = official.load(None, None, lambda done, total: seen.append((done, total)))
    assert len(splits.train_labels) == 60
    assert seen == [(sum(sizes[: count + 1]), sum(sizes)) for count in range(4)]


def test_what_there_is_of_four_files_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setitem(inventory.DATASETS, "mnist", toy())
    folder = tmp_path / "cache" / "mnist"
    write(folder, dict(list(contents().items())[:2]))
    (folder / f"{idx_files.TEST_IMAGES}.gz.part").write_bytes(b"half")
    (item,) = (each for each in inventory.where() if each.dataset == "mnist")
    assert (item.state, item.path) == ("partial", folder)
    write(folder, contents())
    (item,) = (each for each in inventory.where() if each.dataset == "mnist")
    assert item.state == "archive"
    assert item.bytes > 5000
    toy().load(None, None)
    states = [each.state for each in inventory.where() if each.dataset == "mnist"]
    assert states == ["decoded", "archive"]


def test_a_path_is_verified_once_and_again_when_a_file_changed(tmp_path, monkeypatch):
    folder = write(tmp_path / "files", contents())
    monkeypatch.setattr(cache, "SETTLED_SECONDS", 0.0)
    official = toy()
    official.load(folder, None)
    read = []
    content = idx.content
    monkeypatch.setattr(idx, "content", lambda *each: read.append(each) or content(*each))
    official.load(folder, None)
    assert read == []
    write(folder, {idx_files.TEST_LABELS: idx.header((10,)) + bytes(10)})
    with pytest.raises(DataError, match=r"\(t10k-labels-idx1-ubyte\)"):
        official.load(folder, None)
    assert len(read) == 1


@pytest.mark.parametrize("official", [MNIST, FASHION_MNIST], ids=lambda each: each.name)
def test_the_real_files_are_the_official_ones(official):
    """With REGBENCH_MNIST or REGBENCH_FASHION_MNIST, the folder of the four files."""
    variable = f"REGBENCH_{official.name.upper()}"
    if variable not in os.environ:
        pytest.skip(f"needs {variable}")
    splits = official.load(Path(os.environ[variable]), None)
    assert splits.train_images.shape == (60_000, 28, 28, 1)
    assert len(splits.test_labels) == 10_000
    assert dataclasses.replace(splits, pool="").classes == official.classes
