"""L1, L2 and p-norm: the penalty, its gradient, and what it must leave alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from regbench.doctor import network
from regbench.doctor.check import Check, Rule, close, number
from regbench.models import evaluate

STRENGTH, P = 0.1, 1.5
SETTINGS: dict[str, Any] = {"l1": STRENGTH, "l2": STRENGTH, "lp": {"p": P, "strength": STRENGTH}}
EXPONENTS = {"l1": 1.0, "l2": 2.0, "lp": P}


def penalty(name: str) -> Check:
    """The penalty is strength * sum(|w|^p) over the kernels, biases left out."""
    model = network.with_biases(network.made(_experiment(name)))
    kernels = network.kernels(network.weights(model)).values()
    expected = STRENGTH * sum(float((np.abs(each) ** EXPONENTS[name]).sum()) for each in kernels)
    return number(name, "penalty on the kernels", evaluate.penalty(model), expected)


def gradient(name: str) -> Check:
    """The gradient of the penalty is strength * p * |w|^(p - 1) * sign(w) for each weight."""
    added, at = _added(name)
    p = EXPONENTS[name]
    expected = {
        path: STRENGTH * p * np.abs(w.astype(np.float64)) ** (p - 1) * np.sign(w)
        for path, w in network.kernels(at).items()
    }
    return close(name, "gradient of the penalty", network.kernels(added), expected)


def biases(name: str) -> Check:
    """Biases have no penalty: their gradient is the baseline's."""
    added = network.others(_added(name)[0])
    rule = "biases are not penalized"
    off = max(float(np.abs(each).max()) for each in added.values())
    return Check(name, rule, f"{off:.2g} added to their gradient", "<= 1e-07", off <= 1e-7)


def reported(name: str) -> Check:
    """The loss that is trained on is the cross-entropy and the penalty."""
    model = network.with_biases(network.made(_experiment(name, network.MLP)))
    batch = network.epoch(_experiment(name, network.MLP))[0]
    expected = network.cross_entropy(network.forward(model, batch[0]), batch[1])
    expected += evaluate.penalty(model)
    found = network.step(model, batch)["loss"]
    return number(name, "trained loss is cross-entropy + penalty", found, expected)


CHECKS: dict[str, tuple[Rule, ...]] = dict.fromkeys(
    SETTINGS, (penalty, gradient, biases, reported)
)


def _experiment(name: str, model: dict[str, Any] = network.CNN) -> Any:
    return network.experiment(model=model, **{name: SETTINGS[name]})


def _added(name: str) -> tuple[network.Arrays, network.Arrays]:
    """Return what the technique adds to the gradient, and the weights at which that is."""
    plain = network.experiment()
    at = network.weights(network.with_biases(network.made(plain)))
    batch = network.epoch(plain)[0]
    gradient: Callable[..., network.Arrays] = network.gradient
    with_penalty = gradient(plain, at, batch, **{name: SETTINGS[name]})
    without = gradient(plain, at, batch)
    return {path: with_penalty[path] - without[path] for path in at}, at
