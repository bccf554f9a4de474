"""Advice about a config: what to look at, why, and who found it out. It never blocks a run.

A rule is a function `(network) -> Iterator[Advice]` and a line in `ADVICE`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from regbench.config import Experiment
from regbench.models.cost import Layer
from regbench.regularizers.batch_norm import BatchNorm
from regbench.regularizers.dropblock import DropBlock
from regbench.regularizers.dropout import Dropout
from regbench.regularizers.gaussian_noise import GaussianNoise
from regbench.regularizers.group_norm import GroupNorm
from regbench.regularizers.pooling import Pooling

USUAL_RATES = (0.2, 0.5)
# Classes of layers that change the variance of what follows them, in training alone.
DROPPING = ("Dropout", "SpatialDropout2D", "GaussianDropout", "DropBlock2D")
# The standard deviation of the pixels of photographs, which are in [0, 1], is about as large.
PIXELS = 0.25
NEVER_NEGATIVE = ("relu", "sigmoid", "softplus")
# Moving averages look back on about 1 / (1 - momentum) updates; after 5 times as many, the values
# that they began with count for e^-5, less than 1%.
LOOK_BACKS = 5


@dataclass(frozen=True)
class Advice:
    """One piece of advice: what to do, the reason for it, and the source of the reason."""

    topic: str
    advice: str
    reason: str
    source: str


@dataclass(frozen=True)
class Network:
    """What the rules look at.

    `penalty` is the kernel penalties with the initial weights, in nats; `updates` are those of the
    whole training.
    """

    experiment: Experiment
    layers: Sequence[Layer]
    classes: int
    penalty: float
    updates: int


Rule = Callable[[Network], Iterator[Advice]]


def advise(network: Network) -> list[Advice]:
    """Return the advice of every rule."""
    return [advice for rule in ADVICE.values() for advice in rule(network)]


def _dropout_rate(network: Network) -> Iterator[Advice]:
    low, high = USUAL_RATES
    for place, rate in _dropout(network):
        if 0 < rate < low or rate > high:
            effect = "hardly changes the network" if rate < low else "leaves little of it to train"
            yield Advice(
                "dropout rate",
                f"dropout.{place}={rate:g}: try a rate from {low} to {high}.",
                f"A rate {'below' if rate < low else 'above'} that range {effect}: units kept with "
                "a probability of 0.5 to 0.8 were best in most networks.",
                'Srivastava et al., "Dropout", 2014, appendix A.4',
            )


def _dropout_in_convolutions(network: Network) -> Iterator[Advice]:
    for place, rate in _dropout(network):
        if place == "conv" and rate > 0:
            yield Advice(
                "dropout in convolutions",
                f"dropout.conv={rate:g}: expect little; try dropout.dense, or batch_norm.",
                "Neighbors in a map say nearly the same, so a dropped value still gets through; "
                "convolutions share weights and have few to overfit with.",
                'Tompson et al., "Efficient Object Localization Using Convolutional Networks", '
                '2015; Ghiasi et al., "DropBlock", 2018',
            )


def _dropout_before_batch_norm(network: Network) -> Iterator[Advice]:
    layers = network.layers
    dropping = [place for place, each in enumerate(layers) if _drops(each)]
    if dropping and any(each.kind == "BatchNormalization" for each in layers[dropping[0] :]):
        before = layers[dropping[0]].name
        yield Advice(
            "variance shift",
            f"{before} comes before a batch normalization: see whether either alone does better.",
            "Dropout changes the variance of what follows from training to inference, but the "
            "moving averages know only that of training.",
            'Li et al., "Understanding the Disharmony between Dropout and Batch Normalization by '
            'Variance Shift", 2019',
        )


def _drops(layer: Layer) -> bool:
    # Residual networks are usually trained with stochastic depth and batch normalization together.
    return layer.kind in DROPPING and not layer.name.endswith("stochastic_depth")


def _bias_before_batch_norm(network: Network) -> Iterator[Advice]:
    normalization = network.experiment.regularizers.get("batch_norm")
    if getattr(normalization, "position", None) != "before_activation":
        return
    useless = [
        layer
        for layer, after in pairwise(network.layers)
        if layer.bias and after.kind == "BatchNormalization"
    ]
    if useless:
        weights = sum(layer.output_shape[-1] for layer in useless)
        yield Advice(
            "bias before batch normalization",
            f"The biases of {len(useless)} layers ({weights:,} parameters) have no effect; leave "
            "them, or count them out when you compare parameters.",
            "Normalization subtracts the mean and any bias with it; its own beta takes the place.",
            'Ioffe and Szegedy, "Batch Normalization", 2015, section 3.2',
        )


def _trailing_moving_averages(network: Network) -> Iterator[Advice]:
    normalization = network.experiment.regularizers.get("batch_norm")
    if not isinstance(normalization, BatchNorm):
        return
    momentum, updates = normalization.momentum, network.updates
    if updates < _updates_needed(momentum):
        yield Advice(
            "trailing moving averages",
            f"batch_norm.momentum={momentum:g} wants at least {_updates_needed(momentum):,} "
            f"updates, and there are {updates:,}: {_keep_up(updates)}.",
            "Inference uses moving averages of mean and variance: after few updates they are still "
            "those of the first weights, and a network that has learned its training set may "
            "predict near chance.",
            "Wu and Johnson, \"Rethinking 'Batch' in BatchNorm\", 2021, section 3.1",
        )


def _updates_needed(momentum: float) -> int:
    return round(LOOK_BACKS / (1 - momentum))


def _keep_up(updates: int) -> str:
    """Return what to change: to the largest of some round momenta that keeps up, if any does."""
    fitting = [each for each in (0.98, 0.95, 0.9, 0.8, 0.5) if updates >= _updates_needed(each)]
    train = "train for more epochs, or with smaller batches"
    return f"try batch_norm.momentum={fitting[0]:g}, or {train}" if fitting else train


def _l2_with_adam(network: Network) -> Iterator[Advice]:
    if network.experiment.train.optimizer == "adam" and _has_l2(network):
        yield Advice(
            "L2 with Adam",
            "L2 under Adam is not weight decay: compare with train.optimizer=sgd before you "
            "judge the strength.",
            "Adam divides the penalty's gradient by the same running size as the rest, so weights "
            "with large gradients are shrunk less.",
            'Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019',
        )


def _l2_with_batch_norm(network: Network) -> Iterator[Advice]:
    if "batch_norm" in network.experiment.regularizers and _has_l2(network):
        yield Advice(
            "L2 with batch normalization",
            "L2 acts as a learning-rate schedule here: judge it together with train.learning_rate.",
            "Batch normalization undoes any scaling of the weights before it, so smaller weights "
            "are the same function with a larger effective learning rate.",
            'van Laarhoven, "L2 Regularization versus Batch and Weight Normalization", 2017',
        )


def _pool_stride(network: Network) -> Iterator[Advice]:
    pooling = network.experiment.regularizers["pooling"]
    assert isinstance(pooling, Pooling)  # it is always part of the baseline
    if pooling.kind != "none" and (pooling.stride or pooling.size) > pooling.size:
        yield Advice(
            "pool stride",
            f"pooling.stride={pooling.stride} is larger than pooling.size={pooling.size}: make it "
            "at most as large.",
            "Rows and columns between the windows are never looked at.",
            'Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016',
        )


def _one_group(network: Network) -> Iterator[Advice]:
    normalization = network.experiment.regularizers.get("group_norm")
    if isinstance(normalization, GroupNorm) and normalization.groups == 1:
        yield Advice(
            "group normalization with one group",
            "group_norm.groups=1 is layer normalization over whole maps: report it as that. "
            "layer_norm is another one, over the channels at each place.",
            "With a single group, mean and variance are those of all channels and places of an "
            "example.",
            'Wu and He, "Group Normalization", 2018, section 3.2',
        )


def _large_noise(network: Network) -> Iterator[Advice]:
    noise = network.experiment.regularizers.get("gaussian_noise")
    if isinstance(noise, GaussianNoise) and noise.input > PIXELS:
        yield Advice(
            "large noise",
            f"gaussian_noise.input={noise.input:g}: try a standard deviation of 0.05 to 0.2.",
            f"Pixels are in [0, 1], and those of photographs deviate by about {PIXELS:g}: more "
            "noise than that hides the image, and acts as a penalty only where it is small.",
            'Bishop, "Training with Noise is Equivalent to Tikhonov Regularization", 1995',
        )


def _squares_as_large_as_maps(network: Network) -> Iterator[Advice]:
    block = network.experiment.regularizers.get("dropblock")
    if not isinstance(block, DropBlock):
        return
    small = [
        each.name
        for each in network.layers
        if each.kind == "DropBlock2D" and min(each.output_shape[:2]) <= block.size
    ]
    if small:
        yield Advice(
            "squares as large as maps",
            f"dropblock.size={block.size} covers the maps of {', '.join(small)}: try a smaller "
            "one, or spatial_dropout.",
            "Where a square is as large as the map, the map is dropped as a whole.",
            'Ghiasi, Lin and Le, "DropBlock", 2018, section 3',
        )


def _negative_values_in_stochastic_pooling(network: Network) -> Iterator[Advice]:
    pooling = network.experiment.regularizers["pooling"]
    activation = getattr(network.experiment.model, "activation", "relu")
    if getattr(pooling, "kind", "") == "stochastic" and activation not in NEVER_NEGATIVE:
        yield Advice(
            "stochastic pooling of negative values",
            f"model.activation={activation} can be negative: use relu with pooling: stochastic.",
            "Values are probabilities there, so that a negative one counts as 0 and is never "
            "passed on.",
            'Zeiler and Fergus, "Stochastic Pooling for Regularization of Deep Convolutional '
            'Neural Networks", 2013, section 3',
        )


def _large_penalty(network: Network) -> Iterator[Advice]:
    guessing = math.log(network.classes)
    if network.penalty > guessing:
        yield Advice(
            "large penalty",
            f"The penalty starts at {network.penalty:.2f} nats, more than the {guessing:.2f} nats "
            "of guessing: try a smaller strength.",
            "At first the gradient is mostly the penalty's: the weights shrink before they have "
            "learned anything, and may never recover.",
            'Goodfellow, Bengio and Courville, "Deep Learning", 2016, section 7.1',
        )


ADVICE: dict[str, Rule] = {
    "dropout_rate": _dropout_rate,
    "dropout_in_convolutions": _dropout_in_convolutions,
    "dropout_before_batch_norm": _dropout_before_batch_norm,
    "bias_before_batch_norm": _bias_before_batch_norm,
    "trailing_moving_averages": _trailing_moving_averages,
    "l2_with_adam": _l2_with_adam,
    "l2_with_batch_norm": _l2_with_batch_norm,
    "pool_stride": _pool_stride,
    "one_group": _one_group,
    "large_noise": _large_noise,
    "squares_as_large_as_maps": _squares_as_large_as_maps,
    "negative_values_in_stochastic_pooling": _negative_values_in_stochastic_pooling,
    "large_penalty": _large_penalty,
}


def _dropout(network: Network) -> Iterator[tuple[str, float]]:
    dropout = network.experiment.regularizers.get("dropout")
    if isinstance(dropout, Dropout):
        yield "dense", dropout.dense
        yield "conv", dropout.conv


def _has_l2(network: Network) -> bool:
    return "l2" in network.experiment.regularizers
