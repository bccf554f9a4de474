"""Inspects a config before it is trained: its layers, their costs, and advice.

No training result is kept: the time of an epoch is measured on a throwaway model and random images.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from regbench import datasets
from regbench.config import Data, Evaluation, Experiment
from regbench.config.changes import changes
from regbench.datasets import Splits, validation_examples
from regbench.datasets.sizes import SIZES
from regbench.errors import RegbenchError
from regbench.execution import environment
from regbench.execution.environment import Runtime
from regbench.execution.local import Emit, local
from regbench.inspection import advice
from regbench.inspection.advice import Advice, Network
from regbench.models import cost, evaluate
from regbench.models.build import build, compile_model
from regbench.models.cost import Layer, Totals
from regbench.training import train
from regbench.training.steps import Steps

if TYPE_CHECKING:
    import keras

# Long enough that one slow step does not matter, short enough to wait for.
SECONDS_TO_MEASURE = 2.0


@dataclass(frozen=True)
class Size:
    """The sizes of a data set: (height, width, channels), classes, examples.

    `train_examples` are those left after validation examples were taken out.
    """

    input_shape: tuple[int, ...]
    classes: int
    train_examples: int
    test_examples: int
    validation_examples: int = 0

    @property
    def measured(self) -> int:
        """The number of examples in a full measurement, including those for validation."""
        most = min(self.test_examples, self.train_examples)
        return self.test_examples + most + self.validation_examples

    def measured_between(self, evaluation: Evaluation) -> float:
        """Return the mean number of examples measured after an epoch, except the last."""
        if evaluation.examples == "all":
            return self.measured / evaluation.every
        few = min(evaluation.examples, self.test_examples, self.train_examples)
        return (2 * few + self.validation_examples) / evaluation.every


@dataclass(frozen=True)
class Timing:
    """Seconds on this machine for an epoch's training and for its measurement, as measured.

    `measuring_all` is for the first and the last measurement, which cover all examples.
    `batches` were trained in `seconds` for the estimate; an epoch has `batches_per_epoch`.
    """

    training: float
    measuring: float
    measuring_all: float
    batches: int
    seconds: float
    batches_per_epoch: int
    threads: int


@dataclass(frozen=True)
class Inspection:
    """The content of `regbench inspect`.

    `batches` describes the effect of each technique that changes batches; `pooling` is the cost
    that pooling adds, mostly negative, or None if the network without it is unknown.
    """

    name: str
    config_hash: str
    size: Size
    batch_size: int
    epochs: int
    layers: list[Layer]
    totals: Totals
    changes: dict[str, object]
    batches: dict[str, str]
    versus_baseline: Totals
    pooling: Totals | None
    timing: Timing | None
    advice: list[Advice]

    def as_dict(self) -> dict[str, object]:
        """Return the inspection as JSON."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class Question:
    """The config to inspect, and the backend and device to use."""

    experiment: Experiment
    baseline: Experiment
    runtime: Runtime
    measure_time: bool


def inspect(
    experiment: Experiment,
    baseline: Experiment | None = None,
    *,
    backend: str | None = None,
    device: str = "auto",
    threads: int | None = None,
    measure_time: bool = True,
) -> Inspection:
    """Build and inspect the network in a worker process, as a run does.

    Args:
        baseline: the config to compare with; by default the values of `baseline.yaml`.
        backend, device, threads: as for a run.
        measure_time: whether to train some batches of noise, for a few seconds.

    Raises:
        RegbenchError: the network can't be built, or its images can't be found.
    """
    runtime = Runtime(environment.choose_backend(backend), device, threads or environment.cores())
    baseline = baseline or Experiment(name="baseline")
    question = Question(experiment, baseline, runtime, measure_time)
    with contextlib.closing(local(answer, [question], 1, runtime.variables())) as events:
        last = list(events)[-1]
    if last.failure:
        raise RegbenchError(f"{experiment.name}: {last.failure.message}")
    assert isinstance(last.result, Inspection)
    return last.result


