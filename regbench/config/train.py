"""The `train` section of a config: optimizer, learning rate and its schedule."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, model_validator


def _rising(epochs: tuple[int, ...]) -> tuple[int, ...]:
    if list(epochs) != sorted(set(epochs)):
        raise ValueError(f"expected rising epochs such as [200, 250, 300], received {[*epochs]}")
    return epochs


Milestones = Annotated[
    tuple[Annotated[int, Field(ge=1, le=100_000)], ...],
    Strict(False),
    Field(min_length=1, max_length=100),
    AfterValidator(_rising),
]
# The schedules that need a key, and what such a key looks like.
SCHEDULE_KEYS = {"decay": ("exponential", "step"), "milestones": ("step",)}
EXAMPLES = {"decay": "0.95", "milestones": "[200, 250, 300]"}


class Section(BaseModel):
    """A mapping in a config: unknown keys and values of another type are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Train(Section):
    """The optimization. `momentum` is for sgd alone, 0.9 unless given.

    With `schedule: exponential` the learning rate is multiplied by `decay` after each epoch, with
    `step` after each of the epochs in `milestones`, and with `cosine` it falls to 0.

    `checkpoint_minutes` is how much of a long epoch an interruption may cost; there is a checkpoint
    after every epoch anyway. It decides nothing of the results, and so is not in the hash.

    `precision` is Keras' dtype policy. With `mixed_float16` or `mixed_bfloat16`, layers compute in
    that type, in training and wherever the model is measured. Weights, updates, penalties, the
    moments of normalizations, the output layer, its softmax and the loss stay float32. With
    `mixed_float16` alone, Keras scales the loss, so that small gradients do not become 0: where a
    gradient overflows, it skips the update and halves the scale.

    `jit_compile` is Keras' argument: whether XLA compiles the step. If it is null, JAX does so, and
    TensorFlow and PyTorch do not. `false` makes JAX run one operation after the other, which is
    for debugging; `true` is an error where Keras can't.
    """

    epochs: Annotated[int, Field(ge=1, le=100_000)] = 25
    batch_size: Annotated[int, Field(ge=1, le=10**6)] = 64
    optimizer: Literal["adam", "sgd", "rmsprop"] = "adam"
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    momentum: Annotated[float, Field(ge=0, lt=1)] | None = None
    schedule: Literal["constant", "cosine", "exponential", "step"] = "constant"
    decay: Annotated[float, Field(gt=0, lt=1)] | None = None
    milestones: Milestones | None = None
    checkpoint_minutes: Annotated[float, Field(gt=0, le=10**6)] = 10.0
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    jit_compile: bool | None = None

    def numerics(self) -> dict[str, str | bool]:
        """Return how the network is computed, where that is not the default."""
        found: dict[str, str | bool] = {}
        if self.precision != "float32":
            found["precision"] = self.precision
        if self.jit_compile is not None:
            found["jit_compile"] = self.jit_compile
        return found

    @model_validator(mode="before")
    @classmethod
    def _default_momentum(cls, value: object) -> object:
        if not isinstance(value, dict) or value.get("optimizer") != "sgd":
            return value
        return value | {"momentum": 0.9} if value.get("momentum") is None else value

    @model_validator(mode="after")
    def _momentum_fits_optimizer(self) -> Train:
        if self.momentum is not None and self.optimizer != "sgd":
            raise ValueError("momentum is for optimizer: sgd; leave it out, or set null")
        return self

    @model_validator(mode="after")
    def _keys_fit_schedule(self) -> Train:
        for key, schedules in SCHEDULE_KEYS.items():
            given, needed = getattr(self, key) is not None, self.schedule in schedules
            if given and not needed:
                allowed = " or ".join(f"schedule: {each}" for each in schedules)
                raise ValueError(f"{key} is for {allowed}; leave it out, or set null")
            if needed and not given:
                raise ValueError(f"schedule: {self.schedule} needs {key}, such as {EXAMPLES[key]}")
        return self
