"""Config files as trees: `extends`, merging and `--set`, with the place of every value.

A file is merged over the file that it extends: a mapping changes only the keys that it names,
anything else replaces the inherited value, and `name` is not inherited. For a toggle that means: a
bare value is the whole toggle, so `pooling: average` is average pooling with the default window
whatever the base has, and `pooling: {kind: average}` keeps the base's window. A shorthand in the
base is not lost: `pooling: {size: 3}` on top of `pooling: average` is average pooling. Another
`model.name` starts from that network's defaults: the keys of the base's network are not its keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from regbench.builders import DEFAULT
from regbench.config import shipped, yaml12
from regbench.config.yaml12 import Node, Place, Problem, YamlError
from regbench.errors import RegbenchError
from regbench.regularizers import REGULARIZERS, Toggle

# More than anyone can follow, but less than Python's stack allows.
MOST_FILES = 50
# Keys of the file itself, which no other file inherits and no option sets.
FILE_KEYS = ("extends", "matrix")
# Every study has both of these keys, and no config has any.
KEYS_OF_A_STUDY = ("variants", "claims")
# Keys that a matrix or a study can't set: they identify runs, or concern a whole file.
RESERVED = {
    "name": "experiments are named after what was changed",
    "seed": "give several seeds with --seeds",
    **dict.fromkeys(FILE_KEYS, "it belongs to a whole file"),
}


class ConfigError(RegbenchError):
    """One or more invalid configs, with one line per problem."""

    def __init__(self, problems: Iterable[Problem | str]) -> None:
        self.messages = [str(problem) for problem in problems]
        super().__init__("\n".join(self.messages))


def read(path: Path, problems: list[Problem]) -> Node:
    """Return a file's mapping, merged over that of the file that it extends, and with a name.

    Recoverable errors are added to `problems`; others raise YamlError.
    """
    tree = _read(path, str(path), (), problems)
    if tree.child("name") is None:
        tree = yaml12.merge(tree, Node({"name": Node(path.stem, Place(str(path)))}, tree.place))
    return tree


def _read(path: Path, source: str, above: tuple[Path, ...], problems: list[Problem]) -> Node:
    """Return a file's mapping, merged over that of the file that it extends."""
    document = yaml12.read(path, source)
    problems += document.problems
    tree = document.root
    if tree.content is None:  # a truncated file must not train the baseline
        raise YamlError(
            tree.place, "expected keys such as extends: baseline.yaml, received an empty file"
        )
    if not isinstance(tree.content, dict):
        raise YamlError(tree.place, "expected a mapping, such as l2: 1e-3")
    if tree.content.keys() >= set(KEYS_OF_A_STUDY):
        raise YamlError(
            tree.place, f"expected a config, received a study; run it with: regbench study {path}"
        )
    extends = tree.child("extends")
    if extends is None:
        return tree
    tree = replace(tree, content={k: v for k, v in tree.content.items() if k != "extends"})
    return merge(_base(path, extends, "extends", (*above, path.resolve()), problems), tree)


def base(path: Path, node: Node, key: str, problems: list[Problem]) -> Node:
    """Return the mapping of the config that the file at `path` names at `key`, without its name.

    Raises YamlError.
    """
    return _base(path, node, key, (path.resolve(),), problems)


def _base(
    path: Path, node: Node, key: str, above: tuple[Path, ...], problems: list[Problem]
) -> Node:
    found = _extended(path, node, key, above)
    tree = _read(found, str(found), above, problems)
    assert isinstance(tree.content, dict)
    matrix = tree.child("matrix")
    if matrix is not None:
        where = matrix.key or matrix.place
        raise YamlError(
            node.place, f"{key}: expected one experiment, received the matrix at {where}"
        )
    return replace(tree, content={k: v for k, v in tree.content.items() if k != "name"})


