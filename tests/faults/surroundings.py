"""The surroundings of a command: variables, homes, terminals, folders, limits, readers that leave.

Each try is a fork of this process, which has imported everything, and calls the command line.
"""

from __future__ import annotations

import contextlib
import io
import os
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from tests import made_up_runs
from tests.faults import hostile
from tests.faults.report import Line, show

SECONDS_OF_COMPUTING = 60
SECONDS = 600  # of waiting
COMMANDS: dict[str, tuple[str, ...]] = {
    "help": ("--help",),
    "compare": ("compare", "results"),
    "compare as JSON": ("compare", "results", "--json"),
    "data": ("data",),
    "no such config": ("run", "nothing.yaml"),
    "no such folder": ("compare", "nothing"),
    "bundle": ("bundle", "results", "-o", "runs.zip"),
}
REPORT = ("report", "results", "-o", "page.html")


class Surroundings(NamedTuple):
    """What is other than usual: variables (None: not set), a folder's name, a limit, a setup."""

    variables: Mapping[str, str | None] = {}
    folder: str = "place"
    limits: Mapping[int, int] = {}
    setup: Callable[[], object] = lambda: None


def _other_user() -> None:
    os.setgid(65534)
    os.setuid(65534)


def _unknown_user() -> None:
    os.setgid(54321)
    os.setuid(54321)


def _closed(*descriptors: int) -> Callable[[], object]:
    return lambda: [os.close(each) for each in descriptors]


def _reader_left() -> None:
    """Give this process a pipe for its output that nobody reads, as `| head -0` does."""
    reader, writer = os.pipe()
    os.close(reader)
    os.dup2(writer, 1)


def _full_device() -> None:
    os.dup2(os.open("/dev/full", os.O_WRONLY), 1)


SURROUNDINGS: dict[str, Surroundings] = {
    "as usual": Surroundings(),
    "no HOME": Surroundings({"HOME": None}),
    "a HOME that is not there": Surroundings({"HOME": "/nowhere"}),
    "a read-only HOME": Surroundings({"HOME": "/proc"}),
    "HOME is a file": Surroundings({"HOME": "/etc/passwd"}),
    "HOME is here": Surroundings({"HOME": "."}),
    "a user without a name": Surroundings(
        {"HOME": None, "REGBENCH_DATA": None}, setup=_unknown_user
    ),
    "another user": Surroundings({"HOME": None, "REGBENCH_DATA": None}, setup=_other_user),
    "no variable at all": Surroundings(dict.fromkeys(os.environ)),
    "LANG=C": Surroundings({"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0"}),
    "LANG=tr_TR": Surroundings({"LANG": "tr_TR.UTF-8", "LC_ALL": "tr_TR.UTF-8"}),
    "TERM=dumb": Surroundings({"TERM": "dumb"}),
    "no TERM": Surroundings({"TERM": None}),
    "NO_COLOR": Surroundings({"NO_COLOR": "1"}),
    "FORCE_COLOR": Surroundings({"FORCE_COLOR": "1"}),
    "20 columns": Surroundings({"COLUMNS": "20"}),
    "1 column": Surroundings({"COLUMNS": "1"}),
    "columns of text": Surroundings({"COLUMNS": "wide"}),
    "a million columns": Surroundings({"COLUMNS": "1000000"}),
    "TZ of nowhere": Surroundings({"TZ": "No/Where"}),
    "TMPDIR of nowhere": Surroundings({"TMPDIR": "/nowhere"}),
    "REGBENCH_DATA is a file": Surroundings({"REGBENCH_DATA": "/etc/passwd"}),
    "REGBENCH_DATA can't be written": Surroundings({"REGBENCH_DATA": "/proc/regbench"}),
    "REGBENCH_PLUGINS is empty": Surroundings({"REGBENCH_PLUGINS": ":"}),
    "no PATH": Surroundings({"PATH": None}),
    "a folder with a space and quotes": Surroundings(folder="a b'c\"d"),
    "a folder with accents": Surroundings(folder="caf\u00e9 \u0645\u0631 \U0001f600"),
    "a folder with markup": Surroundings(folder="[red]<b>&amp;"),
    "a folder with an escape": Surroundings(folder=f"a{hostile.ESCAPE}{hostile.BIDI}"),
    "a folder that is no text": Surroundings(folder="a\udcff"),
    "a folder with a line end": Surroundings(folder="a\nb"),
    "a folder like an option": Surroundings(folder="--help"),
    "few open files": Surroundings(limits={resource.RLIMIT_NOFILE: 24}),
    "no further process": Surroundings(limits={resource.RLIMIT_NPROC: 0}),
    "small files alone": Surroundings(limits={resource.RLIMIT_FSIZE: 100}),
    "no core": Surroundings(limits={resource.RLIMIT_CORE: 0}),
    "nobody reads": Surroundings(setup=_reader_left),
    "output to a full device": Surroundings(setup=_full_device),
    "no standard input": Surroundings(setup=_closed(0)),
}
# Surroundings in which something may fail, with a line.
MAY_FAIL = ("small files alone", "output to a full device", "few open files", "another user",
            "a user without a name", "REGBENCH_DATA is a file", "REGBENCH_DATA can't be written",
            "no HOME", "a HOME that is not there", "a read-only HOME", "HOME is a file",
            "no variable at all", "HOME is here", "TMPDIR of nowhere")  # fmt: skip


