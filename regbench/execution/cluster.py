"""Clusters: the options with which runs go to other machines, and what those have for runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from regbench.errors import RegbenchError


@dataclass(frozen=True)
class Cluster:
    """The options of the executors for clusters.

    `address` is that of a Ray cluster; without one, Ray is started on this machine. `gpus` is the
    share of a GPU that each run gets, 0.25 for four runs on one card; None for a whole one where
    there are any. `slurm` has the options of sbatch, such as `partition` and `time`. With `detach`,
    SLURM jobs are submitted and not waited for.
    """

    address: str | None = None
    gpus: float | None = None
    slurm: Mapping[str, str] = field(default_factory=dict)
    detach: bool = False


@dataclass(frozen=True)
class Node:
    """The CPU cores and GPUs of a machine that may take runs."""

    cores: int
    gpus: float = 0.0


@dataclass(frozen=True)
class Capacity:
    """The machines of a cluster, named for people, and the share of a GPU that each run gets."""

    name: str
    nodes: Sequence[Node]
    gpus: float = 0.0

    def share(self, runs: int, jobs: int | None, threads: int | None) -> tuple[int, int]:
        """Return the number of runs at a time and the threads of each, for this many runs.

        A run has one thread unless the option says otherwise, however few runs there are: the
        threads decide the last bits of a result, and the nodes that happen to be free must not.

        Raises:
            RegbenchError: no node has room for a run.
        """
        threads = threads or 1
        room = sum(self._room(node, threads) for node in self.nodes)
        if not room:
            wanted = f"{threads} CPU cores" + (f" and {self.gpus:g} GPU" if self.gpus else "")
            raise RegbenchError(
                f"{self.name}: expected a node with {wanted} for a run, received none; "
                "choose fewer --threads or a smaller share with --gpus"
            )
        return max(1, min(jobs or room, runs)), threads

    def _room(self, node: Node, threads: int) -> int:
        by_cores = node.cores // threads
        return min(by_cores, math.floor(node.gpus / self.gpus + 1e-9)) if self.gpus else by_cores

    def __str__(self) -> str:
        """Return "the Ray cluster at HOST:PORT: 3 nodes, 12 cores"."""
        cores, gpus = sum(node.cores for node in self.nodes), sum(n.gpus for n in self.nodes)
        nodes = f"{len(self.nodes)} node{'s' * (len(self.nodes) != 1)}"
        return f"{self.name}: {nodes}, {cores} cores" + (f", {gpus:g} GPUs" if gpus else "")


def gpus_of_a_run(asked: float | None, device: str, nodes: Sequence[Node]) -> float:
    """Return the share of a GPU that a run gets: the one asked for, else a whole one if any."""
    if device == "cpu":
        return 0.0
    return asked if asked is not None else float(any(node.gpus for node in nodes))
