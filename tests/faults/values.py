"""Values of a results folder replaced by what they can't be: compare and report go on.

What a forged number says can't be told from the truth where it could be true; this is about the
rest, and about the tables, the page and the terminal, which must hold whatever is in the files.
"""

from __future__ import annotations

import copy
import csv
import functools
import io
import json
import random
import shutil
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from regbench import report, runs
from regbench.analysis import compare
from regbench.analysis.metrics import METRICS
from regbench.runs import probe_results
from regbench.terminal import comparison
from tests import made_up_runs
from tests.faults import lanes
from tests.faults.report import Line, show

ESCAPE, MARKUP = "\x1b[2J", "</script><b>x"
NASTY: list[Any] = [
    None, True, False, -1, 0, 1, 0.5, 2**53, 2**64, -(2**64), 1e16, 1e38, 1e308, -1e308, 5e-324,
    float("nan"), float("inf"), "", "x", "\ud800", "\0", ESCAPE, MARKUP, "=1+1", "[red]x",
    "x" * 5000, [], [1], {}, {"x": 1}, [[[]]],
]  # fmt: skip
FILES = ("summary.json", "probes.json", "environment.json", "history.csv")
PROBED = 3  # the number of a made-up run that has dropout and batch normalization


def replaced(folder: Path, count: int, seed: int) -> Iterator[Line]:
    """Replace a value in one of a run's files, `count` times, on every core; read the results."""
    counts = lanes.run(functools.partial(_share, count, seed), folder)
    tries = counts["held"] + counts["failed"]
    result = f"{counts['failed']} tracebacks, warnings of a library or text let through"
    passed = counts["held"] == tries > 0 and not counts["crashed"]
    yield Line("a value of a results file replaced", tries, result, passed)


def _share(count: int, seed: int, lane: int, lanes_: int, folder: Path) -> Counter[str]:
    results = folder / "results"
    one, other = made_up_runs.twenty()[:2]
    run = made_up_runs.write_run(results, one, PROBED, epochs=3, probed=True).path
    made_up_runs.write_run(results, other, PROBED, epochs=3, probed=True)
    counts: Counter[str] = Counter()
    changes = [(name, *change) for name in FILES for change in _changes(run / name)]
    random.Random(seed).shuffle(changes)
    changes = changes[:count]
    warnings.simplefilter("error")  # a reader would see it on the terminal
    for number in range(lane, len(changes), lanes_):
        name, where, content = changes[number]
        show(f"{number} of {len(changes)} values")
        whole = (run / name).read_text()
        (run / name).write_text(content)
        try:
            problem = _read(results, run)
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
        finally:
            (run / name).write_text(whole)
        counts["failed" if problem else "held"] += 1
        if problem:
            print(f"\n{name}: {where}: {problem:.300}", file=sys.stderr)
    shutil.rmtree(results)
    return counts


def _read(results: Path, run: Path) -> str | None:
    """Do what `compare` and `report` do; return what they let through."""
    said: list[str] = []
    frame = runs.load(results, said.append)
    rows = compare.compare(frame, metrics=tuple(METRICS), warn=said.append)
    json.dumps([row.as_dict() for row in rows], allow_nan=False)
    terminal = Console(file=io.StringIO(), width=120, color_system=None)
    terminal.print(comparison.terminal(rows, 120))
    shown = terminal.file.getvalue() + "".join(said)
    markdown = comparison.markdown(rows)
    shown += comparison.comma_separated(rows) + markdown
    page = report.render(frame, warn=said.append) if _is_accepted(run) else ""
    if ESCAPE in shown + page:
        return "a control character"
    return "markup" if MARKUP in page or "<b>" in markdown else None


def _is_accepted(run: Path) -> bool:
    """Whether the page shows the probes: where it does not, it is as if there were none."""
    try:
        probe_results._read.cache_clear()
        return probe_results.read(run) is not None
    except ValueError:
        return False


def _changes(path: Path) -> Iterator[tuple[str, str]]:
    """Yield, for every change of a file, where it is and what the file holds then."""
    text = path.read_text()
    if path.suffix == ".json":
        content = json.loads(text)
        for keys in _places(content):
            for value in (*NASTY, *_resized(_at(content, keys))):
                changed = copy.deepcopy(content)
                _at(changed, keys[:-1])[keys[-1]] = value
                yield f"{'.'.join(map(str, keys))} = {value!r:.60}", json.dumps(changed)
    else:
        table = list(csv.reader(io.StringIO(text)))
        for row in range(len(table)):
            for column in range(len(table[row])):
                for value in NASTY:
                    changed = copy.deepcopy(table)
                    changed[row][column] = str(value).replace("\ud800", "?")
                    lines = [",".join(each) for each in changed]
                    yield f"{row}, {column} = {value!r:.60}", "\n".join(lines) + "\n"


def _places(content: Any, keys: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the keys of every value; of a list the first item stands for all."""
    if keys:
        yield keys
    if isinstance(content, dict):
        for key, value in content.items():
            yield from _places(value, (*keys, key))
    elif isinstance(content, list) and content:
        yield from _places(content[0], (*keys, 0))


def _resized(value: Any) -> list[Any]:
    """Return a list that lost its end, and one that is longer; nothing for another value."""
    return [value[:-1], value + value[-1:]] if isinstance(value, list) and value else []


def _at(content: Any, keys: tuple[Any, ...]) -> Any:
    for key in keys:
        content = content[key]
    return content
