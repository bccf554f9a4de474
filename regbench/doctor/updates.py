"""What techniques make of an update: weight decay, gradient clipping, max-norm."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from regbench.doctor import network
from regbench.doctor.check import Check, Rule, close
from regbench.doctor.network import Array, Arrays

STEPS = 2  # momentum shows in the second one
DECAY, LIMIT, LEARNING_RATE, MOMENTUM = 0.3, 0.5, 0.1, 0.9
# Keras' defaults for Adam.
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7
TRAIN: dict[str, dict[str, object]] = {
    "sgd": {"optimizer": "sgd", "learning_rate": LEARNING_RATE, "momentum": MOMENTUM},
    "adam": {"optimizer": "adam", "learning_rate": LEARNING_RATE, "momentum": None},
}
SETTINGS: dict[str, object] = {
    "weight_decay": DECAY,
    "max_norm": LIMIT,
    "gradient_clipping": {"global_clipnorm": 0.1},
}


def decay(name: str, optimizer: str) -> tuple[Check, Check]:
    """Each update takes learning rate * decay * w off kernels, apart from gradient and momentum."""
    found, expected = _trained(optimizer)
    return (
        close(
            name, f"decoupled decay of the kernels, {optimizer}",
            network.kernels(found), network.kernels(expected),
        ),
        close(
            name, f"biases do not decay, {optimizer}",
            network.others(found), network.others(expected),
        ),
    )  # fmt: skip


def clipped(name: str) -> list[Check]:
    """The gradient is scaled down to the limit, or each number of it is cut off there."""
    plain = network.experiment()
    at = network.weights(network.with_biases(network.made(plain)))
    batch = network.epoch(plain)[0]
    whole = network.gradient(plain)(at, batch)
    checks = []
    for key, clip in CLIPS.items():
        limit, expected = clip(whole)
        found = network.gradient(plain, gradient_clipping={key: limit})(at, batch)
        checks.append(close(name, f"gradient after {key}", found, expected))
    found = network.gradient(plain, gradient_clipping=1e3)(at, batch)
    return [*checks, close(name, "gradient below the limit", found, whole)]


def limited(name: str) -> tuple[Check, ...]:
    """After an update no unit's incoming weights have a 2-norm above the limit.

    Those that would are scaled down to it; all else is as after a plain update.
    """
    after, plain = (_updated(of) for of in ({"max_norm": LIMIT}, {}))
    largest = max(float(_norms(each).max()) for each in network.kernels(after).values())
    expected = {
        path: each * np.minimum(1, LIMIT / _norms(each))
        for path, each in network.kernels(plain).items()
    }
    passed = largest <= LIMIT * (1 + 1e-5)
    return (
        Check(name, "largest norm after an update", f"{largest:.6g}", f"<= {LIMIT}", passed),
        close(name, "kernels after an update", network.kernels(after), expected),
        close(name, "biases have no limit", network.others(after), network.others(plain)),
    )


def _trained(optimizer: str) -> tuple[Arrays, Arrays]:
    """Return the weights after some updates with weight decay, and those that NumPy computes."""
    decaying = network.experiment(train=TRAIN[optimizer], weight_decay=DECAY)
    model, gradient_at = network.with_biases(network.made(decaying)), network.gradient(decaying)
    found = network.weights(model)
    rule = {"sgd": _sgd, "adam": _adam}[optimizer]
    expected = {path: each.astype(np.float64) for path, each in found.items()}
    moments: dict[str, Moments] = {
        path: (np.zeros(each.shape), np.zeros(each.shape)) for path, each in found.items()
    }
    for number, batch in enumerate(network.epoch(decaying)[:STEPS], start=1):
        # At the weights that the model has, so that small differences do not grow.
        gradient = gradient_at(network.weights(model), batch)
        network.step(model, batch)
        for path, w in expected.items():
            decayed = w * (1 - LEARNING_RATE * DECAY) if path.endswith("kernel") else w
            moments[path], taken = rule(moments[path], gradient[path], number)
            expected[path] = decayed - taken
    return network.weights(model), expected


Moments = tuple[Array, Array]


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


def _updated(techniques: Mapping[str, object]) -> Arrays:
    """Return the weights after an update; units begin with norms on both sides of the limit."""
    of = network.experiment(**techniques)
    model, rng = network.with_biases(network.made(of)), np.random.default_rng(2)
    scaled = {
        path: each * rng.uniform(0.2, 2, each.shape[-1])
        for path, each in network.kernels(network.weights(model)).items()
    }
    network.assign(model, network.weights(model) | scaled)
    network.step(model, network.epoch(of)[0])
    return network.weights(model)


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
    "weight_decay": tuple(partial(decay, optimizer=each) for each in TRAIN),
    "max_norm": (limited,),
    "gradient_clipping": (clipped,),
}
