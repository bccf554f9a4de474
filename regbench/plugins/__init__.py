"""Plugins, your own code: techniques, data sets, models, executors, metrics, figures.

A plugin is a Python file, given with `--plugin FILE` or in the variable `REGBENCH_PLUGINS`, or an
installed package with entry points. In it, a decorator registers a class or a function under a
name:

    @regbench.regularizer("soft_targets")
    class SoftTargets(regbench.Toggle): ...

`registry` knows what is loaded, and `loading` loads it. Nothing else loads code: a config names
what it needs, and finished runs are read without it. The SHA-256 of a plugin's source is part of
every config that uses one of its names, so that a changed plugin is another experiment.
"""

from __future__ import annotations

from regbench.plugins.decorators import dataset, executor, figure, metric, model, regularizer
from regbench.plugins.loading import load, receive, restore, sources, unload
from regbench.plugins.registry import (
    HINT,
    KINDS,
    NAME,
    Plugin,
    PluginError,
    blame,
    describe,
    digests,
    loaded,
    manifest,
    names,
    unknown,
)

__all__ = [
    "HINT",
    "KINDS",
    "NAME",
    "Plugin",
    "PluginError",
    "blame",
    "dataset",
    "describe",
    "digests",
    "executor",
    "figure",
    "load",
    "loaded",
    "manifest",
    "metric",
    "model",
    "names",
    "receive",
    "regularizer",
    "restore",
    "sources",
    "unknown",
    "unload",
]  # fmt: skip
