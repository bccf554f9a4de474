"""L1, L2 and p-norm: the penalty, its gradient, and what it must leave alone."""

from __future__ import annotations

import numpy as np

from regbench.config import Experiment
from regbench.doctor import network
from regbench.doctor.check import Check, Rule, close, number
from regbench.doctor.losses import measured_and_trained
from regbench.models import evaluate

STRENGTH, P = 0.1, 1.5
SETTINGS: dict[str, object] = {"l1": STRENGTH, "l2": STRENGTH, "lp": {"p": P, "strength": STRENGTH}}
EXPONENTS = {"l1": 1.0, "l2": 2.0, "lp": P}


def penalty(name: str) -> Check:
    """The penalty is strength * sum(|w|^p) over the kernels, biases left out."""
    model = network.with_biases(network.made(_experiment(name)))
    kernels = network.kernels(network.weights(model)).values()
    expected = STRENGTH * sum(float((np.abs(each) ** EXPONENTS[name]).sum()) for each in kernels)
    return number(name, "penalty on the kernels", evaluate.penalty(model), expected)


def gradient(name: str) -> tuple[Check, Check]:
    """The gradient of the penalty is strength * p * |w|^(p - 1) * sign(w); biases have none."""
    added, at = _added(name)
    p = EXPONENTS[name]
    expected = {
        path: STRENGTH * p * np.abs(w.astype(np.float64)) ** (p - 1) * np.sign(w)
        for path, w in network.kernels(at).items()
    }
    off = max(float(np.abs(each).max()) for each in network.others(added).values())
    return (
        close(name, "gradient of the penalty", network.kernels(added), expected),
        Check(
            name, "biases are not penalized", f"{off:.2g} added to their gradient", "<= 1e-07",
            passed=off <= 1e-7,
        ),
    )  # fmt: skip


def losses(name: str) -> tuple[Check, Check]:
    """The loss that is trained on contains the penalty, and the one that is measured does not."""
    of = _experiment(name, network.MLP)
    model = network.with_biases(network.made(of))
    said = ("measured loss is without the penalty", "trained loss is cross-entropy + penalty")
    return measured_and_trained(name, of, model, "test", said)


CHECKS: dict[str, tuple[Rule, ...]] = dict.fromkeys(SETTINGS, (penalty, gradient, losses))


def _experiment(name: str, model: object = network.CNN) -> Experiment:
    return network.experiment(model=model, **{name: SETTINGS[name]})


def _added(name: str) -> tuple[network.Arrays, network.Arrays]:
    """Return what the technique adds to the gradient, and the weights at which that is."""
    plain = network.experiment()
    at = network.weights(network.with_biases(network.made(plain)))
    batch = network.epoch(plain)[0]
    with_penalty = network.gradient(plain, **{name: SETTINGS[name]})(at, batch)
    without = network.gradient(plain)(at, batch)
    return {path: with_penalty[path] - without[path] for path in at}, at
