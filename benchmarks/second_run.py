"""The second run of a worker, with what the first one compiled and without, in seconds.

    PYTHONPATH=. python benchmarks/second_run.py [--config configs/quick.yaml] [--runs 4]

Runs of one config follow each other in this process, every other one with nothing kept of those
before it. Prints a table: medians, and the lowest and highest ratio of a pair.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path

from regbench import config
from regbench.config import Experiment
from regbench.execution import environment
from regbench.execution.environment import Runtime
from regbench.training import compiled_models
from regbench.training.train import Job, train

PARTS = ("build", "compile", "step", "evaluate", "total")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--config", default="configs/quick.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--runs", type=int, default=4, help="of each kind")
    parser.add_argument("--backend", default="tensorflow")
    options = parser.parse_args()
    runtime = Runtime(options.backend, "cpu", environment.cores())
    experiment = config.load(options.config, options.set)
    with tempfile.TemporaryDirectory() as folder:
        seconds(experiment.with_seed(0), Path(folder), runtime)  # imports, draws, compiles
        kept, anew = [], []
        for number in range(1, 2 * options.runs, 2):
            kept.append(seconds(experiment.with_seed(number), Path(folder), runtime))
            compiled_models._kept.clear()
            anew.append(seconds(experiment.with_seed(number + 1), Path(folder), runtime))
    print("| seconds | compiled again | kept | ratio, lowest to highest |\n|---|---:|---:|---|")
    for part in PARTS:
        before, after = ([each.get(part, 0.0) for each in runs] for runs in (anew, kept))
        line = f"| {part} | {statistics.median(before):.2f} | {statistics.median(after):.2f} | "
        ratios = [b / a for b, a in zip(before, after, strict=True) if a]
        print(line + (f"{min(ratios):.2f} to {max(ratios):.2f} |" if ratios else "|"))


def seconds(experiment: Experiment, results: Path, runtime: Runtime) -> dict[str, float]:
    """Train a run in this process; return the seconds of its parts."""
    job = Job(experiment, results, runtime, ["regbench", "run"], profile=True)
    train(job, lambda kind, figures: None)
    found: dict[str, float] = json.loads(
        (results / experiment.run_name / "profile.json").read_text()
    )
    return found


if __name__ == "__main__":
    main()
