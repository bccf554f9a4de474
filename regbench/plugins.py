"""Code of one's own, from outside: techniques, data sets, models, executors, metrics, figures.

A plugin is a Python file, given with `--plugin FILE` or in the variable `REGBENCH_PLUGINS`, or an
installed package with entry points. In it, a decorator puts a class or a function under a name:

    @regbench.regularizer("soft_targets")
    class SoftTargets(regbench.Toggle): ...

Nothing else loads code: a config names what it needs, and finished runs are read without it. The
SHA-256 of a plugin's source is part of every config that uses one of its names, so that a changed
plugin is another experiment.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import sys
import types
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, Literal, TypeVar

from regbench import files, text
from regbench.errors import RegbenchError

VARIABLE = "REGBENCH_PLUGINS"
HINT = f"a name from a plugin needs --plugin FILE, or the variable {VARIABLE}"
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
MAX_BYTES = 2**20

Class = TypeVar("Class", bound=type)
Loader = TypeVar("Loader", bound=Callable[[Path | None], Any])
Builder = TypeVar("Builder", bound=Callable[[tuple[int, ...], int], Any])
Executor = TypeVar("Executor", bound=Callable[..., Generator[Any, None, None]])
Measure = TypeVar("Measure", bound=Callable[[Any], float | None])
Drawing = TypeVar("Drawing", bound=Callable[[Any], Any])


@dataclass(frozen=True)
class Kind:
    """What can be registered: the module with the function `register`, and its visible dict."""

    module: str
    registry: str

    def names(self) -> dict[str, Any]:
        """Return the dict itself: imported when it is used, for it lies above this module."""
        found: dict[str, Any] = getattr(import_module(self.module), self.registry)
        return found


KINDS = {
    "regularizer": Kind("regbench.config.experiment", "REGULARIZERS"),
    "dataset": Kind("regbench.datasets", "DATASETS"),
    "model": Kind("regbench.builders", "BUILDERS"),
    "executor": Kind("regbench.execution.local", "EXECUTORS"),
    "metric": Kind("regbench.analysis.metrics", "METRICS"),
    "figure": Kind("regbench.figures", "FIGURES"),
}


class PluginError(RegbenchError):
    """A plugin that can't be loaded, or that is not the one which an experiment was made with."""


