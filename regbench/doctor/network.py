"""The network and the examples that techniques are checked on: a few units, a few drawn images.

Everything goes through the functions that a run uses: an `Experiment`, `build`, `compile_model`,
`batches`, `train_on_batch`. Updates are computed operation by operation, since compiling each
network would take seconds; `runs.compiled` checks that a compiled update computes the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from regbench.config import Experiment
from regbench.datasets import Splits
from regbench.models import batches
from regbench.models.batches import Batch
from regbench.models.build import build, compile_model
from regbench.models.optimizer import is_kernel
from regbench.probes import harness
from regbench.regularizers import Regularizer

if TYPE_CHECKING:
    import keras

Array = NDArray[Any]
Arrays = dict[str, Array]

SHAPE = (8, 8, 3)
CLASSES = 4
EXAMPLES, BATCH_SIZE = 20, 8
MAPS = 4
CNN: dict[str, object] = {"name": "cnn", "blocks": [MAPS], "convolutions": 1, "dense": [6]}
MLP: dict[str, object] = {"name": "mlp", "dense": [6]}
RESNET: dict[str, object] = {"name": "resnet20", "depth": 8, "width": 4}
# A gradient is what an update takes off the weights. A rate far above 1, and a power of two, keeps
# float32's rounding of the weights out of it.
RATE = 1024.0


def experiment(*, model: object = CNN, **values: object) -> Experiment:
    """Return a tiny experiment: plain gradient descent unless `train` says otherwise."""
    plain = {"epochs": 4, "batch_size": BATCH_SIZE, "optimizer": "sgd", "momentum": 0.0}
    train = _section(plain | {"learning_rate": 0.1}, values.pop("train", {}))
    drawn = {"name": "shapes", "train_examples": EXAMPLES}
    data = _section(drawn, values.pop("data", {}))
    values = {"name": "doctor", "model": model, "train": train, "data": data} | values
    return Experiment.model_validate(values)


def _section(usual: Mapping[str, object], given: object) -> dict[str, object]:
    """Return a section of a config: what is given of it, and else what is usual."""
    assert isinstance(given, dict)
    return {**usual, **given}


def technique(name: str, values: object) -> Regularizer:
    """Return a technique with these values of its toggle, checked as those of a config."""
    return experiment(**{name: values}).regularizers[name]


def splits() -> Splits:
    """Return drawn examples, with a smaller last batch in each epoch."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3 * EXAMPLES, *SHAPE), np.uint8)
    labels = np.arange(3 * EXAMPLES) % CLASSES
    train, test, validation = (
        (images[part::3], labels[part * EXAMPLES : (part + 1) * EXAMPLES]) for part in range(3)
    )
    return Splits(*train, *test, tuple("abcd"), "", *validation)


def made(of: Experiment, eager: bool = True) -> keras.Model:
    """Return the compiled model of an experiment, with its first weights."""
    model = build(of, SHAPE, CLASSES)
    compile_model(model, of, batches.steps(of, splits()))
    model.run_eagerly = eager
    return model


def with_biases(model: keras.Model) -> keras.Model:
    """Return the model after giving its biases numbers: their first values, zeros, show nothing."""
    rng = np.random.default_rng(1)
    for variable in model.trainable_variables:
        if not is_kernel(variable):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape).astype(np.float32))
    return model


def epoch(of: Experiment, number: int = 1) -> list[Batch]:
    """Return what the updates of an epoch train on."""
    return list(batches.batches(of, splits(), number))


def step(model: keras.Model, batch: Batch) -> dict[str, float]:
    """Update the model once; return what Keras reports."""
    logs = model.train_on_batch(*batch, return_dict=True)
    return {name: float(value) for name, value in logs.items()}


def weights(model: keras.Model) -> Arrays:
    """Return copies of the trainable weights, by names such as `dense1/kernel`."""
    return {_name(each): numpy(each) for each in model.trainable_variables}


def state(model: keras.Model) -> Arrays:
    """Return copies of every variable of the model and its optimizer."""
    variables = [*model.variables, *model.optimizer.variables]
    return {f"{number}": numpy(each) for number, each in enumerate(variables)}


def assign(model: keras.Model, values: Arrays) -> None:
    """Give the model these trainable weights."""
    for variable in model.trainable_variables:
        variable.assign(values[_name(variable)].astype(np.float32))


def kernels(values: Arrays) -> Arrays:
    """Return those of the weights that are kernels."""
    return {name: each for name, each in values.items() if name.endswith("kernel")}


def others(values: Arrays) -> Arrays:
    """Return those of the weights that are no kernels: biases, gamma and beta."""
    return {name: each for name, each in values.items() if not name.endswith("kernel")}


def gradient(of: Experiment, **techniques: object) -> Callable[[Arrays, Batch], Arrays]:
    """Return a function of weights and a batch: what an update with these techniques takes off.

    The update is one of plain gradient descent, of the network of an experiment, whose own
    techniques and optimizer are left out.
    """
    plain = {"learning_rate": RATE}
    network = of.model.model_dump(mode="json")
    model = made(experiment(model=network, train=plain, **techniques))

    def taken_off(at: Arrays, batch: Batch) -> Arrays:
        assign(model, at)
        step(model, batch)
        after = weights(model)
        return {name: (at[name].astype(np.float64) - after[name]) / RATE for name in after}

    return taken_off


def numpy(tensor: keras.KerasTensor) -> Array:
    """Return a copy of a tensor or a variable of Keras' backend."""
    return harness.numpy(tensor).copy()


def forward(model: keras.Model, images: NDArray[np.uint8] | NDArray[np.float32]) -> Array:
    """Return the class probabilities of `MLP` with one hidden layer, by plain NumPy.

    Penalties, dropout, targets and averages have no part in it.
    """
    found = {name: each.astype(np.float64) for name, each in weights(model).items()}
    pixels = np.asarray(images, np.float64) / (255 if images.dtype == np.uint8 else 1)
    flat = pixels.reshape(len(images), -1)
    hidden = np.maximum(flat @ found["dense1/kernel"] + found["dense1/bias"], 0)
    outputs = hidden @ found["output/kernel"] + found["output/bias"]
    powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def cross_entropy(probabilities: Array, targets: Array) -> float:
    """Return the mean cross-entropy in nats, against labels or class probabilities."""
    if targets.ndim == 1:
        targets = np.eye(CLASSES)[targets]
    return float(-(targets * np.log(probabilities)).sum(axis=1).mean())


def _name(variable: keras.Variable) -> str:
    # Without the model's own name, which counts the models of this process.
    return "/".join(variable.path.split("/")[-2:])
