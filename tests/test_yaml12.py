"""YAML from strangers: limits that end before memory and time do, and no object is ever built."""

import time

import pytest

from regbench import yaml12
from regbench.yaml12 import YamlError


def refused(text):
    """Return what is said of the text, at once; problems that leave it readable count too."""
    began = time.process_time()
    try:
        problems = yaml12.parse(text, "config").problems
    except YamlError as error:
        problems = [error.problem]
    assert time.process_time() - began < 5
    return "\n".join(map(str, problems))


def laughs(levels):
    """Return a billion laughs: each list holds the one before ten times."""
    lines = ["a0: &a0 [ha, ha]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (laughs(9), "config:2:10: aliases are not supported: write *a0 out"),
        ("a: &a [*a]", "config:1:8: aliases are not supported"),
        ("base: &base {x: 1}\nmore: {<<: *base}", "aliases are not supported"),
        ("more: {<<: {x: 1}}", "config:1:8: merge keys (<<) are not supported: use extends"),
        ("[" * 40 + "]" * 40, "config:1:34: expected at most 32 levels of nesting"),
        ("[" * 500_000, "exceeded maximum nesting depth"),  # says libyaml, before us
        ("a: [" + "1, " * 10_000 + "]", "expected at most 10000 values"),
        ("a: " + "9" * 301, "config:1:4: expected a number of at most 300 digits"),
        ("a: 0x" + "f" * 400_000, "expected a number of at most 300 digits"),
        ("a: !!python/object/apply:os.abort []", "config:1:4: tags are not supported: remove tag:"),
        ("a: !!binary aGk=", "tags are not supported"),
        ("!!set {a, b}", "tags are not supported"),
        ("a: 1\n---\nb: 2", "expected one document, received more"),
        ("a: 1\nb: 2\na: 3", 'config:3:1: duplicate key "a", first at config:1:1'),
        ("a: \x1b[2J", "config:1:4: expected printable text, received character '\\x1b'"),
        ('a: "\\e[2J"', "config:1:4: expected printable text, received character '\\x1b'"),
        ("? {a: b}\n: c", "expected a name as key, received a mapping"),
    ],
    ids=lambda value: value[:20] if value.isprintable() else "control",
)
def test_what_could_exhaust_or_deceive_is_refused_with_its_place(text, expected):
    assert expected in refused(text)


def test_a_file_of_more_than_a_megabyte_is_not_parsed(tmp_path, monkeypatch):
    path = tmp_path / "config.yaml"
    with path.open("wb") as file:
        file.truncate(2**40)  # a terabyte that takes no space
    monkeypatch.setattr(yaml12, "parse", None)
    with pytest.raises(YamlError, match="config:1:1048577: expected a config of at most 1048576"):
        yaml12.read(path, "config")


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
