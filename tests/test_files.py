"""Files that are written atomically."""

import contextlib
import os
import socket
from pathlib import Path

import pytest

from regbench import files


def test_a_write_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "summary.json"
    files.write(path, "before")

    def fail(temporary):
        temporary.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        files.replace(path, fail)
    assert path.read_text() == "before"
    assert [each.name for each in tmp_path.iterdir()] == ["summary.json"]


@pytest.mark.parametrize("named", [True, False])
def test_a_write_that_fails_names_the_file_that_was_to_be(tmp_path, named):
    path = tmp_path / "summary.json"

    def fail(temporary):
        raise OSError(30, "Read-only file system", *([str(temporary)] if named else []))

    for replace in (files.replace, files.replace_folder):
        with pytest.raises(OSError) as error:
            replace(path, fail)
        assert error.value.filename == str(path)


def test_a_temporary_name_keeps_the_suffix_that_writers_go_by(tmp_path):
    seen = []
    files.replace(tmp_path / "model.keras", lambda path: (seen.append(path), path.touch()))
    assert seen[0].suffix == ".keras"
    assert seen[0].name.startswith(".")
    assert (tmp_path / "model.keras").exists()


def test_line_ends_are_written_as_given(tmp_path):
    files.write(tmp_path / "history.csv", "epoch\n0\n")
    assert (tmp_path / "history.csv").read_bytes() == b"epoch\n0\n"


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "large"
    path.write_text("x" * 11)
    assert files.read(path, 11) == "x" * 11
    with pytest.raises(ValueError, match="at most 10 bytes"):
        files.read(path, 10)


def fill(folder):
    (folder / "one").write_text("1")
    (folder / "two").write_text("2")


def test_a_folder_is_there_whole_or_not_at_all(tmp_path):
    files.replace_folder(tmp_path / "a" / "it", fill)
    assert sorted(path.name for path in (tmp_path / "a" / "it").iterdir()) == ["one", "two"]

    def fail(folder):
        (folder / "one").write_text("other")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left") as caught:
        files.replace_folder(tmp_path / "a" / "it", fail)
    assert caught.value.filename == str(tmp_path / "a" / "it")
    assert (tmp_path / "a" / "it" / "one").read_text() == "1"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["it"]


def test_a_folder_takes_the_place_of_another_and_of_what_a_crash_left(tmp_path):
    (tmp_path / "it").mkdir()
    (tmp_path / "it" / "old").touch()
    (tmp_path / ".it.tmp").mkdir()
    (tmp_path / ".it.tmp" / "half").touch()
    files.replace_folder(tmp_path / "it", fill)
    assert sorted(path.name for path in (tmp_path / "it").iterdir()) == ["one", "two"]
    assert [path.name for path in tmp_path.iterdir()] == ["it"]


def test_everything_is_on_the_disk_before_it_gets_its_name_and_the_name_after(
    tmp_path, monkeypatch
):
    """A power failure in between must not leave a name without its content."""
    order = []
    monkeypatch.setattr(files, "_sync", lambda path: order.append(path.name))
    replace = Path.replace
    monkeypatch.setattr(
        Path, "replace", lambda path, to: (order.append(f"-> {to.name}"), replace(path, to))
    )
    files.write(tmp_path / "text", "1")
    assert order == [".text.tmp", "-> text", tmp_path.name]
    order.clear()
    files.replace_folder(tmp_path / "new" / "it", fill)
    assert order[0] == tmp_path.name  # the name of the folder that was missing
    assert sorted(order[1:3]) == ["one", "two"]
    assert order[3:] == [".it.tmp", "-> it", "new"]
    order.clear()
    files.make_folder(tmp_path / "a" / "b")
    files.make_folder(tmp_path / "a" / "b")
    assert order == [tmp_path.name, "a"]


def test_both_the_file_and_its_folder_are_fsynced(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    files.write(tmp_path / "text", "1")
    assert synced == [(tmp_path / "text").stat().st_ino, tmp_path.stat().st_ino]


def test_a_sync_reaches_the_system(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor)))
    files.write(tmp_path / "text", "1")
    file, folder = synced
    assert file.st_ino == (tmp_path / "text").stat().st_ino
    assert folder.st_ino == tmp_path.stat().st_ino


@pytest.mark.parametrize("name", [".it.tmp"])
def test_a_link_in_place_of_a_temporary_folder_is_not_written_through(tmp_path, name):
    (tmp_path / "precious").mkdir()
    (tmp_path / name).symlink_to(tmp_path / "precious")
    with contextlib.suppress(OSError):  # refused, or written beside the link
        files.replace_folder(tmp_path / "it", fill)
    assert not list((tmp_path / "precious").iterdir())


def test_a_link_in_place_of_a_temporary_file_is_not_written_through(tmp_path):
    (tmp_path / "precious").write_text("mine")
    (tmp_path / ".text.tmp").symlink_to(tmp_path / "precious")
    files.write(tmp_path / "text", "1")
    assert (tmp_path / "precious").read_text() == "mine"


@pytest.mark.parametrize("name", ["it", ".it.tmp"])
@pytest.mark.parametrize("kind", ["link", "dangling link", "file"])
def test_what_was_planted_in_place_of_a_folder_is_removed_and_not_followed(tmp_path, name, kind):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "mine").touch()
    (tmp_path / "here").mkdir()
    place = tmp_path / "here" / name
    target = tmp_path / ("precious" if kind == "link" else "nowhere")
    place.touch() if kind == "file" else place.symlink_to(target)
    files.replace_folder(tmp_path / "here" / "it", fill)
    assert [path.name for path in (tmp_path / "precious").iterdir()] == ["mine"]
    assert not (tmp_path / "nowhere").exists()
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["it"]
    assert not (tmp_path / "here" / "it").is_symlink()
    assert (tmp_path / "here" / "it" / "one").read_text() == "1"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes in folders")
def test_a_pipe_or_a_device_in_place_of_a_file_is_refused(tmp_path):
    """One keeps a reader waiting for a writer, the other has no end."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), Path("/dev/null")):
        with pytest.raises(files.NotRegular, match="expected a regular file") as caught:
            files.read(path, 10)
        assert caught.value.filename == str(path)
    with pytest.raises(IsADirectoryError):
        files.read(tmp_path, 10)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="needs sockets in folders")
def test_a_socket_in_place_of_a_file_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the path of a socket has at most 107 bytes
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
    with pytest.raises(files.NotRegular, match="expected a regular file"):
        files.read(Path("socket"), 10)


def test_a_link_to_a_file_is_read(tmp_path):
    (tmp_path / "file").write_text("content")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert files.read(tmp_path / "link", 10) == "content"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="a file of Linux")
def test_a_file_that_is_longer_than_it_says_is_read_within_the_limit():
    path = Path("/proc/self/status")  # says that it has no bytes
    assert path.stat().st_size == 0
    assert files.read(path, 2**20).startswith("Name:")
    with pytest.raises(ValueError, match="expected at most 100 bytes"):
        files.read(path, 100)
