"""The run folder, `results/<name>-<config hash>-s<seed>/`: written by a run, read by comparisons.

Nothing but its files passes between the two, and every one of them is there whole or not at all.
`summary.json` is written last: its presence means that the run is complete.
"""

from __future__ import annotations

import contextlib
import csv
import errno
import io
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regbench import config, files
from regbench.config import Experiment, run_name
from regbench.errors import RegbenchError, RunFailed
from regbench.findings import DETAILS
from regbench.predictions import PREDICTIONS
from regbench.yaml12 import one_line

if TYPE_CHECKING:
    import pandas

HISTORY = (
    "epoch", "seconds", "learning_rate",
    "train_loss", "train_accuracy", "test_loss", "test_accuracy",
    "reported_loss", "reported_accuracy", "penalty",
)  # fmt: skip
# What the frame has in front of the history's columns.
RUN = ("results", "run", "name", "config_hash", "seed", "status", "parameters")
# What an attempt writes; the sign of completion comes first, since it goes first.
MADE = (
    "summary.json", "error.txt", "history.csv", "model.keras", DETAILS, PREDICTIONS, "profile.json"
)  # fmt: skip
STATUSES = ("completed", "diverged")
# Far more than any run writes; a damaged or hostile file must not fill the memory.
MAX_BYTES = 64 * 2**20
NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)

Warn = Callable[[str], None]


class RunBusy(RunFailed):
    """Another process is training in the folder."""


