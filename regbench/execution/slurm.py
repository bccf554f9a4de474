"""Runs jobs on a SLURM cluster through submitit, as arrays, from a results folder that it shares.

What was submitted is written down beside the runs, in `.slurm/`, so that the same command, now or
tomorrow, finds its jobs: it follows those that are queued or running, and submits what is lost.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
from collections import defaultdict
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from regbench import files
from regbench.errors import RegbenchError
from regbench.execution import failures, node, parcel, slurm_commands, slurm_task
from regbench.execution.cluster import Capacity, Cluster
from regbench.execution.failures import Failure
from regbench.execution.local import SECONDS_TO_STOP, Event, Function
from regbench.execution.slurm_task import Share, Task

FOLDER = ".slurm"
JOBS = "jobs.json"
MOST_LOSSES = 10
# A job starts Python and imports a backend before it trains, so runs share one. Each slot still has
# several jobs, or the others would wait for the last one at the end.
JOBS_OF_A_SLOT = 4
MOST_RUNS_OF_A_JOB = 8
SECONDS_BETWEEN_LOOKS = 0.5
# After a look at all jobs that took t seconds, the next one waits this many times t.
PAUSE = 5
# SLURM has a limit for the jobs of all users, too.
SECONDS_BEFORE_ANOTHER_TRY = 60.0
# SLURM's controller serves everybody: ask it rarely.
SECONDS_BETWEEN_QUESTIONS = 5.0
# Between a job's end and the moment at which its last lines are seen here, over NFS.
SECONDS_UNTIL_LOST = 15.0
SECONDS_WITHOUT_ANSWER = 600.0


def slurm(
    function: Function,
    jobs: Sequence[object],
    workers: int,
    variables: Mapping[str, str],
    cluster: Cluster | None = None,
    device: str = "cpu",
) -> Generator[Event, None, None]:
    """Run jobs as SLURM jobs, at most `workers` at a time, and yield their events.

    Jobs of an earlier call that are queued or running are followed, not submitted again. Closing
    the iterator cancels them; with `detach` it ends by itself once everything is submitted.

    Raises:
        RegbenchError: SLURM does not answer, or refuses an option.
    """
    if not jobs:
        return
    slurm_commands.require()
    cluster = cluster or Cluster()
    followed = _Jobs(function, jobs, workers, dict(variables), cluster)
    followed.recall()
    if cluster.detach:
        yield from followed.reported()
        followed.submit_waiting()
        yield from followed.described()
        return
    try:
        yield from followed.events()
    finally:
        followed.end()


def capacity(cluster: Cluster, device: str) -> Capacity:
    """Return what the nodes of the partition have."""
    slurm_commands.require()
    slurm_commands.parameters(cluster.slurm)
    partition = cluster.slurm.get("partition")
    name = f"SLURM's partition {partition}" if partition else "SLURM's default partition"
    return Capacity(name, slurm_commands.nodes(partition))


def runs_of_a_job(runs: int, slots: int) -> int:
    """Return how many runs share a job, where so many wait for so many slots."""
    return max(1, min(MOST_RUNS_OF_A_JOB, runs // (JOBS_OF_A_SLOT * slots)))


@dataclass
class _Submitted:
    """A run that SLURM has or had: its job's number, its file of events, how often it was lost."""

    number: str
    events: str
    losses: int = 0
    place: int = 0
    gone_since: float | None = None
    is_over: bool = False


