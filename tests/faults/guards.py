"""Every guard taken out in turn, in a copy of the code: the test that passed with it must fail."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml

from tests.faults import lanes
from tests.faults.report import Line, show

GUARDS = Path(__file__).with_name("guards.yaml")
COPIED = ("regbench", "tests", "configs", "pyproject.toml", "README.md")
# A guard may be what keeps its test from running forever, or from filling the memory.
SECONDS = 120
PYTEST_FAILED = 1


class Guard(NamedTuple):
    """What `guards.yaml` says of a guard."""

    file: str
    guard: str
    code: str
    test: str
    instead: str = "if False:"


def all_guards() -> list[Guard]:
    content = yaml.safe_load(GUARDS.read_text(encoding="utf-8"))
    return [Guard(file, **each) for file, guards in content.items() for each in guards]


def taken_out(guard: Guard, whole: str) -> str:
    """Return the text of the guard's file without it."""
    return whole.replace(guard.code.strip(), guard.instead.strip())


def remove_each(folder: Path) -> Iterator[Line]:
    """Take out every guard and run its test, on every core."""
    counts = lanes.run(_remove_a_share, folder)
    tries = counts["noticed"] + counts["unnoticed"]
    result = f"{counts['unnoticed']} without a test that fails"
    yield Line("guards taken out", tries, result, counts["noticed"] == tries == len(all_guards()))


def _remove_a_share(lane: int, lanes_: int, folder: Path) -> Counter[str]:
    for name in COPIED:
        copy = shutil.copytree if Path(name).is_dir() else shutil.copy
        copy(name, folder / name)
    counts: Counter[str] = Counter()
    guards = all_guards()
    for number in range(lane, len(guards), lanes_):
        show(f"{number} of {len(guards)} guards")
        problem = _remove(guards[number], folder)
        counts["unnoticed" if problem else "noticed"] += 1
        if problem:
            print(f"\n{guards[number].file}: {guards[number].guard}: {problem}", file=sys.stderr)
    return counts


def _remove(guard: Guard, folder: Path) -> str | None:
    """Return what is wrong where the test does not pass with the guard and fail without."""
    path = folder / "regbench" / guard.file
    whole = path.read_text(encoding="utf-8")
    if (count := whole.count(guard.code.strip())) != 1:
        return f"expected its code once, found it {count} times"
    if code := _test(guard.test, folder):
        return f"{guard.test} ended with {code} before the guard was taken out"
    path.write_text(taken_out(guard, whole), encoding="utf-8")
    try:
        code = _test(guard.test, folder)
    finally:
        path.write_text(whole, encoding="utf-8")
    return None if code == PYTEST_FAILED else f"{guard.test} ended with {code} without the guard"


def _test(test: str, folder: Path) -> int:
    """Return what pytest ends with; a test that would never end counts as failed."""
    file, *options = shlex.split(test)
    # Also those that `make test` leaves to other targets.
    chosen = ["-m", "not browser and not guide"]
    command = [sys.executable, "-m", "pytest", f"tests/{file}.py", *chosen, *options]
    quiet = ["--exitfirst", "--quiet", "--quiet", "-p", "no:cacheprovider"]
    variables = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        return subprocess.run(
            [*command, *quiet],
            cwd=folder,
            env=variables,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS,
            check=False,
        ).returncode
    except subprocess.TimeoutExpired:
        return PYTEST_FAILED
