"""Early stopping, and the choice of the epoch whose weights are kept.

Techniques decide, from the history without the test set's columns. They see each measured epoch
once, before its row is complete: the row of the last one is measured again, with the weights that
are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from regbench.config import Experiment
from regbench.probes.harness import numpy
from regbench.runs.files import Row

if TYPE_CHECKING:
    import keras


class Selection:
    """The decisions of techniques with the hooks `stop` and `kept_epoch`.

    `reason` says why training ended early; None if it did not.
    """

    def __init__(self, experiment: Experiment, model: keras.Model) -> None:
        self.reason: str | None = None
        self.kept: int | None = None
        self._stopping = experiment.changing("stop")
        self._keeping = list(experiment.changing("kept_epoch").values())
        self._weights = model.weights
        # A copy of the kept epoch's weights and statistics, in every checkpoint.
        self.variables: Sequence[keras.Variable] = _copies(self._weights) if self._keeping else ()

    @property
    def is_active(self) -> bool:
        """True if any technique decides."""
        return bool(self._stopping or self._keeping)

    def see(self, rows: Sequence[Row], row: Row) -> None:
        """Decide after an epoch; copy the model's current weights if the epoch is to be kept.

        Args:
            rows: the rows of earlier epochs, epoch 0 first.
            row: the row of this epoch.
        """
        history = [_without_test(each) for each in (*rows, row)]
        for technique in self._keeping:
            self.kept = technique.kept_epoch(history)
            if self.kept == row["epoch"]:
                _copy(self._weights, self.variables)
        for name, technique in self._stopping.items():
            reason = technique.stop(history)
            if reason and self.reason is None:
                self.reason = f"{name}: {reason}"

    def restore(self) -> None:
        """Restore the weights of the kept epoch."""
        _copy(self.variables, self._weights)


def _without_test(row: Row) -> dict[str, float | None]:
    # The test set never chooses, not even in a plugin's technique.
    return {name: value for name, value in row.items() if not name.startswith("test_")}


def _copy(sources: Sequence[keras.Variable], targets: Sequence[keras.Variable]) -> None:
    # By way of NumPy: on JAX two variables would share an array, which the next step deletes.
    for source, target in zip(sources, targets, strict=True):
        target.assign(numpy(source).copy())


def _copies(variables: Sequence[keras.Variable]) -> list[keras.Variable]:
    import keras

    return [
        keras.Variable(np.zeros(each.shape, each.dtype), trainable=False, dtype=each.dtype)
        for each in variables
    ]
