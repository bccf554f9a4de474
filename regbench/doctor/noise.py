"""Dropout of all kinds, and noise: rate, scaling, and silence at inference."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np

from regbench.doctor import network
from regbench.doctor.check import Check, Rule, close, count, drawn, equal, number, share_error
from regbench.doctor.network import Array
from regbench.models import evaluate
from regbench.models.layers import leaves
from regbench.regularizers import Regularizer

if TYPE_CHECKING:
    import keras

RATE, CONV_RATE, INPUT_RATE, DEVIATION = 0.3, 0.2, 0.1, 0.25
SIZE = 3
# Of a dense layer's inputs, and of maps.
UNITS, MAPS = (200, 50), (100, 8, 8, 6)
SETTINGS: dict[str, object] = {
    "dropout": {"dense": RATE, "conv": CONV_RATE, "input": INPUT_RATE},
    "spatial_dropout": {"rate": RATE},
    "dropblock": {"rate": RATE, "size": SIZE},
    "gaussian_dropout": {"dense": RATE, "conv": CONV_RATE},
    "gaussian_noise": {"input": DEVIATION, "hidden": DEVIATION / 2},
    "stochastic_depth": {"rate": RATE},
}
DEPTH = 0.5  # of the residual block whose branch is examined


class Unit(Protocol):
    """What is switched off as a whole: the values of a mask, reduced by `how`."""

    def __call__(self, off: Array, how: Reduce = ...) -> Array: ...


class Reduce(Protocol):
    """A function such as np.min."""

    def __call__(self, values: Array, /, *, axis: tuple[int, ...]) -> Array: ...


# The hook that adds the layers, their inputs' shape, and the rate there.
Place = tuple[str, tuple[int, ...], float]
DENSE: Place = ("before_dense", UNITS, RATE)
CONV: Place = ("after_block", MAPS, CONV_RATE)
PIXELS: Place = ("on_input", MAPS, INPUT_RATE)
BLOCK: Place = ("after_block", MAPS, RATE)
WHOLE_MAPS: Place = ("after_block", (400, 2, 2, 10), RATE)
INPUT: Place = ("on_input", MAPS, DEVIATION)
HIDDEN: Place = ("after_activation", MAPS, DEVIATION / 2)
BRANCH: Place = ("around_block", (4000, 2, 2, 2), RATE * DEPTH)


def dropped(name: str, place: Place, unit: Unit) -> Check:
    """A unit, map or branch is off in training with the probability that was asked for."""
    off = unit(_in_training(name, place) == 0)
    rate = place[-1]
    rule = f"share that is off in training, {place[0]}"
    return drawn(name, rule, float(off.mean()), rate, share_error(rate, off.size))


def whole(name: str, place: Place, unit: Unit) -> Check:
    """What is switched off is so as a whole, and nothing else."""
    off = _in_training(name, place) == 0
    partly = int((unit(off) != unit(off, np.max)).sum()) if off.any() else -1
    return count(name, f"off as a whole, {place[0]}", partly, 0, "partly off")


def scaled(name: str, place: Place) -> Check:
    """What is kept is scaled by 1 / (1 - rate), so that inference needs no scaling."""
    values = _in_training(name, place)
    kept = values[values != 0]
    rule = f"scale of what is kept, {place[0]}"
    return close(name, rule, kept, np.full(kept.shape, 1 / (1 - place[-1])))


def fresh(name: str, place: Place) -> Check:
    """Each update draws other noise."""
    layers = _layers(name, place[0])
    first, second = (_called(layers, np.ones(place[1]), True) for _ in range(2))
    differ = int((first != second).any())
    return count(
        name, f"other draws each time, {place[0]}", differ, 1, "of 1 pairs of calls differs"
    )


def silent(name: str, place: Place) -> Check:
    """At inference the layer passes its inputs on as they are."""
    values = np.random.default_rng(0).normal(size=place[1])
    off = _called(_layers(name, place[0]), values, False) != values.astype(np.float32)
    rule = f"silent at inference, {place[0]}"
    return count(name, rule, int(off.sum()), 0, f"of {values.size} values changed")


def in_network(name: str) -> tuple[Check, Check]:
    """The layers are where the technique says, and measuring a network does not hear them."""
    of = {"model": network.RESNET} if name == "stochastic_depth" else {}
    model, plain = (
        network.made(network.experiment(**of, **each)) for each in ({name: SETTINGS[name]}, {})
    )
    images = network.splits().test_images
    outputs, expected = (evaluate.predict(each, images) for each in (model, plain))
    return (
        equal(name, "layers", _places(name, model), PLACES[name]),
        close(name, "measured outputs are the baseline's", outputs, expected, 1e-6),
    )


def in_perceptron(name: str) -> Check:
    """A dense layer that reads the image loses pixels at one rate, not at two in a row."""
    rates = {"dense": RATE, "input": INPUT_RATE}
    of = network.experiment(model=network.MLP, **{name: rates})
    expected = "input_dropout 0.1, output_dropout 0.3"
    return equal(name, "layers of a perceptron", _places(name, network.made(of)), expected)


def _places(name: str, model: keras.Model) -> str:
    """Return the technique's layers in a model, each with its rate or deviation."""
    attribute = "stddev" if name == "gaussian_noise" else "rate"
    return ", ".join(
        f"{layer.name} {getattr(layer, attribute):.3g}"
        for layer in leaves(model)
        if layer.name.endswith((name, "dropout")) and hasattr(layer, attribute)
    )


