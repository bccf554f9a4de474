"""The doctor finds faults of augmentation and targets, and whatever breaks a comparison."""

from __future__ import annotations

import types

import numpy as np
import pytest

from regbench import seeding
from regbench.doctor import techniques
from regbench.models import batches, build, evaluate
from regbench.regularizers.flip import Flip
from regbench.regularizers.label_smoothing import LabelSmoothing
from regbench.regularizers.mixing import CutMix, Mixup
from regbench.training import checkpoints
from tests.doctor.examined import dropout_at_inference, failing


def augmented_at_evaluation(patch):
    to_inputs = evaluate.to_inputs
    patch(evaluate, "to_inputs", lambda images: to_inputs(images)[:, :, ::-1])


def technique_forgotten(patch):
    def unchanged(experiment, images, labels, classes, epoch, step):
        changing = experiment.changing("batch")
        return images, batches.one_hot(labels, classes) if changing else labels

    patch(batches, "trained_on", unchanged)


def changed_in_place(patch):
    def batch(self, images, targets, rng):
        images[:] = images[:, :, ::-1].copy()
        return images, targets

    patch(Flip, "batch", batch)


def flipped_upside_down(patch):
    patch(Flip, "batch", lambda self, images, targets, rng: (
        np.where(rng.random(len(images))[:, None, None, None] < self.probability,
                 images[:, ::-1], images), targets,
    ))  # fmt: skip


def draws_of_its_own(patch):
    patch(Flip, "batch", lambda self, images, targets, rng: (
        images + np.random.normal(size=images.shape).astype(np.float32), targets,
    ))  # fmt: skip


def too_smooth(patch):
    patch(LabelSmoothing, "batch", lambda self, images, targets, rng: (
        images, np.where(targets == 1, np.float32(1 - self.epsilon),
                         np.float32(self.epsilon / (targets.shape[1] - 1))),
    ))  # fmt: skip


def sums_below_one(patch):
    patch(LabelSmoothing, "batch", lambda self, images, targets, rng: (
        images, targets * np.float32(1 - self.epsilon),
    ))  # fmt: skip


def hard_targets(patch):
    mixed = Mixup.batch
    patch(Mixup, "batch", lambda self, images, targets, rng: (
        mixed(self, images, targets, rng)[0], targets,
    ))  # fmt: skip


def area_that_was_drawn(patch):
    mixed = CutMix.batch

    def batch(self, images, targets, rng):
        share = np.float32(0.3)
        pasted, _ = mixed(self, images, targets, rng)
        return pasted, targets * (1 - share) + share * np.roll(targets, 1, axis=0)

    patch(CutMix, "batch", batch)


def random_batches(patch):
    def generator(seed, *purpose):
        own = purpose[0] == "batch"
        return np.random.default_rng() if own else seeding.generator(seed, *purpose)

    patch(batches, "seeding", types.SimpleNamespace(generator=generator))


def weights_by_variant(patch):
    draw = build.draw
    patch(build, "draw", lambda model, seed: draw(model, seed + len(model.layers)))


def weights_by_chance(patch):
    draw = build.draw
    patch(build, "draw", lambda model, seed: draw(model, int(np.random.default_rng().integers(99))))


def order_by_variant(patch):
    ordered = batches.batches
    patch(
        batches,
        "batches",
        lambda of, *rest: ordered(of.with_seed(len(of.changing("optimizer"))), *rest),
    )


def seed_generators_lost(patch):
    saved = checkpoints._variables

    def without(model, further):
        kept = {id(each) for each in model.weights}
        found = saved(model, further)
        return {key: each for key, each in found.items()
                if not key.startswith("model") or id(each) in kept}  # fmt: skip

    patch(checkpoints, "_variables", without)


def optimizer_lost(patch):
    saved = checkpoints._variables
    patch(checkpoints, "_variables", lambda model, further: {
        key: each for key, each in saved(model, further).items() if not key.startswith("optimizer")
    })  # fmt: skip


def raises(patch):
    def batch(self, images, targets, rng):
        raise ZeroDivisionError("a fault")

    patch(Flip, "batch", batch)


# A technique, a fault, and lines that must fail then.
FAULTS = [
    ("flip", augmented_at_evaluation, ["measured on unchanged images and labels"]),
    ("flip", technique_forgotten, ["training batches are changed"]),
    ("flip", changed_in_place, ["inputs are not changed in place"]),
    ("flip", flipped_upside_down, ["images or mirror images"]),
    ("flip", draws_of_its_own, ["draws depend on rng alone"]),
    ("flip", raises, ["Training batches are what the technique makes of them"]),
    ("label_smoothing", too_smooth, ["targets"]),
    ("label_smoothing", sums_below_one, ["targets sum to one"]),
    ("mixup", hard_targets, ["targets are mixed as pixels are"]),
    ("cutmix", area_that_was_drawn, ["targets are mixed as pixels are"]),
]


@pytest.mark.parametrize(("name", "fault", "lines"), FAULTS)
def test_a_fault_fails_the_lines_that_name_it(name, fault, lines, patch):
    fault(patch)
    found = failing(name, techniques.CHECKS[name])
    assert all(line in found for line in lines)  # in this order; others may fail too


# Of what every technique must leave as it is.
COMMON_FAULTS = [
    ("dropout", weights_by_variant, "same initial weights"),
    ("dropout", weights_by_chance, "runs are deterministic"),
    ("dropout", dropout_at_inference, "measuring changes nothing"),
    ("dropout", seed_generators_lost, "a resumed update is exact"),
    ("ema", optimizer_lost, "a resumed update is exact"),
    ("weight_decay", order_by_variant, "same order of the data"),
    ("flip", random_batches, "runs are deterministic"),
]


@pytest.mark.parametrize(("name", "fault", "line"), COMMON_FAULTS)
def test_what_breaks_a_comparison_fails_the_line_that_names_it(name, fault, line, patch):
    fault(patch)
    assert line in failing(name, techniques.common(name))
