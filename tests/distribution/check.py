"""Checks what `make build` made: contents, then an installation into an empty environment.

    python tests/distribution/check.py dist
    python tests/distribution/check.py dist --dependencies-from .venv/bin/python

The second form downloads nothing: the new environment sees the packages of that Python, except
regbench. Nothing but the standard library is imported here, so that any Python runs it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What a package may hold. Anything else was left there by a tool.
SUFFIXES = (".py", ".html", ".css", ".js", ".typed")
FILES_OF_A_SOURCE = ("LICENSE", "MANIFEST.in", "README.md", "pyproject.toml", "setup.py")
# Each from a folder that is empty at first; what a newcomer without a clone types.
COMMANDS = (
    ("--version",),
    ("demo", "--smoke"),
    ("init",),
    ("run", "dropout", "--smoke"),
    ("run", "configs/quick.yaml", "--smoke"),
    ("compare", "results/smoke", "--baseline", "quick"),
    ("report", "results/smoke", "--baseline", "quick", "-o", "smoke.html"),
    ("bundle", "results/smoke", "-o", "runs.zip"),
    ("compare", "runs.zip", "--baseline", "quick"),
    ("study", "overfitting", "--dry-run", "--profile", "quick", "--set", "train.epochs=1"),
)
# What comes of the plugin that `init` writes there, with a config and a study beside it.
PLUGIN = ("--plugin", "my_plugin.py")
CONFIG = """\
data: {name: stripes, train_examples: 64, test_examples: 40}
model: {name: two_branches}
train: {epochs: 2, batch_size: 32}
soft_targets: 0.2
"""
STUDY = """\
question: Do soft targets cost accuracy on stripes?
base: mine.yaml
profiles:
  quick: {seeds: 0-1}
variants:
  plain: {set: {soft_targets: 0}}
  soft: {}
claims:
  - text: Soft targets leave the test accuracy as it is
    metric: test_accuracy
    variant: soft
    against: plain
    expect: same
    margin: 0.2
"""
NAMES = ["stripes", "two_branches", "soft_targets"]
INTO = ("--results", "results/stripes", "--seeds", "0-1")
PLAIN = ("--set", "soft_targets=0", "--set", "name=plain")
REFUSED = ("run", "mine.yaml")  # as long as the plugin is not named
OF_A_PLUGIN = (
    ("plugins", *PLUGIN),
    ("run", "mine.yaml", *PLUGIN, *INTO),
    ("run", "mine.yaml", *PLUGIN, *PLAIN, *INTO),
    ("compare", "results/stripes", "--baseline", "plain", "--changes"),
    ("study", "stripes.yaml", *PLUGIN),
    ("report", "results/stripes", "--baseline", "plain", "-o", "stripes.html"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dist", type=Path)
    parser.add_argument("--dependencies-from", metavar="PYTHON")
    parser.add_argument("--contents-only", action="store_true")
    asked = parser.parse_args()
    (wheel,) = asked.dist.glob("*.whl")
    (source,) = asked.dist.glob("*.tar.gz")
    problems = [*of_wheel(wheel), *of_source(source)]
    for problem in problems:
        print(f"Error: {problem}", file=sys.stderr)
    if problems:
        raise SystemExit(1)
    print(f"{wheel.name} and {source.name} are complete")
    if not asked.contents_only:
        with tempfile.TemporaryDirectory(prefix="regbench-wheel-") as folder:
            try_out(wheel, Path(folder), asked.dependencies_from)


def expected(root: Path = ROOT) -> set[str]:
    """Return the files of the package in a wheel, configs included, as a checkout has them."""
    code = [path for path in (root / "regbench").rglob("*") if path.suffix in SUFFIXES]
    configs = [path for each in ("*.yaml", "*.json") for path in (root / "configs").rglob(each)]
    return {path.relative_to(root).as_posix() for path in code} | {
        f"regbench/{path.relative_to(root).as_posix()}" for path in configs
    }


def of_wheel(wheel: Path, root: Path = ROOT) -> list[str]:
    """Return what is wrong with the contents of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
        (metadata,) = [name for name in held if name.endswith(".dist-info/METADATA")]
        described = archive.read(metadata).decode()
    beside = metadata.removesuffix("METADATA")
    own = {name for name in held if not name.startswith(beside)}
    problems = _differences(wheel.name, own, expected(root))
    version = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    if f"\nVersion: {version}\n" not in described:
        problems.append(f"{wheel.name}: expected version {version}, as pyproject.toml has it")
    needed = [f"{beside}entry_points.txt", f"{beside}licenses/LICENSE"]
    return problems + [f"{wheel.name}: {name} is missing" for name in needed if name not in held]


