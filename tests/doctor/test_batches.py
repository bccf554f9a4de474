"""The rules of the hook `batch`, each with a technique that breaks it and one that does not."""

import numpy as np
import pytest

from regbench.doctor import batches
from regbench.regularizers import Toggle


class Honest(Toggle):
    """Flips images, and softens targets by a drawn share."""

    def batch(self, images, targets, rng):
        share = rng.uniform(0, 0.3, (len(targets), 1)).astype(np.float32)
        flipped = rng.random(len(images)) < 0.5
        images = np.where(flipped[:, None, None, None], images[:, :, ::-1], images)
        return images, targets * (1 - share) + share / np.float32(targets.shape[1])


class DrawsElsewhere(Honest):
    def batch(self, images, targets, rng):
        return images + np.random.normal(0, 0.1, images.shape).astype(np.float32), targets


class Remembers(Honest):
    def batch(self, images, targets, rng):
        seen.append(len(images))
        return images * np.float32(0.9 ** len(seen)), targets


class Unbalanced(Honest):
    def batch(self, images, targets, rng):
        return images, targets * np.float32(0.9)


class Negative(Honest):
    def batch(self, images, targets, rng):
        return images, np.float32(1.5) * targets - np.float32(0.5 / targets.shape[1])


class Widens(Honest):
    def batch(self, images, targets, rng):
        return images * 1.0 + np.float64(0), targets.astype(np.float64)


class Crops(Honest):
    def batch(self, images, targets, rng):
        return images[:, 1:], targets


class InPlace(Honest):
    def batch(self, images, targets, rng):
        images *= np.float32(0.5)
        return images, targets


class Fails(Honest):
    def batch(self, images, targets, rng):
        return images, targets[:, [0, 1, 2, 9]]


seen: list[int] = []


def broken(technique):
    """Return the rules that a technique breaks."""
    return [check.rule for check in batches.check("mine", technique) if not check.passed]


def test_a_technique_that_keeps_the_rules_passes_every_check():
    found = list(batches.check("mine", Honest()))
    assert [check.rule for check in found] == [
        "draws depend on rng alone", "targets sum to one", "shapes and float32 are kept",
        "inputs are not changed in place",
    ]  # fmt: skip
    assert all(check.passed for check in found)


@pytest.mark.parametrize(
    ("technique", "rule"),
    [
        (DrawsElsewhere, "draws depend on rng alone"),
        (Remembers, "draws depend on rng alone"),
        (Unbalanced, "targets sum to one"),
        (Widens, "shapes and float32 are kept"),
        (Crops, "shapes and float32 are kept"),
    ],
)
def test_a_technique_that_breaks_one_rule_fails_that_check_alone(technique, rule):
    assert broken(technique()) == [rule]


def test_targets_below_zero_are_no_probabilities():
    assert "targets sum to one" in broken(Negative())


def test_a_change_in_place_is_found():
    assert "inputs are not changed in place" in broken(InPlace())


def test_a_technique_that_raises_fails_with_what_it_raised():
    found = list(batches.check("mine", Fails()))
    assert not any(check.passed for check in found)
    assert "IndexError" in found[0].measured


def test_a_technique_without_the_hook_has_nothing_to_check_here():
    assert list(batches.check("mine", Toggle())) == []
