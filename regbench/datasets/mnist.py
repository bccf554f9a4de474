"""MNIST: 60,000 training and 10,000 test images of handwritten digits, 28 x 28 pixels, gray.

Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-Based Learning Applied to Document
Recognition, 1998.
"""

from __future__ import annotations

from pathlib import Path

from regbench.datasets import idx_files
from regbench.datasets.idx_files import File
from regbench.datasets.published import keras_folder


def folders() -> list[Path]:
    """Return the path of Keras' copy."""
    return [keras_folder() / "mnist.npz"]


MNIST = idx_files.published(
    name="mnist",
    title="MNIST",
    classes=tuple("0123456789"),
    files={
        idx_files.TRAIN_IMAGES: File(
            content="ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            gzip="440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            size=9_912_422,
        ),
        idx_files.TRAIN_LABELS: File(
            content="65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            gzip="3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            size=28_881,
        ),
        idx_files.TEST_IMAGES: File(
            content="0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            gzip="8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            size=1_648_877,
        ),
        idx_files.TEST_LABELS: File(
            content="ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            gzip="f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            size=4_542,
        ),
    },
    # The official server asks for a password now; these serve its bytes.
    mirrors=(
        "https://storage.googleapis.com/cvdf-datasets/mnist",
        "https://ossci-datasets.s3.amazonaws.com/mnist",
    ),
    folders=folders,
    raw="MNIST",
)
