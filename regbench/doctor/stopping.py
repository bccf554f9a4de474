"""Early stopping: when it ends training, what chooses, and which weights are kept."""

from __future__ import annotations

import numpy as np

from regbench import datasets
from regbench.config import Data
from regbench.config.experiment import Experiment
from regbench.doctor import network
from regbench.doctor.check import Check, Rule, count, differing, equal
from regbench.training.selection import Selection

PATIENCE = 2
SETTINGS: dict[str, object] = {"early_stopping": {"patience": PATIENCE}}
# The best epoch is the third by validation, the first by the test set, and the last by training.
VALIDATION = (9.0, 3.0, 2.0, 1.0, 1.5, 1.2, 0.5)
BEST, END = 3, 3 + PATIENCE


def stops(name: str) -> Check:
    """Training ends once the validation loss has not improved for so many epochs."""
    selection = Selection(_experiment(name), network.made(_experiment(name)))
    ended = None
    for epoch in range(len(VALIDATION)):
        if ended is None:
            selection.see(_rows()[:epoch], _rows()[epoch])
            ended = epoch if selection.reason else None
    return equal(name, "ends after epoch", ended, END)


def chooses(name: str) -> Check:
    """The epoch of the smallest validation loss is kept, whatever the test set says."""
    kept = []
    for test in (1.0, -1.0):
        selection = Selection(_experiment(name), network.made(_experiment(name)))
        for epoch in range(END + 1):
            selection.see(_rows(test)[:epoch], _rows(test)[epoch])
        kept.append(selection.kept)
    return equal(name, "epoch kept, for two test sets", kept, [BEST, BEST])


def restores(name: str) -> Check:
    """The model gets back the weights that it had after the epoch that is kept."""
    model = network.made(_experiment(name))
    selection = Selection(_experiment(name), model)
    best: network.Arrays = {}
    for epoch in range(END + 1):
        network.step(model, network.epoch(_experiment(name))[0])
        selection.see(_rows()[:epoch], _rows()[epoch])
        best = network.weights(model) if epoch == BEST else best
    selection.restore()
    differ = differing(network.weights(model), best)
    return count(name, f"weights of epoch {BEST} restored", differ, 0, "arrays differ")


def disjoint(name: str) -> Check:
    """No validation example is a training or test example."""
    data = Data(name="shapes", train_examples=24, test_examples=12, validation_examples=8)
    splits = datasets.load(data, 0)
    assert splits.validation_images is not None
    chosen = {image.tobytes() for image in splits.validation_images}
    others = [*splits.train_images, *splits.test_images]
    shared = len(chosen & {image.tobytes() for image in others})
    measured = f"{len(splits.validation_images)} examples, {shared} of them in other sets"
    return equal(name, "validation is disjoint", measured, "8 examples, 0 of them in other sets")


CHECKS: dict[str, tuple[Rule, ...]] = {"early_stopping": (stops, chooses, restores, disjoint)}


def _experiment(name: str) -> Experiment:
    return network.experiment(
        model=network.MLP, data={"validation_examples": 8}, **{name: SETTINGS[name]}
    )


def _rows(test: float = 1.0) -> list[dict[str, float | None]]:
    """Return a history; the test set's loss falls or, with another sign, grows."""
    losses = test * np.linspace(2, 1, len(VALIDATION))
    return [
        {"epoch": epoch, "validation_loss": of_validation, "validation_accuracy": 0.5,
         "test_loss": float(of_test), "test_accuracy": 0.5, "train_loss": 1 - 0.1 * epoch}
        for epoch, (of_validation, of_test) in enumerate(zip(VALIDATION, losses, strict=True))
    ]  # fmt: skip
