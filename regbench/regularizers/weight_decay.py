"""Decoupled weight decay: AdamW and SGDW."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, RootModel

from regbench.regularizers.hooks import Regularizer

Rate = Annotated[float, Field(ge=0, lt=1e6, allow_inf_nan=False)]


class WeightDecay(Regularizer, RootModel[Rate]):
    """Decoupled weight decay: each update first takes learning rate * decay * w off every kernel w.

    AdamW with `train.optimizer: adam`, SGDW with `sgd`. The rate is that of the schedule, so the
    decay falls with it. Unlike an L2 penalty it is not part of the gradient: neither Adam's scaling
    nor momentum changes it, and the loss does not contain it. Biases and the gamma and beta of
    normalizations do not decay.
    Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019; with the learning
    rate as a factor, as Keras and PyTorch have it, so 0.1 here is 1e-4 there at a rate of 1e-3.
    """

    model_config = ConfigDict(frozen=True, strict=True)

    def is_idle(self) -> bool:
        return self.root == 0

    def optimizer(self) -> dict[str, object]:
        return {"weight_decay": self.root}
