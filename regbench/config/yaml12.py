"""Parses YAML text into a tree of plain values that know their file, line and column.

PyYAML parses; scalars are interpreted here, by YAML 1.2's core schema, since PyYAML reads
`1e-4` as a string, `no` as False, `12:30` as 750 and keeps the last of two equal keys without a
word. No tag is ever resolved and no object constructed.
Source: YAML Ain't Markup Language version 1.2.2, section 10.3.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, Protocol, TypeAlias

import yaml

from regbench import files
from regbench.errors import RegbenchError
from regbench.text import one_line

SUFFIXES = (".yaml", ".yml")
MAX_BYTES = 2**20
MAX_NODES = 10_000
MAX_DEPTH = 32
MAX_DIGITS = 300

Scalar: TypeAlias = str | int | float | bool | None

_Loader: type[yaml.CSafeLoader | yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_TAGGED = (yaml.CollectionStartEvent, yaml.ScalarEvent)
_NULLS = {"", "~", "null", "Null", "NULL"}
_BOOLEANS = {
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_FIRST_OF_NUMBERS = frozenset("+-.0123456789")
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITY = re.compile(r"[-+]?\.(inf|Inf|INF)")
_NAN = re.compile(r"\.(nan|NaN|NAN)")
_UNPRINTABLE = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)


class Place(NamedTuple):
    """The place of a value. Lines and columns count from 1; line 0 means the whole file."""

    source: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        source = one_line(self.source)
        return f"{source}:{self.line}:{self.column}" if self.line else source


class Problem(NamedTuple):
    """A problem and its place."""

    place: Place
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {one_line(self.text)}"


class YamlError(RegbenchError):
    """The rest of the text can't be read."""

    def __init__(self, place: Place, text: str) -> None:
        self.problem = Problem(place, text)
        super().__init__(str(self.problem))


@dataclass(frozen=True)
class Node:
    """A value with its place and, inside a mapping, the place of its key."""

    content: Scalar | list[Node] | dict[str, Node]
    place: Place
    key: Place | None = None

    def plain(self) -> object:
        """Return the value as scalars, lists and dicts."""
        if isinstance(self.content, dict):
            return {key: node.plain() for key, node in self.content.items()}
        if isinstance(self.content, list):
            return [node.plain() for node in self.content]
        return self.content

    def child(self, key: str | int) -> Node | None:
        """Return the value at a key of a mapping or an index of a list, or None."""
        if isinstance(self.content, dict):
            return self.content.get(str(key))
        if isinstance(self.content, list) and isinstance(key, int) and key < len(self.content):
            return self.content[key]
        return None

    def at(self, *keys: str | int) -> Node:
        """Return the value at a path of keys, or the innermost one on it that is there."""
        found = self
        for key in keys:
            found = found.child(key) or found
        return found

    def items(self, *keys: str) -> Iterator[tuple[str, Node]]:
        """Yield the keys and values of the mapping at a path of keys; nothing if there is none."""
        found: Node | None = self
        for key in keys:
            found = found.child(key) if found else None
        if found is not None and isinstance(found.content, dict):
            yield from found.content.items()


@dataclass(frozen=True)
class Document:
    """The root of the tree, and problems that left the rest readable: report them all."""

    root: Node
    problems: list[Problem] = field(default_factory=list)


