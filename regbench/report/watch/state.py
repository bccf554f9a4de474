"""What the live page shows, from the run folders alone: runs, the table, what is left.

Looking again reads only what has changed since, so that it is cheap to look every second.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from regbench import runs, text
from regbench.analysis import compare
from regbench.analysis.rows import ConfigRow
from regbench.errors import RegbenchError
from regbench.runs import live, loading
from regbench.runs.files import COLUMNS, CONFIG, ERROR, HISTORY_FILE, SUMMARY
from regbench.runs.live import Snapshot

Json = dict[str, object]

# Files whose change changes what is shown.
SEEN = (CONFIG, HISTORY_FILE, SUMMARY, ERROR)
CURVES = ("train_accuracy", "test_accuracy", "train_loss", "test_loss")
# More points than this are thinner than a pixel.
MOST_POINTS = 400


@dataclass
class Change:
    """What changed since the last look: runs by key, those that are gone, and the table."""

    runs: dict[str, Json] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    table: list[Json] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def as_dict(self) -> Json:
        """Return what is sent to the page."""
        return {
            "runs": self.runs,
            "gone": self.gone,
            "table": self.table,
            "problems": self.problems,
        }


@dataclass
class _Pace:
    """When the watcher saw a run's epochs arrive, for the time that is left."""

    first: tuple[float, int]
    latest: tuple[float, int]

    def seconds_per_epoch(self) -> float | None:
        """Return the seconds between epochs as seen from here, measurements included."""
        epochs = self.latest[1] - self.first[1]
        return (self.latest[0] - self.first[0]) / epochs if epochs else None


class Watcher:
    """Looks at results folders again and again."""

    def __init__(self, results: Sequence[Path], baseline: str | None = None) -> None:
        self._results = results
        self._baseline = baseline
        self._stamps: dict[Path, object] = {}
        self._snapshots: dict[Path, Snapshot] = {}
        self._paces: dict[Path, _Pace] = {}
        self._sent: dict[str, Json] = {}
        self._table: list[Json] = []
        self._problems: list[str] = []

    def look(self) -> Change | None:
        """Return what has changed since the last look, None if nothing has."""
        changed_files = self._read()
        shown = self._shown()
        change = Change(
            runs={key: each for key, each in shown.items() if self._sent.get(key) != each},
            gone=[key for key in self._sent if key not in shown],
        )
        if not change.runs and not change.gone and not changed_files:
            return None
        if changed_files or change.gone:
            self._compare()
        self._sent = shown
        change.table, change.problems = self._table, self._problems
        return change

    def everything(self) -> Change:
        """Return all that is known, for a page that has just been opened."""
        return Change(dict(self._sent), [], self._table, self._problems)

    def _read(self) -> bool:
        """Read the runs whose files have changed; return whether there were any."""
        found = [run for path in self._results for run in self._folders(path)]
        stamps = {run: _stamp(run) for run in found}
        changed = [run for run in found if stamps[run] != self._stamps.get(run)]
        gone = [run for run in self._snapshots if run not in stamps]
        for run in gone:
            del self._snapshots[run]
        # A file that is being replaced right now is read at the next look.
        fresh = {each.folder: each for each in live.snapshots(changed)}
        for run in changed:
            if run in fresh:
                self._snapshots[run] = fresh[run]
                self._note_pace(fresh[run])
        self._stamps = {run: stamp for run, stamp in stamps.items() if run in self._snapshots}
        return bool(fresh or gone)

    def _folders(self, path: Path) -> Iterable[Path]:
        """Return the runs of a results folder, none while it does not exist."""
        try:
            return loading.run_folders(path)
        except RegbenchError as error:
            if path.exists():
                self._problems = [text.one_line(str(error))]
            return []

    def _note_pace(self, run: Snapshot) -> None:
        now, epochs = time.monotonic(), len(run.history)
        known = self._paces.get(run.folder)
        if known is None or epochs < known.latest[1]:
            self._paces[run.folder] = _Pace((now, epochs), (now, epochs))
        elif epochs > known.latest[1]:
            known.latest = (now, epochs)

    def _shown(self) -> dict[str, Json]:
        """Return each run as the page shows it; one in progress may have stopped since."""
        return {f"{run.folder.parent.name}/{run.key}": self._run(run) for run in self._ordered()}

    def _ordered(self) -> list[Snapshot]:
        return sorted(
            self._snapshots.values(), key=lambda run: (_variant(run), run.seed, str(run.folder))
        )

    def _run(self, run: Snapshot) -> Json:
        state = run.state
        if not run.is_over:  # its process may have ended without changing a file
            state = live.state_now(run)
        done = max(0, len(run.history) - 1)
        left = None
        if state == "in progress":
            left = self._left(run, done)
        return {
            "variant": _variant(run),
            "seed": run.seed,
            "state": state,
            "epoch": done,
            "epochs": run.epochs,
            "left": left,
            "points": _points(run),
        }

    def _left(self, run: Snapshot, done: int) -> str | None:
        """Return about how long the run still takes; None before its first epoch."""
        pace = self._paces[run.folder].seconds_per_epoch()
        if pace is None and done:
            pace = float(run.history[1:, COLUMNS.index("seconds")].mean())
        return text.clock(pace * (run.epochs - done)) if pace else None

    def _compare(self) -> None:
        """Compare the finished runs, as `regbench compare` does."""
        finished = [run.folder for run in self._snapshots.values() if run.summary]
        self._problems, self._table = [], []
        if not finished:
            return
        try:
            rows = compare.compare(
                runs.load(sorted(finished), self._problems.append),
                self._baseline,
                warn=self._problems.append,
                examples=False,
            )
        except RegbenchError as error:
            self._problems.append(text.one_line(str(error)))
            return
        self._table = [_row(row) for row in rows]


def _row(row: ConfigRow) -> Json:
    """Return a row of the table as text."""
    means = {name: text.number(row.mean(name)) for name in ("train_accuracy", "test_accuracy")}
    differences = {
        f"versus_{name}": text.number(row.versus(name), "+") for name in ("test_accuracy", "gap")
    }
    return {
        "name": row.name,
        "runs": row.runs,
        "diverged": row.diverged,
        "gap": text.number(row.gap),
        **means,
        **differences,
    }


def _variant(run: Snapshot) -> str:
    """Return a variant's label; the hash tells two configs of one name apart."""
    return f"{run.name} {run.config_hash}"


def _points(run: Snapshot) -> Mapping[str, list[list[float]]]:
    """Return each curve as epochs and values, thinned where no eye could tell the difference."""
    points = {}
    for name in CURVES:
        values = run.history[:, COLUMNS.index(name)]
        known = [
            [epoch, round(value, 5)]
            for epoch, value in enumerate(values.tolist())
            if math.isfinite(value)
        ]
        step = math.ceil(len(known) / MOST_POINTS)
        thinned = known[::step] if step > 1 else known
        if known and thinned[-1] != known[-1]:
            thinned.append(known[-1])
        points[name] = thinned
    return points


def _stamp(run: Path) -> object:
    """Return what changes whenever a file of the run does."""
    stamps = list[tuple[int, int] | None]()
    for name in SEEN:
        try:
            found = (run / name).stat()
            stamps.append((found.st_mtime_ns, found.st_size))
        except OSError:
            stamps.append(None)
    return tuple(stamps)
