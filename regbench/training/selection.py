"""When training ends before its last epoch, and the weights of which epoch are the model's.

Techniques decide, from the history without the test set's columns. They see each measured epoch
once, before its row is complete: the row of the last one is measured again, with the weights that
are kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from regbench.config import Experiment
from regbench.probes.harness import numpy

Row = Mapping[str, float | None]


class Selection:
    """What the techniques with the hooks `stop` and `kept_epoch` decide.

    `reason` says why training ended early; None as long as it has not.
    """

    def __init__(self, experiment: Experiment, model: Any) -> None:
        self.reason: str | None = None
        self.kept: int | None = None
        self._stopping = experiment.changing("stop")
        self._keeping = list(experiment.changing("kept_epoch").values())
        self._weights = model.weights
        # A copy of the kept epoch's weights and statistics, in every checkpoint.
        self.variables: Sequence[Any] = _copies(self._weights) if self._keeping else ()

    @property
    def is_active(self) -> bool:
        """Whether any technique decides."""
        return bool(self._stopping or self._keeping)

    def see(self, rows: Sequence[Row], row: Row) -> None:
        """Decide after another epoch; keep its weights, which the model has now, if it is to be.

        Args:
            rows: those of the epochs before, epoch 0 first.
            row: that of the epoch.
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
        """Give the model the weights of the epoch that is kept."""
        _copy(self.variables, self._weights)


def _without_test(row: Row) -> dict[str, float | None]:
    # The test set never chooses, also not in a technique from outside.
    return {name: value for name, value in row.items() if not name.startswith("test_")}


def _copy(sources: Sequence[Any], targets: Sequence[Any]) -> None:
    # By way of NumPy: on JAX two variables would share an array, which the next step deletes.
    for source, target in zip(sources, targets, strict=True):
        target.assign(numpy(source).copy())


def _copies(variables: Sequence[Any]) -> list[Any]:
    import keras

    return [
        keras.Variable(np.zeros(each.shape, each.dtype), trainable=False, dtype=each.dtype)
        for each in variables
    ]
