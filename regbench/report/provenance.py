"""Provenance of the runs: the machines, versions and commands that made them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from regbench.runs import storage
from regbench.runs.files import ENVIRONMENT
from regbench.text import one_line

if TYPE_CHECKING:
    import pandas

SHOWN = ("backend", "device", "devices", "threads", "cores", "cpu", "platform", "python")
MOST_COMMANDS = 50
# Of all facts together, and of all commands.
MOST_CHARACTERS = 50_000


@dataclass(frozen=True)
class Origins:
    """Each fact with all its values among the runs, every command once, and what is left out."""

    facts: dict[str, list[str]]
    commands: list[str]
    left_out: str = ""


def of(frame: pandas.DataFrame, warn: Callable[[str], None] | None = None) -> Origins:
    """Return the provenance of the frame's runs from their `environment.json`."""
    facts: dict[str, dict[str, None]] = {}
    commands: dict[str, None] = {}
    for results, run in frame[["results", "run"]].drop_duplicates().to_numpy():
        try:
            content = json.loads(storage.text(Path(results) / run, ENVIRONMENT))
        except (OSError, ValueError, RecursionError) as error:
            if warn:
                warn(f"{run}: {ENVIRONMENT} can't be read: {error}")
            continue
        for key, value in _facts(content):
            facts.setdefault(key, {})[value] = None
        commands |= dict.fromkeys(_command(content))
    return _bounded([(key, value) for key, values in facts.items() for value in values], commands)


def _bounded(facts: Sequence[tuple[str, str]], commands: Iterable[str]) -> Origins:
    """Return the first facts and commands, and how many are not among them."""
    ends = accumulate(len(key) + len(value) for key, value in facts)
    kept = [fact for fact, end in zip(facts, ends, strict=True) if end <= MOST_CHARACTERS]
    every = list(commands)
    lengths = accumulate(map(len, every))
    shown = [each for each, end in zip(every, lengths, strict=True) if end <= MOST_CHARACTERS]
    shown = shown[:MOST_COMMANDS]
    by_key: dict[str, list[str]] = {}
    for key, value in kept:
        by_key.setdefault(key, []).append(value)
    rest = {"facts": len(facts) - len(kept), "commands": len(every) - len(shown)}
    left_out = ", ".join(f"{count:,} {what}" for what, count in rest.items() if count)
    return Origins(by_key, shown, left_out)


def _facts(content: object) -> list[tuple[str, str]]:
    if not isinstance(content, dict):
        return []
    facts = [(key, _text(content[key])) for key in SHOWN if content.get(key) is not None]
    packages = content.get("packages")
    if isinstance(packages, dict):
        facts += [(_text(name)[:40], _text(version)) for name, version in packages.items()]
    if content.get("git_commit"):
        facts.append(("git commit", _text(content["git_commit"])))
    return facts


def _command(content: object) -> list[str]:
    command = content.get("command") if isinstance(content, dict) else None
    if not isinstance(command, list) or not command:
        return []
    import shlex

    return [shlex.join(_text(word) for word in command)]


def _text(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return one_line(text[:500])  # JSON can hold half a character, which UTF-8 can't
