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

from regbench import config, datasets, environment, seeding
from regbench.config import Experiment
from regbench.curves import Curves
from regbench.datasets import Splits
from regbench.environment import Runtime
from regbench.model import build, compile_model, to_inputs
from regbench.runs import RunFolder
from regbench.stopwatch import Stopwatch

# What a run tells whoever watches it: a kind ("step" or "epoch") and its figures.
Emit = Callable[[str, dict[str, Any]], None]

# Often enough for a live display, and free: a step takes longer than writing to a pipe.
SECONDS_BETWEEN_STEP_REPORTS = 0.2


@dataclass(frozen=True)
class Job:
    """All that a worker process needs to know to train one run."""

    experiment: Experiment
    results: Path
    runtime: Runtime
    command: list[str]
    profile: bool = False


def train(job: Job, emit: Emit) -> dict[str, Any]:
    """Train one run, write its folder, and return its summary (the keys of `summary.json`)."""
    experiment, watch = job.experiment, Stopwatch()
    with watch.time("start"):
        environment.settle(job.runtime)
    folder = RunFolder.of(job.results, experiment)
    with folder.lock():
        folder.start(config.dump(experiment), environment.describe(job.runtime, job.command))
        with watch.time("data"):
            splits = datasets.load(experiment.data, experiment.seed)
        with watch.time("build"):
            model = build(experiment, splits.train_images.shape[1:], len(splits.classes))
            compile_model(model, experiment, _steps(experiment, splits))
            curves = Curves(splits, experiment.seed)

        rows = []
        for row in _epochs(model, experiment, splits, curves, emit, watch):
            with watch.time("save"):
                folder.append(row)
            rows.append(row)
            emit("epoch", row | {"images_per_second": _speed(splits, [row])})

        with watch.time("save"):
            folder.save("model.keras", model.save)
        if job.profile:
            folder.write_profile(watch.breakdown())
        summary = _summary(experiment, model, splits, rows)
        folder.finish(summary)
    return summary


def _epochs(
    model: Any,
    experiment: Experiment,
    splits: Splits,
    curves: Curves,
    emit: Emit,
    watch: Stopwatch,
) -> Iterator[dict[str, Any]]:
    """Yield the history's rows: epoch 0 before training, then one after each epoch's last update.

    Ends early where the loss is no longer finite: no later epoch could bring it back.
    """
    unreported = {"reported_loss": None, "reported_accuracy": None}
    with watch.time("evaluate"):
        row = _row(0, 0.0, model, curves, unreported)
    yield row
    for epoch in range(1, experiment.train.epochs + 1):
        began = time.perf_counter()
        reported = _train_one_epoch(model, experiment, splits, epoch, emit, watch)
        seconds = time.perf_counter() - began
        with watch.time("evaluate"):
            row = _row(epoch, seconds, model, curves, reported)
        yield row
        if not _finite(row):
            return


def _train_one_epoch(
    model: Any, experiment: Experiment, splits: Splits, epoch: int, emit: Emit, watch: Stopwatch
) -> dict[str, float]:
    """Update the model once for every batch; return the loss and accuracy that Keras reports."""
    # Keras' own compiled step, without fit(): its pipeline stalls between epochs on TensorFlow.
    steps, reported_at = _steps(experiment, splits), time.monotonic()
    loss, correct = 0.0, 0
    batches = watch.each("data", _batches(experiment, splits, epoch))
    for step, (images, labels) in enumerate(batches, start=1):
        # The first one traces and compiles the graph.
        with watch.time("compile" if epoch == step == 1 else "step"):
            logs = model.train_on_batch(images, labels, return_dict=True)
        # train_on_batch forgets the batches before; fit() reports the mean over all examples.
        loss += float(logs["loss"]) * len(labels)
        correct += round(float(logs["accuracy"]) * len(labels))
        if time.monotonic() - reported_at > SECONDS_BETWEEN_STEP_REPORTS:
            reported_at = time.monotonic()
            emit("step", {"epoch": epoch, "step": step, "steps": steps})
    examples = len(splits.train_labels)
    return {"reported_loss": loss / examples, "reported_accuracy": correct / examples}


def _batches(
    experiment: Experiment, splits: Splits, epoch: int
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
    """Yield an epoch's batches, in an order that depends on the seed and the epoch alone."""
    order = seeding.generator(experiment.seed, "order", epoch).permutation(len(splits.train_labels))
    for start in range(0, len(order), experiment.train.batch_size):
        batch = order[start : start + experiment.train.batch_size]
        yield to_inputs(splits.train_images[batch]), splits.train_labels[batch]


def _steps(experiment: Experiment, splits: Splits) -> int:
    return math.ceil(len(splits.train_labels) / experiment.train.batch_size)


def _row(
    epoch: int, seconds: float, model: Any, curves: Curves, reported: dict[str, Any]
) -> dict[str, Any]:
    return {
        "epoch": epoch,
        "seconds": seconds,
        "learning_rate": float(model.optimizer.learning_rate),
        **curves.measure(model),
        **reported,
    }


def _finite(row: dict[str, Any]) -> bool:
    return math.isfinite(row["train_loss"]) and math.isfinite(row["reported_loss"] or 0.0)


def _summary(
    experiment: Experiment, model: Any, splits: Splits, rows: list[dict[str, Any]]
) -> dict[str, Any]:
    last = rows[-1]
    return {
        "name": experiment.name,
        "config_hash": experiment.hash,
        "seed": experiment.seed,
        "status": "completed" if _finite(last) else "diverged",
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
