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
from regbench.regularizers.averaging import EMA
from regbench.regularizers.batch_norm import BatchNorm
from regbench.regularizers.dropout import Dropout
from regbench.regularizers.pooling import Pooling
from regbench.regularizers.weight_decay import WeightDecay

USUAL_RATES = (0.2, 0.5)
# Moving averages look back on about 1 / (1 - momentum) updates; after 5 times as many, the values
# that they began with count for e^-5, less than 1%.
LOOK_BACKS = 5
# Of a weight without a gradient, over the whole training: less is no decay to speak of.
LEAST_DECAY = 0.05
# An accuracy is then known to 2.2 percentage points.
FEW_VALIDATION_EXAMPLES = 500


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
    validation_examples: int = 0


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
    kinds = [layer.kind for layer in network.layers]
    if "Dropout" in kinds and "BatchNormalization" in kinds[kinds.index("Dropout") :]:
        before = network.layers[kinds.index("Dropout")].name
        yield Advice(
            "variance shift",
            f"{before} comes before a batch normalization: see whether either alone does better.",
            "Dropout changes the variance of what follows from training to inference, but the "
            "moving averages know only that of training.",
            'Li et al., "Understanding the Disharmony between Dropout and Batch Normalization by '
            'Variance Shift", 2019',
        )


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


def _weak_weight_decay(network: Network) -> Iterator[Advice]:
    decay = network.experiment.regularizers.get("weight_decay")
    if not isinstance(decay, WeightDecay):
        return
    train = network.experiment.train
    # A rate that falls along a cosine to 0 is half of the first one on average.
    rate = train.learning_rate * (0.5 if train.schedule == "cosine" else 1.0)
    shrunk = -math.expm1(-rate * decay.root * network.updates)
    if shrunk < LEAST_DECAY:
        enough = -math.log1p(-LEAST_DECAY) / (rate * network.updates)
        yield Advice(
            "weak weight decay",
            f"weight_decay={decay.root:g} takes {shrunk:.1%} off a weight over the whole training: "
            f"try at least {enough:.1g}.",
            "The decay is multiplied by the learning rate, so its effect is that of the sum of all "
            f"rates: {network.updates:,} updates here. A usual value is for far more.",
            'Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019, appendix B.1',
        )


def _weight_decay_with_l2(network: Network) -> Iterator[Advice]:
    if "weight_decay" in network.experiment.regularizers and _has_l2(network):
        sgd = network.experiment.train.optimizer == "sgd"
        yield Advice(
            "weight decay with L2",
            "Both shrink every kernel: leave one out, or no difference can be put down to either.",
            "Under SGD without momentum they are the same thing; strengths simply add."
            if sgd
            else "Under Adam they differ in what they spare: L2 shrinks weights with large "
            "gradients less, the decay shrinks all alike.",
            'Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019, section 2',
        )


def _clipping_with_adam(network: Network) -> Iterator[Advice]:
    clips = "gradient_clipping" in network.experiment.regularizers
    if clips and network.experiment.train.optimizer == "adam":
        yield Advice(
            "clipping with Adam",
            "Clipping that acts in every update has hardly any effect under Adam: choose a limit "
            "that only outliers reach, or use it with train.optimizer=sgd.",
            "Adam's step does not change when all gradients are scaled alike.",
            'Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2015, section 2.1',
        )


def _trailing_average(network: Network) -> Iterator[Advice]:
    average = network.experiment.regularizers.get("ema")
    if isinstance(average, EMA) and network.updates < _updates_needed(average.momentum):
        yield Advice(
            "trailing average",
            f"ema.momentum={average.momentum:g} looks back on {1 / (1 - average.momentum):,.0f} "
            f"updates, and there are {network.updates:,}: lower it, or train for longer.",
            "The average still holds much of the first weights, which have learned nothing.",
            'Tarvainen and Valpola, "Mean Teachers Are Better Role Models", 2017, section 3.4',
        )


def _averaging_with_cosine(network: Network) -> Iterator[Advice]:
    experiment = network.experiment
    if "swa" in experiment.regularizers and experiment.train.schedule == "cosine":
        yield Advice(
            "SWA with a falling rate",
            "Expect little of swa with train.schedule=cosine: compare with schedule: constant.",
            "Near the end the rate is close to 0 and the weights stand still; the mean of weights "
            "that differ by noise is what SWA gains from.",
            'Izmailov et al., "Averaging Weights Leads to Wider Optima and Better '
            'Generalization", 2018, section 3.1',
        )


def _few_validation_examples(network: Network) -> Iterator[Advice]:
    count = network.validation_examples
    if "early_stopping" in network.experiment.regularizers and count < FEW_VALIDATION_EXAMPLES:
        error = 0.5 / math.sqrt(max(1, count))
        yield Advice(
            "few validation examples",
            f"{count:,} examples choose the epoch: set data.validation_examples to "
            f"{FEW_VALIDATION_EXAMPLES} or more.",
            f"An accuracy on so few has a standard error of up to {100 * error:.1f} percentage "
            "points, more than most epochs differ by.",
            'Prechelt, "Early Stopping - But When?", 1998',
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
    "large_penalty": _large_penalty,
    "weak_weight_decay": _weak_weight_decay,
    "weight_decay_with_l2": _weight_decay_with_l2,
    "clipping_with_adam": _clipping_with_adam,
    "trailing_average": _trailing_average,
    "averaging_with_cosine": _averaging_with_cosine,
    "few_validation_examples": _few_validation_examples,
}


def _dropout(network: Network) -> Iterator[tuple[str, float]]:
    dropout = network.experiment.regularizers.get("dropout")
    if isinstance(dropout, Dropout):
        yield "dense", dropout.dense
        yield "conv", dropout.conv


def _has_l2(network: Network) -> bool:
    return "l2" in network.experiment.regularizers
