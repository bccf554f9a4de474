"""What techniques make of an update: weight decay, gradient clipping, max-norm."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from regbench.config import Experiment
from regbench.doctor import network
from regbench.doctor.check import Check, Rule, close
from regbench.doctor.network import Arrays

STEPS = 3
DECAY, LIMIT, LEARNING_RATE, MOMENTUM = 0.3, 0.5, 0.1, 0.9
# Keras' defaults for Adam.
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7
TRAIN: dict[str, dict[str, Any]] = {
    "sgd": {"optimizer": "sgd", "learning_rate": LEARNING_RATE, "momentum": MOMENTUM},
    "adam": {"optimizer": "adam", "learning_rate": LEARNING_RATE, "momentum": None},
}
SETTINGS: dict[str, Any] = {
    "weight_decay": DECAY,
    "max_norm": LIMIT,
    "gradient_clipping": {"global_clipnorm": 0.1},
}


def decay(name: str, optimizer: str) -> Check:
    """Kernels lose learning rate * decay * w in each update, apart from gradient and momentum."""
    found, expected = _trained(optimizer)
    rule = f"decoupled decay of the kernels, {optimizer}"
    return close(name, rule, network.kernels(found), network.kernels(expected))


def undecayed(name: str, optimizer: str) -> Check:
    """Biases follow the gradient alone."""
    found, expected = _trained(optimizer)
    rule = f"biases do not decay, {optimizer}"
    return close(name, rule, network.others(found), network.others(expected))


def clipped(name: str, key: str) -> Check:
    """The gradient is scaled down to the limit, or each number of it is cut off there."""
    plain = network.experiment()
    at = network.weights(network.with_biases(network.made(plain)))
    batch = network.epoch(plain)[0]
    whole = network.gradient(plain, at, batch)
    limit, expected = CLIPS[key](whole)
    found = network.gradient(plain, at, batch, gradient_clipping={key: limit})
    return close(name, f"gradient after {key}", found, expected)


def unclipped(name: str, key: str) -> Check:
    """A gradient below the limit stays as it is."""
    plain = network.experiment()
    at = network.weights(network.made(plain))
    batch = network.epoch(plain)[0]
    found = network.gradient(plain, at, batch, gradient_clipping={key: 1e3})
    return close(name, f"gradient below {key}", found, network.gradient(plain, at, batch))


def norms(name: str) -> Check:
    """After an update no unit's incoming weights have a 2-norm above the limit."""
    after, _ = _limited()
    largest = max(float(_norms(each).max()) for each in network.kernels(after).values())
    passed = largest <= LIMIT * (1 + 1e-5)
    return Check(name, "largest norm after an update", f"{largest:.6g}", f"<= {LIMIT}", passed)


def projected(name: str) -> Check:
    """Kernels are those of a plain update, the units above the limit scaled down to it."""
    after, plain = _limited()
    expected = {
        path: each * np.minimum(1, LIMIT / _norms(each))
        for path, each in network.kernels(plain).items()
    }
    return close(name, "kernels after an update", network.kernels(after), expected)


def unconstrained(name: str) -> Check:
    """Biases are those of a plain update."""
    after, plain = _limited()
    return close(name, "biases have no limit", network.others(after), network.others(plain))


def _trained(optimizer: str) -> tuple[Arrays, Arrays]:
    """Return the weights after some updates with weight decay, and those that NumPy computes."""
    decaying = network.experiment(train=TRAIN[optimizer], weight_decay=DECAY)
    model = network.with_biases(network.made(decaying))
    found = network.weights(model)
    rule: Callable[..., Array] = {"sgd": _sgd, "adam": _adam}[optimizer]
    expected = {path: each.astype(np.float64) for path, each in found.items()}
    moments = {path: (np.zeros(each.shape),) * 2 for path, each in found.items()}
    for number, batch in enumerate(network.epoch(decaying)[:STEPS], start=1):
        # At the weights that the model has, so that small differences do not grow.
        gradient = network.gradient(decaying, network.weights(model), batch)
        network.step(model, batch)
        for path, w in expected.items():
            decayed = w * (1 - LEARNING_RATE * DECAY) if path.endswith("kernel") else w
            moments[path], taken = rule(moments[path], gradient[path], number)
            expected[path] = decayed - taken
    return network.weights(model), expected


Array = Any
Moments = tuple[Any, Any]


def _sgd(moments: Moments, gradient: Array, number: int) -> tuple[Moments, Array]:
    """Return the new moments, and what the update takes off."""
    velocity = MOMENTUM * moments[0] + LEARNING_RATE * gradient
    return (velocity, moments[1]), velocity


def _adam(moments: Moments, gradient: Array, number: int) -> tuple[Moments, Array]:
    """Return the new moments, and what the update takes off."""
    mean = BETA_1 * moments[0] + (1 - BETA_1) * gradient
    square = BETA_2 * moments[1] + (1 - BETA_2) * gradient**2
    rate = LEARNING_RATE * np.sqrt(1 - BETA_2**number) / (1 - BETA_1**number)
    return (mean, square), rate * mean / (np.sqrt(square) + EPSILON)


def _limited() -> tuple[Arrays, Arrays]:
    """Return the weights after an update with max-norm, and after one without it."""

    def updated(of: Experiment) -> Arrays:
        model = network.with_biases(network.made(of))
        # Units with norms on both sides of the limit.
        scales = np.random.default_rng(2)
        network.assign(model, {
            path: each * scales.uniform(0.2, 2, each.shape[-1]) if path.endswith("kernel") else each
            for path, each in network.weights(model).items()
        })  # fmt: skip
        network.step(model, network.epoch(of)[0])
        return network.weights(model)

    return updated(network.experiment(max_norm=LIMIT)), updated(network.experiment())


def _norms(kernel: Array) -> Array:
    """Return the 2-norm of the weights into each unit or filter."""
    return np.sqrt((kernel.astype(np.float64).reshape(-1, kernel.shape[-1]) ** 2).sum(axis=0))


def _whole(gradient: Arrays) -> tuple[float, Arrays]:
    norm = float(np.sqrt(sum((each**2).sum() for each in gradient.values())))
    return norm / 2, {path: each / 2 for path, each in gradient.items()}


def _each(gradient: Arrays) -> tuple[float, Arrays]:
    sizes = {path: float(np.sqrt((each**2).sum())) for path, each in gradient.items()}
    limit = float(np.median(list(sizes.values())))
    return limit, {
        path: each * min(1, limit / sizes[path]) if sizes[path] else each
        for path, each in gradient.items()
    }


def _values(gradient: Arrays) -> tuple[float, Arrays]:
    limit = max(float(np.abs(each).max()) for each in gradient.values()) / 4
    return limit, {path: np.clip(each, -limit, limit) for path, each in gradient.items()}


# By the key of the toggle: a limit that bites, and the gradient that is left.
CLIPS = {"global_clipnorm": _whole, "clipnorm": _each, "clipvalue": _values}

CHECKS: dict[str, tuple[Rule, ...]] = {
    "weight_decay": tuple(
        partial(rule, optimizer=each) for each in TRAIN for rule in (decay, undecayed)
    ),
    "max_norm": (norms, projected, unconstrained),
    "gradient_clipping": (
        *(partial(clipped, key=key) for key in CLIPS),
        *(partial(unclipped, key=key) for key in CLIPS),
    ),
}
