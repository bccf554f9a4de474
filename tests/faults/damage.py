"""Files of a results folder cut at every byte: a comparison never fails and never shows a lie."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from regbench import compare, runs
from tests.faults import victims
from tests.faults.report import Line, show

# What a comparison says of a config by the numbers of its own runs alone.
NUMBERS = (*compare.METRICS, "seeds", "runs", "diverged", "parameters", "seconds")


def cut_at_every_byte(folder: Path) -> Line:
    """Cut each file of one of two runs; the comparison of both must stay true, or say less."""
    victims.run_to_the_end(victims.experiment(2), folder / "results")
    victims.run_to_the_end(victims.experiment(2, "name=other", "l2=1e-3"), folder / "results")
    whole, _ = _compared(folder / "results")
    tries = wrong = 0
    for path in sorted(folder.glob("results/baseline-*/*")):
        for content in _cut(path):
            tries += 1
            rows, warnings = _compared(folder / "results")
            wrong += not _is_true(rows, whole, warnings)
            if tries % 100 == 0:
                show(f"{tries} cuts, {wrong} wrong: {path.name} after {len(content)} bytes")
    return Line("each results file cut at every byte", tries, f"{wrong} wrong or failed", not wrong)


def _cut(path: Path) -> Iterator[bytes]:
    """Yield every beginning of a file, with the file cut to it meanwhile."""
    content = path.read_bytes()
    # No comparison reads the model, which is as large as all the rest thirty times over.
    step = 1000 if path.name == "model.keras" else 1
    try:
        for length in range(0, len(content), step):
            path.write_bytes(content[:length])
            yield content[:length]
    finally:
        path.write_bytes(content)


def _compared(results: Path) -> tuple[dict[str, Any], list[str]]:
    warnings: list[str] = []
    rows = compare.compare(runs.load(results, warnings.append))
    return {row["name"]: row for row in rows}, warnings


def _is_true(rows: dict[str, Any], whole: dict[str, Any], warnings: list[str]) -> bool:
    """Whether what is shown is what the whole files say, and what is missing is named."""
    for name, row in rows.items():
        if any(row[key] != whole[name][key] for key in NUMBERS):
            return False
        for part in ("changes", "versus_baseline"):
            if row[part] is not None and row[part] != whole[name][part]:
                return False
    return rows == whole or bool(warnings)
