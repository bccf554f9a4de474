"""Metrics: the numbers of a finished run that a comparison or a claim may be about.

Each metric is a line in `METRICS`. One in `LEVELS` asks for a level too, in parentheses:
`epochs_to_test_accuracy(0.6)`.
"""

from __future__ import annotations

import functools
import inspect
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from regbench import plugins
from regbench.analysis import statistics
from regbench.analysis.gap import gap
from regbench.analysis.statistics import Interval, Sample
from regbench.errors import RegbenchError, Warn
from regbench.runs import probe_results
from regbench.runs.probe_results import Numbers
from regbench.runs.results import Results, results_of

if TYPE_CHECKING:
    import pandas

Counts = Literal["epochs", "test examples", "training examples"]

# The columns of a metrics table that identify a run.
IDENTITY = ("results", "run", "name", "config_hash", "seed", "status")
# The column with a run's number of epochs: a censored number is known to be larger.
EPOCHS = "epochs"
# Metrics whose test part a run's stored predictions tell, example by example.
PREDICTED = ("test_accuracy", "gap")
# The value for a run that never reaches a level: larger than any number of its epochs.
NOT_REACHED = math.inf


@dataclass(frozen=True)
class Run:
    """A finished run: its folder, its history as columns (epochs + 1,), and its example counts."""

    folder: Path
    history: Mapping[str, NDArray[np.float64]]
    parameters: int

    @functools.cached_property
    def numbers(self) -> Numbers | None:
        """Its probe results; read only if a metric needs them. Raises ValueError for damage."""
        return probe_results.numbers(self.folder)

    @property
    def epochs(self) -> int:
        """The number of epochs it trained."""
        return len(self.history["train_accuracy"]) - 1

    def last(self, column: str) -> float:
        """Return a column of the history after the last epoch."""
        return float(self.history[column][-1])

    def last_of(self, column: str) -> float | None:
        """Return an optional column after the last epoch; None if the run lacks it."""
        return self.last(column) if column in self.history else None


@dataclass(frozen=True)
class Metric:
    """One number of a run.

    `better` is the direction that a user wants, if there is one. An `exact` metric is counted
    and not measured: it is the same for every seed, so that one pair of runs decides. `of` returns
    None for a run that does not have the number, and `NOT_REACHED` for one that is censored.
    `counts` says what the number is counted in: it changes by whole steps of one epoch, or of one
    example's share.
    """

    text: str
    of: Callable[[Run], float | None]
    better: Literal["lower", "higher"] | None = None
    exact: bool = False
    counts: Counts | None = None


def _seconds_per_step(run: Run) -> float | None:
    if not run.numbers or not run.numbers.costs or not run.numbers.costs.steps_per_epoch:
        return None
    seconds = run.history["seconds"][1:]
    # The first epoch compiles, and any epoch may have been disturbed.
    epochs = seconds[1:] if len(seconds) > 1 else seconds
    return float(np.median(epochs)) / run.numbers.costs.steps_per_epoch if len(epochs) else None


def _wall_seconds(run: Run) -> float | None:
    waited = run.history.get("wall_seconds")  # the value is the whole run's, repeated in each row
    return None if waited is None or math.isnan(waited[-1]) else float(waited[-1])


def _training_share(run: Run) -> float | None:
    waited = _wall_seconds(run)
    return float(run.history["seconds"].sum()) / waited if waited else None


def _cost(name: str) -> Callable[[Run], float | None]:
    def of(run: Run) -> float | None:
        return getattr(run.numbers.costs, name) if run.numbers and run.numbers.costs else None

    return of


def _weight_norm(run: Run) -> float | None:
    if not run.numbers:
        return None
    return math.sqrt(sum(kernel.two_norm**2 for kernel in run.numbers.weights))


def _weight_sum(run: Run) -> float | None:
    return sum(kernel.one_norm for kernel in run.numbers.weights) if run.numbers else None


def _near_zero(run: Run) -> float | None:
    if not run.numbers:
        return None
    kernels = run.numbers.weights
    weights = sum(kernel.weights for kernel in kernels)
    return sum(kernel.sparsity * kernel.weights for kernel in kernels) / weights


def _sparseness(run: Run) -> float | None:
    """Return the mean sparseness of the kernels, weighted by size.

    Unlike a share below a threshold, it does not depend on the weights' scale.
    Source: Hoyer, "Non-negative Matrix Factorization with Sparseness Constraints", 2004.
    """
    kernels = [
        kernel
        for kernel in (run.numbers.weights if run.numbers else [])
        if kernel.weights > 1 and kernel.two_norm > 0
    ]
    weights = sum(kernel.weights for kernel in kernels)
    if not weights:
        return None
    total = 0.0
    for kernel in kernels:
        root = math.sqrt(kernel.weights)
        total += kernel.weights * (root - kernel.one_norm / kernel.two_norm) / (root - 1)
    return total / weights


def _calibration_error(run: Run) -> float | None:
    return run.numbers.predictions.calibration_error if run.numbers else None


