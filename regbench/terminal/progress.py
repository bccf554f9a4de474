"""Sweep progress: a live table on a terminal, or one plain line per epoch when piped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from regbench.analysis.gap import gap
from regbench.config import Experiment
from regbench.execution.local import Event
from regbench.runs.summary import Summary
from regbench.sweeps.state import RunState, SweepState
from regbench.sweeps.sweep import Observer
from regbench.terminal.download import DownloadBar
from regbench.terminal.status import Status
from regbench.text import clock, one_line

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

SPARKS = "▁▂▃▄▅▆▇█"
SPARK_WIDTH = 10
LINES_AROUND = 5  # heading, summary line (which may wrap) and cursor
CURVE = "test so far"
# The live table's columns, and the terminal width that each of them needs.
COLUMNS = {"seed": 0, "epoch": 0, "train": 45, "test": 45, "images/s": 60, "left": 0, CURVE: 76}
STARTING = "importing Keras, measuring the untrained network"
MOST_NAMED = 5  # more finished runs than this are counted instead of listed


class Progress(Observer):
    """Follows the state of every run and reports on stderr; see the two subclasses."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.state = SweepState()
        self._bar = DownloadBar(console)
        self._reading: Status | None = None

    def begin(
        self, pending: Sequence[Experiment], skipped: Sequence[Experiment], workers: int
    ) -> None:
        self._end_reading()
        self.state = SweepState(pending, workers)
        if skipped:
            self.say(_already(skipped, pending))

    def see(self, experiment: Experiment, event: Event) -> None:
        state = self.state.runs[experiment.run_name]
        state.see(event)
        # For a single run the command itself reports the failure.
        if state.status == "elsewhere":
            self.say(f"{state.label}: skipped, another process is training it")
        elif event.kind == "failed" and event.failure and len(self.state.runs) > 1:
            self.say(f"failed: {state.label}: {event.failure.message}")
        elif event.kind in ("note", "repeated"):
            self.say(f"{state.label}: {event.figures['text']}")

    def reading(self, data: str) -> None:
        self._end_reading()
        self._reading = Status(self.console, f"Reading {data}").begin()

    def download(self, done: int, total: int) -> None:
        if self._reading:  # the bar says more, and there is room for only one of the two
            self._reading.end()
            self._reading = None
        self._bar.show(done, total)

    def _end_reading(self) -> None:
        self._bar.end()
        if self._reading:
            self._reading.end()
            self._reading = None

    def stopping(self) -> None:
        self.say("Stopping at the next step, with a checkpoint. Ctrl-C again ends at once.")

    def failing_fast(self) -> None:
        self.say("The others stop at their next step, with a checkpoint. Ctrl-C ends them at once.")

    def end(self) -> None:
        self._end_reading()

    def say(self, line: str) -> None:
        # Names come from files: print them without markup or control characters, and don't wrap a
        # line that is piped.
        self.console.print(one_line(line), markup=False, highlight=False, soft_wrap=True)


