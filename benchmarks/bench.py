"""Measures regbench against what one would run without it; `make bench` calls this.

    python bench.py --torch-python PATH [--rounds N] [--output results.md]

Every rival trains the baseline's layers on the same images with batches of 128 in a process of its
own. The rounds are interleaved, so that a machine that slows down slows every rival down, and what
counts is the ratio of two of them within a round.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
from datetime import date
from pathlib import Path

import contenders
import costs
from bars import BARS, Bar

from regbench.execution import environment, processor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--torch-python", required=True, help="a Python that has torch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="regbench-bench-") as folder:
        bench = contenders.Bench(Path(folder), options.torch_python)
        speeds = measure_speeds(bench, options.rounds)
        measured = ratios(speeds) | costs.measure(bench, options.rounds)
        operations = json.loads(bench.python(str(contenders.HERE / "operations.py")))
    text = report(speeds, measured, options.rounds) + operations_table(operations)
    print(text)
    if options.output:
        options.output.write_text(text)


def measure_speeds(bench: contenders.Bench, rounds: int) -> dict[str, list[float]]:
    """Return images per second of every contender, a number for each round."""
    speeds: dict[str, list[float]] = {name: [] for name in contenders.CONTENDERS}
    for number in range(1, rounds + 1):
        for name, run in contenders.CONTENDERS.items():
            speeds[name].append(run(bench))
            print(f"round {number}: {name}: {speeds[name][-1]:.0f} images/s", file=sys.stderr)
    return speeds


def ratios(speeds: dict[str, list[float]]) -> dict[str, list[float]]:
    """Return the ratio of every bar that compares two contenders, a number for each round."""
    return {
        bar.what: [one / other for one, other in zip(*map(speeds.get, bar.ratio), strict=True)]
        for bar in BARS
        if bar.ratio
    }


def report(speeds: dict[str, list[float]], measured: dict[str, list[float]], rounds: int) -> str:
    """Return the tables as Markdown."""
    lines = ["# Benchmark results", "", "Written by `make bench`. " + machine(), ""]
    lines += ["| contender | images/s, median | lowest | highest | share of the limit |"]
    lines += ["|---|---:|---:|---:|---:|"]
    limit = speeds["sgemm limit"]
    for name, values in speeds.items():
        share = statistics.median(one / most for one, most in zip(values, limit, strict=True))
        numbers = f"{statistics.median(values):.0f} | {min(values):.0f} | {max(values):.0f}"
        lines.append(f"| {name} | {numbers} | {share:.2f} |")
    lines += ["", f"Ratios within a round, {rounds} rounds; other rows as many times.", ""]
    lines += ["| what | median | lowest | highest | bar | |", "|---|---:|---:|---:|---:|---|"]
    lines += [row(bar, measured[bar.what]) for bar in BARS]
    return "\n".join(lines) + "\n"


def operations_table(shares: dict[str, float]) -> str:
    """Return where a training step goes, as Markdown."""
    lines = [
        "",
        "Where a training step of the baseline goes, on one core, by TensorFlow's profiler:",
    ]
    lines += ["", "| operations | share of their time |", "|---|---:|"]
    lines += [f"| {kind} | {share:.1%} |" for kind, share in shares.items()]
    return "\n".join(lines) + "\n"


def row(bar: Bar, values: list[float]) -> str:
    middle = statistics.median(values)
    numbers = [f"{value:.{bar.digits}f}{bar.unit}" for value in (middle, min(values), max(values))]
    verdict = "met" if bar.met(middle) else "**not met**"
    return (
        f"| {bar.what} | {' | '.join(numbers)} | {bar.sign} {bar.limit:g}{bar.unit} | {verdict} |"
    )


def machine() -> str:
    """Describe the machine and the versions in a sentence."""
    versions = environment.versions()
    packages = ", ".join(f"{name} {versions[name]}" for name in ("tensorflow", "keras", "numpy"))
    return (
        f"{processor.name()}, {environment.cores()} cores, {platform.system()}, "
        f"Python {platform.python_version()}, {packages}; {date.today()}."
    )


if __name__ == "__main__":
    main()
