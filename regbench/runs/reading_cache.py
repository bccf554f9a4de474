"""A cache of what was read from a results folder, so that each run is read only once.

`<results>/.regbench-cache/runs.bin` holds the checked contents of each finished run's files, the
values of each config, and the state (size, times, inode) in which each file was. It can be deleted
at any time, and the files always win: a run whose files have another state is read again, and a
cache that is damaged, or was written by another user or version, is silently ignored.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import stat
import struct
import tempfile
import time
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from regbench import files
from regbench.datasets import cache as datasets
from regbench.runs.environments import Environment
from regbench.runs.files import COLUMNS, CONFIG, ENVIRONMENT, HISTORY_FILE, SUMMARY

FOLDER, FILE = ".regbench-cache", "runs.bin"
# Raise it when a reader checks more than before, or interprets a file differently.
VERSION = 3
# Fewer runs than this are read in an instant, and their folder stays untouched.
FEWEST = 100
# A file changed this shortly before it was read could change again without a new time.
SETTLED = int(datasets.SETTLED_SECONDS * 1e9)
MOST_BYTES = 2**29
# A write takes a second or two; a temporary file this old was left by a killed process.
ABANDONED_SECONDS = 60.0
KEY_BYTES = MAC_BYTES = 32
HEAD = struct.Struct(f"<{MAC_BYTES}sQ")
DAMAGED = (
    ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, OverflowError,
    struct.error,
)  # fmt: skip

READ = (SUMMARY, HISTORY_FILE, ENVIRONMENT)
# Size, time of the last change of the content and of anything, inode; none for a missing file.
FileState = list[int]
State = list[FileState]


# Those of `RUN` without the results folder.
RunValues = tuple[str, str, str, int, str, int, str | None, str | None, float]


class Entry(NamedTuple):
    """The content of one finished run's files.

    `run` holds the values of `RUN` without the results folder, `history` (epochs, columns) those of
    `COLUMNS`, NaN where the run has none.
    """

    run: RunValues
    history: NDArray[np.float64]
    environment: Environment


class Config(NamedTuple):
    """The values of a config, as `Experiment.brief` gives them, and the file they are from."""

    run: str
    state: FileState
    values: Mapping[str, object]


class Content(NamedTuple):
    """All that a cache holds: each run by its folder's name, each config by its hash."""

    runs: dict[str, tuple[State, Entry]]
    configs: dict[str, Config]


class ReadingCache:
    """The cached entries of one results folder; empty, and never written, for None."""

    def __init__(self, results: Path | None) -> None:
        self._results = results
        self._began = time.time_ns()
        self._key = _key() if results else None
        self._old, self._new = Content({}, {}), Content({}, {})
        self._changed = False
        if results and self._key:
            with contextlib.suppress(OSError, *DAMAGED):
                self._old = _unpack(_authentic(results / FOLDER, self._key))

    def state(self, folder: Path) -> State | None:
        """Return the state of the files that a run is read from; call this before reading them.

        None if the run is not cached: without a key, or in a bundle.
        """
        if self._key is None or folder.parent != self._results:
            return None
        run = str(folder)
        return [_state(f"{run}{os.sep}{name}") for name in READ]

    def get(self, folder: Path, state: State | None) -> Entry | None:
        """Return the content of a run's files in exactly this state; None if unknown."""
        known = self._old.runs.get(folder.name)
        if known is None or known[0] != state:
            return None
        self._new.runs[folder.name] = known
        return known[1]

    def put(self, folder: Path, state: State | None, entry: Entry) -> None:
        """Store what was read from a run's files after they were found in this state."""
        if state is not None and self._is_settled(state):
            self._new.runs[folder.name] = state, entry
            self._changed = True

    def config_state(self, folder: Path) -> FileState | None:
        """Return the state of a run's config, as `state` does of its other files."""
        if self._key is None or folder.parent != self._results:
            return None
        return _state(f"{folder}{os.sep}{CONFIG}")

    def config(
        self, folder: Path, config_hash: str, state: FileState | None
    ) -> Mapping[str, object] | None:
        """Return the values of the config in a run's folder in exactly this state."""
        known = self._old.configs.get(config_hash)
        if known is None or known[:2] != (folder.name, state):
            return None
        self._new.configs[config_hash] = known
        return known.values

    def put_config(
        self, folder: Path, config_hash: str, state: FileState | None, values: Mapping[str, object]
    ) -> None:
        """Store a config that was read after its file was found in this state.

        One with plugins is read again: its values may depend on what is loaded.
        """
        if state is not None and self._is_settled([state]) and "plugins" not in values:
            self._new.configs[config_hash] = Config(folder.name, state, values)
            self._changed = True

    def _is_settled(self, state: State) -> bool:
        changed = max((time for file in state for time in file[1:3]), default=self._began)
        return changed < self._began - SETTLED

    def save(self) -> None:
        """Write new entries. Does nothing if the folder can't be written."""
        fewer = len(self._new.runs) < len(self._old.runs)
        fewer |= len(self._new.configs) < len(self._old.configs)
        if self._results and self._key and (self._changed or fewer):
            with contextlib.suppress(OSError):
                _write(self._results / FOLDER, _pack(self._new), self._key)


