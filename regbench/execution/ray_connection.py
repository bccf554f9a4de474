"""Connects this process to a Ray cluster, or to a Ray that it starts on this machine."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import secrets
import signal
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

from regbench.errors import RegbenchError
from regbench.execution import environment, failures
from regbench.execution.cluster import Cluster, Node

# How often a Ray of one's own is started until it runs.
STARTS = 3
SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    # Ray would hide every GPU from a task that declares none; `--device cpu` does that itself.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # Ray would give tasks priority 15 of 19: hardly any time on a machine that does other work.
    "RAY_worker_niceness": "0",
}


@contextlib.contextmanager
def connected(cluster: Cluster, cores: int) -> Iterator[None]:
    """Connect to a Ray cluster, or start one with at least so many cores, in this block."""
    if cluster.address is None:
        # Ray's ports take code from whoever knows the token, on a machine that others use too.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    ray = library()
    before, where = signal.getsignal(signal.SIGTERM), Path.cwd()
    wanted: dict[str, object] = {"address": cluster.address}
    if cluster.address is None:
        cores = max(cores, environment.cores())
        wanted = {"address": "local", "num_cpus": cores, "include_dashboard": False}
        wanted |= {"num_gpus": max(1.0, cluster.gpus)} if cluster.gpus else {}
    # Ray puts the driver's current folder on every worker's path: a module in it, beside a config
    # from a stranger, must not run as code. A Ray that is started here works in that folder.
    with tempfile.TemporaryDirectory(prefix="regbench-ray-") as empty:
        try:
            os.chdir(empty)
            with _absolute_paths(where):
                _initialize(wanted, cluster.address)
        finally:
            os.chdir(where)
            signal.signal(signal.SIGTERM, before)  # Ray's would end this process at once
        try:
            yield
        finally:
            ray.shutdown()


@contextlib.contextmanager
def _absolute_paths(folder: Path) -> Iterator[None]:
    """Let entries of PYTHONPATH mean what they mean in a folder, wherever Ray's processes start.

    An empty entry, mostly a mistake, would be that folder itself, and is left out.
    """
    given = os.environ.get("PYTHONPATH")
    if given is not None:
        entries = [str(folder / entry) for entry in given.split(os.pathsep) if entry]
        os.environ["PYTHONPATH"] = os.pathsep.join(entries)
    try:
        yield
    finally:
        if given is not None:
            os.environ["PYTHONPATH"] = given


def _initialize(wanted: Mapping[str, object], address: str | None) -> None:
    """Connect this process to Ray, which is started here where there is no address.

    A Ray that is started waits 15 seconds for processes of its own, and gives up where the machine
    is busy; the next try finds their files in memory.
    """
    ray = library()
    for left in reversed(range(1 if address else STARTS)):
        try:
            ray.init(**wanted, log_to_driver=False, logging_level="error")
            return
        except Exception as error:  # Ray raises bare ones
            ray.shutdown()
            if left:
                continue
            received = failures.message(error)
            if address is None:
                raise RegbenchError(
                    f"--executor ray: Ray did not start on this machine: {received}; if other "
                    "programs keep the machine busy, try again later; its logs are in "
                    "/tmp/ray/session_latest/logs"
                ) from error
            raise RegbenchError(
                f"--address: expected a Ray cluster at {address}, received: {received}; "
                "start one with: ray start --head"
            ) from error


def library() -> ModuleType:
    """Return the package ray, set up, or raise RegbenchError if it is not installed."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    require()
    import ray
    import ray.util.scheduling_strategies

    return ray


def require() -> None:
    """Raise RegbenchError if the package ray is not installed."""
    if importlib.util.find_spec("ray") is None:
        raise RegbenchError(
            "--executor ray: Ray is not installed; install it with: pip install 'regbench[ray]'"
        )


def nodes() -> list[Node]:
    """Return what each node of the connected cluster has for tasks."""
    alive = [each["Resources"] for each in library().nodes() if each["Alive"]]
    return [Node(int(each.get("CPU", 0)), float(each.get("GPU", 0))) for each in alive]


def node_name() -> str:
    """Return the name of this node: of its machine, and Ray's, which tells nodes on one apart."""
    return f"{platform.node()} (Ray node {library().get_runtime_context().get_node_id()[:8]})"
