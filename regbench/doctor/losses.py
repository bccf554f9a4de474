"""The loss that is measured against the one that is trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from regbench.doctor import network
from regbench.doctor.check import Check, number
from regbench.models import evaluate
from regbench.training.evaluate import Curves

if TYPE_CHECKING:
    import keras

    from regbench.config import Experiment


def measured_and_trained(
    name: str, of: Experiment, model: keras.Model, part: str, said: tuple[str, str]
) -> tuple[Check, Check]:
    """Check the measured loss, then that of the first update, against NumPy.

    Measured is the cross-entropy of a set as it is, "train" or "test"; trained is that of the first
    batch as the techniques changed it, with the penalty. `said` names the two.
    """
    splits = network.splits()
    images, targets = network.epoch(of)[0]
    found = Curves(splits, of.seed).measure(model).number(f"{part}_loss")
    outputs = network.forward(model, getattr(splits, f"{part}_images"))
    expected = network.cross_entropy(outputs, getattr(splits, f"{part}_labels"))
    measured = number(name, said[0], found, expected)
    expected = network.cross_entropy(network.forward(model, images), targets)
    expected += evaluate.penalty(model)
    found = network.step(model, (images, targets))["loss"]
    return measured, number(name, said[1], found, expected)
