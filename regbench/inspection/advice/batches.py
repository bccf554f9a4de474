"""Rules about techniques that change batches: augmentation, mixing, label smoothing."""

from __future__ import annotations

from collections.abc import Iterator

from regbench.inspection.advice.network import Advice, Network
from regbench.regularizers.crop import Crop
from regbench.regularizers.erasing import Cutout

# Data sets whose mirror images have another meaning, or none.
ORIENTED = frozenset({"digits", "mnist"})
# Shares of an image's side, above the sources' values: a square of 20 and a move of 4 of 32.
LARGEST_SQUARE, FARTHEST_MOVE = 0.65, 0.2


def mirrored_digits(network: Network) -> Iterator[Advice]:
    name: str = network.experiment.data.name
    if "flip" in network.experiment.regularizers and name in ORIENTED:
        yield Advice(
            "mirrored digits",
            f"flip: leave it out for {name}; crop moves digits without changing what they are.",
            "A mirrored digit is not a digit, or is a different one: no test image looks like it.",
            'Shorten and Khoshgoftaar, "A survey on Image Data Augmentation for Deep Learning", '
            "2019",
        )


def softened_twice(network: Network) -> Iterator[Advice]:
    mixing = [name for name in ("mixup", "cutmix") if name in network.experiment.regularizers]
    if mixing and "label_smoothing" in network.experiment.regularizers:
        yield Advice(
            "softened twice",
            f"label_smoothing with {' and '.join(mixing)}: see whether either alone does better.",
            "Mixed targets are soft already and smooth labels by themselves; both together may "
            "make the predictions underconfident.",
            'Carratino et al., "On Mixup Regularization", 2022, section 3',
        )


def mixed_twice(network: Network) -> Iterator[Advice]:
    if {"mixup", "cutmix"} <= network.experiment.regularizers.keys():
        yield Advice(
            "mixed twice",
            "mixup and cutmix both change every batch: an example then comes from up to four "
            "images. Compare with either alone.",
            "Each was tuned alone, and both slow learning down.",
            'Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with '
            'Localizable Features", 2019',
        )


def large_square(network: Network) -> Iterator[Advice]:
    cutout, side = network.experiment.regularizers.get("cutout"), _side(network)
    if isinstance(cutout, Cutout) and side and cutout.size > LARGEST_SQUARE * side:
        yield Advice(
            "large square",
            f"cutout.size={cutout.size} hides most of an image that is {side} pixels wide: try "
            f"{max(1, side // 2)}.",
            "Up to about half of the image's side errors fell, beyond it they rose again.",
            'DeVries and Taylor, "Improved Regularization of Convolutional Neural Networks with '
            'Cutout", 2017, section 4.3',
        )


def far_move(network: Network) -> Iterator[Advice]:
    crop, side = network.experiment.regularizers.get("crop"), _side(network)
    if isinstance(crop, Crop) and side and crop.padding > FARTHEST_MOVE * side:
        yield Advice(
            "far move",
            f"crop.padding={crop.padding} moves much of an image that is {side} pixels wide out of "
            f"sight: try {max(1, side // 8)}.",
            "Cut-off parts can't be recognized; the usual 4 pixels are for images of 32.",
            'He et al., "Deep Residual Learning for Image Recognition", 2016, section 4.2',
        )


def _side(network: Network) -> int:
    """Return the shorter side of the images, 0 if it is unknown."""
    return min(network.image_size or (0,))
