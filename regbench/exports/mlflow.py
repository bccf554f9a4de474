"""Export to MLflow: a run for each run, with its config, its epochs and its files."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from regbench.errors import RegbenchError
from regbench.exports import missing
from regbench.runs import storage
from regbench.runs.files import CONFIG, ENVIRONMENT, HISTORY_FILE, SUMMARY
from regbench.runs.live import Snapshot

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "regbench"
# The tag by which a later export finds and replaces a run.
KEY = "regbench.run"
ARTIFACTS = (CONFIG, ENVIRONMENT, HISTORY_FILE, SUMMARY)
LONGEST_PARAMETER = 500  # of a file store; other stores take more


class MLflow:
    """A tracking server, or a folder in the form of MLflow's file store."""

    def __init__(self, client: MlflowClient) -> None:
        self._client = client
        known = client.get_experiment_by_name(EXPERIMENT)
        self._experiment: str = (
            known.experiment_id if known else client.create_experiment(EXPERIMENT)
        )

    def begin(self, run: Snapshot, settings: Mapping[str, object]) -> MLflowRun:
        """Create the run; one of an earlier export is deleted."""
        from mlflow.entities import Param

        of_this = f"tags.`{KEY}` = '{run.key}'"
        for earlier in self._client.search_runs([self._experiment], of_this):
            self._client.delete_run(earlier.info.run_id)
        tags = {KEY: run.key, "regbench.results": str(run.folder.parent)}
        created = self._client.create_run(
            self._experiment, round(run.began * 1000), tags, run_name=run.label
        )
        parameters = [Param(key, _parameter(value)) for key, value in settings.items()]
        self._client.log_batch(created.info.run_id, params=parameters)
        return MLflowRun(self._client, created.info.run_id)

    def close(self) -> None:
        """Do nothing: MLflow writes at once."""


class MLflowRun:
    """One run of an MLflow experiment."""

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self._client, self._id = client, run_id
        self._latest = 0.0

    def log(self, epoch: int, numbers: Mapping[str, float], at: float) -> None:
        """Log the numbers with the epoch as step."""
        from mlflow.entities import Metric

        self._latest = at
        metrics = [Metric(key, value, round(at * 1000), epoch) for key, value in numbers.items()]
        self._client.log_batch(self._id, metrics)

    def finish(self, run: Snapshot) -> None:
        """Add the run's files, and end it; one that diverged has failed."""
        with tempfile.TemporaryDirectory() as folder:
            for name in ARTIFACTS:
                if storage.exists(run.folder / name):
                    copy = Path(folder) / name
                    copy.write_text(storage.text(run.folder, name), encoding="utf-8")
                    self._client.log_artifact(self._id, str(copy))
        self._client.set_tag(self._id, "regbench.state", run.state)
        status = "FINISHED" if run.state == "completed" else "FAILED"
        self._client.set_terminated(self._id, status, round(self._latest * 1000))


def mlflow(output: str) -> MLflow:
    """Open a tracking server by its address, or else a folder.

    Raises:
        RegbenchError: MLflow is not installed, or the server can't be reached.
    """
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # by default it tries for minutes
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ImportError as error:
        raise missing("mlflow", "mlflow-skinny") from error
    if "://" not in output:
        # MLflow asks for this consent since its file store gets no new features; it needs no
        # database, and every MLflow reads and migrates it.
        os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
        output = Path(output).absolute().as_uri()
    try:
        return MLflow(MlflowClient(tracking_uri=output))
    except MlflowException as error:
        reason = str(error).splitlines()[0]
        raise RegbenchError(
            f"--output: {output}: can't be opened as an MLflow store: {reason}"
        ) from error


def _parameter(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text[:LONGEST_PARAMETER]
