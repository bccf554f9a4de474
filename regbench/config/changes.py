"""Finds the differences between two resolved configs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def changes(base: Any, config: Any) -> dict[str, Any] | None:
    """Return where a resolved config differs from `base`, as dotted key to value.

    None if one of them is unknown.
    """
    if base is None or config is None:
        return None
    return dict(_differences(base, config, ""))


def _differences(base: Any, config: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(base, dict) and isinstance(config, dict):
        for each in {**base, **config}:
            yield from _differences(base.get(each), config.get(each), f"{key}.{each}".strip("."))
    elif base != config:
        yield from _leaves(config, key)


def _leaves(config: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(config, dict) and config:
        for each, value in config.items():
            yield from _leaves(value, f"{key}.{each}")
    else:
        yield key, config
