"""One run, from the experiment to the finished run folder; read it from top to bottom."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regbench import config, datasets, probes, seeding
from regbench.analysis.gap import gap
from regbench.config import Experiment
from regbench.datasets import Splits, fingerprint
from regbench.execution import environment, signals
from regbench.execution.environment import Runtime
from regbench.models.build import build, compile_model, to_inputs
from regbench.models.evaluate import Outputs
from regbench.models.saving import MODEL, save
from regbench.runs import predictions
from regbench.runs.folder import HISTORY, RunFolder
from regbench.runs.predictions import PREDICTIONS
from regbench.runs.probe_results import DETAILS
from regbench.training import checkpoints, evaluate, memory
from regbench.training.checkpoints import Checkpoints, Position
from regbench.training.evaluate import Curves
from regbench.training.stopwatch import Stopwatch

# What a run tells whoever watches it: a kind ("step", "epoch" or "note") and its figures.
Emit = Callable[[str, dict[str, Any]], None]

# Often enough for a live display, and free: a step takes longer than writing to a pipe.
SECONDS_BETWEEN_STEP_REPORTS = 0.2


@dataclass(frozen=True)
class Job:
    """All that a worker process needs to know to train one run.

    An interrupted run resumes from its last checkpoint, unless it is to `restart`. `probes` is
    whether to examine the trained model.
    """

    experiment: Experiment
    results: Path
    runtime: Runtime
    command: list[str]
    restart: bool = False
    profile: bool = False
    probes: bool = True


@dataclass(frozen=True)
class _Run:
    """What a run works with. `position` and the model are what training moves along."""

    experiment: Experiment
    model: Any
    splits: Splits
    curves: Curves
    keeper: Checkpoints
    position: Position
    watch: Stopwatch
    emit: Emit

    @property
    def steps(self) -> int:
        """How many updates an epoch has."""
        return _steps(self.experiment, self.splits)


@memory.cleared()
def train(job: Job, emit: Emit) -> dict[str, Any]:
    """Train one run, write its folder, and return its summary (the keys of `summary.json`)."""
    experiment, watch = job.experiment, Stopwatch()
    with watch.time("start"):
        environment.settle(job.runtime)
    with RunFolder.of(job.results, experiment).writing(job.restart) as folder:
        if folder.is_complete and not job.restart:  # finished since this process looked
            emit("note", {"text": "finished meanwhile", "done": float(experiment.train.epochs)})
            return folder.summary()
        with watch.time("data"):
            splits = datasets.load(experiment.data, experiment.seed)
            data = fingerprint.record(splits)
        # The data is loaded before anything is written: a checkpoint of other data is refused.
        described = environment.describe(job.runtime, job.command) | {"data": data}
        identity = checkpoints.identity(experiment.run_name, described)
        keeper = Checkpoints(folder.checkpoints, identity, experiment.train.checkpoint_minutes)
        checkpoint = None if job.restart else keeper.latest()
        position = checkpoint.position if checkpoint else Position()
        folder.start(config.dump(experiment), described, position.rows)

        with watch.time("build"):
            model = build(experiment, splits.train_images.shape[1:], len(splits.classes))
            compile_model(model, experiment, _steps(experiment, splits))
            curves = Curves(splits, experiment.seed, experiment.evaluation)
        if checkpoint:
            # TensorFlow computes a batch of another size than its first one with another graph,
            # whose sums round otherwise: so a full batch comes first here too, and is undone.
            model.train_on_batch(*next(_batches(experiment, splits, epoch=1)))
            checkpoint.restore(model)
            done = position.epoch - 1 + position.step / _steps(experiment, splits)
            emit("note", {"text": f"resuming from {position}", "done": done})

        run = _Run(experiment, model, splits, curves, keeper, position, watch, emit)
        for row in _epochs(run):
            with watch.time("save"):
                folder.append(row)
            emit("epoch", row | {"images_per_second": _speed(splits, [row])})
            if position.epoch <= experiment.train.epochs:
                _checkpoint(run)

        with watch.time("save"):
            folder.save(MODEL, partial(save, model))
        summary = _summary(run) | {"data": data}
        if summary["status"] == "completed":  # weights that are not finite have nothing to say
            outputs = curves.outputs(model)
            _save_predictions(folder, splits, outputs.test)
            if job.probes:
                with watch.time("probes"):
                    summary |= _probe(folder, run, outputs)
        if job.profile:
            folder.write_profile(watch.breakdown())
        summary["wall_seconds"] = _wall_seconds(run)
        folder.finish(summary)
    return summary


def time_epoch(model: Any, experiment: Experiment, splits: Splits) -> float:
    """Return the seconds that one epoch's updates on `splits` take a compiled model."""
    began = time.perf_counter()
    for images, labels in _batches(experiment, splits, epoch=1):
        model.train_on_batch(images, labels, return_dict=True)
    return time.perf_counter() - began


def _epochs(run: _Run) -> Iterator[dict[str, Any]]:
    """Yield the history's rows: epoch 0 before training, then one after each epoch's last update.

    Begins at the run's position, and moves it along. Ends early where a loss is no longer finite.
    """
    position = run.position
    if not position.rows:
        position.end_epoch(_row(run, {"reported_loss": None, "reported_accuracy": None}))
        yield position.rows[-1]
    while position.epoch <= run.experiment.train.epochs and position.is_finite:
        position.end_epoch(_row(run, _train_one_epoch(run)))
        yield position.rows[-1]


