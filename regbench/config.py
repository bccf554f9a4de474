"""From YAML to one frozen, validated `Experiment`: defaults < `extends` < file < `--set`.

The keys of the toggles are those of `REGULARIZERS`; everything else that a config can say is here.

How a file and the file that it extends are merged: a mapping changes only the keys that it names,
anything else replaces what was there, and `name` is not inherited. For a toggle that means: a bare
value is the whole toggle, so `pooling: average` is average pooling with the default window
whatever the base has, and `pooling: {kind: average}` keeps the base's window. A shorthand in the
base is not lost: `pooling: {size: 3}` on top of `pooling: average` is average pooling.
"""

from __future__ import annotations

import copy
import functools
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    ValidationError,
    create_model,
    model_validator,
)

from regbench import yaml12
from regbench.errors import RegbenchError
from regbench.regularizers import REGULARIZERS, Regularizer, Toggle
from regbench.validation_errors import explain
from regbench.yaml12 import Node, Place, Problem, YamlError

SUFFIXES = (".yaml", ".yml")
# What is safe in a folder's name, a table and a web page alike.
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


class ConfigError(RegbenchError):
    """All that is wrong with the configs, a line each."""

    def __init__(self, problems: Iterable[Problem | str]) -> None:
        self.messages = [str(problem) for problem in problems]
        super().__init__("\n".join(self.messages))


class Section(BaseModel):
    """A mapping in a config: unknown keys and values of another type are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Data(Section):
    """The data set and how much of it; `path` is relative to the current directory."""

    name: Literal["cifar10", "image_folder", "shapes"] = "cifar10"
    path: Text | None = None
    sha256: Sha256 | None = None
    train_examples: CountOrAll = 5000
    test_examples: CountOrAll = "all"
    label_noise: Annotated[float, Field(ge=0, lt=1)] = 0.0

    @model_validator(mode="after")
    def _path_fits_name(self) -> Data:
        if self.name == "image_folder" and not self.path:
            raise ValueError("image_folder needs a path, to a folder or a tar archive of one")
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

    epochs: Annotated[int, Field(ge=1, le=10**6)] = 25
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


class _Experiment(Section):
    """A config with nothing left open: all that decides what a run does."""

    name: Name
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    data: Data = Data()
    model: Model = Model()
    train: Train = Train()

    @functools.cached_property
    def hash(self) -> str:
        """Eight hex digits that tell configs apart, whatever their name and seed.

        Of the values that are not the defaults, so that a key that is new in a later version does
        not change the hashes of older configs.
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
        """Return the values, name and seed left out, with toggles as short as one can write them.

        Two of these are what a comparison of two configs reads.
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


def load(path: str | Path, overrides: Sequence[str] = ()) -> Experiment:
    """Return the experiment of a config file, changed by overrides such as "train.epochs=5".

    Raises:
        ConfigError: with a line for everything that is wrong.
    """
    return load_all([path], overrides)[0]


def load_all(paths: Sequence[str | Path], overrides: Sequence[str] = ()) -> list[Experiment]:
    """Return the experiments of several files, each changed by the same overrides.

    Raises:
        ConfigError: with a line for everything that is wrong in any of them.
    """
    experiments: list[Experiment] = []
    problems: list[str] = []
    for path in paths:
        try:
            experiments.append(_experiment(Path(path), overrides))
        except ConfigError as error:
            problems += error.messages
    if problems:
        # The overrides are the same for every file: what is wrong with them is said once.
        raise ConfigError(dict.fromkeys(problems))
    return experiments


def dump(experiment: Experiment) -> str:
    """Return YAML that `load` reads, and that repeats the run by itself."""
    return yaml.dump(
        experiment.values(), Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=100
    )


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a config file."""
    full = copy.deepcopy(_schema())
    full["required"] = []
    full["properties"]["extends"] = {
        "type": "string",
        "description": "a config that this one changes, relative to this file",
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **full}


@functools.cache
def _schema() -> dict[str, Any]:
    full: dict[str, Any] = Experiment.model_json_schema()
    for name, toggle in REGULARIZERS.items():
        if toggle.optional:
            full["properties"][name]["anyOf"].append({"const": False})
    return full


