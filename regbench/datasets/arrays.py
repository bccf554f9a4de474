"""Your own images as NumPy arrays in an .npz: train_images, train_labels and the same for test.

Images are uint8 (n, height, width), (n, height, width, 1) or (n, height, width, 3); labels are
integers (n,) or (n, 1). `classes` names the classes; without it they are named 0, 1, 2.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from regbench.datasets import cache, checksums, npz
from regbench.datasets.errors import DataError
from regbench.datasets.npz import Array
from regbench.datasets.splits import Splits

IMAGES, LABELS = Array(("u1",), (3, 4)), Array(("i", "u"), (1, 2))
EXPECTED = {
    "train_images": IMAGES,
    "train_labels": LABELS,
    "test_images": IMAGES,
    "test_labels": LABELS,
    "classes": Array(("U", "S"), (1,), optional=True),
}
# Far more than any network here could tell apart; without a limit, one label could set any number.
MAX_CLASSES = 100_000


def load(
    path: Path | None, sha256: str | None, progress: Callable[[int, int], None] | None = None
) -> Splits:
    """Return the images and labels of the .npz at `path`, in their order.

    Raises:
        DataError: no path, a SHA-256 other than `sha256`, or arrays that differ from the above.
    """
    if path is None:
        raise DataError(f"data.path: arrays needs an .npz with {', '.join(EXPECTED)}")
    if not path.is_file():
        raise DataError(f"data.path: expected an .npz file, received {path}, which is not a file")
    actual = checksums.verified(path, (sha256,) if sha256 else ())
    return cache.splits("arrays", actual, lambda: decode(path), str(path))


def decode(path: Path) -> Splits:
    """Return the content of an .npz. Raises DataError if it is not a data set."""
    arrays = npz.read(path, EXPECTED)
    labels = {split: _labels(arrays[f"{split}_labels"]) for split in ("train", "test")}
    try:
        return Splits(
            _images(arrays["train_images"]), labels["train"],
            _images(arrays["test_images"]), labels["test"],
            _classes(arrays.get("classes"), max(int(each.max()) for each in labels.values())),
        )  # fmt: skip
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _images(images: npz.Loaded) -> NDArray[np.uint8]:
    found = images.astype(np.uint8, copy=False)  # the type is checked already
    return found[..., None] if found.ndim == 3 else found


def _labels(labels: npz.Loaded) -> NDArray[np.int64]:
    """Return labels of any integer type, one in a row or in a column as Keras has them."""
    column = labels.ndim == 2 and labels.shape[1] == 1
    return labels.astype(np.int64).reshape(-1) if column else labels.astype(np.int64)


def _classes(names: npz.Loaded | None, largest: int) -> tuple[str, ...]:
    if names is None:
        if largest >= MAX_CLASSES:
            raise DataError(f"labels: expected less than {MAX_CLASSES}, received {largest}")
        return tuple(str(number) for number in range(largest + 1))
    texts = [
        name.decode("latin1") if isinstance(name, bytes) else str(name) for name in names.tolist()
    ]
    if len(set(texts)) < len(texts) or not all(text and text.isprintable() for text in texts):
        raise DataError("classes: expected different names in printable characters")
    return tuple(texts)
