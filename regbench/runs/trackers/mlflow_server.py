"""MLflow servers: the runs of every experiment, asked for by the server's REST interface."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from regbench.runs.trackers import mlflow, places
from regbench.runs.trackers.tracked_run import TrackedRun

SECONDS = 30
PAGE = 1000
API = "api/2.0/mlflow"


def runs(path: Path) -> list[TrackedRun]:
    """Return the runs of a server, but for deleted ones. Raises OSError or ValueError."""
    server = f"{places.address(path)}".rstrip("/")
    experiments = [
        each["experiment_id"]
        for each in _pages(f"{server}/{API}/experiments/search", "experiments")
    ]
    if not experiments:
        return []
    asked = {"experiment_ids": experiments, "order_by": ["attributes.start_time"]}
    return [_run(server, each) for each in _pages(f"{server}/{API}/runs/search", "runs", asked)]


def _run(server: str, told: Any) -> TrackedRun:
    info, data = told["info"], told.get("data", {})
    tags, params = (
        {each["key"]: each["value"] for each in data.get(kind, [])} for kind in ("tags", "params")
    )
    run = mlflow.tracked(info["run_id"], info.get("run_name", ""), info["status"], tags, params)
    for metric in data.get("metrics", []):
        asked = {"run_id": run.key, "metric_key": metric["key"]}
        answer = _answer("GET", f"{server}/{API}/metrics/get-history", params=asked)
        for point in answer.get("metrics", []):
            run.log(int(point.get("step", 0)), metric["key"], float(point["value"]))
    return run


def _pages(address: str, key: str, asked: Mapping[str, object] | None = None) -> Iterator[Any]:
    token = None
    while True:
        more: dict[str, object] = {"page_token": token} if token else {}
        answer = _answer("POST", address, json={"max_results": PAGE, **(asked or {}), **more})
        yield from answer.get(key, [])
        token = answer.get("next_page_token")
        if not token:
            return


def _answer(method: str, address: str, **content: object) -> Any:
    import requests

    answer = requests.request(method, address, timeout=SECONDS, **content)
    if answer.status_code != requests.codes.ok:
        raise ValueError(f"{address}: HTTP status {answer.status_code}")
    return answer.json()  # of an answer that is no JSON, a ValueError
