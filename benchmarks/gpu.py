"""Tries regbench on a GPU with JAX, and measures it; `make gpu` calls this.

    python gpu.py [--output gpu.md] [--libraries FOLDER] [--minutes 8]

Runs the tests of the JAX backend on the GPU, then trains the baseline's layers, in interleaved
rounds, with regbench, Keras' `fit` on JAX and a PyTorch loop, and then several seeds in one program
against one after the other. What does not fit into the minutes is left out, and the page says so.
Without a GPU the page says that nothing was measured.

With `--libraries`, a folder made by `make gpu-wheels`, this Python needs nothing but JAX and torch.
"""

from __future__ import annotations

import argparse
import csv
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

HERE = Path(__file__).resolve().parent
IMAGES, BATCH, EPOCHS, ROUNDS = 20_480, 128, 6, 3
TESTS = "tests/training/test_jax.py"
TITLE = "# On a GPU\n\nWritten by `make gpu`. "
# Where two runs are equal to the byte on a GPU, and where they need not be.
DETERMINISM = """
regbench runs JAX with `--xla_gpu_deterministic_ops=true`: XLA then neither chooses kernels by
timing them nor adds up in an order that varies, and refuses an operation without a deterministic
kernel. `XLA_FLAGS=--xla_gpu_deterministic_ops=false` allows faster ones; two runs of a seed may
then differ. Keras' `fit` and the PyTorch loop have their own defaults, which are not deterministic.
"""


class Session:
    """The time that is left, the variables of child processes, and a temporary folder."""

    def __init__(self, folder: Path, libraries: Path | None, minutes: float) -> None:
        self.folder = folder
        self._ends = time.monotonic() + 60 * minutes
        paths = [str(HERE.parent), *_unpacked(libraries, folder / "libraries")]
        self.variables = os.environ | {
            "PYTHONPATH": os.pathsep.join([*paths, os.environ.get("PYTHONPATH", "")]),
            "KERAS_BACKEND": "jax",
            "REGBENCH_TEST_DEVICE": "auto",
            "REGBENCH_DATA": str(folder / "cache"),
            "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        }

    def python(self, *arguments: str, **variables: str) -> str | None:
        """Run a Python in a process of its own; return its output, None if it failed."""
        left = self._ends - time.monotonic()
        if left < 10:
            print(f"no time left for {arguments[0]}", file=sys.stderr)
            return None
        try:
            done = subprocess.run(
                [sys.executable, *arguments], env=self.variables | variables, cwd=HERE.parent,
                capture_output=True, text=True, timeout=left,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            print(f"no time left to finish {arguments[0]}", file=sys.stderr)
            return None
        if done.returncode:
            print(f"{' '.join(arguments)} failed:\n{done.stdout}{done.stderr}", file=sys.stderr)
            return None
        return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, default=HERE / "gpu.md")
    parser.add_argument("--libraries", type=Path, help="a folder of wheels, for what is missing")
    parser.add_argument("--minutes", type=float, default=8.0)
    options = parser.parse_args()
    found = card()
    if found is None:
        text = TITLE + "No GPU was at hand, so that nothing was measured and nothing checked.\n"
    else:
        with tempfile.TemporaryDirectory(prefix="regbench-gpu-") as folder:
            session = Session(Path(folder), options.libraries, options.minutes)
            text = TITLE + measured(session, found)
    print(text)
    options.output.write_text(text + DETERMINISM)


def card() -> str | None:
    """Return name, memory and driver of the first NVIDIA GPU; None if there is none."""
    if shutil.which("nvidia-smi") is None:
        return None
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True)
    return done.stdout.splitlines()[0].strip() if done.returncode == 0 and done.stdout else None


def measured(session: Session, found: str) -> str:
    """Return the page's text about this machine."""
    devices = session.python("-c", "import jax; print([d.platform for d in jax.devices()])")
    text = f"{date.today()}, {found}, {platform.platform()}, {_versions()}.\n\n"
    if not devices or not ("gpu" in devices or "cuda" in devices):
        return (
            text + f"JAX sees no GPU ({(devices or 'it failed').strip()}): nothing was measured.\n"
        )
    began = time.monotonic()
    test = ("-m", "pytest", "-q", "-p", "no:cacheprovider", TESTS)
    # What a worker of regbench has; these tests train in their own process.
    checked = session.python(*test, XLA_FLAGS="--xla_gpu_deterministic_ops=true")
    outcome = checked.splitlines()[-1] if checked else "failed, or not finished in time"
    text += f"`pytest {TESTS}` on the GPU: {outcome} ({time.monotonic() - began:.0f} s).\n\n"
    return text + table(speeds(session)) + seeds_per_program(session)


