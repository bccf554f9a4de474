"""Pythons that regbench is not for, too old, too new or without its packages: one clear line.

Those that are installed are tried themselves; of one that is not, a script stands in that says its
version, which is all that an installation asks for.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.faults.report import Line, show

OLD, NEW = ("3.8", "3.9", "3.10"), ("3.14", "3.15")
SECONDS = 300
# What the Makefile's recipe runs besides Python.
TOOLS = ("sh", "make", "awk", "rm", "test", "touch", "sed", "env")
STAND_IN = """\
#!/bin/sh
case "$*" in
  *version_info*) exit 1 ;;
  *--version*) echo "Python {version}.0" ;;
  *) echo "expected no other question to a Python of another version" >&2; exit 97 ;;
esac
"""


class Try(NamedTuple):
    """A command, the folders where it finds programs, and what its message has to name."""

    what: str
    arguments: tuple[str, ...]
    path: Path
    names: tuple[str, ...]


def of_other_versions(folder: Path) -> Iterator[Line]:
    """Install and start regbench with each Python that it is not for."""
    tries = bad = 0
    for each in _tries(folder):
        tries += 1
        show(each.what)
        problem = _call(each, folder)
        bad += problem is not None
        if problem:
            print(f"\n{each.what}: {problem!a:.800}", file=sys.stderr)
    stand_ins = [version for version in (*OLD, *NEW) if not _installed(version)]
    result = f"{bad} tracebacks or unclear"
    result += f"; scripts stand in for {', '.join(stand_ins)}" if stand_ins else ""
    yield Line("a Python too old, too new or without packages", tries, result, not bad)


def _tries(folder: Path) -> Iterator[Try]:
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copyfile(name, folder / name)
    none = _programs(folder / "none", None)
    yield Try("make install without a Python", ("make", "install"), none, ("3.11",))
    for version in (*OLD, *NEW):
        python = _installed(version) or _stand_in(folder, version)
        programs = _programs(folder / version, python)
        named = ("3.11", version)
        yield Try(f"make install, Python {version}", ("make", "install"), programs, named)
        asked = ("make", "install", f"PYTHON={python}")
        yield Try(f"make install PYTHON=python{version}", asked, programs, named)
        if (uv := shutil.which("uv")) and _installed(version):  # it asks more of a Python
            with_uv = _programs(folder / f"{version}-uv", python, Path(uv))
            asked = ("make", "install", f"PYTHON={version}")
            yield Try(f"make install PYTHON={version}, uv", asked, with_uv, named)
        if _installed(version):
            started = (str(python), "-m", "regbench", "--help")
            yield Try(f"Python {version} -m regbench", started, programs, named)
    yield Try("a Python without packages", without_packages(), none, ("make install",))


def without_packages() -> tuple[str, ...]:
    """Return `python -m regbench` in the checkout, of a Python with the standard library alone."""
    code = f"import runpy, sys; sys.path.insert(0, {str(Path.cwd())!r}); "
    code += "runpy.run_module('regbench', {}, '__main__')"
    return (sys.executable, "-I", "-S", "-c", code)


def _installed(version: str) -> Path | None:
    """Return the interpreter of a version, of those that pyenv or the system has."""
    known = [*Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}")]
    return next(iter([*known, *Path("/usr/bin").glob(f"python{version}")]), None)


def _stand_in(folder: Path, version: str) -> Path:
    path = folder / f"python{version}"
    path.write_text(STAND_IN.format(version=version))
    path.chmod(0o755)
    return path


def _programs(folder: Path, python: Path | None, *more: Path) -> Path:
    """Make a folder of the tools that an installation needs, with this Python as `python3`."""
    folder.mkdir()
    found = [Path(path) for path in map(shutil.which, TOOLS) if path]
    for tool in (*found, *more):
        (folder / tool.name).symlink_to(tool.resolve())
    if python:
        (folder / "python3").symlink_to(python)
    return folder


def _call(asked: Try, folder: Path) -> str | None:
    """Return what is wrong with what a command did."""
    here = Path.cwd() if "-m" in asked.arguments else folder
    variables = {"PATH": str(asked.path), "HOME": str(folder), "UV_PYTHON_DOWNLOADS": "never"}
    variables |= {key: value for key, value in os.environ.items() if key.startswith("PIP_")}
    done = subprocess.run(
        asked.arguments, cwd=here, env=variables, capture_output=True, text=True, timeout=SECONDS
    )  # fmt: skip
    said = done.stdout + done.stderr
    lacks = [name for name in asked.names if name not in said]
    if (folder / ".venv").exists():
        shutil.rmtree(folder / ".venv")
        return f"made an environment: {said}"
    fine = done.returncode not in (0, 97) and not lacks and "Traceback" not in said
    return None if fine else f"exit code {done.returncode}: {said}"
