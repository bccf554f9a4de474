"""Decorators with which a plugin registers a class or a function under a name."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Literal, Never, TypeVar

from regbench.plugins import registry

Thing = TypeVar("Thing")
Class = TypeVar("Class", bound=type)
Loader = TypeVar("Loader", bound=Callable[[Path | None], object])
Builder = TypeVar("Builder", bound=Callable[[tuple[int, ...], int], object])
Executor = TypeVar(
    "Executor", bound=Callable[[Never, Never, Never, Never], Generator[object, None, None]]
)
Measure = TypeVar("Measure", bound=Callable[[Never], float | None])
Drawing = TypeVar("Drawing", bound=Callable[[Never], object])


def regularizer(name: str) -> Callable[[Class], Class]:
    """Register a technique: a class that extends `regbench.Toggle`, or another `Regularizer`."""
    return _decorator("regularizer", name)


def dataset(name: str) -> Callable[[Loader], Loader]:
    """Register a data set: a function that takes `data.path`, or None, and returns `Splits`.

    It is called once in the parent process and once for every run: the same path must give the same
    examples each time.
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


def _decorator(kind: str, name: str, **options: object) -> Callable[[Thing], Thing]:
    def register(thing: Thing) -> Thing:
        registry.register(kind, name, thing, **options)
        return thing

    return register