@dataclass
class _Jobs:
    """The jobs of a sweep, and what was submitted for each, by its place in `jobs`."""

    function: Function
    jobs: Sequence[object]
    workers: int
    variables: dict[str, str]
    cluster: Cluster
    known: dict[int, _Submitted] = field(default_factory=dict)
    waiting: list[int] = field(default_factory=list)
    losses: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    stories: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder = Path(getattr(self.jobs[0], "results", "")).resolve() / FOLDER
        files.make_folder(self.folder / "events")
        self.names = [
            job.experiment.run_name if hasattr(job, "experiment") else str(index)
            for index, job in enumerate(self.jobs)
        ]
        cache = os.environ.get(node.DATA)
        self.variables |= {node.DATA: cache} if cache else {}
        self._asked_at = self._answered_at = time.monotonic()
        self._refused_until = 0.0

    def recall(self) -> None:
        """Find the jobs of earlier calls; those that ended without a result wait again."""
        recorded, queued = self._recorded(), slurm_commands.queue()
        if queued is None:
            raise RegbenchError("--executor slurm: squeue does not answer; try again later")
        for index, name in enumerate(self.names):
            earlier = recorded.get(name)
            last = slurm_task.last(self.folder / "events" / earlier.events) if earlier else None
            if earlier and last is None and earlier.number in queued:
                self.known[index] = earlier
                continue
            self.waiting.append(index)
            if earlier and (last is None or last.kind != "done"):
                self.losses[index] = 1
                self.stories.append(self._story(index, earlier, last))

    def _story(self, index: int, earlier: _Submitted, last: Event | None) -> Event:
        failed = last is not None and last.kind == "failed" and last.failure
        why = f"failed: {failed.message}" if failed else "was lost"
        text = f"SLURM job {earlier.number} {why}; submitting it again"
        return Event(index, "note", {"text": text})

    def reported(self) -> Iterator[Event]:
        """Yield what became of earlier jobs."""
        yield from self.stories
        self.stories = []

    def described(self) -> Iterator[Event]:
        """Yield a note for every job that SLURM has: queued or running."""
        queued = slurm_commands.queue() or {}
        for index, job in sorted(self.known.items()):
            state = queued.get(job.number, "PENDING")
            text = f"{state.lower()} as SLURM job {job.number}"
            yield Event(index, "note", {"text": text})

    def events(self) -> Iterator[Event]:
        """Submit, and yield every job's events until all have ended."""
        yield from self.reported()
        self.submit_waiting()
        took = 0.0
        while self.waiting or not all(job.is_over for job in self.known.values()):
            # A look at the files of 20,000 jobs takes a while: the file server serves others too.
            time.sleep(max(SECONDS_BETWEEN_LOOKS, PAUSE * took))
            began = time.monotonic()
            for index in list(self.known):
                yield from self._news(index)
            took = time.monotonic() - began
            yield from self._lost()
            self.submit_waiting()
            yield from self.reported()

    def submit_waiting(self) -> None:
        """Submit the jobs that wait, as arrays that follow each other, each written down at once.

        An array has as many jobs as SLURM allows. Once it is submitted, the jobs that SLURM refuses
        wait for those that it has: it may have as many as it takes.
        """
        if not self.waiting or time.monotonic() < self._refused_until:
            return
        share = runs_of_a_job(len(self.waiting), self.workers)
        most, before = slurm_commands.longest_array() * share, None
        while self.waiting:
            try:
                before = self._submit(self.waiting[:most], share, before)
            except RegbenchError as error:
                if all(job.is_over for job in self.known.values()):
                    raise
                if self.cluster.detach:
                    count = f"{len(self.known)} of {len(self.jobs)} runs are with SLURM"
                    raise RegbenchError(
                        f"{error}; {count}: the same command submits the others later"
                    ) from error
                self._refused_until = time.monotonic() + SECONDS_BEFORE_ANOTHER_TRY
                text = f"{error}; trying again once other jobs have ended"
                self.stories.append(Event(self.waiting[0], "note", {"text": text}))
                return
            del self.waiting[:most]

    def _submit(self, indices: Sequence[int], share: int, after: str | None) -> str:
        """Submit runs as one array and write down which job is whose; return the last number."""
        sent = [self.jobs[index] for index in indices]
        parcels = parcel.pack(self.function, sent, self.variables, "")
        names = [f"{self.names[index]}-{secrets.token_hex(4)}.jsonl" for index in indices]
        runs = [
            Share(each, self.folder / "events" / name, self.losses[index] > 0)
            for each, name, index in zip(parcels, names, indices, strict=True)
        ]
        # Neighbors are mostly seeds of one config, whose compiled model a worker keeps.
        tasks = [Task(runs[at : at + share], self.variables) for at in range(0, len(runs), share)]
        threads = int(self.variables.get("OMP_NUM_THREADS", "1"))
        numbers = slurm_commands.submit(
            tasks, self.folder / "jobs", self.workers, threads, self.cluster.slurm, after
        )
        for at, (index, name) in enumerate(zip(indices, names, strict=True)):
            self.known[index] = _Submitted(numbers[at // share], name, self.losses[index])
        self._record()
        return numbers[-1]

    def _news(self, index: int) -> Iterator[Event]:
        job = self.known[index]
        if job.is_over:
            return
        found, job.place = slurm_task.read(self.folder / "events" / job.events, job.place)
        for event in found:
            job.is_over = event.kind in ("done", "failed")
            stopped = event.failure is not None and event.failure.error == "Stopped"
            # Nobody here has stopped it: it was cancelled, or made way for another job.
            yield self._again(index, job) if stopped else replace(event, job=index)

    def _lost(self) -> Iterator[Event]:
        """Yield an event for each job that SLURM has no more and that left no result."""
        now = time.monotonic()
        if now < self._asked_at + SECONDS_BETWEEN_QUESTIONS:
            return
        queued, self._asked_at = slurm_commands.queue(), now
        if queued is None:
            if now > self._answered_at + SECONDS_WITHOUT_ANSWER:
                raise RegbenchError("--executor slurm: squeue does not answer; try again later")
            return
        self._answered_at = now
        for index, job in self.known.items():
            if job.is_over or job.number in queued:
                job.gone_since = None
            elif job.gone_since is None:
                job.gone_since = now
            elif now > job.gone_since + SECONDS_UNTIL_LOST:
                yield self._again(index, job)

    def _again(self, index: int, job: _Submitted) -> Event:
        self.losses[index] += 1
        job.is_over = True
        if self.losses[index] > MOST_LOSSES:
            text = f"SLURM job {job.number} was lost, as {MOST_LOSSES} before; {failures.RESUMES}"
            details = f"{text}\nIts output is in {self.folder / 'jobs'}"
            return Event(index, "failed", failure=Failure("JobLost", text, details))
        self.waiting.append(index)
        count = f"retry {self.losses[index]} of {MOST_LOSSES}"
        text = f"SLURM job {job.number} was lost; submitting it again, {count}"
        return Event(index, "repeated", {"text": text})

    def end(self) -> None:
        """Cancel the jobs that have not ended, and wait until they have written checkpoints."""
        left = {job.number for job in self.known.values() if not job.is_over}
        with contextlib.suppress(RegbenchError):  # some may have ended since
            slurm_commands.cancel(sorted(left))
        deadline = time.monotonic() + SECONDS_TO_STOP
        while left and time.monotonic() < deadline:
            queued = slurm_commands.queue()
            left &= set(queued) if queued is not None else left
            time.sleep(SECONDS_BETWEEN_LOOKS if left else 0.0)

    def _recorded(self) -> dict[str, _Submitted]:
        try:
            content = json.loads((self.folder / JOBS).read_text(encoding="utf-8"))
            return {name: _Submitted(**each) for name, each in content.items()}
        except (OSError, ValueError, TypeError, AttributeError):  # damaged: jobs are locked anyway
            return {}

    def _record(self) -> None:
        recorded = self._recorded() | {self.names[each]: job for each, job in self.known.items()}
        kept = ("number", "events", "losses")
        content = {name: {key: getattr(job, key) for key in kept} for name, job in recorded.items()}
        files.write(self.folder / JOBS, json.dumps(content, indent=1) + "\n")