class RunFolder:
    """One run's folder while the run writes it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows: list[dict[str, Any]] = []

    @classmethod
    def of(cls, results: Path, experiment: Experiment) -> RunFolder:
        """Return the folder of an experiment, whether it exists or not."""
        return cls(results / experiment.run_name)

    @property
    def checkpoints(self) -> Path:
        """The folder with all that an interrupted run needs to go on."""
        return self.path / "checkpoint"

    @property
    def is_complete(self) -> bool:
        """Whether the run is finished."""
        return (self.path / "summary.json").is_file()

    @property
    def has_failed(self) -> bool:
        """Whether the last attempt at the run ended with an error."""
        return (self.path / "error.txt").is_file()

    @property
    def has_diverged(self) -> bool:
        """Whether the run is finished because it diverged."""
        try:
            summary = json.loads(files.read(self.path / "summary.json", MAX_BYTES))
        except (OSError, ValueError, RecursionError):
            return False
        return isinstance(summary, dict) and summary.get("status") == "diverged"

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Make the folder and be its one writer; a process that dies leaves no lock behind.

        Relies on flock, which the operating system releases with the process that holds it. Over
        NFS, Linux locks at the server, where that runs a lock service (version 4 always does).

        Raises:
            RunBusy: another process is.
            RunFailed: the file system has no locks.
        """
        import filelock

        files.make_folder(self.path)
        # Not soft locks, which are files that a dead process would leave.
        held = filelock.FileLock(self.path / ".lock", fallback_to_soft=False)
        try:
            held.acquire(blocking=False)
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
        environment: Mapping[str, Any],
        rows: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """Begin anew, or go on after the history's `rows` with what the checkpoints hold.

        What an earlier attempt left is removed, the sign of completion first.
        """
        files.make_folder(self.path)
        for name in MADE:
            (self.path / name).unlink(missing_ok=True)
        for leftover in self.path.glob(".*.tmp*"):
            leftover.unlink(missing_ok=True)
        if not rows:
            self.remove_checkpoints()
        self._rows = [dict(row) for row in rows]
        files.write(self.path / "config.yaml", resolved)
        files.write(self.path / "environment.json", _json(environment))
        if rows:
            self._write_history()

    def append(self, row: Mapping[str, Any]) -> None:
        """Add an epoch, a value for each column of `HISTORY`, to `history.csv`."""
        self._rows.append(dict(row))
        self._write_history()

    def _write_history(self) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, HISTORY, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._rows)
        files.write(self.path / "history.csv", text.getvalue())

    def save(self, name: str, write: Callable[[Path], object]) -> None:
        """Let `write` make the file `name`."""
        files.replace(self.path / name, write)

    def write_profile(self, seconds: Mapping[str, float]) -> None:
        """Write `profile.json`: where the time went, in seconds."""
        files.write(self.path / "profile.json", _json(seconds))

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Write `summary.json`: the run is complete.

        A diverged run keeps its checkpoints: they are from before it diverged.
        """
        files.write(self.path / "summary.json", _json(summary))
        if summary["status"] == "completed":
            self.remove_checkpoints()

    def tidy(self) -> None:
        """Remove the checkpoints of a completed run that was killed before it did so itself."""
        if self.checkpoints.exists():
            with contextlib.suppress(OSError, ValueError, KeyError, RunBusy), self.lock():
                summary = json.loads(files.read(self.path / "summary.json", MAX_BYTES))
                if summary["status"] == "completed":
                    self.remove_checkpoints()

    def remove_checkpoints(self) -> None:
        """Remove what an interrupted run would need to go on."""
        # Where it is a link, a stranger's, what it leads to is not ours.
        with contextlib.suppress(OSError):
            files.remove(self.checkpoints)

    def fail(self, details: str) -> None:
        """Write `error.txt`: the run failed, and this is why."""
        files.make_folder(self.path)
        files.write(self.path / "error.txt", details.rstrip() + "\n")


def load(paths: str | Path | Iterable[str | Path], warn: Warn | None = None) -> pandas.DataFrame:
    """Return every finished run as one tidy frame, a row per run and epoch.

    Its columns are those of `RUN` and `HISTORY`; `frame.attrs["configs"]` maps each config hash to
    the resolved config, as `Experiment.brief` gives it.

    Args:
        paths: results folders, or run folders. A results folder in a results folder is left out.
        warn: called with a line for each folder that is broken, unfinished or no run at all.

    Raises:
        RegbenchError: a path does not exist.
    """
    import pandas

    warn = warn or (lambda message: None)
    rows: list[tuple[Any, ...]] = []
    configs: dict[str, dict[str, Any]] = {}
    for folder in _folders([paths] if isinstance(paths, str | Path) else paths):
        try:
            summary, history = _read(folder)
        except (OSError, ValueError, RecursionError) as error:
            warn(f"{one_line(str(folder))}: left out: {one_line(str(error))}")
            continue
        run = (str(folder.parent), folder.name, *(summary[key] for key in RUN[2:]))
        rows += [(*run, *row) for row in history]
        if summary["config_hash"] not in configs:
            values = _config(folder, summary["config_hash"], warn)
            if values is not None:
                configs[summary["config_hash"]] = values
    frame = pandas.DataFrame(rows, columns=[*RUN, *HISTORY])
    frame = frame.astype(dict.fromkeys(("seed", "parameters", "epoch"), "int64"))
    frame.attrs["configs"] = configs
    return frame


def profile(results: Path, summary: Mapping[str, Any]) -> dict[str, float]:
    """Return the `profile.json` of the run with this summary. Raises OSError or ValueError."""
    name = run_name(summary["name"], summary["config_hash"], summary["seed"])
    return json.loads(files.read(results / name / "profile.json", MAX_BYTES))


def _folders(paths: Iterable[str | Path]) -> Iterator[Path]:
    """Yield the folders in results folders, by name, and run folders themselves."""
    for path in map(Path, paths):
        if not path.is_dir():
            raise RegbenchError(
                f"{one_line(str(path))}: no such folder; expected one that regbench run wrote"
            )
        if _is_run(path):
            yield path
        else:
            visible = (each for each in path.iterdir() if not each.name.startswith("."))
            yield from sorted(each for each in visible if each.is_dir() and not _holds_runs(each))


def _is_run(folder: Path) -> bool:
    return (folder / "summary.json").exists() or (folder / "config.yaml").exists()


def _holds_runs(folder: Path) -> bool:
    """Whether this is a results folder of its own, as `--results results/seeds` makes it."""
    return not _is_run(folder) and any(folder.glob("*/config.yaml"))


def _read(folder: Path) -> tuple[dict[str, Any], list[tuple[float, ...]]]:
    """Return summary and history of a finished run. Raises ValueError where they don't agree."""
    if not (folder / "summary.json").exists():
        raise ValueError(_unfinished(folder))
    try:
        summary = json.loads(files.read(folder / "summary.json", MAX_BYTES))
    except ValueError as error:
        raise ValueError(f"summary.json is damaged: {error}") from error
    _check_summary(summary)
    try:
        history = list(_history(files.read(folder / "history.csv", MAX_BYTES)))
    except (ValueError, csv.Error) as error:
        raise ValueError(f"history.csv is damaged: {error}") from error
    _check_agreement(summary, history)
    return summary, history


