"""Many runs, one after the other as a sweep has them: what each of them leaves in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from regbench import train
from regbench.executors import local
from regbench.train import Job
from tests.faults import victims
from tests.faults.report import Line, show

WARM_UP = 50
MOST_KILOBYTES = 200  # a run; 200 of them then leave less than a tenth of what TensorFlow takes


def slope(folder: Path, count: int) -> Line:
    """Train `count` tiny runs in one worker; fit a line to its memory after each, warm-up aside."""
    run = victims.experiment(1, "train.checkpoint_minutes=10")
    jobs = [
        Job(run.with_seed(seed), folder, victims.RUNTIME, ["regbench", "run"])
        for seed in range(count)
    ]
    sizes: list[float] = []
    for event in local(train_and_weigh, jobs, 1, victims.RUNTIME.variables()):
        if event.kind == "failed" and event.failure:
            return Line("tiny runs in one worker", count, event.failure.message, False)
        if event.kind == "done":
            sizes.append(event.result)
            show(f"{len(sizes)} of {count} runs, {sizes[-1] / 2**20:.0f} MiB")
    warm = sizes[min(WARM_UP, count // 2) :]
    per_run = np.polyfit(range(len(warm)), warm, 1)[0] / 1024
    result = f"{per_run:+.0f} KiB a run, {sizes[-1] / 2**20:.0f} MiB in the end"
    return Line("tiny runs in one worker", count, result, per_run < MOST_KILOBYTES)


def train_and_weigh(job: Job, emit: Callable[[str, dict[str, Any]], None]) -> int:
    """Train in a worker; return the bytes that the process has in memory afterwards."""
    train.train(replace(job), emit)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096
