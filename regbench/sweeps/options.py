"""The options of `sweep.run` and `plan.plan`, for functions and commands that pass them on.

A wrong name or type is then an error of the type checker in a call of `regbench.run`, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from regbench.execution.cluster import Cluster
    from regbench.sweeps.sweep import Observer


class PlanOptions(TypedDict, total=False):
    """The options that decide which runs are trained, where, and how many at a time."""

    backend: str | None
    device: str
    jobs: int | None
    threads: int | None
    force: bool
    executor: str
    cluster: Cluster | None


class Options(PlanOptions, total=False):
    """The options with which studies and papers train their runs."""

    probes: bool
    fail_fast: bool
    command: Sequence[str]
    observer: Observer | None


class RunOptions(Options, total=False):
    """All options of `sweep.run`, which documents them."""

    profile: bool
