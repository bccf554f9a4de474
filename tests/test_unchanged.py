"""Numbers that were published before the code was last rearranged come out as they were.

`tests/golden` holds histories of smoke runs, and what `regbench compare --json` said of shipped
runs. Whoever changes what a number means makes them again, and says so in the changelog.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.cli.test_cli import regbench

GOLDEN = Path("tests/golden")
HISTORIES = json.loads((GOLDEN / "histories.json").read_text(encoding="utf-8"))
# After a few steps, machines differ by the rounding of sums: by one or two of 100 images.
LOSS, ACCURACY = 2e-3, 0.02


@pytest.fixture(scope="module", params=["0", pytest.param("1", marks=pytest.mark.slow)])
def runs(request, tmp_path_factory):
    """Train the smoke runs of a seed; return the seed and their folder."""
    results = tmp_path_factory.mktemp("unchanged")
    configs = [f"configs/{name}.yaml" for name in HISTORIES]
    options = ["--smoke", "--seeds", request.param, "--no-probes", "--threads", "1"]
    done = regbench("run", *configs, *options, "--results", results)
    assert done.returncode == 0, done.stderr
    return request.param, results


@pytest.mark.parametrize("name", HISTORIES)
def test_histories_are_what_they_were(runs, name):
    seed, results = runs
    (path,) = results.glob(f"{name}-????????-s{seed}/history.csv")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    before = HISTORIES[name][seed]
    assert len(rows) == len(before)
    for row, old in zip(rows, before, strict=True):
        for column, value in old.items():
            allowed = ACCURACY if column.endswith("accuracy") else LOSS
            now = float(row[column]) if row[column] else None
            assert now == (value if value is None else pytest.approx(value, abs=allowed)), column


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
