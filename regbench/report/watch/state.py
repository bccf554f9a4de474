"""What the live page shows, from the run folders alone: runs, the table, what is left.

Looking again reads only what has changed since, so that it is cheap to look every second.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from regbench import runs, text
from regbench.analysis import compare
from regbench.analysis.rows import ConfigRow
from regbench.errors import RegbenchError
from regbench.runs import live, loading
from regbench.runs.files import COLUMNS
from regbench.runs.live import Snapshot

Json = dict[str, object]

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
        self._follower = live.Follower(results, self._folders)
        self._baseline = baseline
        self._paces: dict[Path, _Pace] = {}
        self._sent: dict[str, Json] = {}
        self._table: list[Json] = []
        self._problems: list[str] = []

    def look(self) -> Change | None:
        """Return what has changed since the last look, None if nothing has."""
        fresh, gone = self._follower.look()
        for run in fresh:
            self._note_pace(run)
        shown = self._shown({run.folder for run in fresh})
        change = Change(
            runs={key: each for key, each in shown.items() if self._sent.get(key) != each},
            gone=[key for key in self._sent if key not in shown],
        )
        if not change.runs and not fresh and not gone:
            return None
        if fresh or gone:
            self._compare()
        self._sent = shown
        change.table, change.problems = self._table, self._problems
        return change

    def everything(self) -> Change:
        """Return all that is known, for a page that has just been opened."""
        return Change(dict(self._sent), [], self._table, self._problems)

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

    def _shown(self, fresh: Collection[Path]) -> dict[str, Json]:
        """Return each run as the page shows it; one in progress may have stopped since."""
        shown = {}
        for run in self._ordered():
            key = f"{run.folder.parent.name}/{run.key}"
            known = None if run.folder in fresh or not run.is_over else self._sent.get(key)
            shown[key] = known or self._run(run)
        return shown

    def _ordered(self) -> list[Snapshot]:
        return sorted(
            self._follower.runs.values(), key=lambda run: (_variant(run), run.seed, str(run.folder))
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
        finished = [run.folder for run in self._follower.runs.values() if run.summary]
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
