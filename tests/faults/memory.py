"""Many runs, one after the other as a sweep has them: what each of them leaves in the worker."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from regbench.execution.local import local
from regbench.training import train
from regbench.training.train import Job
from tests.faults import victims
from tests.faults.report import Line, show

MIB = 2**20
WARM_UP = 10  # runs: libraries load what they need on the way, and the allocator its arenas
# What a run may leave and still count as nothing: a worker that trains a thousand of them grows by
# a sixth then. The graphs of a single step would be forty times as much.
MOST_OF_A_RUN = MIB / 10


class Weighed(NamedTuple):
    """What a worker holds after a run: bytes of memory, open files and threads."""

    pid: int
    memory: int
    files: int
    threads: int


def of_many_runs(folder: Path, count: int) -> Iterator[Line]:
    """Train `count` tiny runs in one worker; weigh it after each."""
    run = victims.experiment(1, "train.checkpoint_minutes=10")
    jobs = [
        Job(run.with_seed(seed), folder, victims.RUNTIME, ["regbench", "run"])
        for seed in range(count)
    ]
    weighed: list[Weighed] = []
    for event in local(train_and_weigh, jobs, 1, victims.RUNTIME.variables()):
        if event.kind == "failed" and event.failure:
            yield Line("tiny runs, one after the other", count, event.failure.message, False)
            return
        if event.kind == "done":
            weighed.append(event.result)
            show(f"{len(weighed)} of {count} runs, {weighed[-1].memory / MIB:.0f} MiB")
    yield _line(weighed)


def _line(weighed: list[Weighed]) -> Line:
    warm = weighed[WARM_UP:]
    slope = float(np.polyfit(range(len(warm)), [each.memory for each in warm], 1)[0])
    first, last = warm[0], warm[-1]
    return Line(
        f"tiny runs in {len({each.pid for each in weighed})} worker",
        len(weighed),
        f"{slope / 2**10:+.1f} KiB a run; {first.memory / MIB:.0f} MiB after {WARM_UP + 1}, "
        f"{last.memory / MIB:.0f} MiB after all; {last.files - first.files:+d} open files, "
        f"{last.threads - first.threads:+d} threads",
        slope < MOST_OF_A_RUN and (first.pid, *first[2:]) == (last.pid, *last[2:]),
    )


def train_and_weigh(job: Job, emit: Callable[[str, dict[str, Any]], None]) -> Weighed:
    """Train in a worker, and weigh it."""
    train.train(job, emit)
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return Weighed(
        os.getpid(),
        int(status["VmRSS"].split()[0]) * 2**10,
        len(list(Path("/proc/self/fd").iterdir())),
        int(status["Threads"]),
    )
