"""Rules about penalties, weight decay, clipping, averaged weights, early stopping."""

from __future__ import annotations

import math
from collections.abc import Iterator

from regbench.inspection.advice.network import Advice, Network, updates_needed
from regbench.regularizers.averaging import EMA
from regbench.regularizers.weight_decay import WeightDecay

# The least decay worth having, of a weight without a gradient over the whole training.
LEAST_DECAY = 0.05
# With this many, the standard error of an accuracy is at most 2.2 percentage points.
FEW_VALIDATION_EXAMPLES = 500


def l2_with_adam(network: Network) -> Iterator[Advice]:
    if network.experiment.train.optimizer == "adam" and _has_l2(network):
        yield Advice(
            "L2 with Adam",
            "L2 under Adam is not weight decay: compare with train.optimizer=sgd before you "
            "judge the strength.",
            "Adam divides the penalty's gradient by the same running size as the rest, so weights "
            "with large gradients are shrunk less.",
            'Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019',
        )


def l2_with_batch_norm(network: Network) -> Iterator[Advice]:
    if "batch_norm" in network.experiment.regularizers and _has_l2(network):
        yield Advice(
            "L2 with batch normalization",
            "L2 acts as a learning-rate schedule here: judge it together with train.learning_rate.",
            "Batch normalization undoes any scaling of the weights before it, so smaller weights "
            "are the same function with a larger effective learning rate.",
            'van Laarhoven, "L2 Regularization versus Batch and Weight Normalization", 2017',
        )


def large_penalty(network: Network) -> Iterator[Advice]:
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


def weak_weight_decay(network: Network) -> Iterator[Advice]:
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
            "The decay is multiplied by the learning rate, so its effect depends on the sum of all "
            f"rates: {network.updates:,} updates here. The usual values are meant for far more.",
            'Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019, appendix B.1',
        )


def weight_decay_with_l2(network: Network) -> Iterator[Advice]:
    if "weight_decay" in network.experiment.regularizers and _has_l2(network):
        sgd = network.experiment.train.optimizer == "sgd"
        yield Advice(
            "weight decay with L2",
            "Both shrink every kernel: leave one out, or no effect can be attributed to either.",
            "Under SGD without momentum they are the same thing; strengths simply add."
            if sgd
            else "Under Adam they differ in what they spare: L2 shrinks weights with large "
            "gradients less, the decay shrinks all alike.",
            'Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019, section 2',
        )


def clipping_with_adam(network: Network) -> Iterator[Advice]:
    clips = "gradient_clipping" in network.experiment.regularizers
    if clips and network.experiment.train.optimizer == "adam":
        yield Advice(
            "clipping with Adam",
            "Clipping that acts in every update has hardly any effect under Adam: choose a limit "
            "that only outliers reach, or use it with train.optimizer=sgd.",
            "Adam's step does not change when all gradients are scaled alike.",
            'Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2015, section 2.1',
        )


def trailing_average(network: Network) -> Iterator[Advice]:
    average = network.experiment.regularizers.get("ema")
    if isinstance(average, EMA) and network.updates < updates_needed(average.momentum):
        yield Advice(
            "trailing average",
            f"ema.momentum={average.momentum:g} looks back on {1 / (1 - average.momentum):,.0f} "
            f"updates, and there are {network.updates:,}: lower it, or train for longer.",
            "The average still holds much of the first weights, which have learned nothing.",
            'Tarvainen and Valpola, "Mean Teachers Are Better Role Models", 2017, section 3.4',
        )


def averaging_with_cosine(network: Network) -> Iterator[Advice]:
    experiment = network.experiment
    if "swa" in experiment.regularizers and experiment.train.schedule == "cosine":
        yield Advice(
            "SWA with a falling rate",
            "Expect little of swa with train.schedule=cosine: compare with schedule: constant.",
            "Near the end the rate is close to 0 and the weights hardly move; SWA gains from "
            "averaging weights that differ by noise.",
            'Izmailov et al., "Averaging Weights Leads to Wider Optima and Better '
            'Generalization", 2018, section 3.1',
        )


def few_validation_examples(network: Network) -> Iterator[Advice]:
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


def _has_l2(network: Network) -> bool:
    return "l2" in network.experiment.regularizers
