"""What every run relies on: the measured loss and accuracy, and the compiled update."""

from __future__ import annotations

import numpy as np

from regbench.doctor import network
from regbench.doctor.check import Check, Rule, close, number
from regbench.training.evaluate import Curves

# Techniques whose updates involve every part of a compiled step.
COMPILED: dict[str, object] = {
    "l2": 0.01,
    "batch_norm": True,
    "dropout": {"dense": 0.3, "conv": 0.2},
    "mixup": True,
    "weight_decay": 0.1,
    "max_norm": 1.0,
    "gradient_clipping": 0.5,
    "ema": 0.9,
}


def loss(name: str) -> Check:
    """The measured loss is NumPy's cross-entropy of NumPy's outputs, on the test set."""
    model, splits = network.with_biases(_mlp()), network.splits()
    found = Curves(splits, 0).measure(model).number("test_loss")
    outputs = network.forward(model, splits.test_images)
    return number(name, "measured loss", found, network.cross_entropy(outputs, splits.test_labels))


def accuracy(name: str) -> Check:
    """The measured accuracy is the share of images whose most probable class is the true one."""
    model, splits = network.with_biases(_mlp()), network.splits()
    found = Curves(splits, 0).measure(model).number("train_accuracy")
    outputs = network.forward(model, splits.train_images)
    expected = float((outputs.argmax(axis=1) == splits.train_labels).mean())
    return number(name, "measured accuracy", found, expected)


def update(name: str) -> Check:
    """An update of plain gradient descent takes off NumPy's gradient of the output layer."""
    of = network.experiment(model=network.MLP)
    model = network.with_biases(network.made(of))
    images, labels = network.epoch(of)[0]
    at = network.weights(model)
    off = network.forward(model, images) - np.eye(network.CLASSES)[labels]
    found = network.gradient(of)(at, (images, labels))["output/bias"]
    return close(name, "gradient of the output's biases", found, off.mean(axis=0))


def compiled(name: str) -> Check:
    """Compiled, as in a run, two updates end as they do operation by operation."""
    of = network.experiment(train={"momentum": 0.9}, **COMPILED)
    ends = []
    for eager in (True, False):
        model = network.made(of, eager)
        for batch in network.epoch(of)[:2]:
            network.step(model, batch)
        ends.append(network.weights(model))
    return close(name, "compiled updates", ends[1], ends[0], 1e-3)


CHECKS: dict[str, tuple[Rule, ...]] = {"baseline": (loss, accuracy, update, compiled)}


def _mlp() -> object:
    return network.made(network.experiment(model=network.MLP))