@dataclass(frozen=True)
class Plugin:
    """A plugin that is loaded, and what it registered, as (kind, name).

    `place` is its file as it was given, or the package and its version; `entry_points` of a package
    are what to import, as (kind, name, value).
    """

    name: str
    place: str
    sha256: str
    registered: tuple[tuple[str, str], ...] = ()
    path: Path | None = None
    entry_points: tuple[tuple[str, str, str], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return what `regbench plugins --json` prints."""
        names: dict[str, list[str]] = {}
        for kind, name in self.registered:
            names.setdefault(kind, []).append(name)
        return {"name": self.name, "place": self.place, "sha256": self.sha256, "registered": names}


@dataclass
class _Loading:
    """The plugin that is being loaded, and what it has registered so far."""

    place: str
    registered: list[tuple[str, str]] = field(default_factory=list)


_loaded: dict[str, Plugin] = {}
_loading: _Loading | None = None


def regularizer(name: str) -> Callable[[Class], Class]:
    """Register a technique: a class that extends `regbench.Toggle`, or another `Regularizer`."""
    return _decorator("regularizer", name)


def dataset(name: str) -> Callable[[Loader], Loader]:
    """Register a data set: a function that takes `data.path`, or None, and returns `Splits`.

    It is called once in the parent process and once for every run: the same path has to give the
    same examples each time.
    """
    return _decorator("dataset", name)


def model(name: str) -> Callable[[Builder], Builder]:
    """Register a network: a function of the input shape and the number of classes.

    It returns a `keras.Model` from float32 images in [0, 1] to class probabilities.
    """
    return _decorator("model", name)


def executor(name: str) -> Callable[[Executor], Executor]:
    """Register an executor, of the form of `regbench.execution.local.local`."""
    return _decorator("executor", name)


def metric(
    name: str, *, better: Literal["lower", "higher"] | None = None
) -> Callable[[Measure], Measure]:
    """Register a metric: a function of a run (`regbench.analysis.metrics.Run`), None where it has
    no such number. The first line of its docstring describes it.
    """
    return _decorator("metric", name, better=better)


def figure(name: str) -> Callable[[Drawing], Drawing]:
    """Register a figure: a function of the results that returns an Altair chart, or None.

    The first line of its docstring is its title in the report, the rest its text.
    """
    return _decorator("figure", name)


def load(*paths: str | Path) -> list[Plugin]:
    """Load plugin files, those in `REGBENCH_PLUGINS`, and the entry points of installed packages.

    What is loaded already stays; a file that changed since is loaded again, in place of what it
    was. Returns every plugin that is loaded.

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
        if name not in _loaded:
            _load_package(found)
    return list(_loaded.values())


def loaded() -> list[Plugin]:
    """Return the plugins that are loaded."""
    return list(_loaded.values())


def unload(*names: str) -> None:
    """Take plugins, or all of them, and what they registered out of this process."""
    for name in names or tuple(_loaded):
        plugin = _loaded.pop(name)
        _forget(plugin.registered)
        sys.modules.pop(_module_name(name), None)


def names(kind: str) -> list[str]:
    """Return the names of a kind that plugins registered."""
    return [name for each in _loaded.values() for of, name in each.registered if of == kind]


def digests(used: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the SHA-256, by plugin, of those that registered any of these (kind, name)."""
    asked = set(used)
    return {
        plugin.name: plugin.sha256
        for plugin in sorted(_loaded.values(), key=lambda each: each.name)
        if asked & set(plugin.registered)
    }


def describe(used: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return what `environment.json` records of the plugins of an experiment."""
    return {
        name: {"place": _loaded[name].place if name in _loaded else "", "sha256": sha256}
        for name, sha256 in used.items()
    }


def manifest(used: Mapping[str, str]) -> tuple[Plugin, ...]:
    """Return what another process needs to load the same plugins, for `restore`.

    Raises:
        PluginError: one of them was loaded again since, from changed source.
    """
    for name, sha256 in used.items():
        if name not in _loaded or _loaded[name].sha256 != sha256:
            raise PluginError(
                f"plugin {name}: expected SHA-256 {sha256[:12]}, with which the config was read, "
                f"but it is not loaded any more; read the config again"
            )
    return tuple(_loaded[name] for name in used)


def restore(plugins: Sequence[Plugin]) -> None:
    """Load the plugins of another process in this one.

    Raises:
        PluginError: one can't be loaded, or its source has changed since.
    """
    for plugin in plugins:
        current = _loaded.get(plugin.name)
        if current is None or current.sha256 != plugin.sha256:
            if plugin.path:
                _load_file(plugin.path, "plugin", plugin)
            else:
                _load_package(plugin, plugin)


def unknown(name: object, known: Iterable[str]) -> str:
    """Return what to say of a name that is not registered: the nearest one, and how to add it."""
    known = list(known)
    near = get_close_matches(str(name), known, 1)
    hint = f'; did you mean "{near[0]}"?' if near else ";"
    return f"expected one of {', '.join(known)}, received {_quoted(name)}{hint} {HINT}"


def blame(error: BaseException) -> str:
    """Return an error in one line, with the last place in a plugin that it came through."""
    message = str(error).strip().splitlines()
    said = f"{type(error).__name__}: {message[0] if message else 'no message'}"
    if isinstance(error, RegbenchError):
        said = str(error)
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}: {type(error).__name__}: {error.msg}"
    places = {each.place for each in _loaded.values()} | {_loading.place if _loading else ""}
    line, trace = "", error.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename in places:
            line = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}: "
        trace = trace.tb_next
    return line + said


def _decorator(kind: str, name: str, **options: Any) -> Callable[[Any], Any]:
    def register(thing: Any) -> Any:
        _register(kind, name, thing, **options)
        return thing

    return register


def _register(kind: str, name: str, thing: Any, **options: Any) -> None:
    """Put what a plugin offers into the registry of its kind, which checks it."""
    said = f"@regbench.{kind}({_quoted(name)})"
    if _loading is None:
        raise PluginError(
            f"{said}: expected in a plugin, which is given with {HINT.partition('needs ')[2]}; "
            'in Python, load it with regbench.plugins.load("my_plugin.py")'
        )
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise PluginError(
            f"{said}: expected a name of at most 64 lower-case letters, digits and _, "
            "beginning with a letter"
        )
    known = KINDS[kind].names()
    if name in known:
        owner = next((p for p in _loaded.values() if (kind, name) in p.registered), None)
        where = f"in {owner.place}" if owner else "in regbench itself"
        if (kind, name) in _loading.registered:
            where = "in this plugin"
        raise PluginError(f"{said}: there is one of this name {where}; choose another")
    try:
        import_module(KINDS[kind].module).register(name, thing, **options)
    except (TypeError, ValueError) as error:
        raise PluginError(f"{said}: {error}") from error
    _loading.registered.append((kind, name))


def _forget(registered: Iterable[tuple[str, str]]) -> None:
    for kind, name in registered:
        KINDS[kind].names().pop(name, None)


