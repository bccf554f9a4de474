"""Export to TensorBoard: event files, with train and test of a run in one plot.

    OUTPUT/<run>/train, test, validation, reported    `accuracy` and `loss`, the same tags in each
    OUTPUT/<run>                                      all other columns, hparams

TensorBoard draws equal tags of several folders into one plot. An event file is a sequence of
protocol buffers, which TensorBoard's own package writes without TensorFlow.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from regbench import files
from regbench.exports import missing
from regbench.runs.live import Snapshot

if TYPE_CHECKING:
    from tensorboard.compat.proto.summary_pb2 import Summary

# TensorBoard reads every file with "tfevents" in its name. A fixed name replaces an earlier export.
EVENTS = "events.out.tfevents.regbench"
CURVES = ("train", "test", "validation", "reported")


class TensorBoard:
    """A folder for `tensorboard --logdir`."""

    def __init__(self, output: Path) -> None:
        self._output = output

    def begin(self, run: Snapshot, settings: Mapping[str, object]) -> Events:
        """Start the run's event files."""
        return Events(self._output / run.key, run, settings)

    def close(self) -> None:
        """Do nothing: every epoch is written at once."""


class Events:
    """The event files of one run."""

    def __init__(self, folder: Path, run: Snapshot, settings: Mapping[str, object]) -> None:
        from tensorboard.plugins.hparams import summary_v2 as hparams

        self._folder = folder
        self._files = {name: folder / name / EVENTS for name in CURVES} | {"": folder / EVENTS}
        for path in self._files.values():
            files.remove(path)
        chosen = {key: _hparam(value) for key, value in settings.items()}
        started = hparams.hparams_pb(chosen, trial_id=run.key, start_time_secs=run.began)
        self._write("", started, 0, run.began)

    def log(self, epoch: int, numbers: Mapping[str, float], at: float) -> None:
        """Append the epoch's numbers to the files that they belong to."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        for curve, tags in _by_curve(numbers).items():
            values = [Summary.Value(tag=tag, simple_value=value) for tag, value in tags.items()]
            self._write(curve, Summary(value=values), epoch, at)

    def finish(self, run: Snapshot) -> None:
        """Do nothing: the last epoch's numbers are there."""

    def _write(self, curve: str, summary: Summary, step: int, at: float) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        path = self._files[curve]
        begins = not path.exists()
        files.make_folder(path.parent)
        with path.open("ab") as file:
            records = RecordWriter(file)
            if begins:
                version = Event(wall_time=at, file_version="brain.Event:2")
                records.write(version.SerializeToString())
            event = Event(wall_time=at, step=step, summary=summary)
            records.write(event.SerializeToString())
            records.flush()


def tensorboard(output: str) -> TensorBoard:
    """Open the folder at `output`.

    Raises:
        RegbenchError: TensorBoard is not installed.
    """
    try:
        import tensorboard.plugins.hparams.summary_v2  # noqa: F401
    except ImportError as error:
        raise missing("tensorboard", "tensorboard") from error
    return TensorBoard(Path(output))


def _by_curve(numbers: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Group "train_loss" and so on as {"train": {"loss": ...}}, the rest under ""."""
    grouped: dict[str, dict[str, float]] = {}
    for column, value in numbers.items():
        curve, _, tag = column.partition("_")
        if curve not in CURVES or tag not in ("accuracy", "loss"):
            curve, tag = "", column
        grouped.setdefault(curve, {})[tag] = value
    return grouped


def _hparam(value: object) -> bool | float | str:
    """Return a config's value as TensorBoard shows it: a number, a truth value or text."""
    return value if isinstance(value, bool | int | float | str) else json.dumps(value)