def _train_one_epoch(run: _Run) -> dict[str, float]:
    """Update the model once for every batch that the epoch has left.

    Returns the epoch's loss and accuracy as Keras reports them.
    """
    position, watch = run.position, run.watch
    reported_at, began = time.monotonic(), time.perf_counter() - position.seconds
    batches = _batches(run.experiment, run.splits, position.epoch, position.step)
    for images, labels in watch.each("data", batches):
        # The first step traces and compiles the graph.
        with watch.time("step" if "compile" in watch.seconds else "compile"):
            # Keras' own compiled step, without fit(): its pipeline stalls between epochs.
            logs = run.model.train_on_batch(images, labels, return_dict=True)
        # train_on_batch forgets the batches before; fit() reports the mean over all examples.
        position.loss += float(logs["loss"]) * len(labels)
        position.correct += round(float(logs["accuracy"]) * len(labels))
        position.step += 1
        if time.monotonic() - reported_at > SECONDS_BETWEEN_STEP_REPORTS:
            reported_at = time.monotonic()
            done = {"epoch": position.epoch, "step": position.step, "steps": run.steps}
            run.emit("step", done)
        if run.keeper.is_due or signals.stop_requested():
            position.seconds = time.perf_counter() - began
            _checkpoint(run)
            began = time.perf_counter() - position.seconds
    position.seconds = time.perf_counter() - began
    examples = len(run.splits.train_labels)
    return {
        "reported_loss": position.loss / examples,
        "reported_accuracy": position.correct / examples,
    }


def _checkpoint(run: _Run) -> None:
    """Write a checkpoint; a run that was asked to stop ends here."""
    with run.watch.time("save"):
        run.keeper.save(run.model, replace(run.position, wall_seconds=_wall_seconds(run)))
    if signals.stop_requested():
        raise signals.Stopped(f"stopped at {run.position}; the same command resumes it")


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


def _row(run: _Run, reported: Mapping[str, float | None]) -> dict[str, Any]:
    """Return the history's row of the epoch that has just been trained."""
    with run.watch.time("evaluate"):
        measured = _measure(run, reported)
    row = {
        "epoch": run.position.epoch,
        "seconds": run.position.seconds,
        "learning_rate": float(run.model.optimizer.learning_rate),
        **measured,
        **reported,
    }
    return {column: row[column] for column in HISTORY}


def _measure(run: _Run, reported: Mapping[str, float | None]) -> Mapping[str, float | None]:
    """Return what the history tells of the model now: all, a sample's numbers, or none.

    The first and the last row of a history are always of all examples, also where a run ends
    because it diverges.
    """
    epoch, train, curves = run.position.epoch, run.experiment.train, run.curves
    loss = reported["reported_loss"]
    ends = epoch in (0, train.epochs) or (loss is not None and not math.isfinite(loss))
    if not ends and epoch % run.experiment.evaluation.every == 0:
        few = curves.measure_few(run.model)
        if few.is_finite:
            return few.columns
    elif not ends and evaluate.has_finite_weights(run.model):
        return evaluate.unmeasured(run.model)
    return curves.measure(run.model).columns


def _summary(run: _Run) -> dict[str, Any]:
    rows, last = run.position.rows, run.position.rows[-1]
    return {
        "name": run.experiment.name,
        "config_hash": run.experiment.hash,
        "seed": run.experiment.seed,
        "status": "completed" if run.position.is_finite else "diverged",
        "epochs": last["epoch"],
        "parameters": int(run.model.count_params()),
        "train_accuracy": last["train_accuracy"],
        "test_accuracy": last["test_accuracy"],
        "train_loss": last["train_loss"],
        "test_loss": last["test_loss"],
        "gap": gap(last["train_accuracy"], last["test_accuracy"]),
        "train_examples": len(run.splits.train_labels),
        "test_examples": len(run.splits.test_labels),
        "train_evaluated": last["train_evaluated"],
        "test_evaluated": last["test_evaluated"],
        # Training alone: the honest measurements cost the same whatever the variant.
        "seconds": sum(row["seconds"] for row in rows),
        "images_per_second": _speed(run.splits, rows),
    }


def _save_predictions(folder: RunFolder, splits: Splits, outputs: NDArray[np.float32]) -> None:
    predicted = outputs.argmax(axis=1)
    folder.save(PREDICTIONS, lambda path: predictions.write(path, splits.test_labels, predicted))


def _probe(folder: RunFolder, run: _Run, outputs: Outputs) -> dict[str, Any]:
    """Examine the trained model; return what that adds to the summary."""
    sample, row = run.curves.train, run.position.rows[-1]
    found, failed = probes.measure(run.model, run.experiment, run.splits, sample, row, outputs)
    added: dict[str, Any] = {"probes_failed": failed} if failed else {}
    if found:
        folder.save(DETAILS, found.save_details)
        added["probes"] = found.for_summary()
    return added


def _wall_seconds(run: _Run) -> float:
    """Return the seconds since the run began in its worker, earlier sessions' included.

    Of an earlier session, all up to the last checkpoint.
    """
    return run.position.wall_seconds + run.watch.breakdown()["total"]


def _speed(splits: Splits, rows: list[dict[str, Any]]) -> float | None:
    """Return the training images per second over the epochs of `rows`; None before training."""
    seconds = sum(row["seconds"] for row in rows)
    epochs = sum(row["epoch"] > 0 for row in rows)
    return len(splits.train_labels) * epochs / seconds if seconds else None
