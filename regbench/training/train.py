"""Training: one run, from the experiment to the finished run folder.

Read it from top to bottom: `train` prepares, trains epoch by epoch, and finishes.
`_train_one_epoch` is the training loop proper, and `_measure` decides what is measured between
epochs.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from regbench import config, datasets, probes
from regbench.analysis.gap import gap
from regbench.config import Experiment
from regbench.datasets import Splits, fingerprint
from regbench.execution import environment, signals
from regbench.execution.environment import Runtime
from regbench.execution.local import Emit
from regbench.models.batches import steps
from regbench.models.evaluate import Outputs
from regbench.models.saving import save
from regbench.runs import predictions
from regbench.runs.files import DETAILS, HISTORY, MODEL, PREDICTIONS, VALIDATION, Row, number
from regbench.runs.folder import RunFolder
from regbench.runs.summary import Summary
from regbench.training import checkpoints, compiled_models, evaluate, memory
from regbench.training.averages import Averages
from regbench.training.checkpoints import Checkpoint, Checkpoints, Position
from regbench.training.evaluate import Curves
from regbench.training.selection import Selection
from regbench.training.steps import Trainer
from regbench.training.stopwatch import Stopwatch

if TYPE_CHECKING:
    import keras


# Often enough for a live display, and practically free: a call takes longer than a pipe write.
SECONDS_BETWEEN_STEP_REPORTS = 0.2


@dataclass(frozen=True)
class Job:
    """Everything a worker process needs to know to train one run.

    An interrupted run resumes from its last checkpoint unless `restart` is set. `probes` says
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
    """The parts of a run in progress. Training changes only the model and `position`."""

    experiment: Experiment
    model: keras.Model
    trainer: Trainer
    is_traced: bool
    splits: Splits
    curves: Curves
    averages: Averages
    selection: Selection
    keeper: Checkpoints
    position: Position
    watch: Stopwatch
    emit: Emit

    @property
    def steps(self) -> int:
        """The number of updates in an epoch."""
        return steps(self.experiment, self.splits)

    @property
    def is_over(self) -> bool:
        """True if nothing is left to train: the last epoch is done, or a technique stopped."""
        last = self.position.epoch > self.experiment.train.epochs
        # A loss of NaN makes every later gradient NaN too, so there is no point in continuing.
        return last or not self.position.is_finite or self.selection.reason is not None

    @property
    def further(self) -> list[keras.Variable]:
        """The variables that a checkpoint must have beyond those of model and optimizer."""
        return [*self.averages.variables, *self.selection.variables]


@memory.cleared()
def train(job: Job, emit: Emit) -> dict[str, object]:
    """Train one run, write its folder, and return its summary (the keys of `summary.json`)."""
    experiment, watch = job.experiment, Stopwatch()
    with watch.time("start"):
        # Threads, device and determinism can only be set before the first tensor exists.
        environment.settle(job.runtime)
    # This process now locks the folder until the end: two writers would mix two histories.
    with RunFolder.of(job.results, experiment).writing(job.restart) as folder:
        if folder.is_complete and not job.restart:  # another process has finished it since
            emit("note", {"text": "finished meanwhile", "done": float(experiment.train.epochs)})
            return folder.summary().as_dict()
        with watch.time("data"):
            splits = datasets.load(experiment.data, experiment.seed_of("data"))
            data = fingerprint.record(splits)
        # Load the data before writing anything: a checkpoint from other data or other software
        # is refused here, while the folder is still as the earlier session left it.
        described = environment.describe(job.runtime, job.command, experiment.plugins)
        described |= {"data": data, **experiment.train.numerics()}
        identity = checkpoints.identity(experiment.run_name, described)
        keeper = Checkpoints(folder.checkpoints, identity, experiment.train.checkpoint_minutes)
        checkpoint = None if job.restart else keeper.latest()
        position = checkpoint.position if checkpoint else Position()
        # Drops rows of the history that are newer than the checkpoint: they are trained again.
        folder.start(config.dump(experiment), described, position.rows)

        with watch.time("build"):
            # Each layer's first weights depend only on the seed and the layer's name and shape,
            # so two variants with the same seed start out equal wherever they share layers. Runs
            # can then be paired by seed, which removes most of the noise from a comparison.
            compiled = compiled_models.take(experiment, splits)
            model = compiled.model
            curves = Curves(splits, experiment.seed_of("data"), experiment.evaluation)
            averages = Averages(model, experiment, splits)
            selection = Selection(experiment, model)
        run = _Run(
            experiment, *compiled, splits, curves, averages, selection, keeper, position, watch,
            emit,
        )  # fmt: skip
        if checkpoint:
            _resume(run, checkpoint)

        for row in _epochs(run):
            with watch.time("save"):
                folder.append(row)
            emit("epoch", {**row, "images_per_second": _speed(splits, [row])})
            # No checkpoint after the last epoch: the model itself is saved next.
            affordable = keeper.is_affordable or signals.stop_requested()
            if not run.is_over and affordable:
                _checkpoint(run)
        summary = _finish(job, folder, run, data)
        compiled_models.keep(compiled, experiment, splits)
        return summary


