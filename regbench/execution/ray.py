"""Runs jobs on a Ray cluster: one task a run, retried on another node when its node is lost.

A task holds the cores that its run declares, and trains in a worker process of its own
(`execution/node.py`). Events come to the driver through an actor beside it, which also has the
request to stop. Ray's own retries are off: the driver counts them, and can say why.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from regbench.errors import RegbenchError
from regbench.execution import environment, failures, node, parcel, ray_connection
from regbench.execution.cluster import Capacity, Cluster, Node, gpus_of_a_run
from regbench.execution.local import SECONDS_TO_STOP, Event, Function
from regbench.execution.parcel import Parcel

# A machine that others may take back is lost often, and never through its job's fault.
MOST_LOSSES = 10
# The lock of a process that died with its node lives until the system, or the file server, has
# seen it: 90 seconds by default for NFS version 4.
SECONDS_UNTIL_UNLOCKED = 180.0
SECONDS_BETWEEN_LOOKS = 0.1
SECONDS_BEFORE_ANOTHER_TRY = 3.0


class Mailbox:
    """An actor: carries events to the driver, and the request to stop to the nodes."""

    def __init__(self) -> None:
        self._events: list[tuple[int, int, Event]] = []
        self._stopping = False

    def put(self, job: int, attempt: int, event: Event) -> None:
        """Add an event of an attempt at a job."""
        self._events.append((job, attempt, event))

    def take(self) -> list[tuple[int, int, Event]]:
        """Return the events since the last call."""
        found, self._events = self._events, []
        return found

    def stop(self) -> None:
        """Ask every job to stop."""
        self._stopping = True

    def is_stopping(self) -> bool:
        """Return whether jobs are asked to stop."""
        return self._stopping


def ray(
    function: Function,
    jobs: Sequence[Any],
    workers: int,
    variables: Mapping[str, str],
    cluster: Cluster | None = None,
    device: str = "cpu",
) -> Generator[Event, None, None]:
    """Run jobs on a Ray cluster, `workers` at a time, and yield their events as they arrive.

    Without an address, Ray is started on this machine and ended afterwards. Closing the iterator
    stops everything, as for `local`. A job is lost with its node: it is restarted on another one,
    from its last checkpoint if the nodes share the results folder.

    Raises:
        RegbenchError: the cluster can't be reached, or a node has other versions.
    """
    cluster, threads = cluster or Cluster(), int(variables.get("OMP_NUM_THREADS", "1"))
    if not jobs:
        return
    with ray_connection.connected(cluster, workers * threads), parcel.marked(jobs) as mark:
        parcels = parcel.pack(function, jobs, variables, mark)
        _check_nodes(parcels[0])
        gpus = gpus_of_a_run(cluster.gpus, device, ray_connection.nodes())
        running = _Jobs(jobs, parcels, _variables(variables), workers, threads, gpus)
        try:
            yield from running.events()
        finally:
            running.end()


def capacity(cluster: Cluster, device: str) -> Capacity:
    """Return what the cluster has; without an address this machine, without starting Ray."""
    if cluster.address is None:
        ray_connection.require()
        nodes, name = [Node(environment.cores(), cluster.gpus or 0.0)], "Ray on this machine"
        if cluster.gpus is None and environment.free_gpu_memory():
            nodes = [Node(environment.cores(), 1.0)]
    else:
        with ray_connection.connected(cluster, 1):
            nodes, name = ray_connection.nodes(), f"the Ray cluster at {cluster.address}"
    return Capacity(name, nodes, gpus_of_a_run(cluster.gpus, device, nodes))


@dataclass
class _Attempt:
    """A task: the job, which attempt at it this is, and the node once it has started."""

    job: int
    number: int
    node: str = ""


@dataclass
class _Jobs:
    """The jobs of a sweep: waiting, or running as a Ray task each."""

    jobs: Sequence[Any]
    parcels: Sequence[Parcel]
    variables: dict[str, str]
    workers: int
    threads: int
    gpus: float
    waiting: deque[int] = field(default_factory=deque)
    running: dict[Any, _Attempt] = field(default_factory=dict)
    losses: dict[int, int] = field(default_factory=dict)
    lost_at: dict[int, float] = field(default_factory=dict)
    not_before: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        library = ray_connection.library()
        here = library.get_runtime_context().get_node_id()
        affinity = library.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        actor = library.remote(num_cpus=0)(Mailbox)
        self.mailbox = actor.options(scheduling_strategy=affinity(here, soft=False)).remote()
        self.task = library.remote(
            num_cpus=self.threads, num_gpus=self.gpus, max_retries=0, scheduling_strategy="SPREAD"
        )(_work)
        self.waiting.extend(range(len(self.jobs)))

    def events(self) -> Iterator[Event]:
        """Yield every job's events until all have ended."""
        library = ray_connection.library()
        while self.waiting or self.running:
            self._submit()
            ended, _ = library.wait(
                list(self.running), num_returns=1, timeout=SECONDS_BETWEEN_LOOKS
            ) if self.running else ([], None)  # fmt: skip
            if not ended:
                time.sleep(SECONDS_BETWEEN_LOOKS)  # or the loop takes a core from the runs
            # A task sends its last event before it returns: those before its end are here now.
            yield from self._mail()
            for task in ended:
                yield self._ended(task)

    def _submit(self) -> None:
        """Submit the jobs that may start now: others would only wait, in an order of Ray's."""
        now = time.monotonic()
        for _ in range(len(self.waiting)):
            if len(self.running) >= self.workers:
                break
            job = self.waiting.popleft()
            if now < self.not_before.get(job, 0.0):
                self.waiting.append(job)
                continue
            attempt = _Attempt(job, self.losses.get(job, 0))
            task = self.task.remote(
                self.parcels[job], self.variables, self.mailbox, job, attempt.number
            )
            self.running[task] = attempt

    def _mail(self) -> Iterator[Event]:
        current = {(each.job, each.number): each for each in self.running.values()}
        for job, number, event in ray_connection.library().get(self.mailbox.take.remote()):
            attempt = current.get((job, number))
            if attempt is None:  # of a node that was believed lost
                continue
            if event.kind == "started":
                attempt.node = event.figures.get("node", "")
            yield replace(event, job=job)

    def _ended(self, task: Any) -> Event:
        """Return the event for a task that has ended; a lost job waits again."""
        library, attempt = ray_connection.library(), self.running.pop(task)
        errors = library.exceptions
        try:
            event: Event = replace(library.get(task), job=attempt.job)
        except errors.RayTaskError as error:
            return Event(attempt.job, "failed", failure=failures.of_exception(error.cause or error))
        except errors.RayError as error:
            return self._lost(attempt, error)
        if event.failure and event.failure.error == "RunBusy" and self._may_be_locked(attempt.job):
            return self._again(attempt.job, "still locked by the node that was lost; waiting")
        return self._received(event)

    def _lost(self, attempt: _Attempt, error: Exception) -> Event:
        job = attempt.job
        self.losses[job] = count = self.losses.get(job, 0) + 1
        self.lost_at[job] = time.monotonic()
        where = f"node {attempt.node}" if attempt.node else "its node"
        if count > MOST_LOSSES:
            text = f"{where} was lost, as {MOST_LOSSES} before it; {failures.RESUMES}"
            details = f"{text}\n{type(error).__name__}: {error}"
            return Event(job, "failed", failure=failures.Failure("NodeLost", text, details))
        return self._again(job, f"{where} was lost; restarting, retry {count} of {MOST_LOSSES}")

    def _again(self, job: int, text: str) -> Event:
        self.waiting.append(job)
        self.not_before[job] = time.monotonic() + SECONDS_BEFORE_ANOTHER_TRY
        return Event(job, "repeated", {"text": text})

    def _may_be_locked(self, job: int) -> bool:
        return time.monotonic() < self.lost_at.get(job, -1e9) + SECONDS_UNTIL_UNLOCKED

    def _received(self, event: Event) -> Event:
        """Write a run that its node returned into the results folder."""
        from regbench.execution import returned  # no node needs it for a shared folder

        if not isinstance(event.result, returned.Bundled):
            return event
        try:
            returned.unpack(event.result, self.jobs[event.job])
        except (RegbenchError, OSError) as error:
            return Event(event.job, "failed", failure=failures.of_exception(error))
        return replace(event, result=event.result.result)

    def end(self) -> None:
        """Let every task stop at a point where its job can resume, then end all of them."""
        library, tasks = ray_connection.library(), list(self.running)
        try:
            library.get(self.mailbox.stop.remote())
            for task in [task for task in tasks if not self.running[task].node]:
                library.cancel(task)
            if tasks:
                library.wait(tasks, num_returns=len(tasks), timeout=SECONDS_TO_STOP)
        except library.exceptions.RayError:  # the cluster is gone
            pass
        finally:
            for task in tasks:
                with contextlib.suppress(library.exceptions.RayError):
                    library.cancel(task, force=True)
            library.kill(self.mailbox)


