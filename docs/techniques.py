"""Writes the list of techniques into `techniques.md` while Sphinx reads it.

Everything comes from the code: the registry, each class with its docstring, the hooks, and the
shipped configs. So a new technique needs no edit in here.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from regbench import config
from regbench.config import shipped
from regbench.regularizers import REGULARIZERS, Regularizer
from regbench.regularizers.hooks import has_hook

PAGE = "techniques"
MARK = "<!-- techniques -->"

# The kinds in the order of the page, and the hooks that tell them.
KINDS = {
    "Penalties and constraints": {"kernel_penalty", "kernel_constraint"},
    "Noise and dropout": {
        "on_input", "after_activation", "after_block", "around_block", "before_dense"
    },
    "Normalization": {"before_activation"},
    "Pooling": {"block_stride"},
    "Batches and targets": {"batch"},
    "Optimizer": {"optimizer"},
    "Averaging and stopping": {"averaging", "stop", "kept_epoch"},
}  # fmt: skip
# With hooks of several kinds, a technique is of the first of these: an average that the optimizer
# keeps is an average, and what normalizes after the activation too is a normalization.
PRECEDENCE = (
    "Averaging and stopping",
    "Batches and targets",
    "Penalties and constraints",
    "Pooling",
    "Optimizer",
    "Normalization",
    "Noise and dropout",
)
# Methods of `Regularizer` that say something of a technique, and change nothing in training.
NO_HOOKS = {"is_idle", "batch_effect"}


def setup(app: Any) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.connect("source-read", fill)
    # The page depends on files that Sphinx does not watch.
    app.connect("env-get-outdated", lambda *_: [PAGE])
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def fill(app: Any, page: str, source: list[str]) -> None:
    """Put the list in the place of the mark, as Sphinx reads the page."""
    if page == PAGE:
        before, after = source[0].split(MARK)  # an error where the mark is missing
        source[0] = before + markdown() + after


def markdown() -> str:
    """Return the list as Markdown: a section for each kind, then the hooks."""
    kinds: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for toggle, technique in REGULARIZERS.items():
        kinds[kind_of(technique)].append("\n".join(_section(toggle, technique)))
    sections = [f"## {kind}\n\n" + "\n".join(found) for kind, found in kinds.items() if found]
    return "\n".join([*sections, *_hook_table()])


def kind_of(technique: type[Regularizer]) -> str:
    """Return the kind that the hooks of a technique tell."""
    own = hooks_of(technique)
    for kind in PRECEDENCE:
        if own & KINDS[kind]:
            return kind
    raise ValueError(f"{technique.__name__}: expected a hook of its own, received none")


def hooks_of(technique: type[Regularizer]) -> set[str]:
    """Return the names of the hooks that a technique has of its own."""
    return {hook for hook in _hooks() if has_hook(technique, hook)}


def _hooks() -> list[str]:
    functions = [name for name, each in vars(Regularizer).items() if inspect.isfunction(each)]
    return [name for name in functions if not name.startswith("_") and name not in NO_HOOKS]


def _section(toggle: str, technique: type[Regularizer]) -> Iterator[str]:
    """Yield the lines on one technique."""
    text, _, source = (inspect.getdoc(technique) or "").partition("\nSource: ")
    files = _files(toggle)
    own = hooks_of(technique)
    yield f"### `{toggle}`\n"
    yield _plain(text.strip()) + "\n"
    yield from _keys(technique.model_json_schema())  # type: ignore[attr-defined]
    yield from _forms(toggle, technique)
    if technique.needs_validation:
        yield "- Needs `data.validation_examples`."
    if "batch" in own:
        yield f"- Changes, of each training batch: {_changed(toggle, files)}."
    yield f"- Hooks: {', '.join(f'`{hook}`' for hook in _hooks() if hook in own)}."
    for path in files:
        yield f"- Config `{path.stem}`, `{_line(toggle, path)}`: {_plain(_opening(path))}"
    if source:
        yield f"- Source: {_plain(' '.join(source.split()))}"
    yield f"- Class: `{technique.__module__}.{technique.__name__}`.\n"


def _keys(schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield a table of keys; for a technique that is a single value, what that may be."""
    full = next((form for form in schema.get("anyOf", []) if "properties" in form), None)
    if full is None:
        yield f"- Value: {_limits(schema)}."
        return
    yield "| key | value | default |"
    yield "|---|---|---|"
    for key, value in full["properties"].items():
        default = f"`{json.dumps(value['default'])}`" if "default" in value else "required"
        yield f"| `{key}` | {_limits(value)} | {default} |"
    yield ""


