"""An `Experiment`: all that decides what a run does, frozen and validated.

The keys of the toggles are those of `REGULARIZERS`; everything else that a config can say is here.
"""

from __future__ import annotations

import functools
import hashlib
import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    create_model,
    model_validator,
)

from regbench.regularizers import REGULARIZERS, Regularizer

# A name that is safe in a path, a table and a web page.
NAME = "[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"

Count = Annotated[int, Field(ge=1, le=10**9)]
CountOrAll = Count | Literal["all"]
Size = Annotated[int, Field(ge=1, le=10**6)]
Sizes = Annotated[tuple[Size, ...], Strict(False), Field(max_length=100)]
Name = Annotated[
    str,
    Field(
        pattern=f"^{NAME}$",
        description="a name of at most 64 letters, digits, _, . and -",
    ),
]
Sha256 = Annotated[
    str, Field(pattern=r"^[0-9a-f]{64}$", description="64 hexadecimal digits in lower case")
]
Text = Annotated[str, Field(min_length=1)]


class Section(BaseModel):
    """A mapping in a config: unknown keys and values of another type are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Data(Section):
    """The data set and how much of it; `path` is relative to the current directory."""

    name: Literal[
        "arrays",
        "cifar10",
        "cifar100",
        "digits",
        "fashion_mnist",
        "image_folder",
        "mnist",
        "shapes",
    ] = "cifar10"
    path: Text | None = None
    sha256: Sha256 | None = None
    train_examples: CountOrAll = 5000
    test_examples: CountOrAll = "all"
    label_noise: Annotated[float, Field(ge=0, lt=1)] = 0.0

    @model_validator(mode="after")
    def _path_fits_name(self) -> Data:
        if self.name == "image_folder" and not self.path:
            raise ValueError("image_folder needs a path, to a folder or a tar archive of one")
        if self.name == "arrays" and not self.path:
            raise ValueError("arrays needs a path, to an .npz file")
        if self.name == "digits" and (self.path or self.sha256):
            raise ValueError(
                "digits comes with scikit-learn: leave path and sha256 out, or set null"
            )
        if self.name == "shapes" and (self.path or self.sha256):
            raise ValueError("shapes is drawn, not read: leave path and sha256 out, or set null")
        return self


class Model(Section):
    """The network: `convolutions` in each of `blocks`, then the head and its dense layers."""

    blocks: Sizes = (32, 64, 128)
    convolutions: Annotated[int, Field(ge=1, le=32)] = 2
    kernel_size: Annotated[int, Field(ge=1, le=64)] = 3
    activation: Literal[
        "relu", "elu", "gelu", "leaky_relu", "selu", "sigmoid", "silu", "softplus", "tanh"
    ] = "relu"
    head: Literal["flatten", "global_max_pooling", "global_average_pooling"] = "flatten"
    dense: Sizes = (128,)


class Train(Section):
    """The optimization. `momentum` is for sgd alone, 0.9 unless given.

    `checkpoint_minutes` is how much of a long epoch an interruption may cost; there is a checkpoint
    after every epoch anyway. It decides nothing of the results, and so is not in the hash.
    """

    epochs: Annotated[int, Field(ge=1, le=100_000)] = 25
    batch_size: Annotated[int, Field(ge=1, le=10**6)] = 64
    optimizer: Literal["adam", "sgd"] = "adam"
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    momentum: Annotated[float, Field(ge=0, lt=1)] | None = None
    schedule: Literal["constant", "cosine"] = "constant"
    checkpoint_minutes: Annotated[float, Field(gt=0, le=10**6)] = 10.0

    @model_validator(mode="before")
    @classmethod
    def _default_momentum(cls, value: Any) -> Any:
        sgd = isinstance(value, dict) and value.get("optimizer") == "sgd"
        return value | {"momentum": 0.9} if sgd and value.get("momentum") is None else value

    @model_validator(mode="after")
    def _momentum_fits_optimizer(self) -> Train:
        if self.momentum is not None and self.optimizer != "sgd":
            raise ValueError("momentum is for optimizer: sgd; leave it out, or set null")
        return self


class Evaluation(Section):
    """How the curves are measured between the first and the last epoch.

    After each `every`-th epoch, on `examples` of the test set and as many of the training set: a
    stratified sample that the seed alone chooses, so that variants are measured on the same one.
    Epoch 0 and the last epoch are always measured on the whole test set and a training sample of
    that size, or the whole training set where it is smaller. With `all` every measurement is.
    """

    every: Count = 1
    examples: CountOrAll = 500


class _Experiment(Section):
    """A config with nothing left open: all that decides what a run does."""

    name: Name
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    data: Data = Data()
    model: Model = Model()
    train: Train = Train()
    evaluation: Evaluation = Evaluation()

    @functools.cached_property
    def hash(self) -> str:
        """Eight hex digits that identify a config, regardless of its name and seed.

        Only values that differ from the defaults count, so that a key added in a later version
        does not change the hashes of older configs.
        """
        minutes = Train.model_fields["checkpoint_minutes"].default
        train = self.train.model_copy(update={"checkpoint_minutes": minutes})
        changed = self.model_copy(update={"train": train}).model_dump(
            mode="json", exclude_defaults=True, exclude={"name", "seed"}
        )
        canonical = json.dumps(changed, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:8]

    @property
    def run_name(self) -> str:
        """The name of the run's folder, and its key wherever runs are told apart."""
        return run_name(self.name, self.hash, self.seed)

    @property
    def regularizers(self) -> dict[str, Regularizer]:
        """The techniques that are switched on, in the order of `REGULARIZERS`."""
        toggles = {name: getattr(self, name) for name in REGULARIZERS}
        return {name: toggle for name, toggle in toggles.items() if toggle is not None}

    def with_seed(self, seed: int) -> Experiment:
        """Return the same experiment with another seed."""
        return self.model_copy(update={"seed": seed})

    def values(self) -> dict[str, Any]:
        """Return every value, defaults included, as nested dicts, lists and scalars."""
        return self.model_dump(mode="json")

    def brief(self) -> dict[str, Any]:
        """Return the values without name and seed, with toggles in their shortest form.

        This is what a comparison of two configs uses.
        """
        values = self.model_dump(
            mode="json", exclude={"name": True, "seed": True, "train": {"checkpoint_minutes"}}
        )
        for name, toggle in REGULARIZERS.items():
            if toggle.optional and values[name] is not None:
                short = self.model_dump(mode="json", include={name}, exclude_defaults=True)[name]
                values[name] = True if short == {} else short
        return values


def run_name(name: str, config_hash: str, seed: int) -> str:
    """Return the name of a run's folder."""
    return f"{name}-{config_hash}-s{seed}"


def _switch(toggle: type[Regularizer]) -> Any:
    """Return the field of a technique: null, false and 0 switch it off, as do idle values."""

    def off(value: Any) -> Any:
        return None if value is False or value in (0, 0.0) else value

    def idle(value: Regularizer | None) -> Regularizer | None:
        return None if value is None or value.is_idle() else value

    if not toggle.optional:
        return (toggle, toggle())
    return (Annotated[toggle | None, BeforeValidator(off), AfterValidator(idle)], None)


if TYPE_CHECKING:
    Experiment = _Experiment
else:
    # Made here, so that a regularizer is one class and one line, and not one more line above.
    Experiment = create_model(
        "Experiment",
        __base__=_Experiment,
        __doc__=_Experiment.__doc__,
        __module__=__name__,
        **{name: _switch(toggle) for name, toggle in REGULARIZERS.items()},
    )
