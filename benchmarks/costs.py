"""What else the benchmark measures: seconds, memory and shares, by the rows of `BARS`."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
import sys
import tarfile
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import many_runs
import numpy as np
from contenders import HERE, Bench

# Images in each of CIFAR-10's batches: five for training, one for testing.
BATCH = 10_000


def measure(bench: Bench, rounds: int) -> dict[str, list[float]]:
    """Return the numbers of every row that is no ratio of two contenders."""
    measured = {
        "`regbench --help` against `python -c 'import click'`": _repeat(bench, _help, 5 * rounds),
        "first training step, beyond importing TensorFlow": _repeat(bench, _first_step, rounds),
        "a step with batch normalization, Keras' own kernels against the fused one": json.loads(
            bench.python(str(HERE / "batch_norm.py"), str(5 * rounds)).splitlines()[-1]
        ),
    }
    what = "second run of a finished sweep of 12 runs"
    measured[what] = _second_runs(bench, 5 * rounds)
    share, memory = _full_run(bench)
    measured["evaluation and bookkeeping, share of an epoch of 50,000 images"] = [share]
    measured["peak memory of a run on 50,000 images"] = [memory]
    return measured


def reading(bench: Bench, rounds: int, counts: tuple[int, ...]) -> dict[str, list[float]]:
    """Return the seconds of comparisons, and their ratios to reading the files and no more."""
    measured: dict[str, list[float]] = {}
    for count in counts:
        results = bench.folder / f"many-{count}"
        many_runs.write(results, count)
        time.sleep(3)  # files that changed a moment ago are not cached
        for _ in range(rounds):
            shutil.rmtree(results / ".regbench-cache", ignore_errors=True)
            plain = _timed(bench.python, str(HERE / "plain_reading.py"), str(results))
            first, second = (_seconds(bench, "compare", str(results)) for _ in range(2))
            what = f"`regbench compare` on {count:,} runs of 30 epochs"
            for name, value in {
                what: first,
                f"{what}, the second time": second,
                f"{what}, against `json` and `csv` alone": first / plain,
                f"{what}, the second time, against `json` and `csv` alone": second / plain,
                f"`regbench.load` of {count:,} runs, the second time against the first": _again(
                    bench, results
                ),
            }.items():
                measured.setdefault(name, []).append(value)
    return measured


def _again(bench: Bench, results: Path) -> float:
    """Return the seconds of a second process that reads runs, against those of the first."""
    shutil.rmtree(results / ".regbench-cache", ignore_errors=True)
    code = "import sys, time, pandas, regbench; began = time.perf_counter(); "
    code += "regbench.load(sys.argv[1]); print(time.perf_counter() - began)"
    first, second = (float(bench.python("-c", code, str(results))) for _ in range(2))
    return second / first


def _repeat(bench: Bench, cost: Callable[[Bench], float], times: int) -> list[float]:
    return [cost(bench) for _ in range(times)]


def _help(bench: Bench) -> float:
    began = time.perf_counter()
    bench.python("-c", "import click")
    imported = time.perf_counter() - began
    return _seconds(bench, "--help") / imported


def _first_step(bench: Bench) -> float:
    """Return the seconds of a command whose run is a single step, less those of the import."""
    began = time.perf_counter()
    bench.python("-c", "import tensorflow")
    imported = time.perf_counter() - began
    one_step = ["--set=data.name=shapes", "--set=data.train_examples=100", "--epochs=1"]
    one_step += ["--set=data.test_examples=100", "--set=train.batch_size=128", "--force"]
    results = ["--results", str(bench.folder / "first"), "--quiet", "--device=cpu"]
    return _seconds(bench, "run", "configs/baseline.yaml", *one_step, *results) - imported


def _second_runs(bench: Bench, times: int) -> list[float]:
    """Return the seconds of a command whose runs are all finished."""
    sweep = ["run", "configs/smoke.yaml", "--seeds=0-11", "--device=cpu"]
    sweep += ["--results", str(bench.folder / "sweep")]
    bench.regbench(*sweep)
    return [_seconds(bench, *sweep) for _ in range(times)]


def _seconds(bench: Bench, *arguments: str) -> float:
    return _timed(bench.regbench, *arguments)


def _timed(call: Callable[..., object], *arguments: str) -> float:
    began = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - began


def _full_run(bench: Bench) -> tuple[float, float]:
    """Train an epoch of 50,000 images; return the share that is not training, and peak gigabytes.

    The images are noise, in the layout of CIFAR-10's archive: what they show costs nothing.
    """
    archive = _noise_archive(bench.folder / "noise.tar.gz")
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    data = [f"--set=data.path={archive}", f"--set=data.sha256={digest}"]
    results = bench.folder / "full"
    command = ["run", "configs/baseline.yaml", *data, "--results", str(results), "--epochs=1"]
    command += ["--set=train.batch_size=128", "--quiet", "--device=cpu", "--force"]
    bench.regbench(*command, "--set=data.train_examples=100")  # decodes the archive to the cache
    code = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
    code += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    full = [*command, "--set=data.train_examples=all", "--set=name=full", "--profile"]
    printed = bench.python("-c", code, sys.executable, "-m", "regbench", *full)
    (profile,) = results.glob("full-*/profile.json")
    return _share(json.loads(profile.read_text())), int(printed.split()[-1]) * 1024 / 1e9


def _share(seconds: dict[str, float]) -> float:
    """Return the share of an epoch that evaluation and bookkeeping take, of a one-epoch run."""
    # Two measurements: before the epoch, which is no part of it, and after.
    beside = seconds["evaluate"] / 2 + seconds["save"] + seconds["other"]
    return beside / (beside + seconds["data"] + seconds["compile"] + seconds["step"])


def _noise_archive(path: Path) -> Path:
    rng = np.random.default_rng(0)
    names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name in names:
            labels = (np.arange(BATCH) % 10).tolist()
            batch = {b"data": rng.integers(0, 256, (BATCH, 3072), np.uint8), b"labels": labels}
            _add(archive, f"cifar-10-batches-py/{name}", pickle.dumps(batch, protocol=2))
        meta = {b"label_names": [str(number).encode() for number in range(10)]}
        _add(archive, "cifar-10-batches-py/batches.meta", pickle.dumps(meta, protocol=2))
    return path


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, BytesIO(content))