def _work(parcel: Parcel, variables: dict[str, str], mailbox: Any, job: int, attempt: int) -> Event:
    """Run one job; the body of a task."""
    library = ray_connection.library()
    name = ray_connection.node_name()

    def tell(event: Event) -> None:
        if event.kind == "started":
            event = replace(event, figures={"node": name})
        sent.append(mailbox.put.remote(job, attempt, event))
        del sent[:-1]

    def is_stopping() -> bool:
        return bool(library.get(mailbox.is_stopping.remote()))

    sent: list[object] = []
    event = node.run(parcel, node.variables(variables, name), tell, is_stopping)
    library.get(sent)  # calls arrive in order: once the last is there, all are
    return event


def _check_nodes(parcel: Parcel) -> None:
    """Refuse a cluster of which a node has other versions than this machine.

    Each job is checked again where it runs: nodes may join later.
    """
    library = ray_connection.library()
    affinity = library.util.scheduling_strategies.NodeAffinitySchedulingStrategy
    check = library.remote(num_cpus=0, max_retries=1)(_check)
    asked = [
        check.options(scheduling_strategy=affinity(each["NodeID"], soft=False)).remote(parcel)
        for each in library.nodes()
        if each["Alive"]
    ]
    for answer in asked:
        try:
            library.get(answer)
        except library.exceptions.RayTaskError as error:
            if isinstance(error.cause, RegbenchError):
                raise error.cause from None
            raise RegbenchError(
                f"Ray: a node can't run regbench: {failures.message(error.cause or error)}; "
                "install regbench[ray] there"
            ) from error
        except library.exceptions.RayError:  # lost meanwhile, and so no danger
            continue


def _check(sent: Parcel) -> None:
    parcel.check(sent)


def _variables(wanted: Mapping[str, str]) -> dict[str, str]:
    """Return a worker's variables, with the cache of this machine for nodes that name none."""
    cache = os.environ.get(node.DATA)
    return {**wanted, **({node.DATA: cache} if cache else {})}