def of_source(source: Path, root: Path = ROOT) -> list[str]:
    """Return what is wrong with the contents of a source distribution."""
    with tarfile.open(source) as archive:
        files = [member.name for member in archive.getmembers() if member.isfile()]
    held = {name.partition("/")[2] for name in files}
    package = {name.replace("regbench/configs/", "configs/", 1) for name in expected(root)}
    made = {name for name in held if ".egg-info/" in name} | {"PKG-INFO", "setup.cfg"}
    return _differences(source.name, held - made, package | set(FILES_OF_A_SOURCE))


def _differences(name: str, held: set[str], wanted: set[str]) -> list[str]:
    missing = [f"{name}: {each} is missing" for each in sorted(wanted - held)]
    return missing + [f"{name}: {each} does not belong there" for each in sorted(held - wanted)]


def try_out(wheel: Path, folder: Path, dependencies_from: str | None) -> None:
    """Install the wheel into an empty environment, and use it as a newcomer does."""
    home, work = folder / "environment", folder / "empty"
    work.mkdir()
    venv.create(home, with_pip=True, clear=True)
    python = home / ("Scripts" if os.name == "nt" else "bin") / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if dependencies_from:
        install.append("--no-deps")
        paths = _packages(str(python)), _packages(dependencies_from)
        # A path in a .pth file comes after the environment's own, and brings no editable regbench.
        (Path(paths[0]) / "dependencies.pth").write_text(f"{paths[1]}\n")
    subprocess.run([*install, str(wheel.resolve())], check=True)
    program = python.with_name("regbench")
    for arguments in COMMANDS:
        _regbench(program, work, arguments)
    print(f"\n{wheel.name} works from an empty folder, without a clone")
    try_plugin(program, work)
    print(f"\n{wheel.name} works with a plugin")


def try_plugin(program: Path, work: Path) -> None:
    """Train with a technique, a data set and a network that the package does not have."""
    (work / "mine.yaml").write_text(CONFIG)
    (work / "stripes.yaml").write_text(STUDY)
    _regbench(program, work, ("init", *PLUGIN))
    refusal = _regbench(program, work, REFUSED, code=2)
    lines = refusal.splitlines()
    told = [name for name in NAMES for line in lines if name in line and "--plugin" in line]
    if told != NAMES or len(lines) != len(NAMES):
        raise SystemExit(f"Error: expected a line each on {NAMES} and --plugin")
    for arguments in OF_A_PLUGIN:
        _regbench(program, work, arguments)
    if "soft_targets" not in (work / "stripes.html").read_text(encoding="utf-8"):
        raise SystemExit("Error: expected soft_targets in the report, received a page without it")


def _regbench(program: Path, work: Path, arguments: Sequence[str], code: int = 0) -> str:
    """Run a command, print what it prints; return what it wrote to stderr if it is to fail."""
    print(f"\n$ regbench {' '.join(arguments)}", flush=True)
    # Nothing of the checkout may be found by accident.
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    errors = subprocess.PIPE if code else None
    done = subprocess.run([str(program), *arguments], cwd=work, env=clean, stderr=errors, text=True)
    print(done.stderr or "", end="", flush=True)
    if done.returncode != code:
        raise SystemExit(f"Error: expected exit code {code}, received {done.returncode}")
    return done.stderr or ""


def _packages(python: str) -> str:
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    done = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.strip()


if __name__ == "__main__":
    main()
