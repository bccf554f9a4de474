"""Export to MLflow: a run for each run, with its config, its epochs and its files."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
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

    def __init__(self, client: MlflowClient, where: str) -> None:
        self._client, self._where = client, where
        with _told(where):
            known = client.get_experiment_by_name(EXPERIMENT)
            self._experiment: str = (
                known.experiment_id if known else client.create_experiment(EXPERIMENT)
            )

    def begin(self, run: Snapshot, settings: Mapping[str, object]) -> MLflowRun:
        """Create the run; one of an earlier export is deleted."""
        from mlflow.entities import Param

        of_this = f"tags.`{KEY}` = '{run.key}'"
        tags = {KEY: run.key, "regbench.results": str(run.folder.parent)}
        parameters = [Param(key, _parameter(value)) for key, value in settings.items()]
        with _told(self._where):
            for earlier in self._client.search_runs([self._experiment], of_this):
                self._client.delete_run(earlier.info.run_id)
            created = self._client.create_run(
                self._experiment, round(run.began * 1000), tags, run_name=run.label
            )
            self._client.log_batch(created.info.run_id, params=parameters)
        return MLflowRun(self._client, created.info.run_id, self._where)

    def close(self) -> None:
        """Do nothing: MLflow writes at once."""


class MLflowRun:
    """One run of an MLflow experiment."""

    def __init__(self, client: MlflowClient, run_id: str, where: str) -> None:
        self._client, self._id, self._where = client, run_id, where
        self._latest = 0.0

    def log(self, epoch: int, numbers: Mapping[str, float], at: float) -> None:
        """Log the numbers with the epoch as step."""
        from mlflow.entities import Metric

        self._latest = at
        metrics = [Metric(key, value, round(at * 1000), epoch) for key, value in numbers.items()]
        with _told(self._where):
            self._client.log_batch(self._id, metrics)

    def finish(self, run: Snapshot) -> None:
        """Add the run's files, and end it; one that diverged has failed."""
        status = "FINISHED" if run.state == "completed" else "FAILED"
        with tempfile.TemporaryDirectory() as folder, _told(self._where):
            for name in ARTIFACTS:
                if storage.exists(run.folder / name):
                    copy = Path(folder) / name
                    copy.write_text(storage.text(run.folder, name), encoding="utf-8")
                    self._client.log_artifact(self._id, str(copy))
            self._client.set_tag(self._id, "regbench.state", run.state)
            self._client.set_terminated(self._id, status, round(self._latest * 1000))


def mlflow(output: str) -> MLflow:
    """Open a tracking server by its address, or else a folder.

    Raises:
        RegbenchError: MLflow is not installed, or the server can't be reached.
    """
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # by default it tries for minutes
    try:
        from mlflow import MlflowClient
    except ImportError as error:
        raise missing("mlflow", "mlflow-skinny") from error
    if "://" not in output:
        # MLflow asks for this consent since its file store gets no new features; it needs no
        # database, and every MLflow reads and migrates it.
        os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
        output = Path(output).absolute().as_uri()
    with _told(output):
        client = MlflowClient(tracking_uri=output)
    return MLflow(client, output)


@contextlib.contextmanager
def _told(where: str) -> Iterator[None]:
    """Turn what MLflow raises into one line, whatever it is.

    Its file store reads its own files unchecked: one that a full disk left empty is an
    AttributeError of every later call.
    """
    try:
        yield
    except OSError:  # says by itself what is wrong, such as a full disk
        raise
    except Exception as error:
        reason = next(iter(str(error).splitlines()), "")
        raise RegbenchError(
            f"--output: {where}: MLflow can't use this store: {type(error).__name__}: {reason}; "
            "if it is damaged, delete it or name another one"
        ) from error


def _parameter(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text[:LONGEST_PARAMETER]
