"""Finds the differences between two resolved configs."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic_core import to_jsonable_python

from regbench.builders import BUILDERS, DEFAULT


def changes(base: object, config: object) -> dict[str, object] | None:
    """Return where a resolved config differs from `base`, as dotted key to value.

    None if one of them is unknown.
    """
    if base is None or config is None:
        return None
    return {} if base == config else dict(_differences(base, config, ""))


def _differences(base: object, config: object, key: str) -> Iterator[tuple[str, object]]:
    if isinstance(base, dict) and isinstance(config, dict):
        if key == "model" and _name(base) != _name(config):
            yield from leaves(_changed_keys(config), key)
            return
        for each in {**base, **config}:
            one, other = base.get(each), config.get(each)
            if one != other:
                yield from _differences(one, other, f"{key}.{each}".strip("."))
    else:
        yield from leaves(config, key)


def _name(model: dict[str, object]) -> object:
    return model.get("name", DEFAULT)  # written by a version with only one network


def _changed_keys(model: dict[str, object]) -> dict[str, object]:
    """Return the name of another network, and its keys that differ from its defaults."""
    name = _name(model)
    builder = BUILDERS.get(name) if isinstance(name, str) else None
    fields = builder.model_fields if builder else {}  # of a plugin that is not loaded
    defaults = {key: to_jsonable_python(field.default) for key, field in fields.items()}
    keys = {key: value for key, value in model.items() if value != defaults.get(key)}
    return {"name": name} | keys


def leaves(config: object, key: str = "") -> Iterator[tuple[str, object]]:
    """Yield each value of a config with its dotted key, below `key`."""
    if isinstance(config, dict) and config:
        for each, value in config.items():
            yield from leaves(value, f"{key}.{each}".removeprefix("."))
    else:
        yield key, config
