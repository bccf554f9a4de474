"""YAML from strangers: limits that hold before memory and time run out, and plain values alone."""

import os
import sys
import tracemalloc
from pathlib import Path

import pytest

from regbench.config import yaml12
from regbench.config.yaml12 import YamlError


def problems(text):
    """Return what is wrong with a text that can be read all the same."""
    return [problem.text for problem in yaml12.parse(text, "x.yaml").problems]


def refused(text):
    """Return why a text can't be read."""
    with pytest.raises(YamlError) as error:
        yaml12.parse(text, "x.yaml")
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_file_beyond_a_mebibyte_is_not_parsed(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_bytes(b"#" * yaml12.MAX_BYTES)
    assert yaml12.read(path, "x.yaml").root.plain() is None
    path.write_bytes(b"#" * (yaml12.MAX_BYTES + 1))
    with pytest.raises(YamlError, match="expected a config of at most 1048576 bytes"):
        yaml12.read(path, "x.yaml")


def test_a_file_is_not_read_far_beyond_that(tmp_path):
    path = tmp_path / "x.yaml"
    path.touch()
    os.truncate(path, 64 * yaml12.MAX_BYTES)
    tracemalloc.start()
    with pytest.raises(YamlError):
        yaml12.read(path, "x.yaml")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 16 * yaml12.MAX_BYTES


def test_values_are_counted():
    items = ", ".join(["1"] * (yaml12.MAX_NODES - 1))
    assert len(yaml12.parse(f"[{items}]", "x.yaml").root.plain()) == yaml12.MAX_NODES - 1
    assert "expected at most 10000 values" in refused(f"[{items}, 1]")


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{a: ", "}")])
def test_nesting_ends_at_32_levels(opening, closing):
    yaml12.parse(opening * 32 + "1" + closing * 32, "x.yaml")
    assert "expected at most 32 levels" in refused(opening * 33 + "1" + closing * 33)
    assert "nesting" in refused(opening * 900)


@pytest.mark.parametrize("text", ["9" * 301, "0x" + "f" * 301, "1." + "0" * 301])
def test_a_number_of_more_than_300_digits_is_a_problem(text):
    assert problems(text) == ["expected a number of at most 300 digits"]
    assert problems("9" * 300) == []


@pytest.mark.parametrize("text", ["[&a 1, *a]", "{a: &a [1], b: {<<: *a}}", "&a [*a]", "*a"])
def test_an_alias_is_refused(text):
    assert "aliases are not supported: write *a out" in refused(text)


def test_a_merge_key_is_a_problem():
    assert problems("<<: {a: 1}") == ["merge keys (<<) are not supported: use extends"]


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:sys.exit [3]",
        "!!python/name:os.system",
        "!!python/object/new:os.system [echo]",
        "!!timestamp 2001-01-01",
        "!!binary aGk=",
        "!mine {a: 1}",
    ],
)
def test_a_tag_is_a_problem_and_constructs_nothing(text):
    document = yaml12.parse(text, "x.yaml")
    assert document.problems[0].text.startswith("tags are not supported")
    assert type(document.root.plain()) in (str, list, dict, type(None))


def test_the_last_of_two_equal_keys_does_not_win_in_silence():
    document = yaml12.parse("a: 1\nb: 2\na: 3", "x.yaml")
    assert document.problems[0].text == 'duplicate key "a", first at x.yaml:1:1'
    assert document.root.plain() == {"a": 1, "b": 2}


@pytest.mark.parametrize("character", ["\x1b", "\x07", "\x9b", "\x7f", "\0"])
def test_a_control_character_is_refused_and_never_repeated(character):
    reason = refused(f"a: {character}[2J")
    assert reason.startswith("x.yaml:1:4: expected printable text, received character")
    assert character not in reason


@pytest.mark.parametrize("escape", [r"\e", r"\x07", r"\x9b", r"\x7f", r"\0"])
def test_an_escaped_control_character_is_a_problem_too(escape):
    (text,) = problems(f'a: "{escape}[2J"')
    assert text.startswith("expected printable text, received character")
    assert text.isprintable()


def test_a_hostile_name_of_a_file_is_shown_on_one_line_without_control_characters():
    with pytest.raises(YamlError) as error:
        yaml12.parse("[", "\x1b[2Jx\n.yaml")
    assert str(error.value).startswith(r"\x1b[2Jx\n.yaml:2:1: not YAML")
    assert str(error.value).isprintable()


def test_many_problems_of_hostile_text_come_within_the_limits(tmp_path):
    """The parser itself must not recurse: a stack that overflows would end the process."""
    assert sys.getrecursionlimit() < 5000
    path = tmp_path / "x.yaml"
    path.write_text("- " * 100_000)
    with pytest.raises(YamlError, match="levels of nesting"):
        yaml12.read(Path(path), "x.yaml")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4), ("1E3", 1000.0), (".5", 0.5), ("0o17", 15), ("0x1F", 31), ("-7", -7),
        ("no", "no"), ("12:30", "12:30"), ("1_000", "1_000"), ("0b1", "0b1"), ("~", None),
        ("TRUE", True), ("-.inf", float("-inf")), ("'1'", "1"), ("2026-11-25", "2026-11-25"),
    ],
)  # fmt: skip
def test_scalars_are_those_of_yaml_1_2(text, value):
    read = yaml12.parse(f"a: {text}", "config").root.plain()["a"]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes in folders")
def test_a_pipe_or_a_device_is_no_config(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    for path in (tmp_path / "pipe.yaml", Path("/dev/zero")):
        with pytest.raises(YamlError, match="can't be read: expected a regular file"):
            yaml12.read(path, "x.yaml")