def _limits(schema: Mapping[str, Any]) -> str:
    """Return the values that a JSON Schema allows, in words."""
    if "anyOf" in schema:
        return ", or ".join(map(_limits, schema["anyOf"]))
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    names = {"number": "number", "integer": "whole number", "boolean": "`true`, `false`"}
    kind = schema.get("type", "any")
    words = [names.get(kind, f"`{kind}`")]
    for key, phrase in (
        ("minimum", "at least"),
        ("exclusiveMinimum", "above"),
        ("maximum", "at most"),
        ("exclusiveMaximum", "below"),
    ):
        if key in schema:
            words.append(f"{phrase} {_number(schema[key])}")
    return ", ".join(words)


def _number(value: float) -> str:
    return f"{int(value):,}" if value == int(value) else f"{value:g}"


def _forms(toggle: str, technique: type[Regularizer]) -> Iterator[str]:
    """Yield in which short forms a config may write the technique."""
    shorthand = getattr(technique, "shorthand", None)
    if technique.bare:
        yield f"- `{toggle}: true` switches it on with its defaults."
    if shorthand:
        yield f"- A bare value is that of `{shorthand}`."
    if not technique.optional:
        yield "- Always on: with its defaults it is part of the baseline."


def _files(toggle: str) -> list[Path]:
    """Return the shipped configs that set this technique alone; else all that set it."""
    keys = {
        path: set(re.findall(r"^(\w+):", path.read_text(encoding="utf-8"), re.MULTILINE))
        for path in shipped.names("config").values()
    }
    setting = [path for path, found in keys.items() if toggle in found]
    others = {*REGULARIZERS, "model"} - {toggle}
    return [path for path in setting if not keys[path] & others] or setting


def _line(toggle: str, path: Path) -> str:
    """Return what a config sets the technique to, as it is written there."""
    found = re.search(rf"^{toggle}:.*$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return found[0] if found else toggle


def _opening(path: Path) -> str:
    """Return the comment that a config opens with, up to its command."""
    lines = path.read_text(encoding="utf-8").splitlines()
    own = [line for line in lines if not line.startswith("# yaml-language-server")]
    comment = own[: next(n for n, line in enumerate(own) if not line.removeprefix("#").strip())]
    return " ".join(line.removeprefix("#").strip() for line in comment)


def _changed(toggle: str, files: list[Path]) -> str:
    """Return whether a technique changes images, targets or both: found out by trying it."""
    technique = config.load(files[0]).regularizers[toggle]
    rng = np.random.default_rng(0)
    images = rng.random((16, 12, 12, 3), np.float32)
    targets = np.eye(16, dtype=np.float32)
    found = technique.batch(images, targets, rng)
    both = {"images": (images, found[0]), "targets": (targets, found[1])}
    named = [name for name, (old, new) in both.items() if not np.array_equal(old, new)]
    return " and ".join(named)


def _hook_table() -> Iterator[str]:
    """Yield a table of the hooks, and which techniques have each."""
    yield "## The hooks\n"
    yield "| hook | what it gives | techniques |"
    yield "|---|---|---|"
    for hook in _hooks():
        first = (inspect.getdoc(getattr(Regularizer, hook)) or "").partition("\n\n")[0]
        users = [f"`{name}`" for name, each in REGULARIZERS.items() if hook in hooks_of(each)]
        yield f"| `{hook}` | {_plain(' '.join(first.split()))} | {', '.join(users) or 'none'} |"
    yield ""


def _plain(text: str) -> str:
    """Return text in which nothing but `code` means anything to Markdown."""
    parts = text.split("`")
    return "`".join(
        part if n % 2 else re.sub(r"([\\*_<>\[\]$|])", r"\\\1", part)
        for n, part in enumerate(parts)
    )
