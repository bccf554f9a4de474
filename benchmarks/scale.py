"""Measures what everything around training costs as runs grow, with runs that are not trained.

    export PYTHONPATH=.:benchmarks:.venv/clusters
    python benchmarks/scale.py overhead [--executor NAME]...
    python benchmarks/scale.py runs [--executor NAME]... [--count N]...

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
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import stub_runs
from commands import Spent, command, cpu_seconds

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
# What was measured, with its unit, by the name of its row.
Numbers = dict[str, str]
COUNTS = (10, 1_000, 20_000)
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
    columns: dict[str, Numbers] = {}
    for executor in executors:
        with running(executor, folder / "cluster"):
            for count in counts or COUNTS:
                print(f"{executor}, {count:,} runs ...", file=sys.stderr)
                place = folder / f"{executor}-{count}"
                place.mkdir(parents=True)
                columns[f"{executor}, {count:,} runs"] = measured(executor, count, place)
    return table(columns)


def measured(executor: str, count: int, folder: Path) -> Numbers:
    """Write so many runs through an executor; return what each part costs.

    What does not depend on the executor is measured with the local one alone.
    """
    results = folder / "results"
    named, experiments = stub_runs.experiments(folder, *stub_runs.SHAPES[count])
    found = planned(count, results) if executor == "local" else {}
    began, before = time.perf_counter(), cpu_seconds()
    clock = sweep_of(experiments, results, executor, 0.0, folders=True)
    wall, cpu = time.perf_counter() - began, cpu_seconds() - before
    found["write them through the executor"] = (
        str(Spent(wall, cpu)) if executor == "local" else f"{wall:.1f} s"
    )
    found["... of which for each run, after the start"] = f"{clock.seconds / count * 1e3:.0f} ms"
    found["files: run folders"] = _files(results, apart=".slurm")
    if (results / ".slurm").is_dir():
        found["files: beside them in `.slurm`"] = _files(results / ".slurm")
    return found | (finished(named, experiments, results) if executor == "local" else {})


def planned(count: int, results: Path) -> Numbers:
    """Return what a plan costs of runs none of which is trained."""
    two = ["run", "configs/baseline.yaml", "configs/l2.yaml", "--smoke", "--dry-run", "--json"]
    plan = command(*two, "--seeds", f"0-{count // 2 - 1}", "--results", str(results))
    return {"plan them: two configs, none trained": str(plan)}


def finished(named: Sequence[str], experiments: Sequence[Experiment], results: Path) -> Numbers:
    """Return what finished runs cost: locks, a plan, reading them, the report."""
    alone = _written_here(experiments[:200], results.parent / "alone")
    found = {"write one without executor": f"{alone * 1e3:.0f} ms"}
    found["lock and unlock each"] = str(_locks(experiments, results))
    plan = command("run", *named, "--dry-run", "--json", "--results", str(results))
    found["plan them: all are finished"] = str(plan)
    time.sleep(3)  # files that changed a moment ago are not cached
    for what in ("first", "second"):
        found[f"`compare`, the {what} time"] = str(command("compare", str(results)))
    page = results.parent / "report.html"
    found["`report`"] = str(command("report", str(results), "-o", str(page)))
    return found | {"its page": f"{page.stat().st_size / 1e6:.1f} MB"}


def _written_here(experiments: Sequence[Experiment], results: Path) -> float:
    """Return the seconds of each run that this process writes itself."""
    began = time.perf_counter()
    for each in experiments:
        job = sweep.Job(each, results, None, [])
        stub_runs.write(job, lambda *_: None)
    seconds = (time.perf_counter() - began) / len(experiments)
    shutil.rmtree(results)
    return seconds


def _locks(experiments: Sequence[Experiment], results: Path) -> Spent:
    """Return what it costs to lock and unlock the folder of each run."""
    began, before = time.perf_counter(), cpu_seconds()
    for each in experiments:
        with RunFolder.of(results, each).lock():
            pass
    return Spent(time.perf_counter() - began, cpu_seconds() - before)


def _files(folder: Path, apart: str | None = None) -> str:
    """Return how many files and folders there are, and what they take on the disk."""
    count = size = 0
    for path, folders, names in os.walk(folder):
        folders[:] = [each for each in folders if each != apart]
        count += len(folders) + len(names)
        size += sum((Path(path) / name).lstat().st_blocks * 512 for name in [*folders, *names])
    return f"{count:,}, {size / 1e6:.1f} MB"


def table(columns: Mapping[str, Numbers]) -> str:
    """Return a column of numbers for each executor and count."""
    names = list(dict.fromkeys(name for numbers in columns.values() for name in numbers))
    lines = [f"| | {' | '.join(columns)} |", f"|---|{'---:|' * len(columns)}"]
    for name in names:
        cells = [numbers.get(name, "") for numbers in columns.values()]
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
    parser.add_argument("--address", help="of a Ray cluster; else Ray is started here")
    options = parser.parse_args()
    CLUSTERS["ray"] = Cluster(options.address)
    executors, counts = options.executor or list(BARS), options.count or ()
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