def moments(name: str, place: Place, deviation: float) -> Check:
    """The noise has the standard deviation that was asked for."""
    values = _in_training(name, place)
    error = deviation / np.sqrt(2 * values.size)
    rule = f"standard deviation of the noise, {place[0]}"
    return drawn(name, rule, float(values.std()), deviation, float(error))


def centered(name: str, place: Place, deviation: float) -> Check:
    """The noise changes no mean."""
    values = _in_training(name, place)
    error = deviation / np.sqrt(values.size)
    return drawn(name, f"mean with noise, {place[0]}", float(values.mean()), 1, float(error))


def blocks(name: str) -> Check:
    """Each value that is off lies in a square that is off."""
    off = _in_training(name, BLOCK) == 0
    windows = np.lib.stride_tricks.sliding_window_view(off, (SIZE, SIZE), axis=(1, 2))
    starts = windows.all(axis=(-2, -1))
    covered = np.zeros_like(off)
    rows, columns = starts.shape[1:3]
    for row in range(SIZE):
        for column in range(SIZE):
            covered[:, row : row + rows, column : column + columns] |= starts
    alone = int((off & ~covered).sum()) if off.any() else -1
    rule = f"off in squares of {SIZE}x{SIZE}"
    return count(name, rule, alone, 0, f"of {int(off.sum())} values lie outside of one")


def block_rate(name: str) -> Check:
    """Squares start at gamma (the paper's equation 1), and so many values are off."""
    off = _in_training(name, BLOCK) == 0
    height = MAPS[1]
    places = height - SIZE + 1
    gamma = RATE * height**2 / (SIZE**2 * places**2)
    # Along an axis, so many squares can cover each place.
    along = np.convolve(np.ones(places), np.ones(SIZE))
    expected = float(1 - ((1 - gamma) ** np.outer(along, along)).mean())
    # The values of a map depend on each other, its mean does not on other maps.
    error = float(off.mean(axis=(1, 2)).std() / np.sqrt(MAPS[0] * MAPS[3]))
    return drawn(name, "share that is off in training", float(off.mean()), expected, error)


def block_scale(name: str) -> Check:
    """What is kept is scaled by its share: the mean stays, and so inference needs no scaling."""
    return number(name, "mean in training", float(_in_training(name, BLOCK).mean()), 1.0)


def each_value(off: Array, how: Reduce = np.min) -> Array:
    """Return the values themselves."""
    return off


