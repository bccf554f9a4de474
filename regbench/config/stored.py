"""The config of a finished run: read from its folder, without the plugins that it names.

A plugin's toggle is then known only by its values: any key is accepted, as long as the config names
its plugins. The hash can still be computed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pydantic import ValidationError

from regbench import plugins
from regbench.builders import BUILDERS
from regbench.config import yaml12
from regbench.config.experiment import STORED, Experiment, experiment_class
from regbench.config.identity import digest
from regbench.config.inheritance import ConfigError
from regbench.config.messages import explain
from regbench.config.yaml12 import Node, YamlError

DEFAULT_MODEL = "cnn"
# Keys of a plugin's toggle, which tables show.
MOST_CHARACTERS = 64


@dataclass(frozen=True)
class Stored:
    """A finished run's config: its hash, and its values as `Experiment.brief` gives them."""

    hash: str
    values: dict[str, object]

    def brief(self) -> dict[str, object]:
        """Return the values without name and seed, with toggles in their shortest form."""
        return self.values


def parse(text: str, source: str) -> Stored:
    """Return the config of a finished run, whether or not it uses plugins.

    Raises:
        ConfigError: with a line for each error; messages call the text `source`.
    """
    made = experiment_class(stored=True)
    try:
        document = yaml12.parse(text, source)
        tree = document.root
        if not isinstance(tree.content, dict):
            raise YamlError(tree.place, "expected a resolved config, a mapping")
        extends = tree.child("extends")
        if extends is not None:
            raise YamlError(extends.place, "extends: expected a resolved config")
        own = _own_values(tree, made) if tree.child("plugins") else {}
        known = Node({k: v for k, v in tree.content.items() if k not in own}, tree.place)
        found = made.model_validate(known.plain(), context=STORED)
    except YamlError as error:
        raise ConfigError([error.problem]) from error
    except ValidationError as error:
        raise ConfigError(explain(error, tree, made.model_json_schema())) from error
    if document.problems:
        raise ConfigError(dict.fromkeys(map(str, document.problems)))
    # The same as in the hash of an experiment whose plugins are loaded.
    changed = found.changed() | own
    return Stored(digest(changed), found.brief() | own)


def _own_values(tree: Node, made: type[Experiment]) -> dict[str, object]:
    """Return the values of toggles and networks that regbench does not have. Raises YamlError."""
    assert isinstance(tree.content, dict)
    own = {}
    for name, node in tree.content.items():
        if name in made.model_fields and not (name == "model" and _is_own(node)):
            continue
        if not plugins.NAME.fullmatch(name) or name in ("extends", "matrix"):
            raise YamlError(node.key or node.place, f"{name:.60}: unknown key")
        _check_keys(node)
        own[name] = node.plain()
    return own


def _is_own(model: Node) -> bool:
    shipped = {DEFAULT_MODEL, *BUILDERS} - set(plugins.names("model"))
    name = model.child("name")
    return name is not None and isinstance(name.content, str) and name.content not in shipped


def _check_keys(node: Node) -> None:
    if isinstance(node.content, dict):
        for key, value in node.content.items():
            if not (key.isascii() and key.isidentifier()) or len(key) > MOST_CHARACTERS:
                raise YamlError(value.key or value.place, "expected a name, received another key")
            _check_keys(value)
    elif isinstance(node.content, list):
        for value in node.content:
            _check_keys(value)
    elif isinstance(node.content, float) and not math.isfinite(node.content):
        raise YamlError(node.place, "expected a finite number")
