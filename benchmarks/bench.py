"""Measures regbench against what one would run without it; `make bench` calls this.

    python bench.py [--torch-python PATH] [--data PATH] [--rounds N] [--only NAME]... [--keep FILE]

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
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path

import contenders
import costs
import waits
from bars import BARS, Bar

from regbench.execution import environment, processor

Measured = dict[str, list[float]]
Section = Callable[[contenders.Bench, int, waits.Scale, "Found"], None]


@dataclass
class Found:
    """Everything that was measured: speeds of contenders, numbers of rows, parts of a step."""

    speeds: dict[str, list[float]] = field(default_factory=dict)
    measured: dict[str, list[float]] = field(default_factory=dict)
    operations: dict[str, float] = field(default_factory=dict)
    sections: list[str] = field(default_factory=list)
    conditions: str = ""  # numbers of others do not belong into one table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--torch-python", help="a Python that has torch, for `speeds`")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--data", type=Path, help="CIFAR-10's archive, or the folder with its files"
    )
    parser.add_argument("--only", action="append", choices=SECTIONS, default=[])
    parser.add_argument("--smallest", action="store_true", help="try every part; measures nothing")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--keep", type=Path, help="a file of what was measured, to resume with")
    options = parser.parse_args()
    scale = waits.Scale(options.data)
    if options.smallest:
        options.rounds = 1
        scale = waits.Scale(options.data, 1, 1, 1, 1, 1)
    found = kept(options.keep, f"{machine()} {options.rounds} {scale}")
    with tempfile.TemporaryDirectory(prefix="regbench-bench-") as folder:
        bench = contenders.Bench(Path(folder), options.torch_python)
        for name in options.only or SECTIONS:
            if name in found.sections:
                continue
            print(f"{name} ...", file=sys.stderr)
            SECTIONS[name](bench, options.rounds, scale, found)
            found.sections.append(name)
            print(report(found, options.rounds, scale), file=sys.stderr)
            if options.keep:
                options.keep.parent.mkdir(parents=True, exist_ok=True)
                options.keep.write_text(json.dumps(asdict(found)))
    text = report(found, options.rounds, scale)
    print(text)
    if options.output:
        options.output.write_text(text)
    if options.keep:
        options.keep.unlink(missing_ok=True)  # complete: the next call measures again


def kept(path: Path | None, conditions: str) -> Found:
    """Return what an interrupted benchmark measured in these conditions: not measured again."""
    found = Found(**json.loads(path.read_text())) if path and path.exists() else Found()
    return found if found.conditions == conditions else Found(conditions=conditions)


def of_speeds(bench: contenders.Bench, rounds: int, scale: waits.Scale, found: Found) -> None:
    found.speeds = measure_speeds(bench, rounds)
    found.measured |= ratios(found.speeds)


def of_operations(bench: contenders.Bench, rounds: int, scale: waits.Scale, found: Found) -> None:
    found.operations = json.loads(bench.python(str(contenders.HERE / "operations.py")))


def of_waiting(wait: Callable[[contenders.Bench, waits.Scale], Measured]) -> Section:
    def section(bench: contenders.Bench, rounds: int, scale: waits.Scale, found: Found) -> None:
        found.measured |= wait(bench, scale)

    return section


def of_costs(cost: Callable[[contenders.Bench, int], Measured]) -> Section:
    def section(bench: contenders.Bench, rounds: int, scale: waits.Scale, found: Found) -> None:
        found.measured |= cost(bench, rounds)

    return section


# What `--only` names; `reading` has 10,000 runs, and 200 with `--smallest`.
SECTIONS: dict[str, Section] = {
    "run": of_waiting(waits.one_run),
    "configs": of_waiting(waits.seven_configs),
    "demo": of_waiting(waits.demo),
    "warm": of_waiting(waits.warm_worker),
    "speeds": of_speeds,
    "reading": lambda bench, rounds, scale, found: found.measured.update(
        costs.reading(bench, rounds, (200,) if scale.epochs == 1 else (1_000, 10_000))
    ),
    "costs": of_costs(costs.measure),
    "operations": of_operations,
}


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


def report(found: Found, rounds: int, scale: waits.Scale) -> str:
    """Return the tables as Markdown."""
    text = f"# Benchmark results\n\nWritten by `make bench`. {machine()}; {date.today()}.\n"
    if found.speeds:
        text += speeds_table(found.speeds)
    text += bars_table(found.measured, rounds, scale)
    return text + (operations_table(found.operations) if found.operations else "")


def speeds_table(speeds: dict[str, list[float]]) -> str:
    lines = ["", "| contender | images/s, median | lowest | highest | share of the limit |"]
    lines += ["|---|---:|---:|---:|---:|"]
    limit = speeds["sgemm limit"]
    for name, values in speeds.items():
        share = statistics.median(one / most for one, most in zip(values, limit, strict=True))
        numbers = f"{statistics.median(values):.0f} | {min(values):.0f} | {max(values):.0f}"
        lines.append(f"| {name} | {numbers} | {share:.2f} |")
    return "\n".join(lines) + "\n"


def bars_table(measured: dict[str, list[float]], rounds: int, scale: waits.Scale) -> str:
    """Return a row for each bar that was measured."""
    rows = [row(bar, measured[bar.what]) for bar in BARS if bar.what in measured]
    if not rows:
        return ""
    lines = ["", f"Ratios within a round, {rounds} rounds; other rows as many times."]
    lines += [f"Whole commands: {scale.note()}", ""]
    lines += ["| what | median | lowest | highest | bar | |", "|---|---:|---:|---:|---:|---|"]
    return "\n".join([*lines, *rows]) + "\n"


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
    avx512 = avx_level() == "AVX-512"
    verdict = "met" if bar.met(middle, avx512) else "**not met**"
    limit = f"{bar.sign} {bar.limit_on(avx512):g}{bar.unit}"
    return f"| {bar.what} | {' | '.join(numbers)} | {limit} | {verdict} |"


def avx_level() -> str:
    """Return the widest vectors that the processor has."""
    sets = processor.describe()["instruction_sets"] or []
    if any(each.startswith("avx512") for each in sets):
        return "AVX-512"
    return "AVX2" if "avx2" in sets else "no AVX2"


def machine() -> str:
    """Describe the machine and the versions in a sentence."""
    versions = environment.versions()
    packages = ", ".join(f"{name} {versions[name]}" for name in ("tensorflow", "keras", "numpy"))
    return (
        f"{processor.name()}, {avx_level()}, {environment.cores()} cores, {platform.system()}, "
        f"Python {platform.python_version()}, {packages}"
    )


if __name__ == "__main__":
    main()
