"""Measures what everything around training costs as runs grow, with runs that are not trained.

    PYTHONPATH=.:benchmarks python benchmarks/scale.py overhead [--executor NAME]...
    PYTHONPATH=.:benchmarks python benchmarks/scale.py runs [--executor NAME]... [--count N]...

`overhead` has 24 jobs of one second on two slots. `runs` writes so many finished runs through an
executor, and times what is done with them; `--keep FOLDER` keeps them. Both print Markdown, with
wall-clock seconds and, since other processes may use the machine too, seconds of CPU time. Ray and
submitit must be on PYTHONPATH or installed; a SLURM of one node is started where `sbatch` finds
none (Debian's slurm-wlm and munge, as root).
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import stub_runs
from commands import Spent, command, spent_by_children

from regbench.config import Experiment
from regbench.execution import environment, processor
from regbench.execution.cluster import Cluster
from regbench.execution.local import Event
from regbench.runs.folder import RunFolder
from regbench.sweeps import sweep
from regbench.sweeps.sweep import Observer

JOBS, SECONDS, SLOTS = 24, 1.0, 2
IDEAL = JOBS * SECONDS / SLOTS
BARS = {"local": 1.3, "ray": 1.3, "slurm": 1.6}
CLUSTERS = {"slurm": Cluster(slurm={"time": "30m"})}


class Clock(Observer):
    """Times a sweep from the moment at which its first job is running."""

    def __init__(self) -> None:
        self.first = self.last = 0.0
        self.begun: set[str] = set()

    def see(self, experiment: Experiment, event: Event) -> None:
        """Note when the first job has begun, and when the last one so far has ended."""
        now = time.perf_counter()
        if event.kind == "begun":
            self.first = self.first or now
            self.begun.add(experiment.run_name)
        elif event.kind == "done":
            self.last = now

    @property
    def seconds(self) -> float:
        """Seconds from the first job's beginning to the last one's end."""
        return self.last - self.first


@dataclass
class Row:
    """A line of a table: what was measured, and its numbers by the name of their column."""

    what: str
    numbers: dict[str, str] = field(default_factory=dict)


def sweep_of(
    experiments: Sequence[Experiment], results: Path, executor: str, seconds: float, folders: bool
) -> Clock:
    """Let an executor run stub runs on two slots, and return the clock that has timed them."""
    clock = Clock()
    stub = functools.partial(stub_runs.write, seconds=seconds, folders=folders)
    trained, sweep.train = sweep.train, stub
    try:
        outcome = sweep.run(
            experiments, results, jobs=SLOTS, threads=1, device="cpu", executor=executor,
            cluster=CLUSTERS.get(executor), observer=clock,
        )  # fmt: skip
    finally:
        sweep.train = trained
    if len(outcome.done) != len(experiments):
        raise SystemExit(f"{executor}: {len(outcome.done)} runs are done: {outcome.failed[:1]}")
    return clock


def overhead(executors: Sequence[str], folder: Path) -> str:
    """Return the table of 24 jobs of one second on two slots."""
    _, experiments = stub_runs.experiments(folder, 1, JOBS)
    lines = [
        f"{JOBS} jobs of {SECONDS:g} second on {SLOTS} slots, from the first one's beginning to "
        f"the last one's end; the ideal is {IDEAL:g} s.",
        "",
        "| executor | seconds | against the ideal | bar | |",
        "|---|---:|---:|---:|---|",
    ]
    for executor in executors:
        with running(executor, folder / "cluster"):
            clock = sweep_of(experiments, folder / executor, executor, SECONDS, folders=False)
        ratio = clock.seconds / IDEAL
        met = "met" if ratio <= BARS[executor] else "**not met**"
        bar = f"≤ {BARS[executor]:g}"
        lines.append(f"| {executor} | {clock.seconds:.1f} | {ratio:.2f} | {bar} | {met} |")
    return "\n".join(lines)


def runs(executors: Sequence[str], counts: Sequence[int], folder: Path) -> str:
    """Return the table of what so many runs cost through each executor."""
    columns: list[tuple[str, list[Row]]] = []
    for executor in executors:
        with running(executor, folder / "cluster"):
            for count in counts:
                print(f"{executor}, {count:,} runs ...", file=sys.stderr)
                rows = list(measured(executor, count, folder / f"{executor}-{count}"))
                columns.append((f"{executor}, {count:,} runs", rows))
    return table(columns)


def measured(executor: str, count: int, folder: Path) -> Iterator[Row]:
    """Write so many runs through an executor, and yield what each part costs."""
    folder.mkdir(parents=True)
    results, arguments = folder / "results", ["--results", str(folder / "results")]
    named, experiments = stub_runs.experiments(folder, *stub_runs.SHAPES[count])
    two = ["run", "configs/baseline.yaml", "configs/l2.yaml", "--smoke", "--dry-run", "--json"]
    plan = command(*two, "--seeds", f"0-{count // 2 - 1}", *arguments)
    yield Row("plan them: two configs, none trained", _spent(plan))
    before, began = spent_by_children(), time.perf_counter()
    clock = sweep_of(experiments, results, executor, 0.0, folders=True)
    took = Spent(time.perf_counter() - began, spent_by_children().cpu - before.cpu)
    yield Row("write them through the executor", _spent(took))
    yield Row("... for each run, after the start", {"": f"{clock.seconds / count * 1e3:.0f} ms"})
    alone = _written_here(experiments[: min(count, 200)], folder / "alone")
    yield Row("... without executor, one after the other", {"": f"{alone * 1e3:.0f} ms"})
    yield Row("take and release the lock of each", {"": f"{_locks(experiments, results):.2f} s"})
    for what, path in (("run folders", results), ("beside them in `.slurm`", results / ".slurm")):
        if path.is_dir():
            yield Row(f"files: {what}", {"": _files(path, apart=".slurm")})
    yield Row(
        "plan them, all finished", _spent(command("run", *named, "--dry-run", "--json", *arguments))
    )
    time.sleep(3)  # files that changed a moment ago are not cached
    for what in ("first", "second"):
        yield Row(f"`compare`, the {what} time", _spent(command("compare", str(results))))
    page = folder / "report.html"
    yield Row("`report`", _spent(command("report", str(results), "-o", str(page))))
    yield Row("... its page", {"": f"{page.stat().st_size / 1e6:.1f} MB"})


def _spent(spent: Spent) -> dict[str, str]:
    memory = f", {spent.memory / 1e6:.0f} MB" if spent.memory else ""
    return {"": f"{spent.wall:.1f} s ({spent.cpu:.1f} s of CPU{memory})"}


def _written_here(experiments: Sequence[Experiment], results: Path) -> float:
    """Return the seconds of each run that this process writes itself."""
    began = time.perf_counter()
    for each in experiments:
        job = sweep.Job(each, results, None, [])
        stub_runs.write(job, lambda *_: None)
    seconds = (time.perf_counter() - began) / len(experiments)
    shutil.rmtree(results)
    return seconds


def _locks(experiments: Sequence[Experiment], results: Path) -> float:
    began = time.perf_counter()
    for each in experiments:
        with RunFolder.of(results, each).lock():
            pass
    return time.perf_counter() - began


def _files(folder: Path, apart: str) -> str:
    """Return how many files and folders there are, and what they take on the disk."""
    count = size = 0
    for path, folders, names in os.walk(folder):
        folders[:] = [each for each in folders if each != apart]
        count += len(folders) + len(names)
        size += sum((Path(path) / name).lstat().st_blocks * 512 for name in [*folders, *names])
    return f"{count:,}, {size / 1e6:.1f} MB"


def table(columns: Sequence[tuple[str, list[Row]]]) -> str:
    """Return a column of numbers for each executor and count."""
    names = list(dict.fromkeys(row.what for _, rows in columns for row in rows))
    lines = [
        f"| | {' | '.join(name for name, _ in columns)} |",
        f"|---|{'---:|' * len(columns)}",
    ]
    for name in names:
        cells = [
            next((row.numbers[""] for row in rows if row.what == name), "") for _, rows in columns
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


@contextlib.contextmanager
def running(executor: str, folder: Path) -> Iterator[None]:
    """Start what an executor needs, in this block: a SLURM, where this machine is in none."""
    if executor != "slurm" or (shutil.which("sinfo") and "SLURM_CONF" in os.environ):
        yield
        return
    from tests.execution import slurm_cluster

    reason = slurm_cluster.missing()
    if reason:
        raise SystemExit(f"slurm: {reason}")
    folder.mkdir(parents=True)
    variables = slurm_cluster.start(folder, cores=SLOTS)
    os.environ |= variables
    try:
        yield
    finally:
        slurm_cluster.stop(folder)
        for name in variables:
            del os.environ[name]


def machine() -> str:
    """Return the machine and the versions in a sentence."""
    versions = environment.versions()
    found = {"Python": platform.python_version()}
    found |= {name: versions[name] for name in ("regbench", "ray", "submitit") if name in versions}
    software = ", ".join(f"{name} {version}" for name, version in found.items())
    return f"{processor.name()}, {environment.cores()} cores, {platform.system()}; {software}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("overhead", "runs"))
    parser.add_argument("--executor", action="append", choices=BARS)
    parser.add_argument("--count", action="append", type=int, choices=stub_runs.SHAPES)
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    executors, counts = options.executor or list(BARS), options.count or list(stub_runs.SHAPES)
    with contextlib.ExitStack() as stack:
        folder = options.keep
        if folder is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="regbench-scale-"))
        folder = Path(folder).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        text = (
            overhead(executors, folder)
            if options.what == "overhead"
            else runs(executors, counts, folder)
        )
    print(f"{machine()}; {time.strftime('%Y-%m-%d')}.\n\n{text}")


if __name__ == "__main__":
    main()
