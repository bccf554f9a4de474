"""What a terminal shows of a sweep: a live table, or one plain line per epoch where it is piped."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from regbench.config import Experiment
from regbench.download_bar import DownloadBar
from regbench.executors import Event
from regbench.sweep import Observer
from regbench.yaml12 import one_line

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

SPARKS = "▁▂▃▄▅▆▇█"
SPARK_WIDTH = 10


class RunState:
    """How far one run is: its latest history row, its curve so far and its speed."""

    def __init__(self, experiment: Experiment) -> None:
        self.label = f"{experiment.name} s{experiment.seed}"
        self.epochs = experiment.train.epochs
        self.row: dict[str, Any] = {"epoch": 0}
        self.curve: list[float] = []
        self.done = 0.0
        # Where and when the first epoch was seen to end: a run may go on from an earlier one.
        self.began: tuple[float, float] | None = None
        self.running = False

    def see(self, event: Event) -> None:
        self.running = event.kind not in ("done", "failed")
        if event.kind == "epoch":
            self.row = event.figures
            self.curve.append(event.figures["test_accuracy"])
            self.done = float(event.figures["epoch"])
            if self.began is None:
                self.began = self.done, time.monotonic()
        elif event.kind == "step":
            self.done = self.row["epoch"] + event.figures["step"] / event.figures["steps"]
        elif not self.running:
            self.done = float(self.epochs)

    @property
    def seconds_per_epoch(self) -> float | None:
        """Wall-clock seconds, measurement included; None until a good part of an epoch is done."""
        if self.began is None or self.done < self.began[0] + 0.2:
            return None
        return (time.monotonic() - self.began[1]) / (self.done - self.began[0])

    @property
    def seconds_left(self) -> float | None:
        pace = self.seconds_per_epoch
        return None if pace is None else (self.epochs - self.done) * pace


class Progress(Observer):
    """Follows the state of every run and says on stderr what happened; see the two subclasses."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.states: dict[str, RunState] = {}
        self.pace: float | None = None
        self.workers = 1
        self._bar = DownloadBar(console)

    def begin(
        self, pending: Sequence[Experiment], skipped: Sequence[Experiment], workers: int
    ) -> None:
        self._bar.end()
        self.workers = workers
        self.states = {experiment.run_name: RunState(experiment) for experiment in pending}
        if skipped:
            names = ", ".join(f"{each.name} s{each.seed}" for each in skipped)
            self.say(f"already finished: {names} (repeat with --force)")

    def see(self, experiment: Experiment, event: Event) -> None:
        state = self.states[experiment.run_name]
        state.see(event)
        self.pace = state.seconds_per_epoch or self.pace
        # Of a single run the command itself says so, at once.
        if event.kind == "failed" and event.failure and len(self.states) > 1:
            self.say(f"failed: {state.label}: {event.failure.message}")
        elif event.kind == "note":
            self.say(f"{state.label}: {event.figures['text']}")

    def download(self, done: int, total: int) -> None:
        self._bar.show(done, total)

    def stopping(self) -> None:
        self.say("Stopping at the next step, with a checkpoint. Ctrl-C again ends at once.")

    def end(self) -> None:
        self._bar.end()

    def say(self, line: str) -> None:
        # Names come from files: no markup or control characters in them, and no wrapping of a line
        # that is piped.
        self.console.print(one_line(line), markup=False, highlight=False, soft_wrap=True)

    @property
    def seconds_left(self) -> float | None:
        """An estimate for all runs, from the pace of the run that was heard of last."""
        if self.pace is None:
            return None
        epochs = sum(state.epochs - state.done for state in self.states.values())
        return epochs * self.pace / self.workers


class PlainProgress(Progress):
    """One line per epoch: for pipes, logs and `--quiet`-less batch jobs."""

    def see(self, experiment: Experiment, event: Event) -> None:
        super().see(experiment, event)
        state = self.states[experiment.run_name]
        if event.kind == "epoch":
            row = event.figures
            speed = row["images_per_second"]
            parts = [f"{state.label} epoch {row['epoch']}/{state.epochs}", scores(row)]
            parts += [f"{speed:.0f} images/s"] if speed else []
            parts += [f"{clock(state.seconds_left)} left"] if state.seconds_left else []
            self.say(", ".join(parts))


class LiveProgress(Progress):
    """A table of the running jobs that is redrawn in place, with a line below for the whole."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._live: Live | None = None

    def begin(
        self, pending: Sequence[Experiment], skipped: Sequence[Experiment], workers: int
    ) -> None:
        from rich.live import Live

        super().begin(pending, skipped, workers)
        if pending:
            self._live = Live(
                console=self.console,
                get_renderable=self._draw,
                refresh_per_second=4,
                transient=True,
            )
            self._live.start()

    def see(self, experiment: Experiment, event: Event) -> None:
        super().see(experiment, event)
        if event.kind == "done":
            self.say(result_line(event.result))

    def end(self) -> None:
        super().end()
        if self._live:
            self._live.stop()

    def _draw(self) -> RenderableType:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="dim")
        table.add_column("run", max_width=24, no_wrap=True, overflow="ellipsis")
        for heading in ("epoch", "train", "test", "images/s", "left"):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("test so far", no_wrap=True)
        for state in self.states.values():
            if state.running:
                table.add_row(*_cells(state))
        finished = sum(state.done >= state.epochs for state in self.states.values())
        total = f"{finished} of {len(self.states)} runs, {clock(self.seconds_left)} left"
        return Group(table, Text(total, style="dim"))


def scores(figures: dict[str, Any]) -> str:
    """Return "train 0.989, test 0.541, gap 0.448" of a history row or a summary."""
    train, test = figures["train_accuracy"], figures["test_accuracy"]
    return f"train {train:.3f}, test {test:.3f}, gap {train - test:.3f}"


def result_line(summary: dict[str, Any]) -> str:
    """Return a finished run's summary as "dropout s0: train 0.989, test 0.541, gap 0.448"."""
    status = "" if summary["status"] == "completed" else f" ({summary['status']})"
    return f"{summary['name']} s{summary['seed']}: {scores(summary)}{status}"


def clock(seconds: float | None) -> str:
    """Return seconds as "2:05" or "1:02:05"; a dash where nothing is known yet."""
    if seconds is None:
        return "-"
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def sparkline(values: Sequence[float], width: int = SPARK_WIDTH) -> str:
    """Return the last `width` values in [0, 1] as a line of blocks."""
    top = len(SPARKS) - 1
    return "".join(SPARKS[round(min(max(v, 0.0), 1.0) * top)] for v in values[-width:])


def _cells(state: RunState) -> list[str]:
    from rich.markup import escape

    row = state.row
    speed = row.get("images_per_second")
    known = "train_accuracy" in row
    return [
        escape(state.label),
        f"{state.done:.1f}/{state.epochs}" if known else "starting",
        f"{row['train_accuracy']:.3f}" if known else "",
        f"{row['test_accuracy']:.3f}" if known else "",
        f"{speed:.0f}" if speed else "",
        clock(state.seconds_left),
        sparkline(state.curve),
    ]
