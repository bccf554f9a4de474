"""MLflow's stores on this machine: the file store (a folder), and the database `mlflow.db`.

STORE/<experiment>/<run>/meta.yaml
STORE/<experiment>/<run>/{metrics,params,tags}/<key>    a metric has lines "time value step"
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from regbench import files
from regbench.runs import sqlite
from regbench.runs.trackers import places
from regbench.runs.trackers.tracked_run import TrackedRun

MOST_BYTES = 2**26
# As the file store and the others write it.
FINISHED, FAILED = ("3", "FINISHED"), ("4", "FAILED")
STATE, RUN_NAME = "regbench.state", "mlflow.runName"


def runs(path: Path) -> list[TrackedRun]:
    """Return the runs of a store, but for deleted ones. Raises OSError or ValueError."""
    folders = [] if path.is_file() else places.mlflow_runs(path)
    if not folders:
        return [run for file in places.databases(path) for run in _of_database(file)]
    found = []
    for folder in folders:
        meta = _meta(files.read(folder / "meta.yaml", MOST_BYTES))
        if meta.get("lifecycle_stage") != "deleted":
            found.append((meta.get("start_time", ""), _of_folder(folder, meta)))
    return [run for _, run in sorted(found, key=lambda each: each[0].zfill(20))]


def tracked(
    key: str, name: str, status: str, tags: Mapping[str, str], params: Mapping[str, str]
) -> TrackedRun:
    """Return a run without its numbers; one of `regbench export` says in a tag how it ended."""
    run = TrackedRun(key, tags.get(RUN_NAME) or name or key, settings=dict(params))
    if tags.get(STATE) == "diverged":
        run.state = "diverged"
    elif status not in FINISHED:
        run.state = "unfinished"
    return run


def _of_folder(folder: Path, meta: Mapping[str, str]) -> TrackedRun:
    params, tags = (_values(folder / each) for each in ("params", "tags"))
    run = tracked(folder.name, meta.get("run_name", ""), meta.get("status", ""), tags, params)
    for key, text in _values(folder / "metrics").items():
        for line in text.splitlines():
            _, value, *step = line.split()
            run.log(int(step[0]) if step else 0, key, float(value))
    return run


def _values(folder: Path) -> dict[str, str]:
    """Return the content of each file below a folder by its path, which is the key."""
    found = sorted(each for each in folder.rglob("*") if each.is_file())
    return {each.relative_to(folder).as_posix(): files.read(each, MOST_BYTES) for each in found}


def _meta(text: str) -> dict[str, str]:
    """Return a file of lines "key: value", which is all that MLflow writes there."""
    pairs = (line.partition(":") for line in text.splitlines())
    return {key.strip(): value.strip().strip("'\"") for key, _, value in pairs}


def _of_database(file: Path) -> list[TrackedRun]:
    texts: dict[str, dict[str, dict[str, str]]] = {"tags": {}, "params": {}}
    for table, of_runs in texts.items():
        for own, key, value in sqlite.rows(file, f"select run_uuid, key, value from {table}"):
            of_runs.setdefault(own, {})[key] = str(value)
    found: dict[str, TrackedRun] = {}
    every = "select run_uuid, name, status from runs where lifecycle_stage != 'deleted'"
    for own, name, status in sqlite.rows(file, f"{every} order by start_time"):
        tags, params = texts["tags"].get(own, {}), texts["params"].get(own, {})
        found[own] = tracked(own, name or "", str(status), tags, params)
    logged = "select run_uuid, key, value, step, is_nan from metrics order by timestamp"
    for own, key, value, step, is_nan in sqlite.rows(file, logged):
        if own in found:
            found[own].log(int(step), key, float("nan") if is_nan else float(value))
    return list(found.values())