def everywhere(folder: Path) -> Iterator[Line]:
    """Call every command in all surroundings."""
    folder.chmod(0o755)
    results = folder / "results"
    made_up_runs.write(results, made_up_runs.twenty()[2:4], seeds=2, epochs=2, probed=False)
    _import(folder)
    tries = bad = 0
    for number, (name, around) in enumerate(SURROUNDINGS.items()):
        further = {} if number % 8 else {"report": REPORT}  # which takes seconds
        for command, arguments in (COMMANDS | further).items():
            tries += 1
            show(f"{command}: {name}")
            here = folder / str(tries) / around.folder
            here.mkdir(parents=True)
            shutil.copytree(results, here / "results")
            problem = _call(around, arguments, here, "no such" in command, name in MAY_FAIL)
            bad += problem is not None
            if problem:
                print(f"\n{command}: {name}: {problem!a:.400}", file=sys.stderr)
    result = f"{bad} tracebacks, hangs, wrong exit codes or control characters"
    yield Line("a command in odd surroundings", tries, result, not bad)


def _import(folder: Path) -> None:
    """Import what the commands do, by calling each: another user may not read what is installed."""
    from regbench import cli

    here, silent = Path.cwd(), io.StringIO()
    os.chdir(folder)
    for arguments in COMMANDS.values():
        with (
            contextlib.redirect_stdout(silent),
            contextlib.redirect_stderr(silent),
            contextlib.suppress(SystemExit),
        ):
            cli.main(list(arguments))
    os.chdir(here)


def _call(
    around: Surroundings, arguments: tuple[str, ...], here: Path, fails: bool, may_fail: bool
) -> str | None:
    """Return what is wrong with how a command went."""
    output, errors = here.parent / "stdout", here.parent / "stderr"
    pid = os.fork()
    if not pid:
        _become(around, arguments, here, output, errors)
    deadline = time.monotonic() + SECONDS
    while not (ended := os.waitpid(pid, os.WNOHANG))[0]:
        if time.monotonic() > deadline:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            return "no end"
        time.sleep(0.01)
    code = os.waitstatus_to_exitcode(ended[1])
    said = errors.read_bytes().decode(errors="replace")
    text = said + output.read_bytes().decode(errors="replace")
    if "Traceback" in text or code not in ((0, 1, 2) if may_fail or fails else (0,)):
        return f"exit code {code}: {said[-300:]}"
    if fails and (code == 0 or not said):
        return f"exit code {code}, and nothing said"
    marks = ("\x1b[2J", hostile.BIDI)
    return "a control character" if any(mark in text for mark in marks) else None


def _become(
    around: Surroundings, arguments: tuple[str, ...], here: Path, output: Path, errors: Path
) -> None:
    """Be the command in this fork, in its surroundings."""
    code = 99
    try:
        for descriptor, path in ((1, output), (2, errors)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT, 0o666), descriptor)
        os.chdir(here)
        os.environ["REGBENCH_DATA"] = str(here.parent / "cache")
        for key, value in around.variables.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS_OF_COMPUTING, SECONDS_OF_COMPUTING))
        for limit, most in around.limits.items():
            resource.setrlimit(limit, (most, most))
        around.setup()
        # As Python makes them at its start, of what the descriptors are by then.
        sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), write_through=True)
        sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), write_through=True)
        from regbench import cli

        try:
            cli.main(list(arguments))
        except SystemExit as end:
            code = int(end.code or 0)
        sys.stdout.flush()
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            sys.stderr.flush()
        os._exit(code)
