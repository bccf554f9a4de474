"""Arrays of one's own in an .npz: read as they are, and refused before they can do harm."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from regbench import config, datasets
from regbench.datasets import arrays, checksums, npz
from regbench.datasets.errors import DataError


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGBENCH_DATA", str(tmp_path / "cache"))


def images(count: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, *shape), np.uint8)


def content(*shape: int, **changes: object) -> dict[str, object]:
    """Return the arrays of a data set of six images, two of which are for testing."""
    given = {
        "train_images": images(4, *shape),
        "train_labels": np.array([0, 1, 2, 1]),
        "test_images": images(2, *shape),
        "test_labels": np.array([2, 0]),
    }
    return {key: value for key, value in (given | changes).items() if value is not None}


def write(path: Path, given: dict[str, object], save=np.savez) -> Path:
    save(path, **given)
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3)])
def test_images_of_any_size_gray_or_color_are_read_as_they_are(tmp_path, shape, save):
    given = content(*shape)
    splits = arrays.load(write(tmp_path / "a.npz", given, save), None)
    channels = shape[2] if len(shape) == 3 else 1
    assert splits.train_images.shape == (4, 5, 7, channels)
    assert np.array_equal(splits.train_images.reshape(4, *shape), given["train_images"])
    assert np.array_equal(splits.test_images.reshape(2, *shape), given["test_images"])
    assert splits.train_labels.tolist() == [0, 1, 2, 1]
    assert splits.classes == ("0", "1", "2")
    assert isinstance(splits.train_images.base, np.memmap)


@pytest.mark.parametrize("kind", [np.uint8, np.int16, ">i4", np.uint64])
def test_labels_may_be_any_integers_in_a_row_or_a_column(tmp_path, kind):
    labels = np.array([0, 1, 2, 1], kind)
    for each in (labels, labels[:, None]):
        path = write(tmp_path / "a.npz", content(5, 7, train_labels=each))
        assert arrays.load(path, None).train_labels.tolist() == [0, 1, 2, 1]


@pytest.mark.parametrize("names", [np.array(["cat", "dog", "crème"]), np.array([b"c", b"d", b"e"])])
def test_classes_have_the_names_that_are_given(tmp_path, names):
    path = write(tmp_path / "a.npz", content(5, 7, classes=names))
    expected = [each.decode() if isinstance(each, bytes) else each for each in names.tolist()]
    assert list(arrays.load(path, None).classes) == expected


def test_an_array_in_fortran_order_gives_the_same_images(tmp_path):
    turned = np.asfortranarray(content(5, 7, 3)["train_images"])
    one = arrays.load(write(tmp_path / "a.npz", content(5, 7, 3)), None)
    other = arrays.load(write(tmp_path / "b.npz", content(5, 7, 3, train_images=turned)), None)
    assert one.pool == other.pool


def test_a_config_reads_them_and_a_changed_file_is_another_data_set(tmp_path):
    path = write(tmp_path / "a.npz", content(5, 7))
    data = config.Data(name="arrays", path=str(path), train_examples="all")
    first = datasets.load(data, seed=0)
    write(path, content(5, 7, test_labels=np.array([0, 2])))
    assert datasets.load(data, seed=0).pool != first.pool


def test_a_pinned_checksum_is_verified(tmp_path):
    path = write(tmp_path / "a.npz", content(5, 7))
    assert len(arrays.load(path, checksums.sha256(path)).test_labels) == 2
    with pytest.raises(DataError, match="expected SHA-256 aaaa"):
        arrays.load(path, "a" * 64)


def test_a_path_is_needed_and_it_is_a_file(tmp_path):
    with pytest.raises(DataError, match=r"data\.path: arrays needs an \.npz with train_images"):
        arrays.load(None, None)
    with pytest.raises(DataError, match="which is not a file"):
        arrays.load(tmp_path, None)
    with pytest.raises(ValueError, match="arrays needs a path"):
        config.Data(name="arrays")


class Evil:
    def __reduce__(self):
        return os.mkdir, ("witness",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_images": np.array([[[Evil()]]], object)}, "expected a dtype of u1, received obj"),
        ({"classes": np.array([Evil()] * 3, object)}, "expected a dtype of U or S"),
        ({"train_images": images(4, 5, 7) / 255}, "expected a dtype of u1, received float64"),
        ({"train_images": np.zeros(4, [("a", "u1")])}, "expected a dtype of u1"),
        (
            {"train_images": images(4, 35)},
            r"expected 3 or 4 dimensions, received the shape \(4, 35",
        ),
        ({"train_images": images(4, 5, 7, 2)}, "1 or 3"),
        ({"train_images": images(4, 6, 7)}, "size of the training images"),
        ({"train_images": images(0, 5, 7)}, "3 or 4 dimensions, received the shape"),
        ({"train_images": images(3, 5, 7)}, r"train labels: expected int64 \(3,\)"),
        ({"train_labels": np.array([0.0, 1, 2, 1])}, "expected a dtype of i or u"),
        ({"train_labels": np.eye(4, dtype=int)}, r"train labels: expected int64 \(4,\)"),
        ({"train_labels": np.array([0, 1, 2, -1])}, "received -1 to 2"),
        ({"train_labels": np.array([0, 1, 2, 2**63], np.uint64)}, "received -"),
        ({"train_labels": np.array([0, 1, 2, 2**40])}, "expected less than 100000, received"),
        ({"test_labels": None}, "expected the arrays train_images, .*each once, received"),
        ({"x_train": images(4, 5, 7)}, "expected the arrays .*'x_train'"),
        ({"classes": np.array(["a", "b"])}, "expected 0 to 1, received 0 to 2"),
        ({"classes": np.array(["a", "a", "b"])}, "different names in printable characters"),
        ({"classes": np.array(["a", "b\n", "c"])}, "different names in printable characters"),
    ],
)
def test_arrays_that_are_no_data_set_are_refused(tmp_path, monkeypatch, changes, message):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "a.npz", content(5, 7, **changes))
    with pytest.raises(DataError, match=message) as failure:
        arrays.load(path, None)
    assert str(path) in str(failure.value) or "labels: expected less" in str(failure.value)
    assert not Path("witness").exists()


def header(shape: tuple[int, ...], kind: str = "|u1", said: str | None = None) -> bytes:
    """Return the header of an .npy of this shape, whatever follows."""
    file = io.BytesIO()
    described = {"descr": kind, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, described)
    whole = file.getvalue()
    return whole if said is None else whole[:10] + said.encode().ljust(len(whole) - 11) + b"\n"


def with_member(path: Path, data: bytes, name: str = "train_images.npy", **options) -> Path:
    """Write an .npz in which one member is these bytes."""
    write(path, content(5, 7, train_images=None))
    with zipfile.ZipFile(path, "a", options.pop("method", zipfile.ZIP_DEFLATED)) as archive:
        archive.writestr(name, data)
    return path


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (header((2**40, 1, 1)) + bytes(9), "needs 1099511627776 bytes, received"),
        (header((2**31, 2**31, 2**31)), "needs 9903520314283042199192993792 bytes, received"),
        (header((4, 5, 7)) + bytes(139), "needs 140 bytes, received 139"),
        (header((4, 5, 7)) + bytes(141), "needs 140 bytes, received 141"),
        (header((-4, 5, -7)) + bytes(140), "received the shape"),
        (header((4, 5, 7), said="(" * 60), "expected an .npz of plain arrays"),
        (header((4, 5, 7), said="__import__('os').mkdir('witness')"), "expected an .npz of plain"),
        (b"\x93NUMPY\x01\x00\xff\xff", "expected an .npz of plain arrays"),
        (b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1), "expected an .npz of plain arrays"),
        (b"\x93NUMPY\x03\x00" + header((4, 5, 7))[8:] + bytes(140), "expected version 1.0 or 2.0"),
        (b"no array", "expected an .npz of plain arrays"),
        (b"", "expected an .npz of plain arrays"),
    ],
)
def test_a_header_that_lies_is_refused_before_memory_is_asked_for(tmp_path, data, message):
    with pytest.raises(DataError, match=message):
        arrays.load(with_member(tmp_path / "a.npz", data), None)


def test_a_zip_that_grows_a_thousandfold_is_refused_before_it_is_inflated(tmp_path, monkeypatch):
    monkeypatch.setattr(npz, "MIN_BOMB_BYTES", 10**5)
    path = with_member(tmp_path / "a.npz", header((1000, 40, 100)) + bytes(4 * 10**6))
    monkeypatch.setattr(zipfile.ZipFile, "open", None)
    with pytest.raises(DataError, match="in a file of its size, a bomb has more"):
        arrays.load(path, None)


def test_a_directory_that_would_fill_the_memory_is_not_read(tmp_path):
    path = write(tmp_path / "a.npz", content(5, 7))
    with zipfile.ZipFile(path, "a") as archive:
        for number in range(2000):
            archive.writestr(f"{number:060}", b"")
    with pytest.raises(DataError, match="expected a directory of at most 65536 bytes"):
        arrays.load(path, None)


def test_an_array_that_comes_twice_and_other_compressions_are_refused(tmp_path):
    good = header((4, 5, 7)) + bytes(140)
    path = with_member(tmp_path / "a.npz", good)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("train_images.npy", good)
    with pytest.raises(DataError, match="each once"):
        arrays.load(path, None)
    path = with_member(tmp_path / "b.npz", good, method=zipfile.ZIP_LZMA)
    with pytest.raises(DataError, match="expected no encryption, and deflate"):
        arrays.load(path, None)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_truncated_or_damaged_archive_is_refused(tmp_path, save):
    path = write(tmp_path / "a.npz", content(5, 7), save)
    whole = path.read_bytes()
    middle = whole.index(b"PK\3\4", 4) - 20  # among the last pixels of the first array
    for damaged in (whole[: len(whole) // 2], whole[:-10], b"PK\3\4", b"", _flipped(whole, middle)):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"expected an \.npz of plain arrays"):
            arrays.load(path, None)


def _flipped(whole: bytes, place: int) -> bytes:
    return whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
