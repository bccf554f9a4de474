"""Loads plugins: your own files, and the entry points of installed packages."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from regbench import files
from regbench.plugins import registry
from regbench.plugins.registry import KINDS, VARIABLE, Plugin, PluginError, blame, loading_of

MAX_BYTES = 2**20

# The sources of another machine's plugins, by SHA-256.
_received: dict[str, bytes] = {}
# The sources of this process' own plugin files, as they were when they were loaded.
_loaded: dict[str, bytes] = {}


def load(*paths: str | Path) -> list[Plugin]:
    """Load plugin files, those in `REGBENCH_PLUGINS`, and the entry points of installed packages.

    Loaded plugins stay; a file that has changed is loaded again and replaces the old version.
    Returns every plugin that is loaded.

    Raises:
        PluginError: a file is missing, can't be imported or registers nothing; a name is taken.
    """
    named = [(Path(path), "--plugin") for path in paths]
    variable = os.environ.get(VARIABLE, "").split(os.pathsep)
    named += [(Path(path), VARIABLE) for path in variable if path]
    seen: dict[Path, str] = {}
    for path, origin in named:
        resolved = path.expanduser().resolve()
        if resolved in seen:
            both = origin if seen[resolved] == origin else f"{seen[resolved]} and {origin}"
            raise PluginError(f"{both}: {path} is given twice; give it once")
        seen[resolved] = origin
        _load_file(path.expanduser(), origin)
    for name, found in _installed().items():
        if name not in registry.LOADED:
            _load_package(found)
    return list(registry.LOADED.values())


def unload(*names: str) -> None:
    """Unload plugins, or all of them, with everything that they registered."""
    for name in names or tuple(registry.LOADED):
        plugin = registry.LOADED.pop(name)
        registry.forget(plugin.registered)
        sys.modules.pop(_module_name(name), None)


def restore(plugins: Sequence[Plugin]) -> None:
    """Load another process's plugins in this one.

    Raises:
        PluginError: one can't be loaded, or its source has changed since.
    """
    for plugin in plugins:
        current = registry.LOADED.get(plugin.name)
        if current is None or current.sha256 != plugin.sha256:
            if plugin.path:
                _load_file(plugin.path, "plugin", plugin)
            else:
                _load_package(plugin, plugin)


def sources() -> dict[str, bytes]:
    """Return the source of every plugin file that is loaded, by SHA-256, for another machine."""
    shas = [plugin.sha256 for plugin in registry.LOADED.values() if plugin.path]
    return {sha: _loaded[sha] for sha in shas}


def receive(sources: Mapping[str, bytes]) -> None:
    """Keep the sources of another machine's plugins, for `restore` to load instead of files."""
    _received.update(sources)


def _load_file(path: Path, origin: str, expected: Plugin | None = None) -> None:
    """Load a file unless it is loaded already; replace it if it has changed."""
    try:
        sent = _received.get(expected.sha256) if expected else None
        source = files.read_bytes(path, MAX_BYTES) if sent is None else sent
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PluginError(f"{origin}: {path}: {reason}; expected a Python file") from error
    name = re.sub(r"\W", "_", path.stem, flags=re.ASCII)
    place = expected.place if expected else str(path)
    plugin = Plugin(name, place, hashlib.sha256(source).hexdigest(), path=path.resolve())
    _check_unchanged(plugin, expected)
    before = registry.LOADED.get(name)
    if before and before.path != plugin.path:
        raise PluginError(
            f"{origin}: {path}: there is a plugin named {name} already, {before.place}; rename one"
        )
    if before and before.sha256 == plugin.sha256:
        return
    if before:
        unload(name)
    with loading_of(plugin):
        _execute(plugin, source)
    _loaded[plugin.sha256] = source


def _execute(plugin: Plugin, source: bytes) -> None:
    """Run a plugin's source as a module of its own.

    It runs the bytes that were hashed: Python's importer would read the file once more, and could
    use stale compiled code if the size and time of both versions are equal.
    """
    module = types.ModuleType(_module_name(plugin.name))
    module.__file__ = str(plugin.path)
    sys.modules[module.__name__] = module  # pickle and dataclasses look for its classes here
    try:
        exec(compile(source, plugin.place, "exec", dont_inherit=True), module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[module.__name__]
        said = blame(error)
        raise PluginError(said if plugin.place in said else f"{plugin.place}: {said}") from error


def _installed() -> dict[str, Plugin]:
    """Return the installed packages with entry points in a group such as `regbench.metrics`."""
    from importlib import metadata  # slow to import, and rarely needed

    points: dict[str, list[tuple[str, str, str]]] = {}
    places: dict[str, str] = {}
    found = metadata.entry_points()  # reads every installed package, so do it once
    for kind in KINDS:
        for point in found.select(group=f"regbench.{kind}s"):
            package = point.dist.name if point.dist else point.module
            name = re.sub(r"\W", "_", package, flags=re.ASCII)
            places[name] = f"{package} {point.dist.version}" if point.dist else package
            points.setdefault(name, []).append((kind, point.name, point.value))
    return {
        name: Plugin(name, places[name], "", entry_points=tuple(dict.fromkeys(each)))
        for name, each in points.items()
    }


def _load_package(plugin: Plugin, expected: Plugin | None = None) -> None:
    """Import the objects that a package's entry points name; decorators may register more."""
    with loading_of(plugin) as registered:
        modules = set()
        for kind, name, value in plugin.entry_points:
            module, _, attribute = value.partition(":")
            modules.add(module.partition(".")[0])
            try:
                thing: object = import_module(module)
                for part in attribute.split(".") if attribute else ():
                    thing = getattr(thing, part)
                if (kind, name) not in registered:
                    registry.register(kind, name, thing)
            except (Exception, SystemExit) as error:
                raise PluginError(
                    f"{plugin.place}: entry point {name} = {value}: {blame(error)}; "
                    "update the package, or uninstall it"
                ) from error
        plugin = replace(plugin, sha256=_sources(modules))
        _check_unchanged(plugin, expected)
    registry.LOADED[plugin.name] = replace(registry.LOADED[plugin.name], sha256=plugin.sha256)


def _sources(modules: Iterable[str]) -> str:
    """Return the SHA-256 over every Python file of some packages, with their names."""
    digest = hashlib.sha256()
    for name in sorted(modules):
        module = sys.modules[name]
        folders = [Path(each) for each in getattr(module, "__path__", ())]
        found = {path.relative_to(each): path for each in folders for path in each.rglob("*.py")}
        found = found or {Path(name): Path(str(module.__file__))}
        for relative, path in sorted(found.items()):
            source = path.read_bytes()
            digest.update(f"{relative.as_posix()}\n{len(source)}\n".encode())
            digest.update(source)
    return digest.hexdigest()


def _check_unchanged(plugin: Plugin, expected: Plugin | None) -> None:
    if expected and plugin.sha256 != expected.sha256:
        raise PluginError(
            f"{plugin.place}: changed while regbench was running: expected SHA-256 "
            f"{expected.sha256[:12]}, received {plugin.sha256[:12]}; start the command again"
        )


def _module_name(plugin: str) -> str:
    return f"regbench_plugin_{plugin}"
