"""The `Experiment`: everything that determines a run, frozen and validated.

The keys of the toggles are those of `REGULARIZERS`; everything else that a config can say is here.
Data sets and networks can be those below or registered by plugins.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    ValidationInfo,
    create_model,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue

from regbench import plugins
from regbench.builders.cnn import CNN
from regbench.config.identity import digest, run_name
from regbench.config.model import Network
from regbench.config.sources import Source, Vary
from regbench.config.train import Section as Section
from regbench.config.train import Train as Train
from regbench.regularizers import REGULARIZERS, Regularizer, combination
from regbench.regularizers.hooks import has_hook

# A name that is safe in a path, a table and a web page.
NAME = "[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"


Count = Annotated[int, Field(ge=1, le=10**9)]
CountOrAll = Count | Literal["all"]
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
Share = Annotated[float, Field(gt=0, lt=1)]


# Keys that configs of runs do not have unless they are used: those are read by older versions too.
LATER_KEYS = {
    "data": ("center_crop", "per_image_standardization"),
    "train": ("decay", "milestones", "precision", "jit_compile"),
}


# Names that regbench itself has; plugins add theirs.
DATASETS = (
    "arrays",
    "cifar10",
    "cifar100",
    "digits",
    "fashion_mnist",
    "image_folder",
    "mnist",
    "shapes",
)
# The validation context for a finished run's config, which is read without its plugins.
STORED = {"stored": True}


def _known(kind: str, own: tuple[str, ...]) -> Callable[[str, ValidationInfo[object]], str]:
    """Return a validator for names of regbench's own or of loaded plugins."""

    def check(name: str, info: ValidationInfo[object]) -> str:
        known = [*own, *plugins.names(kind)]
        if name not in known and info.context is not STORED:
            raise ValueError(plugins.unknown(name, known))
        return name

    return check


def _listed(kind: str, own: tuple[str, ...]) -> Callable[[JsonSchemaValue], None]:
    """Return a hook that lists the available names in the JSON Schema."""

    def describe(schema: JsonSchemaValue) -> None:
        schema.pop("pattern", None)
        schema["enum"] = [*own, *plugins.names(kind)]

    return describe


DataName = Annotated[
    str,
    Field(pattern=f"^{NAME}$", json_schema_extra=_listed("dataset", DATASETS)),
    AfterValidator(_known("dataset", DATASETS)),
]


class Data(Section):
    """The data set, how much of it, and how it is prepared.

    `path` is relative to the current directory. `center_crop` is the side of the square that is
    kept of every image, in pixels. With `per_image_standardization`, the network first brings each
    image to mean 0 and standard deviation 1, over all its pixels and colors.
    """

    name: DataName = "cifar10"
    path: Text | None = None
    sha256: Sha256 | None = None
    train_examples: CountOrAll = 5000
    test_examples: CountOrAll = "all"
    label_noise: Annotated[float, Field(ge=0, lt=1)] = 0.0
    validation_examples: Count | Share | None = None
    center_crop: Count | None = None
    per_image_standardization: bool = False

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


class Evaluation(Section):
    """Measurement of the curves between the first and the last epoch.

    After each `every`-th epoch, on `examples` of the test set and as many of the training set: a
    stratified sample that only depends on the seed, so that variants are measured on the same one.
    Epoch 0 and the last epoch are always measured on the whole test set and a training sample of
    that size, or the whole training set if it is smaller. With `all`, every measurement is.

    With `test: false`, nothing is measured on the test set, as in the trials of a contest: its
    columns stay empty, and no prediction is stored.
    """

    every: Count = 1
    examples: CountOrAll = 500
    test: bool = True


