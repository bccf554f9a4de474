"""`guards.yaml` fits the code: whoever moves a guard, or its test, moves its row."""

import ast
import re
import shlex
from collections import Counter
from pathlib import Path

import pytest
import yaml

from tests.faults import guards

GUARDS = guards.all_guards()
FILES = sorted({guard.file for guard in GUARDS})


def of_file(file):
    return [guard for guard in GUARDS if guard.file == file]


def test_every_file_of_guards_is_named_once():
    """Of two equal keys YAML's reader would keep the last, and drop the guards of the first."""
    document = yaml.compose(guards.GUARDS.read_text(encoding="utf-8"))
    counts = Counter(key.value for key, _ in document.value)
    assert [file for file, count in counts.items() if count > 1] == []


@pytest.mark.parametrize("file", FILES)
def test_every_guard_is_in_its_file_once(file):
    whole = (Path("regbench") / file).read_text(encoding="utf-8")
    counts = {guard.guard: whole.count(guard.code.strip()) for guard in of_file(file)}
    assert {guard: count for guard, count in counts.items() if count != 1} == {}


@pytest.mark.parametrize("file", [file for file in FILES if file.endswith(".py")])
def test_code_without_a_guard_is_still_python(file):
    """Else every test would fail, and the guard seem to have one."""
    whole = (Path("regbench") / file).read_text(encoding="utf-8")
    for guard in of_file(file):
        without = guards.taken_out(guard, whole)
        assert without != whole, guard.guard
        ast.parse(without, guard.guard)


@pytest.mark.parametrize("file", FILES)
def test_every_guard_has_a_test(file):
    for guard in of_file(file):
        name, *options = shlex.split(guard.test)
        code = (Path("tests") / f"{name}.py").read_text(encoding="utf-8")
        tests = re.findall(r"^def (test_\w+)", code, re.MULTILINE)
        words = options[1].split(" or ") if options else ["test_"]
        assert any(word in test for word in words for test in tests), guard
