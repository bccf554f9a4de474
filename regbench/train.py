"""One run, from the experiment to the finished run folder; read it from top to bottom."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regbench import checkpoints, config, datasets, environment, seeding, signals
from regbench.checkpoints import Checkpoints, Position
from regbench.config import Experiment
from regbench.curves import Curves
from regbench.datasets import Splits
from regbench.environment import Runtime
from regbench.model import build, compile_model, to_inputs
from regbench.runs import HISTORY, RunFolder

# What a run tells whoever watches it: a kind ("step", "epoch" or "note") and its figures.
Emit = Callable[[str, dict[str, Any]], None]

# Often enough for a live display, and free: a step takes longer than writing to a pipe.
SECONDS_BETWEEN_STEP_REPORTS = 0.2


@dataclass(frozen=True)
class Job:
    """All that a worker process needs to know to train one run.

    An interrupted run goes on from its last checkpoint, unless it is to begin `anew`.
    """

    experiment: Experiment
    results: Path
    runtime: Runtime
    command: list[str]
    anew: bool = False


def train(job: Job, emit: Emit) -> dict[str, Any]:
    """Train one run, write its folder, and return its summary (the keys of `summary.json`)."""
    experiment = job.experiment
    environment.settle(job.runtime)
    folder = RunFolder.of(job.results, experiment)
    with folder.lock():
        described = environment.describe(job.runtime, job.command)
        keeper = Checkpoints(
            folder.checkpoints,
            checkpoints.identity(experiment.run_name, described),
            experiment.train.checkpoint_minutes,
        )
        checkpoint = None if job.anew else keeper.latest()
        position = checkpoint.position if checkpoint else Position()
        folder.start(config.dump(experiment), described, position.rows)
        splits = datasets.load(experiment.data, experiment.seed)

        model = build(experiment, splits.train_images.shape[1:], len(splits.classes))
        compile_model(model, experiment, _steps(experiment, splits))
        curves = Curves(splits, experiment.seed)
        if checkpoint:
            checkpoint.restore(model)
            emit("note", {"text": f"goes on from {position}"})

        for row in _epochs(model, experiment, splits, curves, keeper, position, emit):
            folder.append(row)
            emit("epoch", row | {"images_per_second": _speed(splits, [row])})
            if position.epoch <= experiment.train.epochs:
                _checkpoint(model, keeper, position)

        folder.save("model.keras", model.save)
        summary = _summary(experiment, model, splits, position)
        folder.finish(summary)
    return summary


def _epochs(
    model: Any,
    experiment: Experiment,
    splits: Splits,
    curves: Curves,
    keeper: Checkpoints,
    position: Position,
    emit: Emit,
) -> Iterator[dict[str, Any]]:
    """Yield the history's rows: epoch 0 before training, then one after each epoch's last update.

    Begins at `position`, and moves it along. Ends early where a loss is no longer finite.
    """
    if not position.rows:
        unreported = {"reported_loss": None, "reported_accuracy": None}
        position.end_epoch(_row(position, model, curves, unreported))
        yield position.rows[-1]
    while position.epoch <= experiment.train.epochs and position.is_finite:
        reported = _train_one_epoch(model, experiment, splits, keeper, position, emit)
        position.end_epoch(_row(position, model, curves, reported))
        yield position.rows[-1]


def _train_one_epoch(
    model: Any,
    experiment: Experiment,
    splits: Splits,
    keeper: Checkpoints,
    position: Position,
    emit: Emit,
) -> dict[str, float]:
    """Update the model once for every batch that the epoch has left.

    Returns the epoch's loss and accuracy as Keras reports them.
    """
    # Keras' own compiled step, without fit(): its pipeline stalls between epochs on TensorFlow.
    steps, reported_at = _steps(experiment, splits), time.monotonic()
    began = time.perf_counter() - position.seconds
    for images, labels in _batches(experiment, splits, position.epoch, position.step):
        logs = model.train_on_batch(images, labels, return_dict=True)
        # train_on_batch forgets the batches before; fit() reports the mean over all examples.
        position.loss += float(logs["loss"]) * len(labels)
        position.correct += round(float(logs["accuracy"]) * len(labels))
        position.step += 1
        if time.monotonic() - reported_at > SECONDS_BETWEEN_STEP_REPORTS:
            reported_at = time.monotonic()
            emit("step", {"epoch": position.epoch, "step": position.step, "steps": steps})
        if keeper.is_due or signals.stop_requested():
            position.seconds = time.perf_counter() - began
            _checkpoint(model, keeper, position)
            began = time.perf_counter() - position.seconds
    position.seconds = time.perf_counter() - began
    examples = len(splits.train_labels)
    return {
        "reported_loss": position.loss / examples,
        "reported_accuracy": position.correct / examples,
    }


def _checkpoint(model: Any, keeper: Checkpoints, position: Position) -> None:
    """Write a checkpoint; a run that was asked to stop ends here."""
    keeper.save(model, position)
    if signals.stop_requested():
        raise signals.Stopped(f"stopped at {position}; the same command goes on from there")


def _batches(
    experiment: Experiment, splits: Splits, epoch: int, done: int = 0
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
    """Yield an epoch's batches but for the first `done`.

    Their order depends on the seed and the epoch alone.
    """
    order = seeding.generator(experiment.seed, "order", epoch).permutation(len(splits.train_labels))
    size = experiment.train.batch_size
    for start in range(done * size, len(order), size):
        batch = order[start : start + size]
        yield to_inputs(splits.train_images[batch]), splits.train_labels[batch]


def _steps(experiment: Experiment, splits: Splits) -> int:
    return math.ceil(len(splits.train_labels) / experiment.train.batch_size)


def _row(
    position: Position, model: Any, curves: Curves, reported: dict[str, Any]
) -> dict[str, Any]:
    """Return the history's row of the epoch that has just been trained."""
    row = {
        "epoch": position.epoch,
        "seconds": position.seconds,
        "learning_rate": float(model.optimizer.learning_rate),
        **curves.measure(model),
        **reported,
    }
    return {column: row[column] for column in HISTORY}


def _summary(
    experiment: Experiment, model: Any, splits: Splits, position: Position
) -> dict[str, Any]:
    rows, last = position.rows, position.rows[-1]
    return {
        "name": experiment.name,
        "config_hash": experiment.hash,
        "seed": experiment.seed,
        "status": "completed" if position.is_finite else "diverged",
        "epochs": last["epoch"],
        "parameters": int(model.count_params()),
        "train_accuracy": last["train_accuracy"],
        "test_accuracy": last["test_accuracy"],
        "train_loss": last["train_loss"],
        "test_loss": last["test_loss"],
        "gap": last["train_accuracy"] - last["test_accuracy"],
        # Training alone: the honest measurements cost the same whatever the variant.
        "seconds": sum(row["seconds"] for row in rows),
        "images_per_second": _speed(splits, rows),
    }


def _speed(splits: Splits, rows: list[dict[str, Any]]) -> float | None:
    """Return the training images per second over the epochs of `rows`; None before training."""
    seconds = sum(row["seconds"] for row in rows)
    epochs = sum(row["epoch"] > 0 for row in rows)
    return len(splits.train_labels) * epochs / seconds if seconds else None
