"""Progress of a sweep in a notebook's cell: one bar, replaced in place, which needs no widgets."""

from __future__ import annotations

import html
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from regbench.config import Experiment
from regbench.execution.local import Event
from regbench.sweeps.state import SweepState
from regbench.sweeps.sweep import Observer
from regbench.text import clock, one_line

if TYPE_CHECKING:
    from IPython.display import DisplayHandle

SECONDS_BETWEEN = 0.25
MOST_SHOWN = 6


class CellProgress(Observer):
    """Shows how far all runs are, the epoch of each that is under way, and the time left."""

    def __init__(self) -> None:
        self._state = SweepState()
        self._said: list[str] = []
        self._handle: DisplayHandle | None = None
        self._shown = 0.0

    def begin(
        self, pending: Sequence[Experiment], skipped: Sequence[Experiment], workers: int
    ) -> None:
        self._state = SweepState(pending, workers)
        if skipped:
            self._said.append(f"{len(skipped)} runs were finished before")
        self._show()

    def see(self, experiment: Experiment, event: Event) -> None:
        self._state.runs[experiment.run_name].see(event)
        if event.kind == "failed" and event.failure:
            label = self._state.runs[experiment.run_name].label
            self._said.append(f"{label}: {event.failure.message}")
        if event.kind in ("done", "failed") or time.monotonic() - self._shown > SECONDS_BETWEEN:
            self._show()

    def reading(self, data: str) -> None:
        self._put(f"Reading {html.escape(one_line(data))}")

    def download(self, done: int, total: int) -> None:
        if time.monotonic() - self._shown > SECONDS_BETWEEN:
            self._put(f"Downloading {_bar(done / total if total else 0.0)}")

    def stopping(self) -> None:
        self._said.append("Stopping at the next step, with a checkpoint")
        self._show()

    def end(self) -> None:
        self._show()

    def _show(self) -> None:
        runs = self._state.runs.values()
        if not runs:
            self._put("; ".join(map(html.escape, self._said)) or "Nothing to train")
            return
        waiting = ("waiting", "running")
        parts = [min(1.0, run.done / run.epochs) if run.status in waiting else 1.0 for run in runs]
        left = self._state.seconds_left
        line = self._state.summary() + (f", {clock(left)} left" if left else "")
        busy = self._state.of("running")
        lines = [f"{_bar(sum(parts) / len(parts))} {html.escape(line)}"]
        for run in busy[:MOST_SHOWN]:
            test = run.row.get("test_accuracy")
            told = f", test {test:.3f}" if isinstance(test, float) else ""
            lines.append(
                html.escape(f"{run.label}: epoch {run.row['epoch']} of {run.epochs}{told}")
            )
        self._put("<br>".join([*lines, *(html.escape(one_line(each)) for each in self._said)]))

    def _put(self, content: str) -> None:
        from IPython.display import HTML, display

        self._shown = time.monotonic()
        shown = HTML(f"<div>{content}</div>")
        if self._handle is None:
            self._handle = display(shown, display_id=True)
        else:
            self._handle.update(shown)


def _bar(share: float) -> str:
    return f'<progress value="{share:.3f}" max="1" aria-label="progress"></progress>'