def _ensemble_gain(quantity: Literal["accuracy", "loss"]) -> Callable[[Run], float | None]:
    def of(run: Run) -> float | None:
        dropout = run.numbers.dropout if run.numbers else None
        if not dropout or not dropout.ensemble:
            return None
        return getattr(dropout.ensemble[-1], quantity) - getattr(dropout.weight_scaling, quantity)

    return of


def _moving_gain(run: Run) -> float | None:
    norm = run.numbers.batch_norm if run.numbers else None
    return norm.moving.accuracy - norm.batch.accuracy if norm else None


def _recalibration_gain(run: Run) -> float | None:
    norm = run.numbers.batch_norm if run.numbers else None
    return norm.recalibrated.accuracy - norm.moving.accuracy if norm else None


def _learned(name: str) -> Callable[[Run], float | None]:
    def of(run: Run) -> float | None:
        norm = run.numbers.batch_norm if run.numbers else None
        moved = [getattr(layer, name) for layer in norm.layers] if norm else []
        known = [each for each in moved if each is not None]
        return sum(known) / len(known) if known else None

    return of


METRICS = {
    "train_accuracy": Metric("share of the training sample that is right",
                             lambda run: run.last("train_accuracy"), "higher",
                             counts="training examples"),
    "test_accuracy": Metric("share of the test set that is right",
                            lambda run: run.last("test_accuracy"), "higher",
                            counts="test examples"),
    "train_loss": Metric("cross-entropy on the training sample, in nats, without penalty",
                         lambda run: run.last("train_loss"), "lower"),
    "test_loss": Metric("cross-entropy on the test set, in nats",
                        lambda run: run.last("test_loss"), "lower"),
    "validation_accuracy": Metric("share of the validation examples that is right",
                                  lambda run: run.last_of("validation_accuracy"), "higher"),
    "validation_loss": Metric("cross-entropy on the validation examples, in nats",
                              lambda run: run.last_of("validation_loss"), "lower"),
    "gap": Metric("train less test accuracy",
                  lambda run: gap(run.last("train_accuracy"), run.last("test_accuracy")), "lower",
                  counts="test examples"),
    "calibration_error": Metric("expected calibration error on the test set",
                                _calibration_error, "lower"),
    "weight_norm": Metric("2-norm of all kernels together", _weight_norm),
    "weight_sum": Metric("1-norm of all kernels together", _weight_sum),
    "near_zero": Metric("share of weights with |w| < 0.001", _near_zero),
    "sparseness": Metric("Hoyer's sparseness of the kernels, whatever the weights' scale: 0 where "
                         "all are equally large, 1 where all but one are 0", _sparseness),
    "dropout_ensemble_gain": Metric("test accuracy of averaged stochastic passes, less that of "
                                    "weight scaling", _ensemble_gain("accuracy"),
                                    counts="test examples"),
    "dropout_ensemble_loss": Metric("test loss of averaged stochastic passes, less that of "
                                    "weight scaling", _ensemble_gain("loss")),
    "batch_norm_moving_gain": Metric("test accuracy with moving averages, less that with each "
                                     "batch's own statistics", _moving_gain,
                                     counts="test examples"),
    "batch_norm_recalibration_gain": Metric("test accuracy with the training sample's statistics, "
                                            "less that with moving averages",
                                            _recalibration_gain, counts="test examples"),
    "gamma_moved": Metric("mean distance of gamma from 1, where it began",
                          _learned("gamma_moved")),
    "beta_moved": Metric("mean distance of beta from 0, where it began", _learned("beta_moved")),
    "seconds": Metric("seconds of training, without measurements",
                      lambda run: float(run.history["seconds"].sum()), "lower"),
    "wall_seconds": Metric("seconds of a whole run, with start, measurements and probes",
                           _wall_seconds, "lower"),
    "training_share": Metric("share of a whole run's seconds that is training",
                             _training_share, "higher"),
    "seconds_per_step": Metric("seconds of an update, in the median epoch",
                               _seconds_per_step, "lower"),
    "parameters": Metric("numbers in the network, trainable or not",
                         lambda run: run.parameters, "lower", exact=True),
    "multiply_adds": Metric("multiply-adds for one image", _cost("multiply_adds"), "lower",
                            exact=True),
    "activation_bytes": Metric("bytes of all layers' outputs for one image",
                               _cost("activation_bytes"), "lower", exact=True),
    "pooling_parameters": Metric("parameters of all pooling", _cost("pooling_parameters"),
                                 exact=True),
    "pooled_share": Metric("share of the numbers entering pooling windows that come out",
                           _cost("pooled_share"), exact=True),
}  # fmt: skip


def register(
    name: str,
    function: Callable[[Run], float | None],
    better: Literal["lower", "higher"] | None = None,
) -> None:
    """Add a plugin's metric, described by the first line of its docstring."""
    if not callable(function):
        raise TypeError(f"expected a function of a run, received {function!r:.80}")
    if name in LEVELS:
        raise ValueError("the name is already used in regbench itself; choose another")

    def of(run: Run) -> float | None:
        try:
            found = function(run)
            return None if found is None else float(found)
        except Exception as error:  # a plugin can raise anything
            raise RegbenchError(f"metric {name}: {plugins.blame(error)}") from error

    text = (inspect.getdoc(function) or "").partition("\n")[0]
    METRICS[name] = Metric(text.rstrip(".") or f"{name}, of a plugin", of, better)