def each_map(off: Array, how: Reduce = np.min) -> Array:
    """Return one value for each map of each example."""
    return how(off, axis=(1, 2))


def each_example(off: Array, how: Reduce = np.min) -> Array:
    """Return one value for each example."""
    return how(off, axis=(1, 2, 3))


def _technique(name: str) -> Regularizer:
    return network.technique(name, SETTINGS[name])


def _layers(name: str, hook: str) -> list[keras.Layer]:
    depth = (DEPTH,) if hook == "around_block" else ()
    layers: list[keras.Layer] = getattr(_technique(name), hook)("doctor", *depth)
    for number_, layer in enumerate(layers):
        # As the layers of a run, they get a seed: not each run of these checks draws other numbers.
        layer.seed_generator.state.assign(np.asarray([7, number_], "uint32"))
        layer.seed_generator._initial_seed = 7
    return layers


def _called(layers: list[keras.Layer], values: Array, training: bool) -> Array:
    outputs: keras.KerasTensor = values.astype(np.float32)
    for layer in layers:
        outputs = layer(outputs, training=training)
    return network.numpy(outputs)


def _in_training(name: str, place: Place) -> Array:
    """Return what the layers make of ones in training."""
    return _called(_layers(name, place[0]), np.ones(place[1]), True)


_GAUSS = float(np.sqrt(RATE / (1 - RATE)))
_GAUSS_CONV = float(np.sqrt(CONV_RATE / (1 - CONV_RATE)))
# Of the tiny networks; a name, and the rate or deviation.
PLACES = {
    "dropout": "input_dropout 0.1, block1_dropout 0.2, dense1_dropout 0.3, output_dropout 0.3",
    "spatial_dropout": "block1_spatial_dropout 0.3",
    "dropblock": "block1_dropblock 0.3",
    "gaussian_dropout": (
        "block1_gaussian_dropout 0.2, dense1_gaussian_dropout 0.3, output_gaussian_dropout 0.3"
    ),
    "gaussian_noise": (
        "input_gaussian_noise 0.25, block1_conv1_gaussian_noise 0.125, dense1_gaussian_noise 0.125"
    ),
    "stochastic_depth": (
        "block1_1_stochastic_depth 0.1, block2_1_stochastic_depth 0.2, "
        "block3_1_stochastic_depth 0.3"
    ),
}


def _dropping(place: Place, unit: Unit, parts: bool = True) -> tuple[Rule, ...]:
    rules: list[Rule] = [partial(dropped, place=place, unit=unit), partial(scaled, place=place)]
    if parts:
        rules.append(partial(whole, place=place, unit=unit))
    return (*rules, partial(fresh, place=place), partial(silent, place=place))


def _noisy(place: Place, deviation: float) -> tuple[Rule, ...]:
    return (
        partial(moments, place=place, deviation=deviation),
        partial(centered, place=place, deviation=deviation),
        partial(fresh, place=place),
        partial(silent, place=place),
    )


CHECKS: dict[str, tuple[Rule, ...]] = {
    "dropout": (
        *_dropping(DENSE, each_value, parts=False), *_dropping(CONV, each_value, parts=False),
        *_dropping(PIXELS, each_value, parts=False), in_network, in_perceptron,
    ),
    "spatial_dropout": (*_dropping(WHOLE_MAPS, each_map), in_network),
    "dropblock": (
        block_rate, block_scale, blocks, partial(fresh, place=BLOCK), partial(silent, place=BLOCK),
        in_network,
    ),
    "gaussian_dropout": (*_noisy(DENSE, _GAUSS), *_noisy(CONV, _GAUSS_CONV), in_network),
    "gaussian_noise": (
        *_noisy(INPUT, DEVIATION), *_noisy(HIDDEN, DEVIATION / 2), in_network,
    ),
    "stochastic_depth": (*_dropping(BRANCH, each_example), in_network),
}  # fmt: skip
