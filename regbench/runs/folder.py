"""The run folder, `results/<name>-<config hash>-s<seed>/`, while the run writes it.

Each of its files is written atomically. `summary.json` is written last: its presence
means that the run is complete.
"""

from __future__ import annotations

import contextlib
import csv
import errno
import io
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from regbench import files
from regbench.config.experiment import Experiment
from regbench.errors import RunFailed
from regbench.runs import replacement, storage
from regbench.runs import summary as summaries
from regbench.runs.files import (
    CHECKPOINTS,
    CONFIG,
    ENVIRONMENT,
    ERROR,
    HISTORY,
    HISTORY_FILE,
    LOCK,
    MADE,
    PROFILE,
    SUMMARY,
    VALIDATION,
    Row,
)  # fmt: skip
from regbench.runs.summary import Summary
from regbench.text import one_line

# After a write of the history that took t seconds, the next one waits this many times t.
COSTLY_SECONDS, PAUSE = 1.0, 20
SECONDS_TO_ASK = 0.2
NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)


class RunBusy(RunFailed):
    """Another process is training in the folder."""


class RunFolder:
    """One run's folder while the run writes it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows: list[Row] = []
        self._rows_written = 0
        self._pause_ends = 0.0
        self._written: set[str] = set()

    @classmethod
    def of(cls, results: Path, experiment: Experiment) -> RunFolder:
        """Return the folder of an experiment, whether it exists or not."""
        return cls(results / experiment.run_name)

    @property
    def checkpoints(self) -> Path:
        """The folder with all that an interrupted run needs to resume."""
        return self.path / CHECKPOINTS

    @property
    def is_complete(self) -> bool:
        """True if the run is finished, here or in the bundle of the results folder."""
        return storage.find(self.path.parent, self.path.name) is not None

    @property
    def is_being_replaced(self) -> bool:
        """True if the run is finished and the one that replaces it is not."""
        return replacement.is_under_way(self.path)

    @property
    def current(self) -> RunFolder:
        """The folder to write: a separate one while a finished run is being replaced."""
        return RunFolder(replacement.beside(self.path)) if self.is_being_replaced else self

    @property
    def has_failed(self) -> bool:
        """True if the last attempt at the run ended with an error."""
        return (self.path / ERROR).is_file()

    @property
    def has_diverged(self) -> bool:
        """True if the run is finished because it diverged."""
        try:
            return self.summary().diverged
        except (OSError, RunFailed):
            return False

    def summary(self) -> Summary:
        """Return the summary of a finished run.

        Raises:
            RunFailed: the file is damaged.
        """
        finished = storage.find(self.path.parent, self.path.name) or self.path
        try:
            return summaries.read(finished)
        except ValueError as error:
            raise RunFailed(
                f"{finished / SUMMARY}: expected what a finished run wrote, received a damaged "
                f"file ({one_line(str(error))}); start over with --force"
            ) from error

    @contextlib.contextmanager
    def writing(self, restart: bool = False) -> Iterator[RunFolder]:
        """Lock the run and yield the folder to train it in; the caller skips a complete one.

        With `restart`, a finished run stays until the new one is complete. Until then the new one's
        folder is yielded, also to resume it.

        Raises:
            RunBusy: another process is training the run.
        """
        with self.lock():
            if replacement.is_cut_short(self.path):
                replacement.finish(self.path)
            finished_here = (self.path / SUMMARY).is_file()  # and not in a bundle
            if not finished_here or not (restart or self.is_being_replaced):
                replacement.discard(self.path)
                yield self
                return
            replacement.begin(self.path)
            new = RunFolder(replacement.beside(self.path))
            with new.lock():
                yield new
                if new.is_complete:
                    replacement.finish(self.path)

    @property
    def is_in_progress(self) -> bool:
        """True if a process is training in the folder now: it holds the lock."""
        import filelock

        if not (self.path / LOCK).is_file():
            return False
        try:
            with filelock.FileLock(self.path / LOCK, fallback_to_soft=False).acquire(0):
                return False
        except filelock.Timeout:
            return True
        except OSError:  # the file system has no locks, or the file may not be opened
            return False

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Make the folder and become its only writer; a process that dies leaves no lock behind.

        Relies on flock, which the operating system releases with the process that holds it. Over
        NFS, Linux locks at the server, if that runs a lock service (version 4 always does).

        Raises:
            RunBusy: another process is training the run.
            RunFailed: the folder is a link, or the file system has no locks.
        """
        import filelock

        self._refuse_link()
        files.make_folder(self.path)
        # No soft locks: those are files that a killed process leaves behind.
        held = filelock.FileLock(self.path / LOCK, fallback_to_soft=False)
        try:
            # A process that checks whether the run is in progress holds the lock for a moment.
            held.acquire(timeout=SECONDS_TO_ASK, poll_interval=SECONDS_TO_ASK / 10)
        except filelock.Timeout:
            raise RunBusy(
                f"{self.path}: another process is training this run; wait for it, or end it"
            ) from None
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            raise RunFailed(
                f"{self.path}: expected a file system that can lock files, received: "
                f"{error.strerror}; choose a folder elsewhere with --results"
            ) from error
        try:
            yield
        finally:
            held.release()

    def start(
        self,
        resolved: str,
        environment: Mapping[str, object],
        rows: Sequence[Row] = (),
    ) -> None:
        """Start over, or resume after the history's `rows` with what the checkpoints hold.

        Leftovers of an earlier attempt are removed, the sign of completion first.
        """
        files.make_folder(self.path)
        for name in MADE:
            files.remove(self.path / name)
        for leftover in self.path.glob(".*.tmp*"):
            files.remove(leftover)
        if not rows:
            self.remove_checkpoints()
        self._rows = [dict(row) for row in rows]
        self._written.clear()
        self._write(CONFIG, resolved)
        self._write(ENVIRONMENT, _json(environment))
        if rows:
            self._write_history()

    def append(self, row: Row) -> None:
        """Add an epoch, a value for each column of `HISTORY`, to `history.csv`.

        In a run with validation examples, every row also has the columns of `VALIDATION`. Once the
        file is so long that writing it takes a while, not every epoch writes it.
        """
        self._rows.append(dict(row))
        if time.monotonic() >= self._pause_ends:
            self._write_history()

    def _write_history(self) -> None:
        began = time.monotonic()
        text = io.StringIO()
        further = VALIDATION if VALIDATION[0] in self._rows[0] else ()
        writer = csv.DictWriter(text, HISTORY + further, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._rows)
        self._write(HISTORY_FILE, text.getvalue())
        self._rows_written = len(self._rows)
        now = time.monotonic()
        took = now - began
        self._pause_ends = now + PAUSE * took if took > COSTLY_SECONDS else 0.0

    def _write(self, name: str, text: str) -> None:
        files.write(self.path / name, text)
        self._written.add(name)

    def save(self, name: str, write: Callable[[Path], object]) -> None:
        """Call `write` to make the file `name`, atomically."""
        files.replace(self.path / name, write)
        self._written.add(name)

    def write_profile(self, seconds: Mapping[str, float]) -> None:
        """Write `profile.json`: the seconds of each part."""
        files.write(self.path / PROFILE, _json(seconds))

    def finish(self, summary: Summary) -> None:
        """Write `summary.json`: the run is complete.

        A diverged run keeps its checkpoints: they are from before it diverged.

        Raises:
            RunFailed: the run's files have been removed in the meantime.
        """
        if self._rows_written < len(self._rows):
            self._write_history()
        gone = sorted(name for name in self._written if not (self.path / name).is_file())
        if gone:
            raise RunFailed(f"{self.path}: removed during the run: {', '.join(gone)}; run it again")
        files.write(self.path / SUMMARY, _json(summary.as_dict()))
        if not summary.diverged:
            self.remove_checkpoints()

    def tidy(self) -> None:
        """Remove leftovers of a completed run that was killed before it removed them itself."""
        if self.checkpoints.exists() or replacement.is_cut_short(self.path):
            with contextlib.suppress(OSError, RunFailed), self.writing():
                if not self.has_diverged:
                    self.remove_checkpoints()

    def remove_checkpoints(self) -> None:
        """Remove the files that an interrupted run would need to resume."""
        # If it is a link, perhaps a stranger's, its target must not be touched.
        with contextlib.suppress(OSError):
            files.remove(self.checkpoints)

    def fail(self, details: str) -> None:
        """Write `error.txt`: the reason why the run failed."""
        self._refuse_link()
        files.make_folder(self.path)
        files.write(self.path / ERROR, details.rstrip() + "\n")

    def _refuse_link(self) -> None:
        # The link may be somebody else's: its target would be overwritten.
        if self.path.is_symlink():
            raise RunFailed(
                f"{self.path}: expected a folder, received a link; remove it, or choose a folder "
                "elsewhere with --results"
            )


def _json(content: Mapping[str, object]) -> str:
    return json.dumps(_finite(content), indent=2, allow_nan=False) + "\n"


def _finite(content: object) -> object:
    """Return the content with null for numbers that JSON lacks."""
    if isinstance(content, Mapping):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(each) for each in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
