"""The fault campaign, `make faults`: minutes of kills, full disks, damaged files and configs.

`python -m tests.faults --only kills --kills 20` runs a part of it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.faults import (
    backends,
    configs,
    damage,
    decoding,
    disks,
    guards,
    kills,
    memory,
    outputs,
    parents,
    processes,
    pythons,
    scale,
    sizes,
    strangers,
    surroundings,
    sweeps,
    values,
    versions,
    victims,
)
from tests.faults.report import Line, table


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="at random moments")
    parser.add_argument("--configs", type=int, default=10_000)
    parser.add_argument("--values", type=int, default=1000, help="of results files")
    parser.add_argument("--runs", type=int, default=200, help="one after the other, for memory")
    parser.add_argument("--disturbances", type=int, default=10, help="of each kind")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments and values")
    parser.add_argument("--resumed", type=int, default=100, help="runs on each backend, at most")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the largest results")
    parser.add_argument("--only", default="", help="the campaigns whose name contains this")
    asked = parser.parse_args()
    campaigns: dict[str, Callable[[Path], Iterator[Line]]] = {
        "guards": guards.remove_each,
        "configs": lambda folder: configs.fuzz(folder, asked.configs),
        "damage": damage.cut_at_every_byte,
        "values": lambda folder: values.replaced(folder, asked.values, asked.seed),
        "strangers": strangers.in_every_place,
        "names": strangers.under_every_name,
        "sizes": sizes.beyond_every_machine,
        "surroundings": surroundings.everywhere,
        "pythons": pythons.of_other_versions,
        "versions": versions.mixed,
        "kills": lambda folder: kills.at_random_moments(folder, asked.kills, asked.seed),
        "points": kills.at_every_write_point,
        "processes": lambda folder: processes.disturbed(folder, asked.disturbances),
        "parents": lambda folder: parents.disturbed(folder, asked.disturbances),
        "backends": lambda folder: backends.resumed(folder, asked.resumed),
        "sweep": sweeps.kill_a_worker,
        "decoding": lambda folder: decoding.killed(folder, asked.kills, asked.seed),
        "outputs": outputs.full,
        "scale": lambda folder: scale.of_reports(folder, asked.scale),
        "disks": disks.full_at_every_size,
        "calls": disks.full_at_every_call,
        "memory": lambda folder: memory.of_many_runs(folder, asked.runs),
    }
    chosen = [campaign for name, campaign in campaigns.items() if asked.only in name]
    if not chosen:
        parser.error(f"--only: expected part of one of {', '.join(campaigns)}")
    victims.prepare()
    lines: list[Line] = []
    for campaign in chosen:
        with tempfile.TemporaryDirectory(prefix="regbench-faults-") as folder:
            began = time.monotonic()
            for line in campaign(Path(folder)):
                lines.append(line._replace(seconds=time.monotonic() - began))
                began = time.monotonic()
                # At once: who interrupts the campaign has what it found so far.
                print(f"\r{table(lines[-1:]):<99}\n", file=sys.stderr)
    print(table(lines))
    return 0 if all(line.passed for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
