"""Which programs the commands start and which files they open, as SECURITY.md lists them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.processes

SECURITY = Path("SECURITY.md").resolve()
SOURCE = Path.cwd()
TINY = """\
data: {name: shapes, train_examples: 40, test_examples: 20}
model: {blocks: [2], convolutions: 1, head: global_average_pooling, dense: [4]}
train: {epochs: 1, batch_size: 20}
"""
COMMANDS = {
    "run": ("run", "tiny.yaml", "--results", "results", "--threads", "1"),
    "compare": ("compare", "results"),
    "report": ("report", "results", "-o", "page.html"),
}
# What may lie beside a config from a stranger because some tool reads or imports it there.
BAIT = (
    *(f"{name}.py" for name in ("sitecustomize", "usercustomize", "keras", "numpy", "regbench")),
    *(".env", "keras.json", "pyproject.toml", "setup.cfg", "matplotlibrc", "pip.conf", ".netrc"),
    *("pyvenv.cfg", ".python-version", "tf_config.json", ".kerasrc", "python.exe", "git", "uname"),
)
# Hooks of Python are told of its own calls alone: what TensorFlow opens only strace sees.
HOOK = """
import os, sys
_log = os.open(os.environ["TRACE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def _hook(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes)):
        # os.open says nothing of the folder a name is relative to, which rmtree gives it.
        by_os = arguments[1] is None and not (arguments[2] or 0) & os.O_CREAT
        if by_os and not os.path.lexists(arguments[0]):
            return
        kind, what = "open", os.fsdecode(arguments[0])
    elif event == "subprocess.Popen":
        kind, what = "start", os.fsdecode(arguments[0])
    elif event in ("os.exec", "os.posix_spawn"):
        kind, what = "start", os.fsdecode(arguments[0])
    elif event == "os.system":
        kind, what = "start", os.fsdecode(arguments[0])
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        kind, what = "connect", str(arguments[1])
    else:
        return
    os.write(_log, f"{kind} {what!r}\\n".encode(errors="replace"))
sys.addaudithook(_hook)
"""
OPENED = re.compile(r'^\d+ +open(?:at2?)?\((?:AT_FDCWD, )?"((?:[^"\\]|\\.)*)".* = (\d+)')
STARTED = re.compile(r'^\d+ +execve(?:at)?\((?:AT_FDCWD, )?"((?:[^"\\]|\\.)*)".* = 0')
CONNECTED = re.compile(r"^\d+ +connect\(.*(AF_INET.*)\)")


class Seen(NamedTuple):
    """What was seen of a command: names of programs, paths of files, addresses."""

    started: set[str]
    opened: set[str]
    connected: set[str]


class Place(NamedTuple):
    """A folder in which a stranger has left bait, and the folders of the user."""

    folder: Path
    home: Path
    cache: Path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    root = tmp_path_factory.mktemp("trace")
    here = Place(root / "place", root / "home", root / "cache")
    for folder in here:
        folder.mkdir()
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "init", "-q"], cwd=here.folder, check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], cwd=here.folder, check=True)
    (here.folder / "tiny.yaml").write_text(TINY)
    for name in BAIT:
        (here.folder / name).write_text("raise SystemExit('imported')\n")
        (here.folder / name).chmod(0o755)
    return here


def with_hook(command: list[str], place: Place, environment: dict[str, str]) -> Seen:
    hook = place.folder.parent / "hook"
    hook.mkdir(exist_ok=True)
    (hook / "sitecustomize.py").write_text(HOOK)
    log = hook / "log"
    log.unlink(missing_ok=True)
    variables = {"PYTHONPATH": f"{hook}{os.pathsep}{SOURCE}", "TRACE": str(log)}
    _run(command, place, environment | variables)
    seen = Seen(set(), set(), set())
    for line in log.read_text().splitlines():
        kind, _, what = line.partition(" ")
        where = {"start": seen.started, "open": seen.opened, "connect": seen.connected}[kind]
        where.add(what[1:-1])
    return Seen(seen.started, seen.opened - {str(log)}, seen.connected)


def with_strace(command: list[str], place: Place, environment: dict[str, str]) -> Seen:
    log = place.folder.parent / "strace"
    calls = "trace=execve,execveat,open,openat,openat2,connect"
    strace = ["strace", "-f", "--seccomp-bpf", "-qq", "-s", "4096", "-e", calls, "-o", str(log)]
    _run([*strace, *command], place, environment | {"PYTHONPATH": str(SOURCE)})
    seen = Seen(set(), set(), set())
    for line in log.read_text(errors="replace").splitlines():
        for found, expression in zip(seen, (STARTED, OPENED, CONNECTED), strict=True):
            if match := expression.match(line):
                found.add(match[1])
    return Seen(seen.started - {command[0]}, seen.opened, seen.connected)


def _run(command: list[str], place: Place, environment: dict[str, str]) -> None:
    done = subprocess.run(
        command, cwd=place.folder, env=environment, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr


def outside(opened: set[str], place: Place) -> Iterator[str]:
    """Yield what was opened that is neither of the results, the cache nor the environment."""
    root = place.folder.parent
    known = (sys.prefix, sys.base_prefix, *_checkout(), str(root / "hook"), str(place.cache))
    system = ("/etc", "/usr", "/lib", "/proc", "/sys", "/dev", "/bin", "/sbin", "/opt")
    for name in opened:
        path = Path(os.path.normpath(place.folder / name))
        if path.is_relative_to(place.folder):
            short = path.relative_to(place.folder).as_posix()
            if not short.startswith(("results/", ".git/")) and short not in ("results", "."):
                yield short
        elif path.is_relative_to(place.home):
            yield f"~/{path.relative_to(place.home)}"
        elif any(path.is_relative_to(each) for each in (*known, *system)):
            continue
        elif path.is_relative_to(root) or not path.is_relative_to(tempfile.gettempdir()):
            yield str(path)
        else:
            yield "$TMPDIR"


def _checkout() -> tuple[str, ...]:
    """Return the folders of regbench's own source, and of its repository."""
    asked = ["git", "rev-parse", "--path-format=absolute", "--git-common-dir"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    repository = done.stdout.strip()
    return (str(SOURCE), str(Path(repository).parent)) if repository else (str(SOURCE),)


def promised(command: str, column: int) -> set[str]:
    """Return what SECURITY.md lists for a command in a column."""
    row = re.search(rf"^\| `{command}` \|(.*)\|$", SECURITY.read_text(), re.MULTILINE)
    assert row, f"SECURITY.md has no row for {command}"
    return set(re.findall(r"`([^`]+)`", row[1].split("|")[column]))


@pytest.mark.parametrize("tracer", [with_hook, with_strace])
def test_nothing_is_started_or_opened_but_what_security_md_lists(tracer, place):
    if tracer is with_strace and not shutil.which("strace"):
        pytest.skip("needs strace")
    program = [sys.executable, "-P", "-m", "regbench"]
    environment = {
        **{key: os.environ[key] for key in ("PATH", "LD_LIBRARY_PATH") if key in os.environ},
        "HOME": str(place.home),
        "REGBENCH_DATA": str(place.cache),
    }
    shutil.rmtree(place.folder / "results", ignore_errors=True)
    for name, arguments in COMMANDS.items():
        seen = tracer([*program, *arguments], place, environment)
        assert any("results" in path for path in seen.opened), "the tracer sees files"
        started = {Path(each).name for each in seen.started}
        started = {"python" if each.startswith("python") else each for each in started}
        assert started <= promised(name, 0), name
        assert set(outside(seen.opened, place)) <= promised(name, 1), name
        assert seen.connected == set(), name
        if name == "run":
            assert "git" in started, "the tracer sees programs"
            (recorded,) = place.folder.glob("results/*/environment.json")
            assert json.loads(recorded.read_text())["folder_commit"]