def _resume(run: _Run, checkpoint: Checkpoint) -> None:
    """Restore the checkpoint's model, optimizer and random states."""
    checkpoint.check(run.experiment.train.epochs, run.steps)
    # TensorFlow traces a graph for the first batch size it sees and another for the next one, and
    # the two may round their sums differently. An uninterrupted run meets a full batch first. A run
    # that resumes at an epoch's smaller last batch would not, so it trains on a full batch once;
    # restoring the checkpoint then undoes that update.
    with run.trainer.epoch(run.experiment, run.splits, epoch=1) as calls:
        run.trainer.train(next(calls))
    checkpoint.restore(run.model, run.further)
    done = run.position.epoch - 1 + run.position.step / run.steps
    run.emit("note", {"text": f"resuming from {run.position}", "done": done})


def _finish(job: Job, folder: RunFolder, run: _Run, data: dict[str, str]) -> dict[str, object]:
    """Save the trained model, its predictions and the probe results; return the summary."""
    with run.watch.time("save"):
        folder.save(MODEL, partial(save, run.model))
    summary = _summary(run).with_keys(data=data)
    # Probes of NaN weights would be meaningless, and most need the test set.
    if not summary.diverged and job.experiment.evaluation.test:
        # The last row of the history measured these outputs already: no second pass is needed.
        outputs = run.curves.outputs(run.model)
        _save_predictions(folder, run.splits, outputs.test)
        if job.probes:
            with run.watch.time("probes"):
                summary = summary.with_keys(**_probe(folder, run, outputs))
    if job.profile:
        folder.write_profile(run.watch.breakdown())
    summary = summary.with_keys(wall_seconds=_wall_seconds(run))
    # The summary is written last: a folder that has one is a finished run.
    folder.finish(summary)
    return summary.as_dict()  # plain values travel between processes


def time_epoch(trainer: Trainer, experiment: Experiment, splits: Splits) -> float:
    """Return the seconds that the model of `trainer` needs for one epoch of updates on `splits`."""
    began = time.perf_counter()
    with trainer.epoch(experiment, splits, epoch=1) as calls:
        for call in calls:
            trainer.train(call)
    return time.perf_counter() - began


def _epochs(run: _Run) -> Iterator[Row]:
    """Yield the rows of the history: epoch 0 before training, then one after each epoch.

    Starts at the run's position and advances it. Stops early once a loss is not finite, or when a
    technique decides so.
    """
    position = run.position
    if not position.rows:
        # Epoch 0 shows the untrained network near chance: the point where every curve starts, and
        # a check that data, labels and initial weights are sound. Keras has reported nothing yet.
        position.end_epoch(_row(run, {"reported_loss": None, "reported_accuracy": None}))
        yield position.rows[-1]
    while not run.is_over:
        reported = _train_one_epoch(run)
        run.averages.end_epoch(position.epoch)
        position.end_epoch(_row(run, reported))
        yield position.rows[-1]


def _train_one_epoch(run: _Run) -> dict[str, float]:
    """Update the model once for each batch left in the epoch.

    Returns the epoch's loss and accuracy as Keras reports them.
    """
    position, watch = run.position, run.watch
    # In a resumed epoch, the seconds of the earlier session still count.
    reported_at, began = time.monotonic(), time.perf_counter() - position.seconds
    left = run.trainer.epoch(run.experiment, run.splits, position.epoch, position.step)
    with left as calls:
        for call in watch.each("data", calls):
            # The first call also traces and compiles the graph, unless an earlier run has.
            is_first = not run.is_traced and "compile" not in watch.seconds
            with watch.time("compile" if is_first else "step"):
                # Some updates, each of them: forward pass in training mode (dropout active, batch
                # normalization using the batch's own statistics), cross-entropy plus the kernel
                # penalties, gradients by backpropagation, one optimizer step. It is the compiled
                # step that fit() runs too; fit() itself would add a tf.data pipeline that stalls
                # between epochs.
                updates = run.trainer.train(call)
            for update in updates:
                # Weighting each batch by its size gives the mean over all examples, as fit()
                # reports it; the last batch of an epoch may be smaller than the others. That loss
                # includes the penalty, and each batch was seen by a different, less trained model
                # than the next: hence "reported", as opposed to measured after the epoch's end.
                position.loss += update.loss * update.examples
                position.correct += round(update.accuracy * update.examples)
                position.step += 1
            if time.monotonic() - reported_at > SECONDS_BETWEEN_STEP_REPORTS:
                reported_at = time.monotonic()
                done = {"epoch": position.epoch, "step": position.step, "steps": run.steps}
                run.emit("step", done)
            # Between two calls the model, the optimizer and the position agree with each other: the
            # only place where an epoch can be interrupted and later resumed exactly. The clock
            # stops meanwhile, since writing a checkpoint is not training.
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
    """Write a checkpoint; if the run was asked to stop, it ends here."""
    with run.watch.time("save"):
        position = replace(run.position, wall_seconds=_wall_seconds(run))
        run.keeper.save(run.model, position, run.further)
    if signals.stop_requested():
        raise signals.Stopped(f"stopped at {run.position}; the same command resumes it")


