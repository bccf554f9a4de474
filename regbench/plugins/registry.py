"""The registry of plugins: the registered objects by kind, name and source."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path

from regbench import text
from regbench.errors import RegbenchError
from regbench.text import raised

VARIABLE = "REGBENCH_PLUGINS"
HOW = f"--plugin FILE, or the variable {VARIABLE}"
HINT = f"a name from a plugin needs {HOW}"
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True)
class Kind:
    """The kinds that can be registered: the module with the function `register`, and its dict."""

    module: str
    registry: str

    def names(self) -> dict[str, object]:
        """Return the dict itself, imported when used because it lies in a higher layer."""
        found: dict[str, object] = getattr(import_module(self.module), self.registry)
        return found


KINDS = {
    "regularizer": Kind("regbench.config.experiment", "REGULARIZERS"),
    "dataset": Kind("regbench.datasets", "DATASETS"),
    "model": Kind("regbench.builders", "BUILDERS"),
    "executor": Kind("regbench.execution.executors", "EXECUTORS"),
    "metric": Kind("regbench.analysis.metrics", "METRICS"),
    "figure": Kind("regbench.figures", "FIGURES"),
}


class PluginError(RegbenchError):
    """A plugin that can't be loaded, or differs from the one that an experiment was made with."""


@dataclass(frozen=True)
class Plugin:
    """A plugin that is loaded, and what it registered, as (kind, name).

    `place` is the path of its file as given, or the package and its version; `entry_points` are a
    package's objects to import, as (kind, name, value).
    """

    name: str
    place: str
    sha256: str
    registered: tuple[tuple[str, str], ...] = ()
    path: Path | None = None
    entry_points: tuple[tuple[str, str, str], ...] = ()

    def as_dict(self) -> dict[str, object]:
        """Return the JSON of `regbench plugins --json`."""
        names: dict[str, list[str]] = {}
        for kind, name in self.registered:
            names.setdefault(kind, []).append(name)
        return {"name": self.name, "place": self.place, "sha256": self.sha256, "registered": names}


@dataclass
class _Loading:
    """The plugin that is being loaded, and what it has registered so far."""

    place: str
    registered: list[tuple[str, str]] = field(default_factory=list)


LOADED: dict[str, Plugin] = {}
_loading: _Loading | None = None


def loaded() -> list[Plugin]:
    """Return the plugins that are loaded."""
    return list(LOADED.values())


def names(kind: str) -> list[str]:
    """Return the names of a kind that plugins registered."""
    return [name for each in LOADED.values() for of, name in each.registered if of == kind]


def digests(used: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the SHA-256, by plugin, of those that registered any of these (kind, name)."""
    asked = set(used)
    return {
        plugin.name: plugin.sha256
        for plugin in sorted(LOADED.values(), key=lambda each: each.name)
        if asked & set(plugin.registered)
    }


def describe(used: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return the record of an experiment's plugins for `environment.json`."""
    return {
        name: {"place": LOADED[name].place if name in LOADED else "", "sha256": sha256}
        for name, sha256 in used.items()
    }


def manifest(used: Mapping[str, str]) -> tuple[Plugin, ...]:
    """Return the data with which `restore` loads the same plugins in another process.

    Raises:
        PluginError: one of them has been reloaded from changed source.
    """
    for name, sha256 in used.items():
        if name not in LOADED or LOADED[name].sha256 != sha256:
            raise PluginError(
                f"plugin {name}: expected SHA-256 {sha256[:12]}, with which the config was read, "
                f"but it is no longer loaded; read the config again"
            )
    return tuple(LOADED[name] for name in used)


def unknown(name: object, known: Iterable[str]) -> str:
    """Return the error for an unregistered name: the closest one, and how to add one."""
    known = list(known)
    near = get_close_matches(str(name), known, 1)
    hint = f'; did you mean "{near[0]}"?' if near else ";"
    return f"expected one of {', '.join(known)}, received {_quoted(name)}{hint} {HINT}"


def blame(error: BaseException) -> str:
    """Return an error in one line, with the last place in a plugin that raised it."""
    said = str(error) if isinstance(error, RegbenchError) else raised(error)
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}: {type(error).__name__}: {error.msg}"
    places = {each.place for each in LOADED.values()} | {_loading.place if _loading else ""}
    line, trace = "", error.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename in places:
            line = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}: "
        trace = trace.tb_next
    return line + said


def register(kind: str, name: str, thing: object, **options: object) -> None:
    """Register an object of a plugin in the registry of its kind, which validates it."""
    said = f"@regbench.{kind}({_quoted(name)})"
    if _loading is None:
        raise PluginError(
            f"{said}: expected in a plugin, which is given with {HOW}; "
            'in Python, load it with regbench.plugins.load("my_plugin.py")'
        )
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise PluginError(
            f"{said}: expected a name of at most 64 lower-case letters, digits and _, "
            "beginning with a letter"
        )
    known = KINDS[kind].names()
    if name in known:
        owner = next((p for p in LOADED.values() if (kind, name) in p.registered), None)
        where = f"in {owner.place}" if owner else "in regbench itself"
        if (kind, name) in _loading.registered:
            where = "in this plugin"
        raise PluginError(f"{said}: the name is already used {where}; choose another")
    try:
        import_module(KINDS[kind].module).register(name, thing, **options)
    except (TypeError, ValueError, RegbenchError) as error:
        raise PluginError(f"{said}: {error}") from error
    _loading.registered.append((kind, name))


def forget(registered: Iterable[tuple[str, str]]) -> None:
    for kind, name in registered:
        KINDS[kind].names().pop(name, None)


@contextlib.contextmanager
def loading_of(plugin: Plugin) -> Iterator[list[tuple[str, str]]]:
    """Let decorators register for `plugin` in this block; an error removes all of it again."""
    global _loading
    _loading = _Loading(plugin.place)
    try:
        yield _loading.registered
        if not _loading.registered:
            decorators = ", ".join(f"@regbench.{kind}" for kind in KINDS)
            raise PluginError(f"{plugin.place}: registers nothing; expected one of {decorators}")
        LOADED[plugin.name] = replace(plugin, registered=tuple(_loading.registered))
    except BaseException:
        forget(_loading.registered)
        raise
    finally:
        _loading = None


def _quoted(name: object) -> str:
    return f'"{text.one_line(name)}"' if isinstance(name, str) else repr(name)
