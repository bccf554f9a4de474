"""Whole commands, and what they spend: wall-clock seconds, CPU seconds, memory."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Spent:
    """Wall-clock and CPU seconds, and the bytes of memory at most, 0 where that is not known."""

    wall: float
    cpu: float
    memory: int = 0

    def __str__(self) -> str:
        """Return "12.0 s (3.1 s of CPU, 120 MB)"."""
        memory = f", {self.memory / 1e6:.0f} MB" if self.memory else ""
        return f"{self.wall:.1f} s ({self.cpu:.1f} s of CPU{memory})"


def command(*arguments: str) -> Spent:
    """Run the regbench command and return what it has spent, with its processes."""
    began = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "regbench", *arguments], stdout=output, stderr=output
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            text = output.read().decode(errors="replace")[-2000:]
            raise SystemExit(f"regbench {' '.join(arguments)} failed:\n{text}")
    wall = time.perf_counter() - began
    return Spent(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and of those that it has waited for."""
    both = [resource.getrusage(each) for each in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in both)
