"""Environments of finished runs: the backend, versions and machine they recorded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from regbench.runs import storage
from regbench.runs.files import ENVIRONMENT
from regbench.text import one_line

MOST_PACKAGES = 50
MOST_SETTINGS = 5
MOST_CHARACTERS = 80
# Only the one that computed a run can change its numbers.
BACKENDS = ("tensorflow", "jax", "torch")
# pandas reads results and computes none.
IDLE = ("pandas",)
GPU = "a GPU"


@dataclass(frozen=True)
class Environment:
    """Facts that can change a run's numbers; None, or no package, if it recorded none.

    `packages` maps each package that computed to its version. `processor` is its name; `kind`
    distinguishes processors of one name.
    """

    backend: str | None = None
    packages: Mapping[str, str] = field(default_factory=dict)
    processor: str | None = None
    kind: str | None = None
    commit: str | None = None


def read(folder: Path) -> Environment:
    """Return the facts in a run's `environment.json`; empty ones if it can't be read."""
    try:
        content = json.loads(storage.text(folder, ENVIRONMENT))
    except (OSError, ValueError, RecursionError):
        return Environment()
    if not isinstance(content, dict):
        return Environment()
    backend, processor = _text(content.get("backend")), _processor(content)
    return Environment(
        backend=backend,
        packages=_packages(content.get("packages"), backend),
        processor=processor,
        kind=None if processor == GPU else _kind(content.get("processor")),
        commit=_text(content.get("git_commit")),
    )


def _packages(content: object, backend: str | None) -> dict[str, str]:
    if not isinstance(content, dict):
        return {}
    unused = {*BACKENDS, *IDLE} - {backend}
    known = list(content.items())[:MOST_PACKAGES]
    versions = {_text(name): _text(version) for name, version in known if name not in unused}
    return {name: version for name, version in versions.items() if name and version}


def _processor(content: Mapping[str, object]) -> str | None:
    """Return the device that computed: a GPU if the backend saw one, else the processor's name."""
    devices = content.get("devices")
    if content.get("device") != "cpu" and isinstance(devices, list):
        names = [name for each in devices if (name := _text(each))]
        if any("gpu" in name or "cuda" in name for name in names):
            return GPU
    return _text(content.get("cpu"))


def _kind(content: object) -> str | None:
    """Return a processor's generation and instruction sets, which decide on kernels."""
    if not isinstance(content, dict):
        return None
    sets, settings = content.get("instruction_sets"), content.get("onednn")
    parts = [_text(content.get("family"))]
    if isinstance(sets, list) and sets:
        parts.append(f"{len(sets)} instruction sets")
    if isinstance(settings, dict):
        parts += [_text(f"{key}={value}") for key, value in list(settings.items())[:MOST_SETTINGS]]
    return ", ".join(filter(None, parts)) or None


def _text(value: object) -> str | None:
    """Return text that is safe in a terminal, None for anything else."""
    return one_line(value[:MOST_CHARACTERS]) if isinstance(value, str) and value else None