def seeds_per_program(session: Session) -> str:
    """Return a table of networks whose seeds share a program, against one seed after the other."""
    sizes = ("--images", "5120", "--batch", str(BATCH), "--rounds", str(ROUNDS))
    networks = ("baseline", "batch_norm", "resnet20", "large mlp")
    printed = [
        session.python(str(HERE / "seeds_per_program.py"), *sizes, "--networks", network)
        for network in networks
    ]
    lines = [
        "",
        "Several seeds in one program (`vmap`), against one after the other; an epoch, in seconds.",
        "",
        "| network | seeds | one program | one by one | one by one / one program, median | lowest "
        "| largest relative difference of a loss |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for network, text in zip(networks, printed, strict=True):
        if text is None:
            lines.append(f"| {network} | | not measured | | | | |")
            continue
        found = json.loads(text.splitlines()[-1])
        both, ratios = found["epoch"], found["apart_over_together"]
        lines.append(
            f"| {network} | {found['seeds']} | {statistics.median(both['together']):.3f} "
            f"| {statistics.median(both['apart']):.3f} | {ratios['median']:.2f} "
            f"| {ratios['lowest']:.2f} | {found['largest_relative_difference_of_a_loss']:.1e} |"
        )
    return "\n".join([*lines, ""])


def speeds(session: Session) -> dict[str, list[float]]:
    """Return images per second of every contender, a number for each round there was time for."""
    images = session.folder / "images.npz"
    session.python("-c", MAKE_IMAGES, str(images), str(IMAGES))
    epochs = str(1 + EPOCHS)
    contenders: dict[str, Callable[[], float | None]] = {
        "regbench": lambda: of_regbench(session),
        "Keras fit on JAX": lambda: of_script(session, "keras_fit.py", str(images), epochs),
        "PyTorch loop": lambda: of_script(session, "pytorch_loop.py", str(images), epochs, "cuda"),
    }
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, run in contenders.items():
            speed = run()
            if speed is not None:
                found[name].append(speed)
    return found


MAKE_IMAGES = """
import sys
import numpy as np
rng, count = np.random.default_rng(0), int(sys.argv[2])
images = rng.integers(0, 256, (count, 32, 32, 3), dtype="uint8")
np.savez(sys.argv[1], images=images, labels=rng.integers(0, 10, count))
"""


def of_script(session: Session, *arguments: str) -> float | None:
    """Return the images per second that a rival prints, without its first epoch."""
    printed = session.python(str(HERE / arguments[0]), *arguments[1:])
    if printed is None:
        return None
    found = json.loads(printed.splitlines()[-1])
    return float(found["images"] / statistics.median(found["seconds"][1:]))


def of_regbench(session: Session) -> float | None:
    """Return the images per second of a run as users start it, without its first epoch."""
    data = ["data.name=shapes", f"data.train_examples={IMAGES}", "data.test_examples=100"]
    changes = [f"--set={each}" for each in (*data, f"train.batch_size={BATCH}")]
    results = session.folder / "runs"
    where = ["--results", str(results), "--backend", "jax", "--device", "gpu", "--no-probes"]
    how = ["--epochs", str(1 + EPOCHS), "--quiet", "--force"]
    command = ["-m", "regbench", "run", "configs/baseline.yaml", *changes, *where, *how]
    if session.python(*command) is None:
        return None
    (history,) = results.glob("*/history.csv")
    with history.open() as file:
        seconds = [float(row["seconds"]) for row in csv.DictReader(file)]
    return IMAGES / statistics.median(seconds[2:])


def table(found: dict[str, list[float]]) -> str:
    """Return a table of the contenders, and of the ratios within rounds."""
    lines = [
        "| contender | rounds | images/s, median | lowest | highest | regbench / it, per round |"
    ]
    lines += ["|---|---:|---:|---:|---:|---:|"]
    own = found["regbench"]
    for name, values in found.items():
        if not values:
            lines.append(f"| {name} | 0 | not measured | | | |")
            continue
        # Rounds pair up only where none is missing.
        paired = len(values) == len(own) and name != "regbench"
        ratios = [mine / theirs for mine, theirs in zip(own, values, strict=True)] if paired else []
        ratio = f"{statistics.median(ratios):.2f}" if ratios else ""
        numbers = (statistics.median(values), min(values), max(values))
        shown = " | ".join(f"{each:,.0f}" for each in numbers)
        lines.append(f"| {name} | {len(values)} | {shown} | {ratio} |")
    what = (
        f"Training alone, {IMAGES:,} images, batches of {BATCH}, {EPOCHS} epochs after the first."
    )
    return "\n".join([what, "", *lines, ""])


def _unpacked(wheels: Path | None, folder: Path) -> list[str]:
    """Unpack the wheels of packages that this Python lacks; return the paths to import from."""
    if wheels is None:
        return []
    for wheel in sorted(wheels.glob("*.whl")):
        if not _is_installed(wheel.name.partition("-")[0]):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(folder)
    return [str(folder)]


def _is_installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _versions() -> str:
    found = [f"Python {platform.python_version()}"]
    for package in ("jax", "keras", "torch"):
        if importlib.util.find_spec(package):
            found.append(f"{package} {importlib.metadata.version(package)}")
    return ", ".join(found)


if __name__ == "__main__":
    main()
