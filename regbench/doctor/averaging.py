"""EMA and SWA: which weights are averaged, evaluated and left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from regbench.config import Experiment
from regbench.doctor import network
from regbench.doctor.check import Check, Rule, close, count, differing
from regbench.doctor.network import Array, Arrays
from regbench.models.layers import leaves
from regbench.training.averages import Averages

if TYPE_CHECKING:
    import keras

MOMENTUM, START = 0.8, 0.5
SETTINGS: dict[str, object] = {"ema": {"momentum": MOMENTUM}, "swa": {"start": START}}
# All, and those after which SWA has begun.
EPOCHS, BEGUN = 3, 2


def average(name: str) -> tuple[Check, Check]:
    """The average of the trained weights is evaluated; training goes on with its own weights."""
    model, averages, path = _trained(name)
    with averages.evaluated(EPOCHS):
        found = network.weights(model)
    plain = _trained("", epochs=1)[-1]
    moved = differing(network.weights(model), path[-1]) + differing(plain[-1], path[len(plain) - 1])
    return (
        close(name, "evaluated weights", found, _expected(name, path)),
        count(name, "training is unchanged", moved, 0, "arrays differ from a plain run's"),
    )


def statistics(name: str) -> Check:
    """Batch normalization's averages are the mean over the epoch's batches, by these weights."""
    of = _experiment(name, batch_norm=True)
    model, averages, _ = _trained(name, of, BEGUN)
    with averages.evaluated(BEGUN):
        weights = network.weights(model)
        layer = next(each for each in leaves(model) if hasattr(each, "moving_mean"))
        found = [network.numpy(each) for each in (layer.moving_mean, layer.moving_variance)]
    sums = [
        images.reshape(len(images), -1).astype(np.float64) @ weights["dense1/kernel"]
        + weights["dense1/bias"]
        for images, _ in network.epoch(of, BEGUN)
    ]
    expected = [np.mean([of(each, axis=0) for each in sums], axis=0) for of in (np.mean, np.var)]
    return close(name, "batch normalization's averages", np.array(found), np.array(expected))


CHECKS: dict[str, tuple[Rule, ...]] = dict.fromkeys(SETTINGS, (average, statistics))


def _experiment(name: str, **further: object) -> Experiment:
    on = {name: SETTINGS[name]} if name else {}
    return network.experiment(model=network.MLP, train={"epochs": EPOCHS}, **on, **further)


def _trained(
    name: str, of: Experiment | None = None, epochs: int = EPOCHS
) -> tuple[keras.Model, Averages, list[Arrays]]:
    """Return a trained model, its averages, and its weights after each update."""
    of = of or _experiment(name)
    model = network.made(of)
    averages, path = Averages(model, of, network.splits()), []
    for epoch in range(1, epochs + 1):
        for batch in network.epoch(of, epoch):
            network.step(model, batch)
            path.append(network.weights(model))
        averages.end_epoch(epoch)
    return model, averages, path


def _expected(name: str, path: list[Arrays]) -> Arrays:
    def of(weights: str) -> Array:
        values = np.array([each[weights] for each in path], np.float64)
        if name == "swa":
            epochs = values[len(values) // EPOCHS - 1 :: len(values) // EPOCHS]
            return np.asarray(epochs[int(START * EPOCHS) :].mean(axis=0))
        mean = values[0]
        for each in values[1:]:
            mean = MOMENTUM * mean + (1 - MOMENTUM) * each
        return np.asarray(mean)

    return {weights: of(weights) for weights in path[0]}