def read(path: Path, source: str) -> Document:
    """Return the document in the file; messages call the file `source`. Raises YamlError."""
    try:
        with files.open_regular(path) as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise YamlError(Place(source), _unreadable(path, error)) from error
    if len(data) > MAX_BYTES:
        place = _end_of(data[:MAX_BYTES].decode("utf-8-sig", "replace"), source)
        raise YamlError(place, f"expected a config of at most {MAX_BYTES} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The text before the first invalid byte is valid.
        place = _end_of(data[: error.start].decode("utf-8-sig", "replace"), source)
        raise YamlError(place, "expected UTF-8 text, received other bytes") from error
    return parse(text, source)


def parse(text: str, source: str, *, positions: bool = True) -> Document:
    """Return the document in `text`; without `positions`, every place is just `source`.

    Raises YamlError for unreadable text.
    """
    composer = _Composer(source, positions)
    bad = _UNPRINTABLE.search(text)
    if bad:
        place = composer.place(_end_of(text[: bad.start()], source))
        raise YamlError(place, f"expected printable text, received character {bad[0]!a}")
    try:
        return composer.document(yaml.parse(text, Loader=_Loader))
    except yaml.MarkedYAMLError as error:
        place = composer.mark(error.problem_mark or error.context_mark)
        raise YamlError(place, _not_yaml(error, text)) from error
    except yaml.YAMLError as error:
        raise YamlError(Place(source), f"not YAML: {error}") from error


def resolve(text: str) -> Scalar:
    """Return the value of an unquoted scalar. Raises ValueError for a number that is too long."""
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if text[0] not in _FIRST_OF_NUMBERS:
        return text
    if _OCTAL.fullmatch(text):
        return int(_bounded(text)[2:], 8)
    if _HEXADECIMAL.fullmatch(text):
        return int(_bounded(text)[2:], 16)
    if _DECIMAL.fullmatch(text):
        return int(_bounded(text))
    if _FLOAT.fullmatch(text):
        return float(_bounded(text))
    if _INFINITY.fullmatch(text):
        return float(text.replace(".", ""))
    return float("nan") if _NAN.fullmatch(text) else text


def merge(base: Node, changes: Node) -> Node:
    """Return `base` merged with `changes`: mappings key by key, anything else replaced."""
    if not (isinstance(base.content, dict) and isinstance(changes.content, dict)):
        return changes
    merged = dict(base.content)
    for key, node in changes.content.items():
        merged[key] = merge(merged[key], node) if key in merged else node
    return replace(changes, content=merged)


class _Mark(Protocol):
    """A position in the text, counted from 0, as PyYAML and libyaml give it."""

    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...


class _Composer:
    """Builds the tree from parser events.

    PyYAML's own composer is not used: it recurses as deeply as the text demands and shares aliased
    nodes.
    """

    def __init__(self, source: str, positions: bool) -> None:
        self.source = source
        self.positions = positions
        self.nodes = 0
        self.problems: list[Problem] = []
        self.events: Iterator[yaml.Event] = iter(())

    def place(self, place: Place) -> Place:
        return place if self.positions else Place(self.source)

    def mark(self, mark: _Mark | None) -> Place:
        if mark is None:
            return Place(self.source)
        return self.place(Place(self.source, mark.line + 1, mark.column + 1))

    def document(self, events: Iterator[yaml.Event]) -> Document:
        self.events = events
        next(events)  # the stream's start
        if isinstance(next(events), yaml.StreamEndEvent):
            return Document(Node(None, self.place(Place(self.source, 1, 1))))
        root = self.node(next(events), depth=0)
        next(events)  # the document's end
        after = next(events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise YamlError(self.mark(after.start_mark), "expected one document, received more")
        return Document(root, self.problems)

    def node(self, event: yaml.Event, depth: int, key: Place | None = None) -> Node:
        place = self.mark(event.start_mark)
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise YamlError(place, f"expected at most {MAX_NODES} values")
        if depth > MAX_DEPTH:
            raise YamlError(place, f"expected at most {MAX_DEPTH} levels of nesting")
        if isinstance(event, yaml.AliasEvent):
            raise YamlError(place, f"aliases are not supported: write *{event.anchor} out")
        assert isinstance(event, _TAGGED)
        if event.tag is not None:
            self.report(place, f"tags are not supported: remove {event.tag}")
        if isinstance(event, yaml.MappingStartEvent):
            return Node(self.entries(depth + 1), place, key)
        if isinstance(event, yaml.ScalarEvent):
            return Node(self.scalar(event, place), place, key)
        return Node(self.items(depth + 1), place, key)

    def items(self, depth: int) -> list[Node]:
        items = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self.node(event, depth))
        return items

    def entries(self, depth: int) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self.node(event, depth)
            value = self.node(next(self.events), depth, key.place)
            name = key.content
            if not isinstance(name, str):
                self.report(key.place, f"expected a name as key, received {event_text(event)}")
            elif name == "<<":
                self.report(key.place, "merge keys (<<) are not supported: use extends")
            elif name in entries:
                first = entries[name].key
                also = f", first at {first}" if self.positions else ""
                self.report(key.place, f'duplicate key "{name}"{also}')
            else:
                entries[name] = value
        return entries

    def scalar(self, event: yaml.ScalarEvent, place: Place) -> Scalar:
        # Only an escape can make a character that `parse` has not seen.
        bad = _UNPRINTABLE.search(event.value) if event.style == '"' else None
        if bad:
            self.report(place, f"expected printable text, received character {bad[0]!a}")
            return event.value.replace(bad[0], "?")
        if event.style in ("'", '"', "|", ">"):
            return event.value
        try:
            return resolve(event.value)
        except ValueError as error:
            self.report(place, str(error))
            return 0

    def report(self, place: Place, text: str) -> None:
        self.problems.append(Problem(place, text))


def event_text(event: yaml.Event) -> str:
    """Return a description, for messages, of the value that begins with a parser event."""
    if isinstance(event, yaml.MappingStartEvent):
        return "a mapping"
    return event.value or "nothing" if isinstance(event, yaml.ScalarEvent) else "a list"


def _bounded(number: str) -> str:
    if len(number) > MAX_DIGITS:
        raise ValueError(f"expected a number of at most {MAX_DIGITS} digits")
    return number


def _end_of(text: str, source: str) -> Place:
    before, _, last = text.rpartition("\n")
    return Place(source, before.count("\n") + 1 + ("\n" in text), len(last) + 1)


def no_such_file(path: Path) -> str:
    """Return the error for a missing file, with the closest name beside it."""
    try:
        beside = [each.name for each in path.parent.iterdir() if each.suffix in SUFFIXES]
    except OSError:
        beside = []
    near = difflib.get_close_matches(path.name, beside, n=1)
    return f'no such file; did you mean "{path.parent / near[0]}"?' if near else "no such file"


def _unreadable(path: Path, error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return no_such_file(path)
    if isinstance(error, IsADirectoryError):
        return "expected a file, received a directory"
    return f"can't be read: {getattr(error, 'strerror', None) or error}"


def _not_yaml(error: yaml.MarkedYAMLError, text: str) -> str:
    mark = error.problem_mark
    if mark:
        line = text.splitlines()[mark.line : mark.line + 1]
        if line and line[0][mark.column : mark.column + 1] == "\t":
            return "not YAML: indent with spaces, not with tabs"
    reason = ", ".join(part for part in (error.context, error.problem) if part)
    return f"not YAML: {reason}"