class Experiment(Section):
    """A config with every value resolved: everything that determines a run.

    `plugins` maps each plugin whose names the config uses to the SHA-256 of its source. It is
    filled in automatically; a config that already has it, such as that of a run, requires exactly
    that source. With `vary`, only these sources get the run's seed; the others get `base_seed`.
    """

    # The techniques that this class has a key for, and those of them that are a plugin's.
    toggles: ClassVar[Mapping[str, type[Regularizer]]] = {}
    own_toggles: ClassVar[frozenset[str]] = frozenset()

    name: Name
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    data: Data = Data()
    model: Network = CNN()
    train: Train = Train()
    evaluation: Evaluation = Evaluation()
    plugins: Annotated[dict[Name, Sha256], Field(max_length=20)] = {}  # noqa: RUF012 - pydantic copies it
    vary: Vary = None
    base_seed: Annotated[int, Field(ge=0, lt=2**32)] = 0

    def __new__(cls, *_: object, **__: object) -> Self:
        """Return an instance with a key for every technique that is registered now."""
        return super().__new__(cast(type[Self], experiment_class()) if cls is Experiment else cls)

    @classmethod
    def model_validate(cls, obj: object, **options: Any) -> Self:
        """Return the experiment of these values, with a key for every technique."""
        made = cast(type[Self], experiment_class()) if cls is Experiment else cls
        return super(Experiment, made).model_validate(obj, **options)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the experiment with its plugins: unpickling first loads and checks them."""
        return _blank, (plugins.manifest(self.plugins),), self.__getstate__()

    @model_validator(mode="after")
    def _record_plugins(self, info: ValidationInfo[object]) -> Self:
        if info.context is STORED:
            return self
        toggles = [("regularizer", name) for name in self.regularizers]
        used = plugins.digests([("dataset", self.data.name), ("model", self.model.name), *toggles])
        if self.plugins and self.plugins != used:
            raise ValueError(
                f"plugins: made with {_shown(self.plugins)}, received {_shown(used)}; give the "
                "same source with --plugin FILE, or leave plugins out"
            )
        self.__dict__["plugins"] = used  # frozen for everybody else
        return self

    @model_validator(mode="after")
    def _techniques_fit(self) -> Self:
        combination.check(self.regularizers, self.data.validation_examples is not None)
        return self

    @model_validator(mode="after")
    def _base_seed_is_used(self) -> Self:
        if self.base_seed and self.vary is None:
            raise ValueError("base_seed is for vary; leave it out, or name the sources that vary")
        return self

    @functools.cached_property
    def hash(self) -> str:
        """Eight hex digits that identify a config, regardless of its name and seed."""
        return digest(self.changed())

    @property
    def run_name(self) -> str:
        """The name of the run's folder, which identifies the run everywhere."""
        return run_name(self.name, self.hash, self.seed)

    @property
    def regularizers(self) -> dict[str, Regularizer]:
        """The techniques that are switched on, in the order of `REGULARIZERS`."""
        # A technique that was registered later may be missing from this experiment.
        toggles = {name: getattr(self, name, None) for name in self.toggles}
        return {name: toggle for name, toggle in toggles.items() if toggle is not None}

    def changing(self, hook: str) -> dict[str, Regularizer]:
        """Return the techniques that are switched on and override a hook, by name."""
        return {name: each for name, each in self.regularizers.items() if has_hook(each, hook)}

    def with_seed(self, seed: int) -> Experiment:
        """Return the same experiment with another seed."""
        return self.model_copy(update={"seed": seed})

    def seed_of(self, source: Source) -> int:
        """Return the seed of a source of variance: the run's, or the base seed if it is held."""
        return self.seed if self.vary is None or source in self.vary else self.base_seed

    def shrunk(self) -> Experiment:
        """Return the experiment with its network at the size of a smoke run."""
        return Experiment.model_validate(self.values() | {"model": self.model.shrunk()})

    def values(self) -> dict[str, object]:
        """Return every value, defaults included, as nested dicts, lists and scalars.

        A plugin's technique that is off is left out, since the key does not exist without the
        plugin.
        """
        left_out: dict[str, bool | set[str]] = dict.fromkeys(self._absent(), True)
        for section, keys in LATER_KEYS.items():
            kept = getattr(self, section)
            defaults = type(kept).model_fields
            left_out[section] = {key for key in keys if getattr(kept, key) == defaults[key].default}
        return self.model_dump(mode="json", exclude=left_out)

    def changed(self) -> dict[str, object]:
        """Return the values that the hash is computed from.

        Only values that differ from the defaults count, so that a key added in a later version
        does not change the hashes of older configs. The toggles of plugins count with all their
        values, and so do the plugins' hashes: the config's hash can then be computed without
        loading them.
        """
        minutes = Train.model_fields["checkpoint_minutes"].default
        train = self.train.model_copy(update={"checkpoint_minutes": minutes})
        changed = self.model_copy(update={"train": train}).model_dump(
            mode="json", exclude_defaults=True, exclude={"name", "seed", "plugins"}
        )
        return changed | self._of_plugins() | of_plugins(self.plugins)

    def brief(self) -> dict[str, object]:
        """Return the values without name and seed, with toggles in their shortest form.

        This is what a comparison of two configs uses.
        """
        left_out = dict.fromkeys({"name", "seed", "plugins", *self._absent()}, True)
        values = self.model_dump(
            mode="json", exclude=left_out | {"train": {"checkpoint_minutes": True}}
        )
        for name, toggle in self.toggles.items():
            if toggle.optional and values.get(name) is not None and name not in self.own_toggles:
                short = self.model_dump(mode="json", include={name}, exclude_defaults=True)[name]
                values[name] = True if short == {} else short
        short_digests = {name: sha256[:12] for name, sha256 in self.plugins.items()}
        return values | ({"plugins": short_digests} if self.plugins else {})

    def _of_plugins(self) -> dict[str, object]:
        """Return all values of the plugins' toggles that are on, and of a plugin's network."""
        own = {name for name in self.own_toggles if getattr(self, name, None) is not None}
        own |= {"model"} if self.model.name in plugins.names("model") else set()
        return self.model_dump(mode="json", include=own)

    def _absent(self) -> list[str]:
        off = [name for name in self.own_toggles if getattr(self, name, None) is None]
        # Configs of runs stay as they were before these keys existed.
        off += [] if self.vary else ["vary", "base_seed"]
        return off if self.plugins else [*off, "plugins"]


