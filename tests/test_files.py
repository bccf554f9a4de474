"""Files that are there whole or not at all."""

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