@contextlib.contextmanager
def opened(results: Path, runs: int) -> Iterator[ReadingCache]:
    """Yield the cache of a results folder with this many runs, and save it at the end.

    It is always empty for a bundle, whose runs are read again.
    """
    cache = ReadingCache(results if runs >= FEWEST and results.is_dir() else None)
    yield cache
    cache.save()


def _state(path: str) -> FileState:
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return []
    if not stat.S_ISREG(found.st_mode):
        return []
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def _pack(kept: Content) -> bytes:
    """Return the bytes that `_unpack` reads: JSON, then the histories below each other."""
    environments: dict[str, int] = {}
    runs = {}
    for name, (state, entry) in kept.runs.items():
        environment = environments.setdefault(
            json.dumps(vars(entry.environment)), len(environments)
        )
        runs[name] = [state, entry.run, len(entry.history), environment]
    content = {
        "made_by": _made_by(),
        "runs": runs,
        "environments": [json.loads(each) for each in environments],
        "configs": kept.configs,
    }
    text = json.dumps(content).encode()
    histories = [entry.history for _, entry in kept.runs.values()]
    numbers = np.concatenate(histories) if histories else np.empty((0, len(COLUMNS)))
    return struct.pack("<Q", len(text)) + text + numbers.astype("<f8").tobytes()


def _unpack(content: bytes) -> Content:
    """Return the content. Raises an error of `DAMAGED` for what this version did not write."""
    (length,) = struct.unpack_from("<Q", content)
    values = json.loads(content[8 : 8 + length])
    if values["made_by"] != _made_by():
        raise ValueError("of another version")
    environments = [Environment(**each) for each in values["environments"]]
    numbers = np.frombuffer(content, "<f8", offset=8 + length).reshape(-1, len(COLUMNS))
    configs = {key: Config(*each) for key, each in values["configs"].items()}
    if not all(isinstance(each.values, dict) for each in configs.values()):
        raise ValueError("expected mappings")
    entries, first = {}, 0
    for name, (state, run, rows, environment) in values["runs"].items():
        history = numbers[first : first + rows]
        first += rows
        entry = Entry(tuple(run), history, environments[environment])
        entries[name] = state, entry
    if first != len(numbers):
        raise ValueError("of another length")
    return Content(entries, configs)


def _made_by() -> list[str | int]:
    return [VERSION, metadata.version("regbench"), *READ, CONFIG, *COLUMNS]


def _authentic(folder: Path, key: bytes) -> bytes:
    """Return the content of a cache that was written with this key. Raises OSError or ValueError.

    A results folder may come from a stranger, whose cache could contradict the files.
    """
    _check_folder(folder)
    content = files.read_bytes(folder / FILE, MOST_BYTES)
    mac, length = HEAD.unpack_from(content)
    body = memoryview(content)[HEAD.size :]
    if length != len(body) or not hmac.compare_digest(mac, _mac(body, key)):
        raise ValueError("damaged, or written by somebody else")
    return bytes(body)


def _mac(content: bytes | memoryview, key: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=MAC_BYTES, key=key).digest()


def _write(folder: Path, content: bytes, key: bytes) -> None:
    """Replace the cache atomically, unless another process is doing so. Raises OSError.

    Not synced: what a power failure leaves of it is ignored.
    """
    if len(content) + HEAD.size > MOST_BYTES:
        return
    folder.mkdir(exist_ok=True)
    _check_folder(folder)
    # As other tools mark theirs: version control and backups leave such a folder out.
    _write_once(folder / ".gitignore", "*\n")
    _write_once(folder / "CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n")
    temporary = folder / f".{FILE}.tmp"
    with contextlib.suppress(FileNotFoundError):
        if time.time() - temporary.lstat().st_mtime > ABANDONED_SECONDS:
            temporary.unlink()
    try:
        with temporary.open("xb") as file:  # neither another process's, nor through a link
            file.write(HEAD.pack(_mac(content, key), len(content)))
            file.write(content)
    except FileExistsError:
        return
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    temporary.replace(folder / FILE)


def _write_once(path: Path, text: str) -> None:
    with contextlib.suppress(FileExistsError), path.open("x", encoding="ascii") as file:
        file.write(text)


def _check_folder(folder: Path) -> None:
    """Raise ValueError or OSError for a link, which may lead out of the results folder."""
    if not stat.S_ISDIR(folder.lstat().st_mode):
        raise OSError("expected a folder")


def _key() -> bytes | None:
    """Return this user's secret, made at the first call; None if it can't be stored."""
    try:
        path = datasets.folder() / "reading" / "key"
    except datasets.CacheError:
        return None
    with contextlib.suppress(OSError, ValueError):
        key = files.read_bytes(path, KEY_BYTES)
        if len(key) == KEY_BYTES:
            return key
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent)  # for this user's eyes only
        key = os.urandom(KEY_BYTES)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
        os.replace(temporary, path)  # noqa: PTH105
    except OSError:
        return None
    return key
