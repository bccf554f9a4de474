"""Very many runs, variants and epochs: seconds and memory of reading them, and the page's size.

The commands are processes of their own, which weigh themselves at their end.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from regbench import config, files
from tests import made_up_runs
from tests.faults.report import Line, show
from tests.report.test_browser import CHROMIUM, OPTIONS

MOST_BYTES = 5_000_000
MOST_MEMORY = 2 * 2**10  # MiB
LONGEST = 600.0  # of waiting for a command; an hour of a browser says nothing of it
FIRST_PAINT = 2.0
KINDS = 20  # of made-up curves, none of which goes where no loss can be
WEIGHED = """
import json, sys, time
from pathlib import Path
from regbench.cli import main
code = 0
try:
    main(sys.argv[1:])
except SystemExit as end:
    code = end.code
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
memory = int(status["VmHWM"].split()[0]) >> 10
print(json.dumps([code, time.process_time(), memory]), file=sys.stderr)
"""
PAINTED = """
import json, sys
from playwright.sync_api import sync_playwright
path, executable, *options = sys.argv[1:]
with sync_playwright() as playwright:
    browser = playwright.chromium.launch(
        executable_path=executable, args=options, chromium_sandbox=False
    )
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(path)
    page.wait_for_selector("html[data-drawn]", state="attached", timeout=300_000)
    entry = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
    print(json.dumps([page.evaluate("() => " + entry) / 1000,
                      page.evaluate("() => performance.now()") / 1000]))
    browser.close()
"""


class Size(NamedTuple):
    """How many variants, seeds of each and epochs there are, and whether they have probes."""

    variants: int
    seeds: int
    epochs: int
    probed: bool


SIZES = {
    "60 variants, 10 seeds, 200 epochs": Size(60, 10, 200, True),
    "5,000 runs of 1,000 variants": Size(1000, 5, 30, False),
    "a history of 100,000 epochs": Size(1, 1, 100_000, True),
}


def of_reports(folder: Path, share: float) -> Iterator[Line]:
    """Compare and report results of each size, or of a share of it."""
    for fault, size in SIZES.items():
        results = folder / fault.split()[0]
        show(f"writing {fault}")
        made = _shrunk(size, share)
        _write(results, made)
        said = f"{fault}, at {share:.0%}" if share < 1 else fault
        yield _line(said, results, made.variants * made.seeds)


def _shrunk(size: Size, share: float) -> Size:
    return size._replace(
        variants=max(1, round(size.variants * share)), epochs=max(1, round(size.epochs * share))
    )


def _write(results: Path, size: Size) -> None:
    synced = files._sync
    files._sync = lambda path: None  # what is read once need not survive a power failure
    try:
        for number in range(size.variants):
            changes = [f"name=l2_{number}", f"l2={number * 1e-5}"] if number else []
            run = config.load("configs/baseline.yaml", [*changes, f"train.epochs={size.epochs}"])
            for seed in range(size.seeds):
                made_up_runs.write_run(
                    results, run.with_seed(seed), number % KINDS, size.epochs, size.probed
                )
    finally:
        files._sync = synced


def _line(fault: str, results: Path, runs: int) -> Line:
    page = results.with_suffix(".html")
    compared = _weighed("compare", str(results))
    reported = _weighed("report", str(results), "-o", str(page))
    size = page.stat().st_size if page.exists() else 0
    says = 'id="thinned"' in page.read_text("utf-8") if size else False
    painted = _painted(page) if size and CHROMIUM else None
    parts = [
        f"compare {compared[1]:.0f} s of computing, {compared[2]} MiB",
        f"report {reported[1]:.0f} s, {reported[2]} MiB",
        f"page {size / 1e6:.1f} MB" + ", which says what it leaves out" * says,
        f"first paint after {painted[0]:.1f} s, drawn after {painted[1]:.0f}" if painted else
        "not opened: no Chromium",
    ]  # fmt: skip
    fine = compared[0] == reported[0] == 0 and 0 < size < MOST_BYTES
    fine = fine and max(compared[2], reported[2]) < MOST_MEMORY
    return Line(fault, runs, "; ".join(parts), fine and (not painted or painted[0] < FIRST_PAINT))


def _weighed(*arguments: str) -> tuple[int, float, int]:
    """Return a command's exit code, its seconds of computing and its memory in MiB."""
    show(" ".join(arguments))
    command = [sys.executable, "-c", WEIGHED, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST)
    try:
        code, seconds, memory = json.loads(done.stderr.splitlines()[-1])
    except (ValueError, IndexError):
        print(done.stderr[-500:], file=sys.stderr)
        return 1, 0.0, 0
    return int(code or 0), seconds, memory


def _painted(page: Path) -> tuple[float, float] | None:
    """Return the seconds until Chromium shows something, and until all figures are drawn."""
    show(f"opening {page.name}")
    command = [sys.executable, "-c", PAINTED, page.as_uri(), str(CHROMIUM), *OPTIONS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST)
    if done.returncode:
        print(done.stderr[-500:], file=sys.stderr)
        return None
    first, drawn = json.loads(done.stdout)
    return first, drawn
