"""What a sweep looks like while it goes on: on a terminal, and where it is piped."""

import io
import time

import pytest
from rich.console import Console

from regbench import config
from regbench.execution.failures import Failure
from regbench.execution.local import Event
from regbench.terminal import progress, status
from regbench.terminal.download import DownloadBar
from regbench.terminal.progress import LiveProgress, PlainProgress, result_line, sparkline
from regbench.text import clock
from tests import made_up_runs


def experiment(seed=0):
    return config.load("configs/dropout.yaml", ["train.epochs=10"]).with_seed(seed)


def epoch(number, train=0.5, test=0.4, speed=None):
    figures = {"epoch": number, "train_accuracy": train, "test_accuracy": test}
    return Event(0, "epoch", figures | {"images_per_second": speed})


def done(status="completed"):
    return Event(0, "done", result=made_up_runs.summary(name="dropout", status=status).as_dict())


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
    events = [Event(0, "started"), epoch(0), Event(0, "step", {"epoch": 1, "step": 1, "steps": 2})]
    watching, output = watched(PlainProgress, False, [*events, epoch(1, speed=431.7), done()])
    watching.end()
    start, first, second = output.getvalue().splitlines()
    assert start == "dropout s0: importing Keras, measuring the untrained network"
    assert first == "dropout s0 epoch 0/10, train 0.500, test 0.400, gap 0.100"
    assert second.startswith("dropout s0 epoch 1/10, train 0.500, test 0.400, gap 0.100, 432 ima")


def test_an_epoch_that_is_not_measured_has_no_scores():
    watching, output = watched(
        PlainProgress, False, [Event(0, "started"), epoch(0), epoch(1, None, None, 431.7)]
    )
    watching.end()
    assert output.getvalue().splitlines()[-1].startswith("dropout s0 epoch 1/10, 432 images/s")
    live, _ = watched(LiveProgress, True, [Event(0, "started"), epoch(0), epoch(1, None, None)])
    assert "0.400" in drawn(live, 80)  # the last that is known
    live.end()


def test_a_run_that_is_probed_is_called_so_and_not_out_of_time():
    events = [Event(0, "started"), epoch(0), epoch(10)]
    watching, output = watched(PlainProgress, False, events)
    assert output.getvalue().splitlines()[-1].endswith("gap 0.100, probing")
    watching, _ = watched(LiveProgress, True, events)
    watching.end()
    table = drawn(watching, 80)
    assert "probing" in table.splitlines()[1]
    assert "0 of 1 runs done, 1 running, probing" in table
    assert "0:00" not in table


def test_a_run_that_starts_says_what_takes_its_time():
    watching, _ = watched(LiveProgress, True, [Event(0, "started")])
    watching.end()
    assert "1 running, importing Keras, measuring the untrained network" in drawn(watching, 80)


def test_data_that_takes_its_time_to_read_is_named(monkeypatch):
    monkeypatch.setattr(status, "PATIENCE", 0.01)
    output = io.StringIO()
    watching = PlainProgress(Console(file=output, force_terminal=False))
    watching.reading("cifar10")
    time.sleep(0.3)
    watching.begin([experiment()], [], 1)
    assert output.getvalue() == "Reading cifar10\n"


def test_a_run_that_another_process_trains_is_left_to_it():
    failure = Failure("RunBusy", "another process is training this run", "")
    for display in (PlainProgress, LiveProgress):
        events = [Event(0, "started"), Event(0, "failed", failure=failure)]
        watching, output = watched(display, False, events, runs=2)
        watching.end()
        assert "dropout s0: skipped, another process is training it" in output.getvalue()
        assert "failed" not in output.getvalue()
        assert watching.state.summary() == "0 of 2 runs done, 1 elsewhere, 1 waiting"


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


@pytest.mark.parametrize(
    ("pending", "finished", "line"),
    [
        (1, 2, "already finished: dropout s1, dropout s2 (repeat with --force)"),
        (1, 11, "already finished: 11 of 12 runs (repeat with --force)"),
        (0, 12, "nothing to do: all 12 runs are finished (repeat with --force)"),
        (0, 1, "nothing to do: the run is finished (repeat with --force)"),
    ],
)
def test_finished_runs_are_named_or_counted(pending, finished, line):
    console = Console(file=io.StringIO(), width=80)
    runs = [experiment(seed) for seed in range(pending + finished)]
    PlainProgress(console).begin(runs[:pending], runs[pending:], 1)
    assert console.file.getvalue() == line + "\n"