def _epochs_to(column: str) -> Callable[[Run, float], float]:
    """Return the metric: the first measured epoch, on a sample or on all, with the level."""

    def of(run: Run, level: float) -> float:
        reached = np.flatnonzero(run.history[column] >= level)  # NaN, in epoch 0, never does
        return float(reached[0]) if len(reached) else NOT_REACHED

    return of


# The reported accuracy is Keras' own, in training mode: with batch normalization it shows how fast
# the weights learn, while the other two wait for the moving averages.
LEVELS = {
    "epochs_to_train_accuracy": _epochs_to("train_accuracy"),
    "epochs_to_test_accuracy": _epochs_to("test_accuracy"),
    "epochs_to_reported_accuracy": _epochs_to("reported_accuracy"),
}


# How a column of another tool's table is read, by the end of its name.
BETTER: dict[str, Literal["lower", "higher"]] = {
    "loss": "lower", "error": "lower", "err": "lower", "rmse": "lower", "mae": "lower",
    "perplexity": "lower", "gap": "lower", "seconds": "lower", "accuracy": "higher",
    "acc": "higher", "f1": "higher", "auc": "higher", "score": "higher", "precision": "higher",
    "recall": "higher", "bleu": "higher", "map": "higher", "iou": "higher",
}  # fmt: skip


def metric(name: str, measures: Collection[str] = ()) -> Metric:
    """Return the metric with this name; `measures` are columns that a table of runs brought.

    Raises:
        RegbenchError: there is no such metric.
    """
    if name in measures and name not in METRICS:
        better = BETTER.get(re.split(r"[^a-z0-9]", name.lower())[-1])
        return Metric(f"column {name} of a table", lambda run: run.last_of(name), better)
    asked = re.fullmatch(r"(\w+)\(\s*([\d.]+)\s*\)", name)
    if asked and asked[1] in LEVELS and re.fullmatch(r"0?\.\d+|[01](\.0*)?", asked[2]):
        reached, level = LEVELS[asked[1]], float(asked[2])
        text = f"first epoch with {asked[1].removeprefix('epochs_to_')} of {level:g} or more"
        return Metric(text, lambda run: reached(run, level), "lower", counts="epochs")
    if name in METRICS:
        return METRICS[name]
    levels = [f"{each}(0.6)" for each in LEVELS]
    known = [*measures, *METRICS, *levels]
    near = get_close_matches(name, known, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise RegbenchError(
        f"metric: expected one of {', '.join(known)}, received {name!r}{hint}; {plugins.HINT}"
    )


def table(
    runs: Results | pandas.DataFrame, names: Sequence[str], warn: Warn | None = None
) -> pandas.DataFrame:
    """Return a row per finished run: the columns of `IDENTITY`, and one for each metric.

    A run without the number has NaN there, one that never reaches a level infinity. The column
    `epochs` holds the length of each run.

    Args:
        runs: the result of `regbench.load`, or its frame or a part of that.
        warn: called with a line for each run whose probes are damaged; its numbers are NaN.

    Raises:
        RegbenchError: a metric is not known.
    """
    import pandas

    runs = results_of(runs)
    chosen = {name: metric(name, runs.measures) for name in names}
    rows = [
        (*key, run.epochs, *_values(run, chosen.values(), warn or (lambda message: None)))
        for key, run in _runs(runs.frame)
    ]
    return pandas.DataFrame(rows, columns=[*IDENTITY, EPOCHS, *names]).astype(
        dict.fromkeys(names, "float64")
    )


def interval(values: Sample) -> Interval:
    """Return mean and interval of a metric of runs (n,), or no numbers if some are censored.

    A mean of only the runs that reached a level would leave out the slowest.
    """
    return statistics.interval(values[:0] if (values == NOT_REACHED).any() else values)


def _runs(frame: pandas.DataFrame) -> Iterable[tuple[tuple[object, ...], Run]]:
    """Yield each run with its values of `IDENTITY`, in the order of the frame."""
    columns = {name: frame[name].to_numpy() for name in frame.columns}
    numeric = [name for name in frame.columns if frame[name].dtype.kind == "f"]
    for rows in frame.groupby(["results", "run"], sort=False).indices.values():
        rows = rows[np.argsort(columns["epoch"][rows], kind="stable")]
        first = rows[0]
        run = Run(
            Path(columns["results"][first]) / columns["run"][first],
            {name: columns[name][rows] for name in numeric},
            int(columns["parameters"][first]),
        )
        yield tuple(columns[name][first] for name in IDENTITY), run


def _values(run: Run, metrics: Iterable[Metric], warn: Warn) -> list[float]:
    values, damage = [], ""
    for each in metrics:
        try:
            value = each.of(run)
        except ValueError as error:
            value, damage = None, str(error)
        values.append(math.nan if value is None else float(value))
    if damage:
        warn(f"{run.folder}: {damage}; those numbers are left out")
    return values