def of_plugins(used: Mapping[str, str]) -> dict[str, object]:
    """Return the plugins' part of the hash: their sources, regardless of file names."""
    return {"plugins": sorted(used.values())} if used else {}


def register(name: str, technique: type[Regularizer]) -> None:
    """Add a plugin's technique. Raises TypeError or ValueError if it can't be a toggle."""
    is_class = isinstance(technique, type)
    if (
        not is_class
        or not issubclass(technique, Regularizer)
        or not issubclass(technique, BaseModel)
    ):
        raise TypeError(
            f"expected a class that extends regbench.Toggle, received {technique!r:.80}"
        )
    if not technique.optional:
        raise ValueError("expected optional = True: a plugin's technique is off by default")
    if hasattr(Experiment, name) or name in {*Experiment.model_fields, "extends", "matrix"}:
        raise ValueError("a config has another key of this name; choose another")
    REGULARIZERS[name] = technique


def experiment_class(stored: bool = False) -> type[Experiment]:
    """Return the experiment with a key for each technique that is registered now.

    With `stored`, only for those that need no plugin.
    """
    own = frozenset(plugins.names("regularizer"))
    toggles = REGULARIZERS.items()
    return _with_toggles(
        tuple(each for each in toggles if each[0] not in own) if stored else tuple(toggles),
        frozenset() if stored else own,
    )


@functools.lru_cache(maxsize=8)
def _with_toggles(
    toggles: tuple[tuple[str, type[Regularizer]], ...], own: frozenset[str]
) -> type[Experiment]:
    made = create_model(
        "Experiment",
        __base__=Experiment,
        __doc__=Experiment.__doc__,
        __module__=__name__,
        **{name: _switch(toggle) for name, toggle in toggles},
    )
    made.toggles, made.own_toggles = dict(toggles), own
    return made


def _blank(needed: tuple[plugins.Plugin, ...]) -> Experiment:
    """Return an experiment without values, for pickle to fill in, once its plugins are loaded."""
    plugins.restore(needed)
    made = experiment_class()
    return made.__new__(made)


def _switch(toggle: type[Regularizer]) -> Any:  # as create_model wants it
    """Return the field of a technique: null, false and 0 switch it off, as do idle values."""

    def off(value: object) -> object:
        return None if value is False or value in (0, 0.0) else value

    def idle(value: Regularizer | None) -> Regularizer | None:
        return None if value is None or value.is_idle() else value

    if not toggle.optional:
        return (toggle, toggle())
    return (Annotated[toggle | None, BeforeValidator(off), AfterValidator(idle)], None)


def _shown(used: Mapping[str, str]) -> str:
    return ", ".join(f"{name} of SHA-256 {sha256[:12]}" for name, sha256 in used.items()) or "none"
