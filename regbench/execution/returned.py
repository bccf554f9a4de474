"""Runs that come back from a machine without the results folder: as a bundle, whole or not at all.

An interrupted run leaves nothing behind there, so its next attempt starts over.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from regbench import files
from regbench.config import Experiment
from regbench.errors import RunFailed
from regbench.execution.local import Emit
from regbench.runs import bundle
from regbench.runs.files import MADE, SUMMARY
from regbench.runs.folder import RunFolder

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Job = TypeVar("Job", bound="DataclassInstance")


class RunJob(Protocol):
    """A job that trains a run, as far as executors know it."""

    @property
    def experiment(self) -> Experiment: ...
    @property
    def results(self) -> Path: ...
    @property
    def restart(self) -> bool: ...


@dataclass(frozen=True)
class Bundled:
    """The result of a job, and the bundle of its run folder."""

    result: object
    content: bytes


def train(function: Callable[[Job, Emit], object], job: Job, emit: Emit) -> Bundled:
    """Run a job in a temporary folder of this machine and return its run in a bundle."""
    with tempfile.TemporaryDirectory(prefix="regbench-run-") as temporary:
        results, file = Path(temporary) / "results", Path(temporary) / "run.zip"
        result = function(replace(job, results=results), emit)
        bundle.write(results, file)
        return Bundled(result, file.read_bytes())


def unpack(bundled: Bundled, job: RunJob) -> None:
    """Write a returned run into the results folder of `job`.

    What an unfinished run left in its folder is removed first. The sign of completion is written
    last, so that an interruption leaves a run that is trained again.

    Raises:
        RunFailed: the bundle has another run.
        RunBusy: another process is training the run.
    """
    results, name = Path(job.results).resolve(), job.experiment.run_name
    temporary = Path(tempfile.mkdtemp(prefix=".returned-", dir=results))
    try:
        (temporary / "run.zip").write_bytes(bundled.content)
        bundle.extract(temporary / "run.zip", temporary)
        if not (temporary / name / SUMMARY).is_file():
            raise RunFailed(f"expected the run {name} from its node, received another one")
        with RunFolder(results / name).writing(job.restart) as folder:
            if job.restart or not folder.is_complete:
                _move(temporary / name, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _move(source: Path, folder: RunFolder) -> None:
    for name in MADE:
        files.remove(folder.path / name)
    folder.remove_checkpoints()
    for path in sorted(source.iterdir(), key=lambda each: each.name == SUMMARY):
        path.replace(folder.path / path.name)
