"""Executors by name, and how one for a cluster gets its options."""

from __future__ import annotations

import functools
from collections.abc import Callable

from regbench import plugins
from regbench.errors import RegbenchError
from regbench.execution import ray, slurm
from regbench.execution.cluster import Capacity, Cluster
from regbench.execution.local import Executor, local

ON_CLUSTERS = {"ray": ray.ray, "slurm": slurm.slurm}
EXECUTORS: dict[str, Executor] = {"local": local, **ON_CLUSTERS}
# What the machines of a cluster have: called with its options and the device.
CAPACITIES: dict[str, Callable[[Cluster, str], Capacity]] = {
    "ray": ray.capacity,
    "slurm": slurm.capacity,
}
# The executors that each option of `Cluster` is for.
OPTIONS = {
    "address": ("ray",),
    "gpus": ("ray",),
    "slurm": ("slurm",),
    "detach": ("slurm",),
}


def register(name: str, executor: Executor) -> None:
    """Add a plugin's executor."""
    if not callable(executor):
        raise TypeError(f"expected a function, received {executor!r:.80}")
    EXECUTORS[name] = executor


def chosen(name: str, cluster: Cluster, device: str = "auto") -> Executor:
    """Return the executor with this name, with its options.

    Raises:
        RegbenchError: there is none, or an option is for another one.
    """
    if name not in EXECUTORS:
        raise RegbenchError(f"--executor: {plugins.unknown(name, EXECUTORS)}")
    for option, known in OPTIONS.items():
        if getattr(cluster, option) and name not in known:
            raise RegbenchError(
                f"--{option}: expected --executor {' or '.join(known)}, received {name}; "
                "leave one of them out"
            )
    if name not in ON_CLUSTERS:
        return EXECUTORS[name]
    return functools.partial(ON_CLUSTERS[name], cluster=cluster, device=device)


def capacity(name: str, cluster: Cluster, device: str = "auto") -> Capacity | None:
    """Return what a cluster's machines have for runs; None for executors without a cluster.

    Raises:
        RegbenchError: as `chosen`, or the cluster can't be reached.
    """
    chosen(name, cluster, device)
    return CAPACITIES[name](cluster, device) if name in CAPACITIES else None