def answer(question: Question, emit: Emit) -> Inspection:
    """Build and inspect the network in this process."""
    experiment, baseline, runtime = question.experiment, question.baseline, question.runtime
    environment.settle(runtime)
    size, base_size = size_of(experiment.data), size_of(baseline.data)
    model = build(experiment, size.input_shape, size.classes)
    layers = cost.layers(model)
    totals = cost.totals(layers)
    base = cost.layers(build(baseline, base_size.input_shape, base_size.classes))
    updates = experiment.train.epochs * _batches_per_epoch(experiment, size)
    unpooled = cost.without_pooling(layers, size.input_shape)
    network = Network(
        experiment=experiment,
        layers=layers,
        classes=size.classes,
        penalty=evaluate.penalty(model),
        updates=updates,
        validation_examples=size.validation_examples,
        image_size=size.input_shape[:2],
    )
    return Inspection(
        name=experiment.name,
        config_hash=experiment.hash,
        size=size,
        batch_size=experiment.train.batch_size,
        epochs=experiment.train.epochs,
        layers=layers,
        totals=totals,
        changes=changes(baseline.brief(), experiment.brief()) or {},
        batches={name: each.batch_effect() for name, each in experiment.changing("batch").items()},
        versus_baseline=totals - cost.totals(base),
        pooling=totals - unpooled if unpooled else None,
        timing=time_run(model, experiment, size, runtime) if question.measure_time else None,
        advice=advice.advise(network),
    )


def size_of(data: Data) -> Size:
    """Return the size of a data set, which is read only if its size is not known in advance."""
    if data.name in SIZES:
        shape, classes, train_examples, test_examples = SIZES[data.name]
    else:
        whole = datasets.open_dataset(data)
        shape, classes = whole.train_images.shape[1:], len(whole.classes)
        train_examples, test_examples = len(whole.train_labels), len(whole.test_labels)
    if data.center_crop is not None:
        shape = (data.center_crop, data.center_crop, shape[2])
    validation = validation_examples.count(data, train_examples)
    left = max(1, train_examples - validation)
    return Size(
        shape,
        classes,
        left if data.train_examples == "all" else data.train_examples,
        test_examples if data.test_examples == "all" else data.test_examples,
        validation,
    )


def time_run(model: keras.Model, experiment: Experiment, size: Size, runtime: Runtime) -> Timing:
    """Train on noise for some seconds and predict once; scale both up to an epoch."""
    per_epoch = _batches_per_epoch(experiment, size)
    compile_model(model, experiment, per_epoch)
    steps = Steps(model)
    train.time_epoch(steps, experiment, _noise(experiment, size, 2))  # compiles the step
    batches, seconds = 0, 0.0
    count = 4
    while batches < per_epoch and seconds < SECONDS_TO_MEASURE:
        count = min(count, per_epoch - batches)
        seconds += train.time_epoch(steps, experiment, _noise(experiment, size, count))
        batches += count
        count *= 2
    image = _seconds_to_predict(model, size)
    return Timing(
        training=seconds / batches * per_epoch,
        measuring=image * size.measured_between(experiment.evaluation),
        measuring_all=image * size.measured,
        batches=batches,
        seconds=seconds,
        batches_per_epoch=per_epoch,
        threads=runtime.threads,
    )


def _batches_per_epoch(experiment: Experiment, size: Size) -> int:
    return math.ceil(size.train_examples / experiment.train.batch_size)


def _seconds_to_predict(model: keras.Model, size: Size) -> float:
    """Return the seconds that predicting one image takes, in batches as large as a run's."""
    images = np.zeros((evaluate.BATCH, *size.input_shape), np.uint8)
    evaluate.predict(model, images)  # compiles the prediction
    began = time.perf_counter()
    evaluate.predict(model, images)
    return (time.perf_counter() - began) / len(images)


def _noise(experiment: Experiment, size: Size, batches: int) -> Splits:
    """Return random images for this many training batches; content does not affect time."""
    rng = np.random.default_rng(0)
    count = batches * experiment.train.batch_size
    images = rng.integers(0, 256, (count, *size.input_shape), np.uint8)
    labels = rng.integers(0, size.classes, count)
    classes = tuple(map(str, range(size.classes)))
    return Splits(images, labels, images[:1], labels[:1], classes)