def _extended(path: Path, extends: Node, key: str, above: tuple[Path, ...]) -> Path:
    found = _named(path, extends, key)
    try:
        circle, exists = found.resolve() in above, found.is_file()
    except (OSError, RuntimeError) as error:  # a name that is too long, or circular links
        reason = getattr(error, "strerror", None) or error
        raise YamlError(extends.place, f"{key}: {found}: can't be read: {reason}") from error
    if circle:
        chain = " -> ".join(each.name for each in (*above, found))
        raise YamlError(extends.place, f"{key}: circular extends: {chain}")
    if not exists:
        raise YamlError(extends.place, f"{key}: {found}: {yaml12.no_such_file(found)}")
    if len(above) >= MOST_FILES:
        raise YamlError(
            extends.place, f"{key}: expected at most {MOST_FILES} files in a row, received more"
        )
    return found


def _named(path: Path, extends: Node, key: str) -> Path:
    """Return the file that is named: relative to the one at `path`, or a shipped config."""
    name = extends.content
    if isinstance(name, str) and name.startswith(shipped.PREFIX):
        return shipped.named(name, "config", extends.place)
    # Only config files are opened, because an error quotes the file's content.
    if not isinstance(name, str) or not name.endswith(yaml12.SUFFIXES):
        raise YamlError(
            extends.place,
            f"{key}: expected the name of a .yaml or .yml file, or {shipped.PREFIX}NAME",
        )
    return path.parent / name


def dotted(key: str, node: Node, section: str) -> list[str]:
    """Return the parts of a dotted key that a mapping in a file sets. Raises YamlError."""
    keys = key.split(".")
    place = node.key or node.place
    if not all(keys) or len(keys) > yaml12.MAX_DEPTH:
        raise YamlError(
            place, f"{section}: expected a key such as dropout.dense, received {key!r:.60}"
        )
    if keys[0] in RESERVED:
        raise YamlError(place, f"{section}: {key} can't be set here: {RESERVED[keys[0]]}")
    return keys


def override(text: str, problems: list[Problem]) -> Node:
    """Return `a.b=value` as a tree whose places point to the option. Raises YamlError."""
    place = Place(f"--set {text}")
    dotted, equals, value = text.partition("=")
    keys = [key.strip() for key in dotted.split(".")]
    if not equals or not all(keys) or len(keys) > yaml12.MAX_DEPTH:
        raise YamlError(place, "expected KEY=VALUE, such as train.epochs=5")
    if keys[0] in FILE_KEYS:
        raise YamlError(place, f"{keys[0]} belongs in a file")
    document = yaml12.parse(value, place.source, positions=False)
    problems += document.problems
    return nested(keys, document.root, place)


def nested(keys: Sequence[str], value: Node, place: Place) -> Node:
    """Return `value` nested in a mapping for each key, all of them at `place`."""
    for key in reversed(keys):
        value = Node({key: replace(value, key=place)}, place)
    return value


def merge(base: Node, changes: Node) -> Node:
    """Return `base` with `changes` merged over it, as between files."""
    return yaml12.merge(_without_other_model(_written_out(base), changes), changes)


def models_first(changes: Iterable[Node]) -> list[Node]:
    """Return changes in an order in which none undoes another: `model.name` first."""
    return sorted(changes, key=lambda change: _model_name(change) is None)


def _without_other_model(base: Node, changes: Node) -> Node:
    """Return `base` without its `model`, if the changes name another one."""
    name = _model_name(changes)
    if name is None or name == (_model_name(base) or DEFAULT):
        return base
    assert isinstance(base.content, dict)
    return replace(base, content={k: v for k, v in base.content.items() if k != "model"})


def _model_name(tree: Node) -> object:
    model = tree.child("model")
    name = model.child("name") if model else None
    return name.content if name else None


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
        elif toggle.is_short(node.content):
            assert toggle.shorthand
            content[name] = replace(node, content={toggle.shorthand: node})
    return replace(tree, content=content)
