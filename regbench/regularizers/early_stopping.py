"""Early stopping on validation examples."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from regbench.regularizers.hooks import History, Toggle


class EarlyStopping(Toggle):
    """Ends training once the validation metric has not improved for `patience` epochs.

    A bare number is short for `patience`. It needs `data.validation_examples`; the test set never
    chooses. With `restore_best` the trained model is that of the best epoch, even if training
    reaches its last one: the last row of the history is then measured with those weights. Epochs
    after which nothing is measured (`evaluation.every`) count toward the patience.
    Source: Prechelt, "Early Stopping - But When?", 1998; Goodfellow, Bengio and Courville, "Deep
    Learning", 2016, section 7.8.
    """

    shorthand = "patience"
    bare: ClassVar[bool] = True
    needs_validation: ClassVar[bool] = True
    patience: Annotated[int, Field(ge=1, le=100_000)] = 5
    metric: Literal["validation_loss", "validation_accuracy"] = "validation_loss"
    restore_best: bool = True

    def stop(self, history: History) -> str | None:
        best, last = self._best(history), history[-1]
        if best is None or last[self.metric] is None:
            return None
        waited = int(last["epoch"] or 0) - best
        if waited < self.patience:
            return None
        return f"{self.metric} has not improved since epoch {best}, for {waited} epochs"

    def kept_epoch(self, history: History) -> int | None:
        return self._best(history) if self.restore_best else None

    def _best(self, history: History) -> int | None:
        """Return the first epoch with the best value; None if none was measured."""
        sign = 1 if self.metric == "validation_loss" else -1
        values = [(row["epoch"], row[self.metric]) for row in history]
        # Epoch 0 is the untrained network.
        ranked = [
            (sign * value, int(epoch)) for epoch, value in values if epoch and value is not None
        ]
        return min(ranked)[1] if ranked else None
