"""A disk that fills while a command writes its result: one line, and the old result stays."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from regbench.studies import file as study_file
from tests import made_up_runs
from tests.faults import disks, surroundings
from tests.faults.report import Line, show
from tests.faults.surroundings import Surroundings

# Pages that are free: none, some, and twice as many from then on until the result fits.
FREE = (0, 1, 2, 3, 5, 9)
ROOM = 64 * 2**20
STUDY = """\
question: Does dropout help?
base: BASELINE
profiles:
  quick: {seeds: 0-1}
variants:
  baseline: {}
  dropout: {set: {dropout.dense: 0.5}}
claims:
  - {text: It narrows the gap, metric: gap, variant: dropout, against: baseline, expect: lower}
"""
IMPORTED = ("altair", "jinja2", "pandas", "regbench.cli.report", "scipy.stats", "vl_convert")


class Asked(NamedTuple):
    """A command, the files that it writes, and the library that it needs besides regbench's own.

    Trackers take a run epoch by epoch, so that what they wrote before may be gone.
    """

    arguments: tuple[str, ...]
    written: tuple[str, ...]
    library: str = ""
    keeps: bool = True

    @property
    def codes(self) -> tuple[int, ...]:
        """The exit codes that a full disk may end with; MLflow says so in errors of its own."""
        return (1,) if self.keeps else (1, 2)


def _export(form: str, to: str, *written: str, library: str = "", keeps: bool = True) -> Asked:
    arguments = ("export", "runs", "--to", form, "-o", to)
    return Asked(arguments, tuple(f"{to}/{each}" for each in written) or (to,), library, keeps)


COMMANDS: dict[str, Asked] = {
    "report": Asked(("report", "runs", "-o", "page.html"), ("page.html",)),
    "compare --plot": Asked(("compare", "runs", "--plot", "plot.svg"), ("plot.svg",)),
    "bundle": Asked(("bundle", "runs", "-o", "runs.zip"), ("runs.zip",)),
    "export --to csv": _export("csv", "tables", "runs.csv", "epochs.csv"),
    "export --to parquet": _export("parquet", "columns", library="pyarrow"),
    "export --to latex": _export("latex", "table.tex"),
    "export --to markdown": _export("markdown", "table.md"),
    "export --to tensorboard": _export("tensorboard", "events", library="tensorboard", keeps=False),
    "export --to mlflow": _export("mlflow", "mlflow", library="mlflow", keeps=False),
    "study": Asked(
        ("study", "../study.yaml", "--results", "runs", "--quiet"),
        ("runs/verdicts.json", "runs/verdicts.md"),
    ),
}


def full(folder: Path) -> Iterator[Line]:
    """Fill the disk of each command's result, with as many pages free as it takes and fewer."""
    fault = "ENOSPC while a command writes its result"
    if os.geteuid() != 0:
        yield Line(fault, 0, "left out: only root can mount a tiny file system", True)
        return
    counts: Counter[str] = Counter()
    left_out: list[str] = []
    with disks._tiny(folder / "disk", ROOM) as disk:
        _prepare(folder, disk)
        for command, asked in COMMANDS.items():
            if asked.library and importlib.util.find_spec(asked.library) is None:
                left_out.append(asked.library)
                continue
            for problem in _with_less_room(disk, asked, counts):
                counts["bad"] += 1
                print(f"\n{command}: {problem!a:.500}", file=sys.stderr)
            show(f"{command}: {dict(counts)}")
    result = f"{counts['bad']} corrupt or unclear; {counts['full']} times full"
    result += f"; without {', '.join(left_out)}, not installed" if left_out else ""
    yield Line(fault, counts["tries"], result, not counts["bad"] and counts["full"] > 0)


def _prepare(folder: Path, disk: Path) -> None:
    baseline = Path("configs/baseline.yaml").resolve()
    (folder / "study.yaml").write_text(STUDY.replace("BASELINE", str(baseline)))
    asked = study_file.read(str(folder / "study.yaml"))
    for number, run in enumerate(asked.experiments):
        made_up_runs.write_run(disk / "runs", run, number, epochs=2, probed=False)
    for each in IMPORTED:  # saves every fork seconds
        importlib.import_module(each)


def _with_less_room(disk: Path, asked: Asked, counts: Counter[str]) -> Iterator[str]:
    """Yield what is wrong with a command that has a result already, and not enough room."""
    code, said = _call(disk, asked.arguments)
    before = _contents(disk, asked.written)
    if code or not before:
        yield f"exit code {code} with room: {said}"
        return
    everything = _paths(disk)
    free = list(FREE)
    while free:
        pages = free.pop(0)
        used = sum(path.lstat().st_blocks * 512 for path in disk.rglob("*") if path.is_file())
        state = os.statvfs(disk)
        used = max(used, (state.f_blocks - state.f_bfree) * state.f_frsize)
        disks._resize(disk, used + pages * disks.PAGE)
        code, said = _call(disk, asked.arguments)
        disks._resize(disk, ROOM)
        counts["tries"] += 1
        if code == 0:
            return
        counts["full"] += 1
        lines = [line for line in said.splitlines() if "No space left" in line]
        if len(lines) != 1 or "Traceback" in said or code not in asked.codes:
            yield f"{pages} pages free: exit code {code}: {said}"
        if not asked.keeps:
            yield from _with_what_is_left(disk, asked, pages)
        else:
            if _contents(disk, asked.written) != before:
                yield f"{pages} pages free: the result that was there is another"
            if more := _paths(disk) - everything:
                yield f"{pages} pages free: left {sorted(map(str, more))}"
        if not free:
            free = [2 * pages]


def _with_what_is_left(disk: Path, asked: Asked, pages: int) -> Iterator[str]:
    """Yield what is wrong with the same command when there is room again; then start afresh."""
    code, said = _call(disk, asked.arguments)
    lines = [line for line in said.splitlines() if line.startswith("Error: ")]
    if "Traceback" in said or code not in (0, *asked.codes) or len(lines) != bool(code):
        yield f"after {pages} pages free, with room again: exit code {code}: {said}"
    for name in asked.written:
        shutil.rmtree(disk / name, ignore_errors=True)
    _call(disk, asked.arguments)


def _paths(disk: Path) -> set[Path]:
    return {path for path in disk.rglob("*") if "/.regbench-cache" not in str(path)}


def _contents(disk: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    paths = [disk / name for name in names]
    paths = [file for path in paths for file in (path.rglob("*") if path.is_dir() else [path])]
    return {str(path): path.read_bytes() for path in paths if path.is_file()}


def _call(here: Path, arguments: tuple[str, ...]) -> tuple[int, str]:
    """Return the exit code of a command in a folder, and what it said."""
    output, errors = here.parent / "stdout", here.parent / "stderr"
    for path in (output, errors):
        path.unlink(missing_ok=True)
    pid = os.fork()
    if not pid:
        surroundings._become(Surroundings(), arguments, here, output, errors)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code, errors.read_bytes().decode(errors="replace")
