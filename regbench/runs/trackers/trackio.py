"""trackio's databases: a run for each name or id, in a file for each project."""

from __future__ import annotations

import json
from pathlib import Path

from regbench.runs import sqlite
from regbench.runs.trackers import places
from regbench.runs.trackers.tracked_run import TrackedRun


def runs(path: Path) -> list[TrackedRun]:
    """Return the runs of a database or of all in a folder. Raises OSError or ValueError."""
    return [run for file in places.databases(path) for run in _of(file)]


def _of(file: Path) -> list[TrackedRun]:
    columns = {name for _, name, *_ in sqlite.rows(file, "pragma table_info(metrics)")}
    key = "run_id" if "run_id" in columns else "run_name"  # earlier versions have the name alone
    found: dict[str, TrackedRun] = {}
    logged = sqlite.rows(file, f"select {key}, run_name, step, metrics from metrics order by id")
    for own, name, step, metrics in logged:
        run = found.setdefault(own, TrackedRun(f"{file.stem}/{own}", str(name)))
        for tag, value in _mapping(metrics).items():
            run.log(int(step), tag, value)
    for own, config in sqlite.rows(file, f"select {key}, config from configs"):
        if own in found:
            settings = _mapping(config)
            group = settings.pop("_Group", None)
            found[own].settings = {
                name: value for name, value in settings.items() if not name.startswith("_")
            }
            found[own].group = group if isinstance(group, str) else None
            if settings.get("state") == "diverged":
                found[own].state = "diverged"
    return list(found.values())


def _mapping(text: str | bytes) -> dict[str, object]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError(f"expected a JSON object, received {text[:40]!r}")
    return found
