"""Folders of images, and tar archives of them: the same arrays, and one clear error otherwise."""

from __future__ import annotations

import gzip
import io
import os
import struct
import tarfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from regbench.datasets import cache, checksums, image_folder, tar_stream
from regbench.datasets.errors import DataError


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGBENCH_DATA", str(tmp_path / "cache"))


def pixels(value: int, height: int = 4, width: int = 5) -> np.ndarray:
    return np.random.default_rng(value).integers(0, 256, (height, width, 3), np.uint8)


def png(array: np.ndarray, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, kind)
    return file.getvalue()


def files() -> dict[str, bytes]:
    """Return a data set of two classes: three images to train on and two to test on."""
    return {
        "train/dog/b.png": png(pixels(1)),
        "train/dog/a.png": png(pixels(2)),
        "train/cat/z.PNG": png(pixels(3)),
        "test/cat/1.png": png(pixels(4)),
        "test/dog/1.png": png(pixels(5)),
    }


def write_folder(path: Path, content: dict[str, bytes]) -> Path:
    for name, data in content.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def write_tar(path: Path, content: dict[str, bytes], mode: str = "w", prefix: str = "") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, data in content.items():
            member = tarfile.TarInfo(prefix + name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def load_tar(tmp_path: Path, content: dict[str, bytes]):
    return image_folder.load(write_tar(tmp_path / "data.tar", content), None)


def test_images_come_sorted_by_class_and_name(tmp_path):
    splits = image_folder.load(write_folder(tmp_path / "data", files()), None)
    assert splits.classes == ("cat", "dog")
    assert splits.train_labels.tolist() == [0, 1, 1]
    assert splits.test_labels.tolist() == [0, 1]
    expected = np.stack([pixels(3), pixels(2), pixels(1)])
    assert np.array_equal(splits.train_images, expected)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("prefix", ["", "./", "pets/", "./pets/"])
def test_a_tar_gives_what_its_folder_gives(tmp_path, mode, prefix):
    folder = image_folder.load(write_folder(tmp_path / "data", files()), None)
    backwards = dict(reversed(files().items()))
    tar = image_folder.load(write_tar(tmp_path / "data.tar", backwards, mode, prefix), None)
    for name in ("train_images", "train_labels", "test_images", "test_labels", "classes"):
        assert np.array_equal(getattr(folder, name), getattr(tar, name))


def test_a_second_start_decodes_nothing(tmp_path, monkeypatch):
    tar = write_tar(tmp_path / "data.tar", files())
    folder = write_folder(tmp_path / "data", files())
    image_folder.load(tar, None)
    image_folder.load(folder, None)
    monkeypatch.setattr(image_folder, "_decode", None)
    assert isinstance(image_folder.load(tar, None).train_images.base, np.memmap)
    assert isinstance(image_folder.load(folder, None).train_images.base, np.memmap)


def test_a_folder_that_changed_is_decoded_again(tmp_path):
    folder = write_folder(tmp_path / "data", files())
    assert len(image_folder.load(folder, None).train_labels) == 3
    write_folder(folder, {"train/cat/new.png": png(pixels(6))})
    assert len(image_folder.load(folder, None).train_labels) == 4


def test_an_image_replaced_by_one_of_the_same_size_and_time_is_noticed(tmp_path):
    folder = write_folder(tmp_path / "images", files())
    before = image_folder.load(folder, None)
    path, other = folder / "train" / "dog" / "a.png", tmp_path / "other.png"
    other.write_bytes(png(pixels(6)))
    assert other.stat().st_size == path.stat().st_size
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other.replace(path)
    after = image_folder.load(folder, None)
    assert not np.array_equal(after.train_images, before.train_images)
    assert after.pool != before.pool


def test_jpeg_gray_and_transparent_images_become_rgb_beside_color(tmp_path):
    extra = {
        "train/cat/gray.png": png(pixels(6)[..., 0]),
        "train/cat/alpha.png": png(np.dstack([pixels(7), np.zeros((4, 5), np.uint8)])),
        "train/cat/photo.jpg": png(pixels(8), "JPEG"),
    }
    splits = load_tar(tmp_path, files() | extra)
    alpha, gray = splits.train_images[:2]
    assert np.array_equal(gray, np.repeat(pixels(6)[..., :1], 3, axis=2))
    assert np.array_equal(alpha, pixels(7))
    assert len(splits.train_images) == 6


def gray_files() -> dict[str, bytes]:
    """Return the same data set of gray images, in every kind of gray."""
    kinds = {"train/dog/b.png": "LA", "train/dog/a.png": "1", "test/cat/1.png": "I;16"}
    content = {}
    for name, data in files().items():
        image = Image.open(io.BytesIO(data)).convert("L")
        file = io.BytesIO()
        kind = kinds.get(name, "L")
        if kind == "I;16":
            content[name] = png16(np.asarray(image).astype(np.uint16) << 8)
            continue
        image.convert(kind).save(file, "PNG")
        content[name] = file.getvalue()
    return content


def gray_of(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("L"))[..., None]


@pytest.mark.parametrize("load", ["folder", "tar"])
def test_images_that_are_all_gray_have_one_channel(tmp_path, load):
    path = tmp_path / "data"
    write_folder(path, gray_files()) if load == "folder" else write_tar(path, gray_files())
    splits = image_folder.load(path, None)
    assert splits.train_images.shape == (3, 4, 5, 1)
    assert splits.test_images.shape == (2, 4, 5, 1)
    assert np.array_equal(splits.train_images[0], gray_of(gray_files()["train/cat/z.PNG"]))
    assert np.array_equal(splits.train_images[2], gray_of(gray_files()["train/dog/b.png"]))
    assert set(np.unique(splits.train_images[1])) <= {0, 255}
    assert np.array_equal(splits.test_images[0], gray_of(files()["test/cat/1.png"]))


@pytest.mark.parametrize("color", sorted(files()))
def test_one_image_in_color_gives_all_three_channels_whichever_comes_first(tmp_path, color):
    splits = load_tar(tmp_path, gray_files() | {color: files()[color]})
    assert splits.train_images.shape == (3, 4, 5, 3)
    if color != "train/dog/b.png":
        gray = gray_of(gray_files()["train/dog/b.png"])
        assert np.array_equal(splits.train_images[2], np.repeat(gray, 3, axis=2))


def test_a_set_that_an_earlier_version_decoded_in_color_is_decoded_again(tmp_path):
    path = write_tar(tmp_path / "data.tar", gray_files())
    assert f"{checksums.sha256(path)}-2-v" in str(entry_of(path))


def entry_of(path: Path) -> Path:
    image_folder.load(path, None)
    (found,) = (cache.folder() / "image_folder").glob("*/description.json")
    return found


def test_other_and_hidden_files_are_passed_over(tmp_path):
    extra = {"README.md": b"x", "train/cat/._a.png": b"x", "train/.cat/a.png": b"x"}
    assert len(load_tar(tmp_path, files() | extra).train_labels) == 3


def bomb() -> bytes:
    """Return a PNG of a few hundred bytes that says it has 30,000 x 30,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(bytes(100_000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"train/cat/bad.png": b"no image"}, r"train/cat/'bad.png': cannot be decoded"),
        ({"train/cat/cut.png": png(pixels(1))[:60]}, r"'cut.png': cannot be decoded"),
        ({"train/cat/gif.png": png(pixels(1), "GIF")}, r"'gif.png': cannot be decoded"),
        ({"train/cat/big.png": png(pixels(1, 8, 5))}, r"one size.*'big.png'.*5 x 8"),
        ({"train/cat/bomb.png": bomb()}, r"'bomb.png'"),
        ({"train/deep/er/a.png": png(pixels(1))}, r"expected images in \{train,test\}"),
        ({"train/a.png": png(pixels(1))}, r"expected images in \{train,test\}"),
        ({"train/c\nd/a.png": png(pixels(1))}, r"printable"),
        ({"other/train/cat/a.png": png(pixels(1))}, r"expected one data set"),
        ({"../train/cat/a.png": png(pixels(1))}, r"expected one data set"),
        ({"./train/dog/a.png": png(pixels(1))}, r"same name twice"),
    ],
)  # fmt: skip
def test_what_is_not_a_data_set_of_one_size_is_refused(tmp_path, extra, message):
    with pytest.raises(DataError, match=message):
        load_tar(tmp_path, files() | extra)


def test_many_pixels_are_refused_before_they_are_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(image_folder, "MAX_PIXELS", 19)
    with pytest.raises(DataError, match="expected at most 19 pixels, received 5 x 4"):
        load_tar(tmp_path, files())


def test_many_images_are_refused_before_memory_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(image_folder, "MAX_TOTAL_BYTES", 200)
    with pytest.raises(DataError, match="more than 200 bytes of pixels"):
        load_tar(tmp_path, files())


def test_a_large_file_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(image_folder, "MAX_FILE_BYTES", 50)
    with pytest.raises(DataError, match="expected at most 50 bytes"):
        load_tar(tmp_path, files())


def test_many_members_are_refused_before_all_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(tar_stream, "MAX_MEMBERS", 2)
    with pytest.raises(DataError, match="expected at most 2 members"):
        load_tar(tmp_path, files())


@pytest.mark.parametrize("place", ["before", "behind"])
def test_an_archive_that_grows_a_thousandfold_is_refused(tmp_path, monkeypatch, place):
    """Each file is small enough; all of them together, or what follows them, would take hours."""
    monkeypatch.setattr(tar_stream, "MIN_BOMB_BYTES", 10**5)
    more = {f"notes{number}.txt": bytes(50_000) for number in range(40)}
    content = more | files() if place == "before" else files()
    path = write_tar(tmp_path / "data.tar", content)
    padding = bytes(2 * 10**6) if place == "behind" else b""
    path.write_bytes(gzip.compress(path.read_bytes() + padding))
    with pytest.raises(DataError, match="decompression bomb"):
        image_folder.load(path, None)


def test_a_large_file_of_a_folder_is_refused_before_it_is_read(tmp_path):
    folder = write_folder(tmp_path / "data", files())
    with (folder / "train" / "cat" / "huge.png").open("wb") as file:
        file.truncate(2**40)  # a terabyte that takes no space
    with pytest.raises(DataError, match=r"'huge\.png': expected at most 67108864 bytes"):
        image_folder.load(folder, None)


@pytest.mark.parametrize("linked", ["train/cat/z.PNG", "train/cat", "train"])
def test_a_link_out_of_a_folder_is_refused_and_one_inside_is_followed(tmp_path, linked):
    folder = write_folder(tmp_path / "data", files())
    (folder / linked).rename(folder / "moved")
    (folder / linked).symlink_to(folder / "moved")
    assert len(image_folder.load(folder, None).train_labels) == 3
    (folder / "moved").rename(tmp_path / "private")
    (folder / linked).unlink()
    (folder / linked).symlink_to(tmp_path / "private")
    with pytest.raises(DataError, match="a link out of it: train/'"):
        image_folder.load(folder, None)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pipes in folders")
def test_what_is_no_regular_file_is_no_image(tmp_path):
    cats = write_folder(tmp_path / "data", files()) / "train" / "cat"
    (cats / "folder.png").mkdir()
    (cats / "gone.png").symlink_to("nowhere.png")
    os.mkfifo(cats / "pipe.png")  # reading it would wait forever
    assert len(image_folder.load(tmp_path / "data", None).train_labels) == 3


def test_a_split_without_images_is_named(tmp_path):
    only = {name: data for name, data in files().items() if name.startswith("train")}
    with pytest.raises(DataError, match="received no images in test"):
        load_tar(tmp_path, only)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="received no images in train or test"):
        image_folder.load(tmp_path / "empty", None)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_a_link_in_a_tar_is_refused(tmp_path, kind):
    path = write_tar(tmp_path / "data.tar", files())
    with tarfile.open(path, "a") as archive:
        member = tarfile.TarInfo("train/cat/link.png")
        member.type, member.linkname = kind, "../../secret.png"
        archive.addfile(member)
    with pytest.raises(DataError, match="link or device"):
        image_folder.load(path, None)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_a_truncated_tar_is_refused_wherever_it_ends(tmp_path, mode):
    path = write_tar(tmp_path / "data.tar", files(), mode)
    whole = path.read_bytes()
    used = len(whole.rstrip(b"\0"))  # a bare tar is padded
    for size in (used // 3, used // 2, used - 5):
        path.write_bytes(whole[:size])
        with pytest.raises(DataError, match="damaged or truncated"):
            image_folder.load(path, None)


def test_a_flipped_bit_of_a_compressed_tar_is_noticed(tmp_path):
    path = write_tar(tmp_path / "data.tar.gz", files(), "w:gz")
    content = bytearray(path.read_bytes())
    content[-6] ^= 1  # of the checksum
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged or truncated"):
        image_folder.load(path, None)


def test_an_archive_of_endless_members_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(tar_stream, "MAX_MEMBERS", 4)
    with pytest.raises(DataError, match="expected at most 4 members, received more"):
        load_tar(tmp_path, files())


def test_a_header_of_gigabytes_is_not_read(tmp_path):
    path = tmp_path / "data.tar"
    member = tarfile.TarInfo("name")
    member.type, member.size = tarfile.GNUTYPE_LONGNAME, 2**32
    path.write_bytes(member.tobuf(tarfile.GNU_FORMAT))
    with pytest.raises(DataError, match="a header of 4294967296 bytes"):
        list(tar_stream.members(path, 1))


def test_a_pinned_checksum_is_verified(tmp_path):
    path = write_tar(tmp_path / "data.tar", files())
    assert len(image_folder.load(path, checksums.sha256(path)).test_labels) == 2
    with pytest.raises(DataError, match="expected SHA-256 aaaa"):
        image_folder.load(path, "a" * 64)


def test_a_missing_path_or_a_checksum_of_a_folder_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"data\.path: image_folder needs a folder"):
        image_folder.load(None, None)
    with pytest.raises(DataError, match=r"data\.sha256: .* is a folder"):
        image_folder.load(write_folder(tmp_path / "data", files()), "a" * 64)


def pax(kind: bytes, text: str) -> bytes:
    """Return a header of a tar that says something of the headers after it."""
    return tarfile.TarInfo.create_pax_global_header({"comment": text}) if kind == b"g" else (
        tarfile.TarInfo._create_pax_generic_header({"comment": text}, kind, "utf-8")
    )  # fmt: skip


@pytest.mark.parametrize("count", [1, 3000])
def test_a_global_header_of_a_tar_is_refused(tmp_path, count):
    path = write_tar(tmp_path / "data.tar", files())
    path.write_bytes(pax(b"g", "x") * count + path.read_bytes())
    with pytest.raises(DataError, match=r"a global header.*repack"):
        image_folder.load(path, None)


def test_headers_that_describe_headers_without_end_are_refused(tmp_path):
    path = write_tar(tmp_path / "data.tar", files())
    whole = path.read_bytes()
    path.write_bytes(pax(b"x", "x") * 2 + whole)
    assert len(image_folder.load(path, None).train_labels) == 3
    path.write_bytes(pax(b"x", "x") * 3000 + whole)
    with pytest.raises(DataError, match="more than 8 headers for one member"):
        image_folder.load(path, None)


def test_headers_count_as_what_an_archive_grows_to(tmp_path, monkeypatch):
    monkeypatch.setattr(tar_stream, "MIN_BOMB_BYTES", 10**5)
    path = tmp_path / "data.tar"
    with tarfile.open(path, "w") as archive:
        for number in range(40):
            archive.addfile(tarfile.TarInfo(f"{number}" + "x" * 50_000))
    path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(DataError, match="decompression bomb"):
        list(tar_stream.members(path, 1))


def test_a_file_with_holes_is_refused_before_its_map_is_read(tmp_path):
    path = write_tar(tmp_path / "data.tar", files())
    member = tarfile.TarInfo("train/cat/holes.png")
    member.type = tarfile.GNUTYPE_SPARSE
    path.write_bytes(member.tobuf(tarfile.GNU_FORMAT) + path.read_bytes())
    with pytest.raises(DataError, match="a file with holes"):
        image_folder.load(path, None)


@pytest.mark.parametrize("color", [False, True])
def test_of_16_bits_the_upper_8_are_kept(tmp_path, color):
    values = np.array([[0, 255, 256, 300], [4095, 32768, 65279, 65535]], np.uint16)
    image = np.repeat(values[..., None], 3, axis=2) if color else values
    content = {f"{split}/cat/a.png": png16(image) for split in ("train", "test")}
    splits = load_tar(tmp_path, content)
    expected = (values >> 8).astype(np.uint8)[..., None]
    assert np.array_equal(splits.train_images[0], np.repeat(expected, 3 if color else 1, axis=2))


def png16(values: np.ndarray) -> bytes:
    """Return a PNG with 16 bits per channel: gray of (height, width), or color of (..., 3)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    height, width = values.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 16, 2 if values.ndim == 3 else 0, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    body = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")


@pytest.mark.parametrize("folder", ["train", "train/cat"])
def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path, monkeypatch, folder):
    path = write_folder(tmp_path / "data", files())
    listed = Path.iterdir

    def iterdir(each):
        if each == path / folder:
            raise PermissionError(13, "Permission denied", str(each))
        return listed(each)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    with pytest.raises(DataError, match=f"{folder}: cannot be read: Permission denied"):
        image_folder.load(path, None)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes in folders")
def test_a_pipe_or_a_device_in_place_of_an_archive_is_refused(tmp_path):
    os.mkfifo(tmp_path / "data.tar")
    for path in (tmp_path / "data.tar", Path("/dev/zero")):
        with pytest.raises(DataError, match="expected a regular file"):
            image_folder.load(path, None)
