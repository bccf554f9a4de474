"""Many runs, one after the other as a sweep has them: what each of them leaves in memory."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from regbench import train
from regbench.executors import JOBS_PER_WORKER, local
from regbench.train import Job
from tests.faults import victims
from tests.faults.report import Line, show

MIB = 2**20
WARM_UP = 3  # runs of a worker: libraries load what they need on the way
# What a worker may keep of a run; and by how much its peak may rise per worker before it counts as
# growing. The allocator's noise is 10 MiB.
MOST_OF_A_RUN = 16 * MIB
MOST_PER_WORKER = 2 * MIB


class Weighed(NamedTuple):
    """A worker's process id, the bytes that it has in memory and the most that it ever had."""

    pid: int
    now: int
    peak: int


def of_many_runs(folder: Path, count: int) -> Iterator[Line]:
    """Train `count` tiny runs through one worker after the other; weigh it after each.

    What adds up within a worker ends with it; what adds up from worker to worker would never end.
    """
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
            show(f"{len(weighed)} of {count} runs, {weighed[-1].now / MIB:.0f} MiB")
    yield from _lines(weighed)


def _lines(weighed: list[Weighed]) -> Iterator[Line]:
    workers = [list(group) for _, group in itertools.groupby(weighed, lambda each: each.pid)]
    slopes = [_slope([each.now for each in worker[WARM_UP:]]) for worker in workers]
    steepest = max(slopes)
    yield Line(
        f"tiny runs within a worker of {JOBS_PER_WORKER}",
        len(weighed),
        f"{steepest / MIB:+.1f} MiB a run at most",
        steepest < MOST_OF_A_RUN,
    )
    peaks = [max(each.peak for each in worker) for worker in workers]
    growth = _slope(peaks)
    yield Line(
        f"the same over {len(workers)} workers",
        len(weighed),
        f"peak {max(peaks) / MIB:.0f} MiB, {growth / MIB:+.1f} MiB a worker",
        growth < MOST_PER_WORKER and len(workers) > 1,
    )


def _slope(sizes: list[int]) -> float:
    return float(np.polyfit(range(len(sizes)), sizes, 1)[0]) if len(sizes) > 1 else 0.0


def train_and_weigh(job: Job, emit: Callable[[str, dict[str, Any]], None]) -> Weighed:
    """Train in a worker, and weigh it."""
    train.train(job, emit)
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    now, peak = (int(status[key].split()[0]) * 1024 for key in ("VmRSS", "VmHWM"))
    return Weighed(os.getpid(), now, peak)
