"""Configs from strangers: thousands of damaged ones, each loaded or refused with a line."""

from __future__ import annotations

import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import hypothesis
from hypothesis import strategies as st

from regbench import config
from regbench.config import ConfigError
from tests.faults.report import Line, show

# A cold import and a slow machine aside, a config takes milliseconds.
LONGEST = 1.0  # of computing
STUCK = 30.0  # of waiting
CITED = re.compile(r"[^:\n]+\.yaml:\d+:\d+: [^\n]+")
SHIPPED = sorted(Path("configs").glob("*.yaml"))
# What has broken other readers of YAML, and values at the edges of what the keys allow.
NASTY = [
    "null", "~", "", "[]", "{}", "[[]]", "{a: {b: c}}", "-1", "0", "1e400", "-1e-400", ".inf",
    ".nan", "0x7fffffffffffffff", "0o777", "9" * 400, "1_000", "12:30", "yes", "no", "on", "true",
    "all", "x: y", ": :", "? x", "- - -", "&a [*a]", "&a a", "*a", "<<: *a",
    "!!python/object/apply:os.abort []",
    "!!binary x", "!!set {}", "!x", "%YAML 9.9", "---", "...", "'", '"', "|", ">", "{[", "]}", "\t",
    "\0", "\x1b[2J", "\u202e", "\ufeff", "\ud7ff", "\U0001f600", "\r", "\x85", "# " + "x" * 99,
    "[" * 40, "{a: " * 40, "extends: /etc/passwd", "extends: /etc/passwd.yaml",
    "extends: fuzzed.yaml",
    "extends: [a]", "extends: \0.yaml", "extends: " + "x" * 300 + ".yaml", "extends: ../configs",
    "name: ../up", "name: =cmd()", "seed: 4294967296", "data: {path: /dev/zero}", "l2: {x: {y: 1}}",
]  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Draw a shipped config with up to four changes, of bytes, lines or values."""
    text = _absolute(draw(st.sampled_from(SHIPPED)))
    for _ in range(draw(st.integers(1, 4))):
        change = draw(st.sampled_from([_put, _bytes, _value, _line, _cut]))
        text = change(draw, text)
    return text


def _absolute(path: Path) -> bytes:
    base = str((path.parent / "baseline.yaml").resolve()).encode()
    return path.read_bytes().replace(b"extends: baseline.yaml", b"extends: " + base)


def _put(draw: st.DrawFn, text: bytes) -> bytes:
    start = draw(st.integers(0, len(text)))
    word = draw(st.sampled_from(NASTY)).encode("utf-8", "surrogatepass")
    return text[:start] + word + text[start + draw(st.integers(0, 9)) :]


def _bytes(draw: st.DrawFn, text: bytes) -> bytes:
    start = draw(st.integers(0, len(text)))
    return text[:start] + draw(st.binary(min_size=1, max_size=4)) + text[start + 1 :]


def _value(draw: st.DrawFn, text: bytes) -> bytes:
    """Replace what follows one of the keys."""
    ends = [match.end() for match in re.finditer(rb": ", text)]
    if not ends:
        return text
    start = draw(st.sampled_from(ends))
    stop = re.compile(rb"[,}\n]|$").search(text, start)
    word = draw(st.sampled_from(NASTY) | st.text(max_size=9)).encode("utf-8", "surrogatepass")
    return text[:start] + word + text[stop.start() if stop else start :]


def _line(draw: st.DrawFn, text: bytes) -> bytes:
    """Repeat, move or nest a line."""
    lines = text.splitlines(keepends=True) or [b"\n"]
    line = draw(st.sampled_from(lines))
    times = draw(st.sampled_from([1, 2, 3000]))
    indent = b" " * draw(st.integers(0, 3))
    lines.insert(draw(st.integers(0, len(lines))), (indent + line) * times)
    return b"".join(lines)


def _cut(draw: st.DrawFn, text: bytes) -> bytes:
    return text[: draw(st.integers(0, len(text)))]


def attempt(path: Path) -> tuple[bool, str | None]:
    """Load a config; return whether it was refused, and what is wrong with how that went."""
    refused = False
    began = time.process_time()
    signal.setitimer(signal.ITIMER_REAL, STUCK)
    try:
        config.load(path)
    except ConfigError as error:
        refused = True
        for message in error.messages:
            if not CITED.fullmatch(message) or not message.isprintable():
                return refused, f"names no line: {message!a}"
    except BaseException as error:
        return refused, f"{type(error).__name__}: {error}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    seconds = time.process_time() - began
    return refused, f"took {seconds:.1f} s" if seconds > LONGEST else None


def fuzz(folder: Path, count: int) -> Iterator[Line]:
    """Load `count` damaged configs."""
    path = folder / "fuzzed.yaml"
    tried: list[tuple[bool, str | None]] = []
    signal.signal(signal.SIGALRM, _stuck)

    @hypothesis.settings(
        max_examples=count,
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(damaged())
    def attack(text: bytes) -> None:
        path.write_bytes(text)
        tried.append(attempt(path))
        show(f"{len(tried)} of {count} configs")
        assert tried[-1][1] is None, tried[-1]

    try:
        attack()
    except Exception as error:
        for text in (str(error), *getattr(error, "__notes__", ())):
            print(f"{text:.2000}", file=sys.stderr)
    bad = sum(problem is not None for _, problem in tried)
    refused = sum(each for each, _ in tried)
    result = f"{bad} tracebacks, hangs or uncited; {refused} refused"
    yield Line("damaged configs", len(tried), result, not bad and len(tried) >= count)


def _stuck(number: int, frame: object) -> None:
    raise TimeoutError(f"no end after {STUCK} s")
