"""Files of a results folder cut at every byte: a comparison never fails and never shows a lie.

In one process, by the functions that `regbench compare` and `regbench report` call. Which files a
comparison reads is observed and not believed: only what it never opens is left to the report's own
readers, and what neither opens is cut at every thousandth byte.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from regbench import runs
from regbench.analysis import compare
from regbench.analysis.rows import USUAL
from regbench.report import provenance
from regbench.runs import probe_results
from tests.faults import victims
from tests.faults.report import Line, show

# What a comparison says of a config by the numbers of its own runs alone.
NUMBERS = (*USUAL, "seeds", "runs", "diverged", "parameters", "seconds")
STEP = 1000
# Whether what is read of the cut file is true, or its lack is named.
Judge = Callable[[], bool]

_opened: set[str] | None = None


def cut_at_every_byte(folder: Path) -> Iterator[Line]:
    """Cut each file of one of two runs; what is shown of both must stay true, or say less."""
    results = folder / "results"
    victims.run_to_the_end(victims.experiment(2), results)
    victims.run_to_the_end(victims.experiment(2, "name=other", "l2=1e-3"), results)
    (run,) = results.glob("baseline-*")
    whole = _compared(results)[0]

    def comparison() -> bool:
        return _is_true(*_compared(results), whole)

    reports = {probe_results.DETAILS: _probes(run), "environment.json": _origins(results)}
    compared = _names_opened(comparison) & {path.name for path in run.iterdir()}
    assert {"summary.json", "history.csv", "config.yaml"} <= compared, compared
    others = {path.name for path in run.iterdir() if path.is_file()} - compared - {".lock"}
    yield _line("each file that compare opens, cut at every byte", run, compared, [comparison])
    for name in sorted(others & set(reports)):
        fault = f"{name}, which only report opens, cut at every byte"
        yield _line(fault, run, {name}, [reports[name]])
    fault = f"each file that compare does not open, at every {STEP}th byte"
    yield _line(fault, run, others, [comparison], STEP)


def _line(fault: str, run: Path, names: set[str], judges: list[Judge], step: int = 1) -> Line:
    tries = wrong = 0
    for name in sorted(names):
        for length in _cut(run / name, step):
            tries += 1
            try:
                wrong += not all(judge() for judge in judges)
            except Exception as error:
                wrong += 1
                print(f"{name} after {length} bytes: {error!r}", file=sys.stderr)
            show(f"{fault}: {tries}, {wrong} wrong: {name} after {length} bytes")
    result = f"{wrong} wrong or failed ({', '.join(sorted(names))})"
    return Line(fault, tries, result, not wrong and tries > 0)


def _cut(path: Path, step: int) -> Iterator[int]:
    """Yield every length of a file, with the file cut to it meanwhile."""
    content = path.read_bytes()
    try:
        for length in range(0, len(content), step):
            path.write_bytes(content[:length])
            yield length
    finally:
        path.write_bytes(content)


def _compared(results: Path) -> tuple[dict[str, Any], list[str]]:
    warnings: list[str] = []
    rows = compare.compare(runs.load(results, warnings.append), warn=warnings.append)
    return {row.name: row.as_dict() for row in rows}, warnings


def _is_true(rows: dict[str, Any], warnings: list[str], whole: dict[str, Any]) -> bool:
    """Whether what is shown is what the whole files say, and what is missing is named."""
    for name, row in rows.items():
        if any(row[key] != whole[name][key] for key in NUMBERS):
            return False
        for part in ("changes", "versus_baseline"):
            if row[part] is not None and row[part] != whole[name][part]:
                return False
    return rows == whole or bool(warnings)


def _probes(run: Path) -> Judge:
    # Behind the cache, whose key is the time of the summary, which is not what is cut.
    read = probe_results._read.__wrapped__
    whole = read(run, 0)
    assert whole is not None

    def judge() -> bool:
        try:
            return bool(read(run, 0) == whole)
        except ValueError:  # which becomes the report's warning
            return True

    return judge


def _origins(results: Path) -> Judge:
    frame = runs.load(results)
    whole = provenance.of(frame)

    def judge() -> bool:
        warnings: list[str] = []
        found = provenance.of(frame, warnings.append)
        said = {(key, value) for key, values in found.facts.items() for value in values}
        known = {(key, value) for key, values in whole.facts.items() for value in values}
        return said <= known and (found == whole or bool(warnings))

    return judge


def _names_opened(function: Judge) -> set[str]:
    """Return the names of all files that Python opens while it calls the function."""
    global _opened
    sys.addaudithook(_note)  # there is no way to remove one
    _opened = set()
    assert function()
    names, _opened = _opened, None
    return names


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if _opened is not None and event == "open" and isinstance(arguments[0], str):
        _opened.add(Path(arguments[0]).name)
