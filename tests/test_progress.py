"""What a sweep looks like while it goes on: on a terminal, and where it is piped."""

import io

import pytest
from rich.console import Console

from regbench import config, progress
from regbench.download_bar import DownloadBar
from regbench.executors import Event
from regbench.failures import Failure
from regbench.progress import LiveProgress, PlainProgress, clock, result_line, sparkline


def experiment(seed=0):
    return config.load("configs/dropout.yaml", ["train.epochs=10"]).with_seed(seed)


def epoch(number, train=0.5, test=0.4, speed=None):
    figures = {"epoch": number, "train_accuracy": train, "test_accuracy": test}
    return Event(0, "epoch", figures | {"images_per_second": speed})


def done(status="completed"):
    figures = {"train_accuracy": 0.989, "test_accuracy": 0.541}
    return Event(0, "done", result={"name": "dropout", "seed": 0, "status": status, **figures})


def watched(display, terminal, events, width=80, runs=1):
    """Let a display see events of one run; return it and what it printed."""
    output = io.StringIO()
    console = Console(file=output, force_terminal=terminal, width=width, color_system=None)
    watching = display(console)
    watching.begin([experiment(seed) for seed in range(runs)], [], 1)
    for event in events:
        watching.see(experiment(), event)
    return watching, output


def drawn(watching, width):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(watching._draw())
    return console.file.getvalue()


def test_a_pipe_gets_one_plain_line_an_epoch():
    events = [Event(0, "started"), epoch(0), Event(0, "step", {"step": 1, "steps": 2})]
    watching, output = watched(PlainProgress, False, [*events, epoch(1, speed=431.7), done()])
    watching.end()
    first, second = output.getvalue().splitlines()
    assert first == "dropout s0 epoch 0/10, train 0.500, test 0.400, gap 0.100"
    assert second.startswith("dropout s0 epoch 1/10, train 0.500, test 0.400, gap 0.100, 432 ima")


@pytest.mark.parametrize("display", [PlainProgress, LiveProgress])
def test_a_failure_is_said_at_once_where_other_runs_go_on(display):
    failure = Failure("DataError", "no [bold]data[/bold]", "")
    said = {}
    for runs in (1, 2):
        watching, output = watched(display, False, [Event(0, "failed", failure=failure)], runs=runs)
        watching.end()
        said[runs] = output.getvalue()
    assert "failed" not in said[1]  # the command is about to say it
    assert "failed: dropout s0: no [bold]data[/bold]" in said[2]


def test_no_control_character_of_a_message_reaches_the_terminal():
    failure = Failure("DataError", "\x1b]0;owned\x07\x1b[2J\u202e", "")
    watching, output = watched(PlainProgress, False, [Event(0, "failed", failure=failure)], runs=2)
    watching.end()
    assert output.getvalue() == "failed: dropout s0: \\x1b]0;owned\\x07\\x1b[2J\\u202e\n"


def test_finished_runs_that_are_skipped_are_named():
    console = Console(file=io.StringIO(), width=80)
    PlainProgress(console).begin([], [experiment(0), experiment(1)], 1)
    assert "already finished: dropout s0, dropout s1 (repeat with --force)" in (
        console.file.getvalue()
    )


@pytest.mark.parametrize("width", [80, 60])
def test_the_live_table_has_the_curve_so_far_and_fits_the_terminal(width):
    curve = [epoch(number, test=number / 10, speed=1234.5) for number in range(9)]
    watching, _ = watched(LiveProgress, True, [Event(0, "started"), *curve], width)
    text = drawn(watching, width)
    watching.end()
    assert max(map(len, text.splitlines())) <= width
    assert "8.0/10" in text
    assert "0.500" in text
    assert "0 of 1 runs" in text
    if width == 80:
        assert "▁▂▂▃▄▅▅▆▇" in text
        assert "1234" in text


def test_steps_move_the_run_between_epochs():
    step = Event(0, "step", {"step": 3, "steps": 6})
    watching, _ = watched(LiveProgress, True, [Event(0, "started"), epoch(0), epoch(1), step])
    text = drawn(watching, 80)
    watching.end()
    assert "1.5/10" in text


def test_a_finished_run_leaves_the_table_and_a_line():
    watching, output = watched(LiveProgress, True, [Event(0, "started"), epoch(10), done()])
    text = drawn(watching, 80)
    watching.end()
    assert "dropout" not in text
    assert "1 of 1 runs" in text
    assert "dropout s0: train 0.989, test 0.541, gap 0.448" in output.getvalue()


def test_a_diverged_run_is_called_so():
    assert result_line(done("diverged").result).endswith("gap 0.448 (diverged)")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (0, "0:00"), (59.6, "1:00"), (125, "2:05"), (3725, "1:02:05")],
)
def test_times_are_written_as_on_a_clock(seconds, text):
    assert clock(seconds) == text


def test_a_sparkline_shows_the_last_values_between_0_and_1():
    assert sparkline([0, 0.5, 1]) == "▁▅█"
    assert sparkline([-1, 2]) == "▁█"
    assert sparkline([0.0] * 5 + [1.0] * progress.SPARK_WIDTH) == "█" * progress.SPARK_WIDTH


def test_a_piped_download_is_a_line_for_every_tenth():
    console = Console(file=io.StringIO(), width=80)
    bar = DownloadBar(console)
    for size in range(0, 101, 5):
        bar.show(size * 10**6, 100 * 10**6)
    bar.end()
    lines = console.file.getvalue().splitlines()
    assert lines[0] == "downloaded 10% of 100 MB"
    assert len(lines) == 10


def test_a_download_on_a_terminal_is_a_bar():
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    bar = DownloadBar(console)
    bar.show(50 * 10**6, 100 * 10**6)
    bar.end()
    assert "downloading" in console.file.getvalue()
    assert "50.0/100.0 MB" in console.file.getvalue()


def test_a_note_of_a_run_is_said():
    note = Event(0, "note", {"text": "goes on from epoch 7"})
    watching, output = watched(PlainProgress, False, [Event(0, "started"), note])
    watching.stopping()
    watching.end()
    first, second = output.getvalue().splitlines()
    assert first == "dropout s0: goes on from epoch 7"
    assert "Ctrl-C again ends at once" in second


def test_the_pace_of_a_run_that_goes_on_counts_from_where_it_does(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    state = progress.RunState(experiment())
    state.see(epoch(7))
    assert state.seconds_per_epoch is None
    now[0] += 5
    state.see(epoch(8))
    assert state.seconds_per_epoch == 5
    assert state.seconds_left == 10
