"""Images of any folder, without labels: decoded for a model that wants a size and channels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from regbench import files
from regbench.datasets import image_folder
from regbench.datasets.errors import DataError
from regbench.text import one_line

MOST_IMAGES = 100_000


def load(
    folder: Path, size: tuple[int, int, int], resize: bool
) -> tuple[list[str], NDArray[np.uint8]]:
    """Return names and images (n, height, width, channels), sorted by name, folders included.

    Args:
        folder: with PNG and JPEG files, in any folders below it.
        size: height, width and channels (1 or 3) of the images to return. Gray images are
            repeated for three channels; color ones become gray for one.
        resize: whether an image of another size is scaled; else it is an error.

    Raises:
        DataError: no image, one of another size, or one that can't be decoded.
    """
    shown = one_line(str(folder))
    names = sorted(
        each.relative_to(folder).as_posix()
        for each in folder.rglob("*")
        if each.suffix.lower() in image_folder.SUFFIXES and each.is_file()
    )
    if not names:
        raise DataError(f"{shown}: expected a folder with PNG or JPEG files, received none")
    if len(names) > MOST_IMAGES:
        raise DataError(
            f"{shown}: expected at most {MOST_IMAGES:,} images, received {len(names):,}"
        )
    return names, np.stack([_image(folder, name, size, resize) for name in names])


def _image(folder: Path, name: str, size: tuple[int, int, int], resize: bool) -> NDArray[np.uint8]:
    where = f"{one_line(str(folder))}/{one_line(name)}"
    height, width, channels = size
    try:
        content = files.read_bytes(folder / name, image_folder.MAX_FILE_BYTES)
    except (OSError, ValueError) as error:
        raise DataError(f"{where}: cannot be read: {error}") from error
    image = image_folder.decoded(content, where)
    if image.shape[:2] != (height, width):
        if not resize:
            raise DataError(
                f"{where}: expected {width} x {height} pixels, as the model was trained on, "
                f"received {image.shape[1]} x {image.shape[0]}; scale it with resize=True"
            )
        image = _scaled(image, width, height)
    if channels == image.shape[2]:
        return image
    return np.repeat(image, channels, axis=2) if channels == 3 else _gray(image)


def _scaled(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    from PIL import Image

    pixels = image[..., 0] if image.shape[2] == 1 else image
    scaled = Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(scaled).reshape(height, width, image.shape[2])


def _gray(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    from PIL import Image

    return np.asarray(Image.fromarray(image).convert("L"))[..., None]
