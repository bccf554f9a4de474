"""Numbers that were published before the code was last rearranged come out as they were.

`tests/golden` holds histories of smoke runs (those of seed 0 are checked in `cli/test_cli.py`), and
what `regbench compare --json` said of shipped runs. Whoever changes what a number means makes them
again, and says so in the changelog.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_cli import HISTORIES, assert_unchanged, regbench

GOLDEN = Path("tests/golden")


@pytest.mark.slow
def test_histories_of_another_seed_are_what_they_were(tmp_path):
    configs = [f"configs/{name}.yaml" for name in HISTORIES]
    options = ["--smoke", "--seeds", "1", "--no-probes", "--threads", "1"]
    done = regbench("run", *configs, *options, "--results", tmp_path)
    assert done.returncode == 0, done.stderr
    for name in HISTORIES:
        assert_unchanged(tmp_path, name, "1")


def test_comparisons_of_shipped_runs_are_what_they_were(capsys):
    done = regbench("compare", GOLDEN / "overfitting.zip", "--json")
    now = json.loads(done.stdout)
    before = json.loads((GOLDEN / "compare.json").read_text(encoding="utf-8"))
    assert kept(now, before) == before


def kept(now: object, before: object) -> object:
    """Return `now` with the keys that `before` has: later versions may add some."""
    if isinstance(now, dict) and isinstance(before, dict):
        return {key: kept(now.get(key), value) for key, value in before.items()}
    if isinstance(now, list) and isinstance(before, list) and len(now) == len(before):
        return [kept(mine, theirs) for mine, theirs in zip(now, before, strict=True)]
    return now
