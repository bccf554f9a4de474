"""Run folders and checkpoints of older and newer versions, and configs that were edited since."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from regbench.errors import RegbenchError
from regbench.training import checkpoints
from tests import made_up_runs
from tests.faults import damage
from tests.faults.report import Line, show

JSON = ("summary.json", "environment.json", "probes.json")
# What another version may have in place of a value: nothing, more, or something else.
OTHERS: tuple[Any, ...] = (None, "0.0.1", "99.0", 99, [], {"more": 1})
IDENTITY = {
    "run": "mine-44136fa3-s0", "backend": "tensorflow", "device": "cpu", "threads": 1,
    "data": "0" * 64, "regbench": "0.1.0", "keras": "3.15.1", "numpy": "2.4.6",
    "tensorflow": "2.21.0",
}  # fmt: skip


def mixed(folder: Path) -> Iterator[Line]:
    """Change run folders as another version would, edit configs, and change checkpoints' origin."""
    results = folder / "results"
    one, other = made_up_runs.twenty()[2:4]
    run = made_up_runs.write_run(results, one, 3, epochs=2, probed=True).path
    made_up_runs.write_run(results, other, 3, epochs=2, probed=True)
    whole = damage._compared(results)[0]

    def comparison() -> bool:
        return damage._is_true(*damage._compared(results), whole)

    for fault, names, changes in (
        ("a run folder of another version", JSON, _versions),
        ("a config that was edited since", ("config.yaml",), _edits),
    ):
        tries = wrong = 0
        for name in names:
            path = run / name
            before = path.read_text()
            for where, after in changes(before):
                tries += 1
                path.write_text(after)
                problem = _judge(comparison)
                wrong += problem is not None
                show(f"{fault}: {tries}")
                if problem:
                    print(f"\n{name}: {where}: {problem}", file=sys.stderr)
            path.write_text(before)
        yield Line(fault, tries, f"{wrong} wrong, or left out without a word", not wrong)
    yield _of_another_origin(folder)


def _judge(comparison: Callable[[], bool]) -> str | None:
    try:
        return None if comparison() else "something else is shown, or nothing said"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _versions(text: str) -> Iterator[tuple[str, str]]:
    """Yield a JSON file without each of its keys, with more keys, and with other values."""
    content = json.loads(text)
    for key in content:
        yield f"without {key}", json.dumps({k: v for k, v in content.items() if k != key})
        for other in OTHERS:
            if key not in damage.NUMBERS and key not in ("name", "seed", "status", "config_hash"):
                yield f"{key}: {other}", json.dumps(content | {key: other})
    for other in OTHERS:
        yield f"more: {other}", json.dumps(content | {"of_a_later_version": other})


def _edits(text: str) -> Iterator[tuple[str, str]]:
    """Yield a config without each of its lines, with it twice, and with other values."""
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        before, after = "".join(lines[:number]), "".join(lines[number + 1 :])
        yield f"without {line!r}", before + after
        yield f"twice {line!r}", before + line + line + after
        for old, new in (("1", "2"), ("true", "false"), ("null", "0"), ("0", "1"), (":", "s:")):
            if old in line:
                yield f"{new} in {line!r}", before + line.replace(old, new, 1) + after
    yield "a key of a later version", text + "of_a_later_version: 1\n"
    yield "a plugin", text + "plugins: {mine.py: " + "0" * 64 + "}\n"


def _of_another_origin(folder: Path) -> Line:
    """Resume from checkpoints that anything else has written: each is refused with its reason."""
    place = folder / "checkpoint" / "000001-000000000"
    place.mkdir(parents=True)
    np.savez(place / "arrays.npz", **{"model-0000": np.zeros(3, np.float32)})
    columns = dict.fromkeys(checkpoints.HISTORY, 0)
    position = {"rows": [columns], "step": 0, "loss": 0.0, "correct": 0, "seconds": 0.0}
    tries = bad = 0
    for key, other in [(key, other) for key in IDENTITY for other in (*OTHERS, "missing")]:
        identity = IDENTITY | {key: other}
        if other == "missing":
            del identity[key]
        (place / "state.json").write_text(json.dumps({"identity": identity, "position": position}))
        (place / "SHA256SUMS").write_text(checkpoints._checksums(place))
        tries += 1
        try:
            checkpoints.Checkpoints(place.parent, IDENTITY, 1).latest()
        except RegbenchError as error:
            bad += "\n" in str(error) or "--force" not in str(error)
        else:
            bad += 1
            print(f"\na checkpoint with {key} {other}: accepted", file=sys.stderr)
    return Line("a checkpoint of another origin", tries, f"{bad} accepted or unclear", not bad)