def _experiment(path: Path, overrides: Sequence[str]) -> Experiment:
    problems: list[Problem] = []
    try:
        tree = _read(path, str(path), (), problems)
        if tree.child("name") is None:
            name = Node(path.stem, Place(str(path)))
            tree = yaml12.merge(tree, Node({"name": name}, tree.place))
        for override in overrides:
            tree = _merge(tree, _override(override, problems))
    except YamlError as error:
        raise ConfigError([*problems, error.problem]) from error
    try:
        experiment = Experiment.model_validate(tree.plain())
    except ValidationError as error:
        problems += explain(error, tree, _schema())
    if problems:
        problems.sort(key=lambda problem: problem.place)
        raise ConfigError(problems)
    return experiment


def _read(path: Path, source: str, above: tuple[Path, ...], problems: list[Problem]) -> Node:
    """Return a file's mapping, merged over that of the file that it extends."""
    document = yaml12.read(path, source)
    problems += document.problems
    tree = document.root
    if tree.content is None:  # an empty file is the baseline
        tree = replace(tree, content={})
    if not isinstance(tree.content, dict):
        raise YamlError(tree.place, "expected a mapping, such as l2: 1e-3")
    extends = tree.child("extends")
    if extends is None:
        return tree
    tree = replace(tree, content={k: v for k, v in tree.content.items() if k != "extends"})
    base_path = _extended(path, extends, (*above, path.resolve()))
    base = _read(base_path, str(base_path), (*above, path.resolve()), problems)
    inherited = {key: node for key, node in base.content.items() if key != "name"}  # type: ignore[union-attr]
    return _merge(replace(base, content=inherited), tree)


def _extended(path: Path, extends: Node, above: tuple[Path, ...]) -> Path:
    # Only what looks like a config is opened: an error cites what is in the file.
    if not isinstance(extends.content, str) or not extends.content.endswith(SUFFIXES):
        raise YamlError(extends.place, "extends: expected the name of a .yaml or .yml file")
    base = path.parent / extends.content
    try:
        circle, found = base.resolve() in above, base.is_file()
    except (OSError, RuntimeError) as error:  # a name that is too long, links in a circle
        reason = getattr(error, "strerror", None) or error
        raise YamlError(extends.place, f"extends: {base}: can't be read: {reason}") from error
    if circle:
        chain = " -> ".join(each.name for each in (*above, base))
        raise YamlError(extends.place, f"extends: expected no circle, received {chain}")
    if not found:
        raise YamlError(extends.place, f"extends: {base}: no such file")
    return base


def _override(text: str, problems: list[Problem]) -> Node:
    """Return `a.b=value` as a tree whose places cite the option."""
    place = Place(f"--set {text}")
    dotted, equals, value = text.partition("=")
    keys = [key.strip() for key in dotted.split(".")]
    if not equals or not all(keys):
        raise YamlError(place, "expected KEY=VALUE, such as train.epochs=5")
    if keys == ["extends"]:
        raise YamlError(place, "extends belongs into a file")
    document = yaml12.parse(value, place.source, positions=False)
    problems += document.problems
    node = document.root
    for key in reversed(keys):
        node = Node({key: node}, place)
    return node


def _merge(base: Node, changes: Node) -> Node:
    return yaml12.merge(_written_out(base), changes)


def _written_out(tree: Node) -> Node:
    """Return the tree with the shorthands of toggles as mappings, to which keys can be added."""
    assert isinstance(tree.content, dict)
    content = dict(tree.content)
    for name, toggle in REGULARIZERS.items():
        node = content.get(name)
        if node is None or not issubclass(toggle, Toggle):
            continue
        if node.content is True and toggle.bare:
            content[name] = replace(node, content={})
        elif isinstance(node.content, str) and toggle.shorthand:
            content[name] = replace(node, content={toggle.shorthand: node})
    return replace(tree, content=content)


class _Dumper(yaml.SafeDumper):
    """Quotes every text that YAML 1.2 would read as something else."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    plain = yaml12.resolve(text) == text
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


_Dumper.add_representer(str, _represent_text)