@pytest.mark.parametrize("width", [80, 60, 40])
def test_every_running_job_has_a_row_whose_numbers_are_whole(width):
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=width, height=24, color_system=None)
    watching = LiveProgress(console)
    runs = [config.load("configs/batch_norm_after_activation.yaml").with_seed(s) for s in range(40)]
    watching.begin(runs, [], 30)
    for run in runs[:30]:
        for event in (Event(0, "started"), epoch(0), epoch(10, speed=12345.6)):
            watching.see(run, event)
    text = drawn(watching, width)
    watching.end()
    lines = text.splitlines()
    assert len(lines) < 24
    assert max(map(len, lines)) <= width
    shown = [line for line in lines if line.startswith("batch_norm")]
    assert len(shown) == 24 - progress.LINES_AROUND
    for number, line in enumerate(shown):
        assert f" {number} " in line
        assert "10.0/" in line
        assert line.count("…") <= 1  # of the name
        assert ("0.500" in line) == (width > 40)
    assert "30 running, 10 waiting" in " ".join(line.strip() for line in lines[-3:])


@pytest.mark.parametrize("width", [80, 60])
def test_the_live_table_has_the_curve_so_far_and_fits_the_terminal(width):
    curve = [epoch(number, test=number / 10, speed=1234.5) for number in range(9)]
    watching, _ = watched(LiveProgress, True, [Event(0, "started"), *curve], width)
    text = drawn(watching, width)
    watching.end()
    assert max(map(len, text.splitlines())) <= width
    assert "8.0/10" in text
    assert "0.500" in text
    assert "0 of 1 runs done, 1 running" in text
    if width == 80:
        assert "▁▂▂▃▄▅▅▆▇" in text
        assert "1234" in text


def test_steps_move_the_run_between_epochs():
    step = Event(0, "step", {"epoch": 2, "step": 3, "steps": 6})
    watching, _ = watched(LiveProgress, True, [Event(0, "started"), epoch(0), epoch(1), step])
    text = drawn(watching, 80)
    watching.end()
    assert "1.5/10" in text


def test_a_finished_run_leaves_the_table_and_a_line():
    watching, output = watched(LiveProgress, True, [Event(0, "started"), epoch(10), done()])
    text = drawn(watching, 80)
    watching.end()
    assert "dropout" not in text
    assert "1 of 1 runs done" in text
    assert "dropout s0: train 0.989, test 0.541, gap 0.448" in output.getvalue()


def test_a_diverged_run_is_called_so():
    assert result_line(made_up_runs.summary(status="diverged")).endswith("gap 0.448 (diverged)")


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
    note = Event(0, "note", {"text": "resuming from epoch 7"})
    watching, output = watched(PlainProgress, False, [Event(0, "started"), note])
    watching.stopping()
    watching.end()
    _, first, second = output.getvalue().splitlines()
    assert first == "dropout s0: resuming from epoch 7"
    assert "Ctrl-C again ends at once" in second


def test_neither_markup_nor_control_characters_of_an_error_reach_the_terminal():
    failure = Failure("DataError", "[red]x\x1b[2J\n.png", "")
    events = [Event(0, "started"), Event(0, "failed", failure=failure)]
    for display in (PlainProgress, LiveProgress):
        watching, output = watched(display, False, events, runs=2)
        watching.end()
        assert r"failed: dropout s0: [red]x\x1b[2J\n.png" in output.getvalue()
        assert "\x1b" not in output.getvalue()


def test_a_name_is_no_markup_in_the_live_table():
    forged = experiment().model_copy(update={"name": "[red]x"})
    console = Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)
    watching = LiveProgress(console)
    watching.begin([forged], [], 1)
    watching.see(forged, Event(0, "started"))
    assert "[red]x" in drawn(watching, 80)
    watching.end()