@contextlib.contextmanager
def _load_as(plugin: Plugin) -> Iterator[list[tuple[str, str]]]:
    """Inside, decorators register for `plugin`; afterwards it is loaded, or nothing of it is."""
    global _loading
    _loading = _Loading(plugin.place)
    try:
        yield _loading.registered
        if not _loading.registered:
            decorators = ", ".join(f"@regbench.{kind}" for kind in KINDS)
            raise PluginError(f"{plugin.place}: registers nothing; expected one of {decorators}")
        _loaded[plugin.name] = replace(plugin, registered=tuple(_loading.registered))
    except BaseException:
        _forget(_loading.registered)
        sys.modules.pop(_module_name(plugin.name), None)
        raise
    finally:
        _loading = None


def _load_file(path: Path, origin: str, expected: Plugin | None = None) -> None:
    """Load a file, unless the same one is loaded already; replace one that has changed."""
    try:
        source = files.read_bytes(path, MAX_BYTES)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PluginError(f"{origin}: {path}: {reason}; expected a Python file") from error
    name = re.sub(r"\W", "_", path.stem, flags=re.ASCII)
    place = expected.place if expected else str(path)
    plugin = Plugin(name, place, hashlib.sha256(source).hexdigest(), path=path.resolve())
    _check_unchanged(plugin, expected)
    before = _loaded.get(name)
    if before and before.path != plugin.path:
        raise PluginError(
            f"{origin}: {path}: there is a plugin named {name} already, {before.place}; rename one"
        )
    if before and before.sha256 == plugin.sha256:
        return
    if before:
        unload(name)
    with _load_as(plugin):
        _execute(plugin, source)


def _execute(plugin: Plugin, source: bytes) -> None:
    """Run a plugin's source as a module of its own.

    These very bytes were hashed: Python's importer would read the file once more, and take
    compiled code of an earlier version for it, if size and time of the two happen to be equal.
    """
    module = types.ModuleType(_module_name(plugin.name))
    module.__file__ = str(plugin.path)
    sys.modules[module.__name__] = module  # where pickle and dataclasses look for its classes
    try:
        exec(compile(source, plugin.place, "exec", dont_inherit=True), module.__dict__)
    except (Exception, SystemExit) as error:
        said = blame(error)
        raise PluginError(said if plugin.place in said else f"{plugin.place}: {said}") from error


def _installed() -> dict[str, Plugin]:
    """Return the installed packages with entry points in a group such as `regbench.metrics`."""
    points: dict[str, list[tuple[str, str, str]]] = {}
    places: dict[str, str] = {}
    for kind in KINDS:
        for point in metadata.entry_points(group=f"regbench.{kind}s"):
            package = point.dist.name if point.dist else point.module
            name = re.sub(r"\W", "_", package, flags=re.ASCII)
            places[name] = f"{package} {point.dist.version}" if point.dist else package
            points.setdefault(name, []).append((kind, point.name, point.value))
    return {
        name: Plugin(name, places[name], "", entry_points=tuple(dict.fromkeys(found)))
        for name, found in points.items()
    }


def _load_package(plugin: Plugin, expected: Plugin | None = None) -> None:
    """Import what a package's entry points name, which may register by decorators too."""
    with _load_as(plugin) as registered:
        modules = set()
        for kind, name, value in plugin.entry_points:
            module, _, attribute = value.partition(":")
            modules.add(module.partition(".")[0])
            try:
                thing: Any = import_module(module)
                for part in attribute.split(".") if attribute else ():
                    thing = getattr(thing, part)
                if (kind, name) not in registered:
                    _register(kind, name, thing)
            except (Exception, SystemExit) as error:
                raise PluginError(
                    f"{plugin.place}: entry point {name} = {value}: {blame(error)}; "
                    "update the package, or uninstall it"
                ) from error
        plugin = replace(plugin, sha256=_sources(modules))
        _check_unchanged(plugin, expected)
    _loaded[plugin.name] = replace(_loaded[plugin.name], sha256=plugin.sha256)


def _sources(modules: Iterable[str]) -> str:
    """Return the SHA-256 over every Python file of some packages, with their names."""
    digest = hashlib.sha256()
    for name in sorted(modules):
        file = Path(sys.modules[name].__file__ or "")
        found = sorted(file.parent.rglob("*.py")) if file.name == "__init__.py" else [file]
        for path in found:
            relative = path.relative_to(file.parent).as_posix()
            digest.update(f"{relative}\n{path.stat().st_size}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _check_unchanged(plugin: Plugin, expected: Plugin | None) -> None:
    if expected and plugin.sha256 != expected.sha256:
        raise PluginError(
            f"{plugin.place}: changed while regbench was running: expected SHA-256 "
            f"{expected.sha256[:12]}, received {plugin.sha256[:12]}; start the command again"
        )


def _module_name(plugin: str) -> str:
    return f"regbench_plugin_{plugin}"


def _quoted(name: object) -> str:
    return f'"{text.one_line(name)}"' if isinstance(name, str) else repr(name)