def _row(run: _Run, reported: Mapping[str, float | None]) -> Row:
    """Return the history's row for the epoch that was just trained."""
    # Measured after the epoch's last update, when train and test can be evaluated on the same
    # weights: only then is their difference the generalization gap.
    with run.watch.time("evaluate"):
        measured = _measure(run, reported)
    row = {
        "epoch": run.position.epoch,
        "seconds": run.position.seconds,
        "learning_rate": float(run.model.optimizer.learning_rate),
        **measured,
        **reported,
    }
    columns = HISTORY + (VALIDATION if run.splits.validation else ())
    return {column: row[column] for column in columns}


def _measure(run: _Run, reported: Mapping[str, float | None]) -> Mapping[str, float | None]:
    """Measure the model on all examples, on a small sample, or not at all, as configured.

    The first and the last row of a history always cover all examples, even when a run ends
    because it diverged, or because a technique stopped it.
    """
    epoch, loss, curves = run.position.epoch, reported["reported_loss"], run.curves
    if loss is None:  # before training
        return curves.measure(run.model).columns
    last, finite = epoch == run.experiment.train.epochs, math.isfinite(loss)
    if finite and not last and epoch % run.experiment.evaluation.every:
        finite = evaluate.has_finite_weights(run.model)
        if finite:
            with run.averages.evaluated(epoch, with_statistics=False):
                return curves.unmeasured(run.model)
    elif finite and (not last or run.selection.is_active):
        # Between the ends a sample is enough to draw a curve, and measuring everything after each
        # epoch could take longer than training. If it gives NaN, the run ends with this row.
        with run.averages.evaluated(epoch):
            few = curves.measure_few(run.model)
            finite = few.is_finite
            if finite:
                row = {"epoch": epoch, **few.columns, **reported}
                run.selection.see(run.position.rows, row)
        if finite and not last and run.selection.reason is None:
            return few.columns
    # Training is over: from here on the model has the weights that it is saved with. A diverged run
    # keeps its diverged weights, so that nobody takes the model for a good one.
    if finite and run.selection.kept not in (None, epoch):
        run.selection.restore()
    else:
        run.averages.settle(epoch)
    return curves.measure(run.model).columns


def _summary(run: _Run) -> Summary:
    rows, last = run.position.rows, run.position.rows[-1]
    further: dict[str, object] = {}
    if run.splits.validation:
        further |= {key: last[key] for key in VALIDATION}
    if run.selection.is_active and run.position.is_finite:
        kept = run.selection.kept
        further["stopped"] = {
            "epoch": last["epoch"],
            "reason": run.selection.reason or "the last epoch",
            "kept_epoch": last["epoch"] if kept is None else kept,
        }
    return Summary.of(
        {
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
            "gap": _gap(last),
            "train_examples": len(run.splits.train_labels),
            "test_examples": len(run.splits.test_labels),
            "train_evaluated": last["train_evaluated"],
            "test_evaluated": last["test_evaluated"],
            # Only training: measuring costs about the same for every variant, and would dilute the
            # difference between a slow regularizer and a fast one.
            "seconds": sum(number(row, "seconds") for row in rows),
            "images_per_second": _speed(run.splits, rows),
            **further,
        }
    )


def _gap(row: Row) -> float:
    test = row["test_accuracy"]
    return math.nan if test is None else gap(number(row, "train_accuracy"), test)


def _save_predictions(folder: RunFolder, splits: Splits, outputs: NDArray[np.float32]) -> None:
    predicted = outputs.argmax(axis=1)
    folder.save(PREDICTIONS, lambda path: predictions.write(path, splits.test_labels, predicted))


def _probe(folder: RunFolder, run: _Run, outputs: Outputs) -> dict[str, object]:
    """Examine the trained model; return the additions to the summary."""
    sample, row = run.curves.train, run.position.rows[-1]
    found, failed = probes.measure(run.model, run.experiment, run.splits, sample, row, outputs)
    added: dict[str, object] = {"probes_failed": failed} if failed else {}
    if found:
        folder.save(DETAILS, found.save_details)
        added["probes"] = found.for_summary()
    return added


def _wall_seconds(run: _Run) -> float:
    """Return the seconds since the run started in its worker, including earlier sessions.

    An earlier session counts up to its last checkpoint.
    """
    return run.position.wall_seconds + run.watch.breakdown()["total"]


def _speed(splits: Splits, rows: Sequence[Row]) -> float | None:
    """Return the training images per second over the epochs of `rows`; None before training."""
    seconds = sum(number(row, "seconds") for row in rows)
    epochs = sum(number(row, "epoch") > 0 for row in rows)
    return len(splits.train_labels) * epochs / seconds if seconds else None
