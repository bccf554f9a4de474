"""Rules about layers: dropout, normalization, noise, pooling."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from regbench.inspection.advice.network import Advice, Network, updates_needed
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
# The approximate standard deviation of the pixels of photographs, in [0, 1].
PIXELS = 0.25
NEVER_NEGATIVE = ("relu", "sigmoid", "softplus")


def dropout_rate(network: Network) -> Iterator[Advice]:
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


def dropout_in_convolutions(network: Network) -> Iterator[Advice]:
    for place, rate in _dropout(network):
        if place == "conv" and rate > 0:
            yield Advice(
                "dropout in convolutions",
                f"dropout.conv={rate:g}: expect little; try dropout.dense, or batch_norm.",
                "Neighbors in a map carry nearly the same information, so a dropped value still "
                "gets through; convolutions share weights and have few to overfit with.",
                'Tompson et al., "Efficient Object Localization Using Convolutional Networks", '
                '2015; Ghiasi et al., "DropBlock", 2018',
            )


def _dropout(network: Network) -> Iterator[tuple[str, float]]:
    dropout = network.experiment.regularizers.get("dropout")
    if isinstance(dropout, Dropout):
        yield "dense", dropout.dense
        yield "conv", dropout.conv


def dropout_before_batch_norm(network: Network) -> Iterator[Advice]:
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


def bias_before_batch_norm(network: Network) -> Iterator[Advice]:
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


def trailing_moving_averages(network: Network) -> Iterator[Advice]:
    normalization = network.experiment.regularizers.get("batch_norm")
    if not isinstance(normalization, BatchNorm):
        return
    momentum, updates = normalization.momentum, network.updates
    if updates < updates_needed(momentum):
        yield Advice(
            "trailing moving averages",
            f"batch_norm.momentum={momentum:g} needs at least {updates_needed(momentum):,} "
            f"updates, and there are {updates:,}: {_keep_up(updates)}.",
            "Inference uses moving averages of mean and variance: after few updates they are still "
            "those of the first weights, and a network that has learned its training set may "
            "predict near chance.",
            "Wu and Johnson, \"Rethinking 'Batch' in BatchNorm\", 2021, section 3.1",
        )


def _keep_up(updates: int) -> str:
    """Return what to change: to the largest of some round momenta that keeps up, if any does."""
    fitting = [each for each in (0.98, 0.95, 0.9, 0.8, 0.5) if updates >= updates_needed(each)]
    train = "train for more epochs, or with smaller batches"
    return f"try batch_norm.momentum={fitting[0]:g}, or {train}" if fitting else train


def pool_stride(network: Network) -> Iterator[Advice]:
    pooling = network.experiment.regularizers["pooling"]
    assert isinstance(pooling, Pooling)  # it is always part of the baseline
    if pooling.kind != "none" and (pooling.stride or pooling.size) > pooling.size:
        yield Advice(
            "pool stride",
            f"pooling.stride={pooling.stride} is larger than pooling.size={pooling.size}: make it "
            "at most as large.",
            "Rows and columns between the windows are ignored.",
            'Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016',
        )


def one_group(network: Network) -> Iterator[Advice]:
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


def large_noise(network: Network) -> Iterator[Advice]:
    noise = network.experiment.regularizers.get("gaussian_noise")
    if isinstance(noise, GaussianNoise) and noise.input > PIXELS:
        yield Advice(
            "large noise",
            f"gaussian_noise.input={noise.input:g}: try a standard deviation of 0.05 to 0.2.",
            f"Pixels are in [0, 1], and those of photographs deviate by about {PIXELS:g}: more "
            "noise than that hides the image, and acts as a penalty only where it is small.",
            'Bishop, "Training with Noise is Equivalent to Tikhonov Regularization", 1995',
        )


def squares_as_large_as_maps(network: Network) -> Iterator[Advice]:
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
            "A square as large as the map drops the whole map.",
            'Ghiasi, Lin and Le, "DropBlock", 2018, section 3',
        )


def negative_values_in_stochastic_pooling(network: Network) -> Iterator[Advice]:
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
