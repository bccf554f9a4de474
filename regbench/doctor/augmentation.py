"""Augmentation and mixing, by their arithmetic; that they touch training alone; their targets.

The rules of the hook `batch` (`regbench.doctor.batches`) are checked of each as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from regbench.doctor import batches as rules
from regbench.doctor import network
from regbench.doctor.check import Check, Rule, close, count, drawn, equal, share_error
from regbench.doctor.losses import measured_and_trained
from regbench.doctor.network import Array
from regbench.regularizers import Regularizer

PADDING, SIZE, FILL, EPSILON, ALPHA, SHARE = 2, 4, 0.5, 0.2, 0.7, 0.6
AREAS = (0.1, 0.3)
SETTINGS: dict[str, object] = {
    "flip": {"probability": SHARE},
    "crop": {"padding": PADDING},
    "cutout": {"size": SIZE, "fill": FILL},
    "random_erasing": {"probability": SHARE, "min_area": AREAS[0], "max_area": AREAS[1]},
    "label_smoothing": {"epsilon": EPSILON},
    "mixup": {"alpha": ALPHA},
    "cutmix": {"alpha": ALPHA},
}
COUNT, SIDE = 400, 10
# Mixing draws once for a batch.
MIXED_BATCHES, MIXED = 300, 12


def mirrored(name: str) -> Check:
    """Each image is itself or its mirror image, left to right."""
    before, after = _changed(name)
    same, mirror = (_same(after, each) for each in (before, before[:, :, ::-1]))
    return count(name, "images or mirror images", int((same | mirror).sum()), COUNT, "images")


def mirrored_share(name: str) -> Check:
    """As many images are mirrored as the probability says."""
    before, after = _changed(name)
    share = float(_same(after, before[:, :, ::-1]).mean())
    return drawn(name, "share that is mirrored", share, SHARE, share_error(SHARE, COUNT))


def shifted(name: str) -> Check:
    """Each image is a crop of the padded one, and every place occurs."""
    before, after = _changed(name)
    around = (PADDING, PADDING)
    padded = np.pad(before, ((0, 0), around, around, (0, 0)))
    places = [(top, left) for top in range(2 * PADDING + 1) for left in range(2 * PADDING + 1)]
    found = np.array([
        _same(after, padded[:, top : top + SIDE, left : left + SIDE]) for top, left in places
    ])  # fmt: skip
    measured = f"{int(found.any(axis=0).sum())} crops at {int(found.any(axis=1).sum())} places"
    return equal(name, "images are crops", measured, f"{COUNT} crops at {len(places)} places")


def erased(name: str) -> Check:
    """A square is erased whose center is any pixel; everything else stays."""
    before, after = _changed(name)
    right = 0
    for one, other in zip(before, after, strict=True):
        off = (one != other).any(axis=2)
        rows, columns = off.any(axis=1).sum(), off.any(axis=0).sum()
        inside = min(rows, columns) >= SIZE // 2 and max(rows, columns) <= SIZE
        right += bool(off.sum() == rows * columns and inside and np.all(other[off] == FILL))
    return count(name, f"squares of {SIZE}x{SIZE}, filled with {FILL}", right, COUNT, "images")


def noised(name: str) -> Check:
    """A rectangle of an allowed area is noise; everything else stays."""
    before, after = _changed(name)
    right = 0
    for one, other in zip(before, after, strict=True):
        off = (one != other).any(axis=2)
        sides = int(off.any(axis=1).sum()), int(off.any(axis=0).sum())
        area = off.sum() / SIDE**2
        # Sides are whole pixels.
        allowed = AREAS[0] - 0.06 <= area <= AREAS[1] + 0.06
        right += bool(not off.any() or (off.sum() == sides[0] * sides[1] and allowed))
    return count(name, "rectangles of noise", right, COUNT, "images")


def noised_share(name: str) -> Check:
    """As many images are erased as the probability says."""
    before, after = _changed(name)
    share = float((~_same(before, after)).mean())
    return drawn(name, "share with a rectangle", share, SHARE, share_error(SHARE, COUNT))


def smoothed(name: str) -> Check:
    """The true class has 1 - epsilon + epsilon / classes, each other one epsilon / classes."""
    before = np.eye(5, dtype=np.float32)[np.arange(20) % 5]
    images = np.zeros((20, 4, 4, 1), np.float32)
    _, after = _technique(name).batch(images, before, np.random.default_rng(0))
    return close(name, "targets", after, np.where(before == 1, 1 - EPSILON * 4 / 5, EPSILON / 5))


def mixed_alike(name: str) -> Check:
    """The target of each example has every image in the share in which its pixels do."""
    worst = max(np.abs(pixels - targets).max() for pixels, targets in _mixed(name))
    limit = 1e-5
    return Check(name, "targets are mixed as pixels are", f"off by at most {worst:.2g}",
                 f"<= {limit:g}", passed=bool(worst <= limit))  # fmt: skip


def pairs(name: str) -> Check:
    """Two images of the batch are mixed, each of them once."""
    wrong = sum(
        int((np.abs(pixels.sum(axis=0) - 1) > 1e-5).sum() + ((pixels > 1e-6).sum(axis=1) > 2).sum())
        for pixels, _ in _mixed(name)
    )
    return count(name, "pairs of images", wrong, 0, f"of {MIXED_BATCHES * MIXED} images are none")


def spread(name: str) -> Check:
    """The share is drawn from Beta(alpha, alpha): its mean square distance from 1/2."""
    shares = []
    for pixels, _ in _mixed(name):
        apart = [row.max() for row in pixels if (row > 1e-6).sum() == 2]
        shares.append(apart[0] if apart else 1.0)
    squares = (np.array(shares) - 0.5) ** 2
    expected = 1 / (4 * (2 * ALPHA + 1))
    error = float(squares.std() / np.sqrt(len(squares)))
    return drawn(name, "variance of the share", float(squares.mean()), expected, error)


def pasted(name: str) -> Check:
    """A rectangle comes from another image, and every pixel is one of both."""
    wrong = 0
    images = _numbered()
    targets = np.eye(MIXED, dtype=np.float32)
    for seed in range(MIXED_BATCHES // 10):
        after, _ = _technique(name).batch(images, targets, np.random.default_rng(seed))
        for one, other in zip(images, after, strict=True):
            off = (one != other)[..., 0]
            rectangle = off.any(axis=1).sum() * off.any(axis=0).sum()
            wrong += bool(off.sum() != rectangle or len(np.unique(other[off])) > 1)
    return count(name, "rectangles of another image", wrong, 0, "images are not")


def active(name: str) -> Check:
    """Training batches are what the technique makes of them."""
    of = network.experiment(**{name: SETTINGS[name]})
    plain = network.epoch(network.experiment())[0]
    changed = network.epoch(of)[0]
    targets = np.eye(network.CLASSES)[plain[1]]
    differ = not (np.array_equal(plain[0], changed[0]) and np.array_equal(targets, changed[1]))
    return count(name, "training batches are changed", int(differ), 1, "of 1")


def losses(name: str) -> tuple[Check, Check]:
    """Measuring sees images and labels as they are; updates see what the technique made of them."""
    of = network.experiment(model=network.MLP, **{name: SETTINGS[name]})
    said = ("measured on unchanged images and labels", "trained loss")
    return measured_and_trained(name, of, network.made(of), "train", said)


def by_rule(name: str, rule: Callable[[str, Regularizer], Check]) -> Check:
    """The rules of the hook, as a plugin's technique must keep them."""
    return rule(name, _technique(name))