def _unfinished(folder: Path) -> str:
    if (folder / "error.txt").exists():
        return "the run failed; error.txt says why"
    if (folder / "config.yaml").exists():
        return "the run is not finished; run it again"
    return "not a run's folder"


def _check_summary(summary: Any) -> None:
    valid = isinstance(summary, dict) and {
        "name": isinstance(summary.get("name"), str) and re.fullmatch(config.NAME, summary["name"]),
        "config_hash": isinstance(summary.get("config_hash"), str)
        and re.fullmatch(r"[0-9a-f]{8}", summary["config_hash"]),
        "seed": _is_count(summary.get("seed")),
        "status": summary.get("status") in STATUSES,
        "epochs": _is_count(summary.get("epochs")),
        "parameters": _is_count(summary.get("parameters")),
    }
    if not valid:
        raise ValueError("summary.json is damaged: expected a mapping")
    for key, fine in valid.items():
        if not fine:
            received = json.dumps(summary.get(key))
            raise ValueError(f"summary.json is damaged: {key}: unexpected value {received:.60}")


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _history(text: str) -> Iterator[tuple[float, ...]]:
    if not text.endswith("\n"):
        raise ValueError("expected a line end after the last row")
    lines = csv.reader(io.StringIO(text))
    if tuple(next(lines, ())) != HISTORY:
        raise ValueError(f"expected the columns {','.join(HISTORY)}")
    for number, line in enumerate(lines):
        if len(line) != len(HISTORY) or line[0] != str(number):
            raise ValueError(f"expected epoch {number} in line {number + 2}")
        yield (number, *(float(value) if value else math.nan for value in line[1:]))


def _check_agreement(summary: dict[str, Any], history: list[tuple[float, ...]]) -> None:
    """Compare the last row with the summary: a file that lost its end must not go unnoticed."""
    if not history or history[-1][0] != summary["epochs"]:
        raise ValueError(f"history.csv is damaged: expected {summary['epochs']} epochs")
    last = dict(zip(HISTORY, history[-1], strict=True))
    for key in ("train_loss", "train_accuracy", "test_loss", "test_accuracy"):
        expected = last[key] if math.isfinite(last[key]) else None
        if summary.get(key) != expected:
            raise ValueError(f"history.csv and summary.json do not agree on {key}")


def _config(folder: Path, config_hash: str, warn: Warn) -> dict[str, Any] | None:
    """Return the resolved config of a run, or None if it can't be trusted."""
    try:
        experiment = config.load(folder / "config.yaml")
    except RegbenchError as error:
        reason = str(error).splitlines()[0]
    else:
        if experiment.hash == config_hash:
            return experiment.brief()
        reason = f"{folder / 'config.yaml'}: it is not the config that summary.json was made with"
    warn(f"{one_line(reason)}; what the config changes is not shown")
    return None


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(_finite(content), indent=2, allow_nan=False) + "\n"


def _finite(content: Any) -> Any:
    """Return the content with null for what JSON has no number for."""
    if isinstance(content, Mapping):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(each) for each in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
