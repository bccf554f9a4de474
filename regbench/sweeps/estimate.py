"""Estimates of a run's time on this machine, from its parts, each timed on noise.

Data is read only if the size of the data set is unknown, and no result is kept.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

from regbench import probes
from regbench.config import Experiment
from regbench.datasets import Splits
from regbench.execution import environment
from regbench.execution.environment import Runtime
from regbench.execution.failures import Failure
from regbench.execution.local import Emit, local
from regbench.inspection import inspect as inspection
from regbench.inspection.inspect import Size
from regbench.models import evaluate, saving
from regbench.models.build import build
from regbench.probes import gap_ledger, harness
from regbench.runs.files import HISTORY, MODEL, Row
from regbench.runs.folder import RunFolder
from regbench.training import memory
from regbench.training.checkpoints import COSTLY_SECONDS, PAUSE, Checkpoints, Position

if TYPE_CHECKING:
    import keras

# Images to time the probes on: as many as dropout's ensemble has at least. With more, the ledger's
# passes take most of the time.
PROBED = 500
# The first one written is slower than the next ones.
SAVED = 3


@dataclass(frozen=True)
class Pace:
    """Seconds on this machine while the other workers are busy too.

    `start` is the time a fresh worker process needs to import its libraries; `overhead` is the time
    outside the epochs: building, compiling, probing and saving. `training` and `measuring` are per
    epoch; before the first and after the last epoch, `measuring_all` replaces `measuring`. Both
    include what is written after each epoch, a row and a checkpoint.
    """

    start: float
    overhead: float
    training: float
    measuring: float
    measuring_all: float

    def of_run(self, epochs_left: float, begins: bool) -> float:
        """Return the seconds of a run in a worker that has started."""
        between = max(0.0, epochs_left - 1) * self.measuring
        ends = (1 + begins) * self.measuring_all
        return self.overhead + epochs_left * self.training + between + ends


@dataclass(frozen=True)
class Question:
    """The config to measure, and the backend and device to measure it on."""

    experiment: Experiment
    runtime: Runtime


def calibrate(
    experiments: Sequence[Experiment], runtime: Runtime, workers: int
) -> dict[str, Pace | Failure]:
    """Return the pace of every config by its hash, or why it can't be trained.

    Takes a few seconds per config, with as many processes at a time as there will be runs, because
    they slow each other down.
    """
    configs = list({each.hash: each for each in experiments}.values())
    repeated = configs * -(-workers // len(configs))
    questions = [Question(each, runtime) for each in repeated]
    answers: dict[str, list[Pace]] = defaultdict(list)
    failed: dict[str, Failure] = {}
    starts: list[float] = []
    began: dict[int, float] = {}
    # A measurement holds nothing worth keeping: an interruption ends it at once.
    running = local(measure, questions, workers, runtime.variables(), patience=0.0)
    with contextlib.closing(running) as events:
        for event in events:
            key = repeated[event.job].hash
            if event.kind == "started":
                began[event.job] = time.monotonic()
            elif event.kind == "ready":
                starts.append(time.monotonic() - began[event.job])
            elif event.kind == "done":
                assert isinstance(event.result, Pace)
                answers[key].append(event.result)
            elif event.failure:
                failed[key] = event.failure
    # Only a worker's first job waits for the imports.
    start = fmean(sorted(starts)[-workers:]) if starts else 0.0
    return failed | {key: _mean(start, paces) for key, paces in answers.items()}


@memory.cleared()
def measure(question: Question, emit: Emit) -> Pace:
    """Measure one config in this process; `start` is measured by the process that waits for it."""
    experiment = question.experiment
    environment.settle(question.runtime)
    emit("ready", {})
    began = time.perf_counter()
    size = inspection.size_of(experiment.data)
    model = build(experiment, size.input_shape, size.classes)
    timing = inspection.time_run(model, experiment, size, question.runtime)
    _finish(model, experiment, size)
    image = timing.measuring_all / size.measured
    steady = timing.seconds + evaluate.BATCH * image
    passes = gap_ledger.LEAST_PASSES if harness.varying(model) else 0
    sample = size.measured // 2
    beyond = passes * max(0, sample - PROBED) * image
    if experiment.changing("batch"):
        beyond += (gap_ledger.most_changed(sample) - gap_ledger.most_changed(PROBED)) * image
    overhead = time.perf_counter() - began - steady + beyond
    epoch = timing.training + timing.measuring
    saving = _seconds_to_save(model, experiment, epoch)
    measuring = timing.measuring + saving, timing.measuring_all + saving
    return Pace(0.0, max(0.0, overhead), timing.training, *measuring)


def _seconds_to_save(model: keras.Model, experiment: Experiment, epoch: float) -> float:
    """Return the seconds after each epoch to write a row and a checkpoint, synced to the disk.

    `epoch` is the seconds that an epoch takes otherwise: after short ones, not each is saved.
    """
    row = dict.fromkeys(HISTORY, 0.0)
    with tempfile.TemporaryDirectory(prefix="regbench-") as temporary:
        folder = RunFolder(Path(temporary) / experiment.run_name)
        folder.path.mkdir()
        keeper = Checkpoints(folder.checkpoints, {}, experiment.train.checkpoint_minutes)
        seconds, position = [], Position()
        for _ in range(SAVED):
            began = time.perf_counter()
            folder.append(row)
            rows = time.perf_counter() - began
            keeper.save(model, position)
            position.end_epoch(row)
            checkpoint = time.perf_counter() - began - rows
            if checkpoint > COSTLY_SECONDS:  # the next ones are left out for a while
                checkpoint /= max(1.0, PAUSE * checkpoint / epoch)
            seconds.append(rows + checkpoint)
    return min(seconds)


def _finish(model: keras.Model, experiment: Experiment, size: Size) -> None:
    """Run everything that follows the last epoch, on images of noise."""
    rng = np.random.default_rng(0)
    count = max(size.classes, min(PROBED, size.test_examples))
    images = rng.integers(0, 256, (count, *size.input_shape), np.uint8)
    labels = np.arange(count) % size.classes
    splits = Splits(images, labels, images, labels, tuple(map(str, range(size.classes))))
    row: Row = dict.fromkeys(HISTORY, 0.0)
    probes.measure(model, experiment, splits, (images, labels), row)
    with tempfile.TemporaryDirectory(prefix="regbench-") as folder:
        saving.save(model, Path(folder) / MODEL)


def _mean(start: float, paces: list[Pace]) -> Pace:
    return Pace(
        start,
        fmean(each.overhead for each in paces),
        fmean(each.training for each in paces),
        fmean(each.measuring for each in paces),
        fmean(each.measuring_all for each in paces),
    )