COMMON: tuple[Rule, ...] = (
    *(partial(by_rule, rule=rule) for rule in rules.CHECKS.values()),
    *(active, losses),
)
CHECKS: dict[str, tuple[Rule, ...]] = {
    "flip": (mirrored, mirrored_share, *COMMON),
    "crop": (shifted, *COMMON),
    "cutout": (erased, *COMMON),
    "random_erasing": (noised, noised_share, *COMMON),
    "label_smoothing": (smoothed, *COMMON),
    "mixup": (mixed_alike, pairs, spread, *COMMON),
    "cutmix": (mixed_alike, pairs, pasted, *COMMON),
}


def _technique(name: str) -> Regularizer:
    return network.technique(name, SETTINGS[name])


def _changed(name: str) -> tuple[Array, Array]:
    """Return drawn images, and what the technique makes of them."""
    images = np.random.default_rng(8).uniform(0.1, 0.4, (COUNT, SIDE, SIDE, 3)).astype(np.float32)
    targets = np.eye(4, dtype=np.float32)[np.arange(COUNT) % 4]
    return images, _technique(name).batch(images, targets, np.random.default_rng(9))[0]


def _same(first: Array, second: Array) -> Array:
    """Return of each image whether both are equal."""
    return np.asarray((first == second).all(axis=(1, 2, 3)))


def _numbered() -> Array:
    """Return images of which each has one value of its own."""
    ones = np.ones((MIXED, SIDE, SIDE, 1), np.float32)
    return ones * np.arange(1, MIXED + 1, dtype=np.float32)[:, None, None, None] / MIXED


def _mixed(name: str) -> Iterator[tuple[Array, Array]]:
    """Yield of some batches the share of each image in each example: by pixels, and by targets."""
    technique, targets = _technique(name), np.eye(MIXED, dtype=np.float32)
    for seed in range(MIXED_BATCHES):
        if name == "cutmix":
            after, found = technique.batch(_numbered(), targets, np.random.default_rng(seed))
            numbers = np.rint(after[..., 0] * MIXED).astype(int) - 1
            pixels = np.stack([(numbers == each).mean(axis=(1, 2)) for each in range(MIXED)], 1)
        else:
            # Each image has one bright pixel of its own.
            bright = np.eye(MIXED, dtype=np.float32).reshape(MIXED, 1, MIXED, 1)
            after, found = technique.batch(bright, targets, np.random.default_rng(seed))
            pixels = after.reshape(MIXED, MIXED)
        yield pixels, found
