"""Fashion-MNIST: 60,000 training and 10,000 test images of clothes, 28 x 28 pixels, gray.

Source: H. Xiao, K. Rasul, R. Vollgraf, Fashion-MNIST: a Novel Image Dataset for Benchmarking
Machine Learning Algorithms, 2017; https://github.com/zalandoresearch/fashion-mnist.
"""

from __future__ import annotations

from pathlib import Path

from regbench.datasets import idx_files
from regbench.datasets.idx_files import File
from regbench.datasets.published import keras_folder

# The folder of Debian's package dataset-fashion-mnist.
DEBIAN = Path("/usr/share/datasets/fashion-mnist")


def folders() -> list[Path]:
    """Return the folders where Keras and Debian keep the four files."""
    return [keras_folder() / "fashion-mnist", DEBIAN]


FASHION_MNIST = idx_files.published(
    name="fashion_mnist",
    title="Fashion-MNIST",
    classes=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    files={
        idx_files.TRAIN_IMAGES: File(
            content="c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            gzip="3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            size=26_421_880,
        ),
        idx_files.TRAIN_LABELS: File(
            content="bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            gzip="a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            size=29_515,
        ),
        idx_files.TEST_IMAGES: File(
            content="5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            gzip="346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            size=4_422_102,
        ),
        idx_files.TEST_LABELS: File(
            content="0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            gzip="67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            size=5_148,
        ),
    },
    # The official bucket speaks only plain HTTP and comes last: the checksum is what counts.
    mirrors=(
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets",
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    ),
    folders=folders,
    raw="FashionMNIST",
)
