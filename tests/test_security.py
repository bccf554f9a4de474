"""SECURITY.md says of each promise which tests hold it, and those tests exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path("SECURITY.md").read_text(encoding="utf-8")
HELD = "| what | held by |"
FILE = re.compile(r"\btests/[\w/]+\.py")


def rows(heading: str) -> list[tuple[str, str]]:
    """Return first and last cell of each row of the table with this heading."""
    lines = PAGE[PAGE.index(heading) :].partition("\n\n")[0].splitlines()[2:]
    cells = [line.strip("| ").split(" | ") for line in lines]
    return [(each[0], each[-1]) for each in cells]


def missing(held: str) -> list[str]:
    """Return the words that are in no test of their files, and the files without a word."""
    found = []
    for part in held.split("; "):
        words, files = re.findall(r"`(\w+)`", part), FILE.findall(part)
        assert words, part
        assert files, part
        names = {}
        for file in files:
            code = Path(file).read_text(encoding="utf-8") if Path(file).exists() else ""
            names[file] = re.findall(r"^\s*def (test_\w+)", code, re.MULTILINE)
        for word in words:
            found += [
                f"{word} in {file}"
                for file in files
                if not any(word in name for name in names[file])
            ]
    return found


@pytest.mark.parametrize(("what", "held"), rows(HELD), ids=lambda text: str(text)[:40])
def test_the_tests_that_hold_a_promise_exist(what, held):
    assert missing(held) == []


def test_each_input_from_a_stranger_has_its_tests():
    promised = {what for what, _ in rows("| input from a stranger |")}
    assert len(promised) > 10
    assert promised - {what for what, _ in rows(HELD)} == set()


def test_a_test_that_is_gone_is_noticed():
    assert missing("`no_such_test` in tests/test_files.py") == [
        "no_such_test in tests/test_files.py"
    ]
    assert missing("`any` in tests/no_such_file.py") == ["any in tests/no_such_file.py"]
