"""Saves a run's `model.keras` so that plain Keras can load it, and loads it for predictions."""

from __future__ import annotations

import contextlib
import time
import types
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from regbench.datasets import loose_images
from regbench.errors import RegbenchError
from regbench.models import evaluate
from regbench.models.layers import kernels, leaves
from regbench.runs import probe_results
from regbench.runs.files import MODEL
from regbench.text import one_line, raised

if TYPE_CHECKING:
    import keras
    import pandas

EARLIEST = (1980, 1, 1, 0, 0, 0)  # that a zip file takes


@dataclass(frozen=True)
class LoadedModel:
    """A run's trained model, which predicts from uint8 pixels.

    `model` is the `keras.Model`, which maps float32 in [0, 1] to probabilities. `classes` are the
    names of the classes; empty if the run recorded none, as after it diverged.
    """

    model: keras.Model
    classes: tuple[str, ...]

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return class probabilities (n, classes) in inference mode.

        Args:
            images: (n, height, width, channels), the size that the model was trained on.

        Raises:
            RegbenchError: images of another type or shape.
        """
        images = np.asarray(images)
        size = tuple(self.model.input_shape[1:])
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != size:
            expected = "x".join(map(str, ("n", *size)))
            received = "x".join(map(str, images.shape))
            raise RegbenchError(
                f"images: expected uint8 of {expected}, received {images.dtype} of {received}"
            )
        return evaluate.predict(self.model, images)

    def predict_folder(self, folder: str | Path, resize: bool = False) -> pandas.DataFrame:
        """Return a row for each image of a folder: its file, class, confidence, and probabilities.

        Args:
            folder: with PNG and JPEG files, in any folders below it; gray or in color.
            resize: whether images of another size than the model's are scaled.

        Raises:
            RegbenchError: no image, one of another size, or one that can't be decoded.
        """
        import pandas

        height, width, channels = self.model.input_shape[1:]
        names, images = loose_images.load(Path(folder), (height, width, channels), resize)
        probabilities = self.predict(images)
        classes = self.classes or tuple(map(str, range(probabilities.shape[1])))
        best = probabilities.argmax(axis=1)
        found = pandas.DataFrame({"file": names, "predicted": [classes[each] for each in best]})
        found["confidence"] = probabilities.max(axis=1)
        return found.join(pandas.DataFrame(probabilities, columns=list(classes)), rsuffix="_")


def save(model: keras.Model, path: Path) -> None:
    """Write a model without its penalties and constraints.

    They matter only in training, and `config.yaml` records them; one that Keras lacks, such as a
    p-norm, would keep plain Keras from loading the file.
    """
    with _without_penalties(model), _dates_that_zip_takes():
        model.save(path)


@contextlib.contextmanager
def _dates_that_zip_takes() -> Iterator[None]:
    """Let an archive be written whatever the clock says.

    A zip file can only be dated from 1980 to 2107, and a machine whose clock has no battery starts
    in 1970: a run would fail there at its very end.
    """

    def dated(seconds: float | None = None) -> time.struct_time | tuple[int, ...]:
        found = time.localtime(seconds)
        return found if 1980 <= found.tm_year <= 2107 else EARLIEST

    # What zipfile calls by its module's name; Keras passes no date.
    zipfile.time = types.SimpleNamespace(**(vars(time) | {"localtime": dated}))  # type: ignore[attr-defined]
    try:
        yield
    finally:
        zipfile.time = time  # type: ignore[attr-defined]


def load_model(run: str | Path) -> LoadedModel:
    """Return the trained model of a run's folder, loaded in Keras' safe mode.

    Raises:
        RegbenchError: the folder is not a finished run, or its model can't be read.
    """
    import keras

    # Registers the layers that Keras lacks, and penalties, for models saved with them.
    from regbench.regularizers import keras_layers, keras_penalties  # noqa: F401

    folder = Path(run)
    path = folder / MODEL
    if not path.is_file():
        raise RegbenchError(
            f"{one_line(str(folder))}: expected the folder of a finished run, with a {MODEL}"
        )
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # a damaged or hostile archive can raise anything in Keras
        reason = raised(error)
        raise RegbenchError(
            f"{one_line(str(path))}: can't be loaded ({one_line(reason)}); "
            "train the run again with --force"
        ) from error
    return LoadedModel(model, _classes(folder))


def _classes(folder: Path) -> tuple[str, ...]:
    try:
        found = probe_results.read(folder)
    except ValueError:  # not fatal: the model is just as good without
        return ()
    return tuple(found.details.classes) if found else ()


@contextlib.contextmanager
def _without_penalties(model: keras.Model) -> Iterator[None]:
    """Hide the kernel penalties from the layers' configs; training keeps using them."""
    penalties = [
        (layer, f"{name}_regularizer", getattr(layer, f"{name}_regularizer", None))
        for layer in leaves(model)
        for name, _ in kernels(layer)
    ]
    try:
        for layer, attribute, penalty in penalties:
            if penalty is not None:
                setattr(layer, attribute, None)
        yield
    finally:
        for layer, attribute, penalty in penalties:
            if penalty is not None:
                setattr(layer, attribute, penalty)