class PlainProgress(Progress):
    """One line per epoch: for pipes, logs and `--quiet`-less batch jobs."""

    def see(self, experiment: Experiment, event: Event) -> None:
        super().see(experiment, event)
        state = self.state.runs[experiment.run_name]
        first = all(each.phase == "starting" for each in self.state.runs.values())
        if event.kind == "started" and first:  # later runs find everything imported
            self.say(f"{state.label}: {STARTING}")
        if event.kind == "epoch":
            row = event.figures
            speed = row["images_per_second"]
            parts = [f"{state.label} epoch {row['epoch']}/{state.epochs}"]
            train, test = row["train_accuracy"], row["test_accuracy"]
            if train is not None:
                parts += [scores(train, test, row.get("validation_accuracy"))]
            parts += [f"{speed:.0f} images/s"] if speed else []
            left = state.seconds_left()
            parts += [f"{clock(left)} left"] if left else []
            parts += ["probing"] if state.phase == "probing" else []
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
            self.say(result_line(Summary.of(event.result)))
        if self._live and event.kind in ("done", "failed", "repeated"):
            self._live.refresh()  # or the line would stand beside a table without it

    def end(self) -> None:
        super().end()
        if self._live:
            self._live.stop()

    def _draw(self) -> RenderableType:
        from rich.console import Group
        from rich.markup import escape
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="dim")
        # A name has no space to wrap at, so it is truncated on a narrow terminal.
        table.add_column("run", max_width=24, overflow="ellipsis")
        headings = _headings(self.console.width)
        for heading in headings:
            side: Literal["left", "right"] = "left" if heading == CURVE else "right"
            table.add_column(heading, justify=side, no_wrap=True)
        running = self.state.of("running")
        fitting = max(1, self.console.height - LINES_AROUND)
        for state in running[:fitting]:
            cells = _cells(state)
            table.add_row(escape(state.name), *(cells[heading] for heading in headings))
        hidden = len(running) - fitting
        total = f"{self.state.summary()}, {self._remaining()}"
        total += f" ({hidden} running not shown)" if hidden > 0 else ""
        return Group(table, Text(total, style="dim"))

    def _remaining(self) -> str:
        """Return the time left, or the current phase if no estimate exists yet."""
        phases = {run.phase for run in self.state.of("running")}
        if phases == {"starting"} and self.state.seconds_left is None:
            return STARTING
        if phases == {"probing"} and not self.state.of("waiting"):
            return "probing"
        return f"{clock(self.state.seconds_left)} left"


def _already(skipped: Sequence[Experiment], pending: Sequence[Experiment]) -> str:
    """Return a line about the runs that had finished before."""
    again, count = "(repeat with --force)", len(skipped)
    if not pending:
        runs = "the run is" if count == 1 else f"all {count} runs are"
        return f"nothing to do: {runs} finished {again}"
    if count > MOST_NAMED:
        return f"already finished: {count} of {count + len(pending)} runs {again}"
    return f"already finished: {', '.join(f'{each.name} s{each.seed}' for each in skipped)} {again}"


def scores(train: float, test: float | None, validation: float | None = None) -> str:
    """Return "train 0.989, test 0.541, gap 0.448" of two accuracies.

    Of a run that does not measure the test set (None), the accuracy on validation examples.
    """
    if test is None:
        known = "" if validation is None else f", validation {validation:.3f}"
        return f"train {train:.3f}{known}"
    return f"train {train:.3f}, test {test:.3f}, gap {gap(train, test):.3f}"


def result_line(summary: Summary) -> str:
    """Return a finished run's summary as "dropout s0: train 0.989, test 0.541, gap 0.448"."""
    status = f" ({summary.status})" if summary.diverged else ""
    test = None if summary.test_evaluated == 0 else summary.test_accuracy
    measured = scores(summary.train_accuracy, test, summary.validation_accuracy)
    return f"{summary.label}: {measured}{status}"


def sparkline(values: Sequence[float], width: int = SPARK_WIDTH) -> str:
    """Return the last `width` values in [0, 1] as a line of blocks."""
    top = len(SPARKS) - 1
    return "".join(SPARKS[round(min(max(v, 0.0), 1.0) * top)] for v in values[-width:])


def _headings(width: int) -> list[str]:
    """Return the columns, besides the run's name, that fit on the terminal."""
    return [heading for heading, least in COLUMNS.items() if width >= least]


def _cells(state: RunState) -> dict[str, str]:
    """Return a run's cells by heading."""
    row, left = state.row, state.seconds_left()
    speed = row.get("images_per_second")
    known = row.get("train_accuracy") is not None
    training = state.phase == "training"
    return {
        "seed": str(state.seed),
        "epoch": f"{state.done:.1f}/{state.epochs}" if training else state.phase,
        "train": f"{row['train_accuracy']:.3f}" if known else "",
        "test": f"{row['test_accuracy']:.3f}" if row.get("test_accuracy") is not None else "",
        "images/s": f"{speed:.0f}" if speed else "",
        "left": "" if state.phase == "probing" else clock(left),
        CURVE: sparkline(list(state.curve.values())),
    }
