"""What a reader sees of a comparison, in a narrow terminal, a spreadsheet and Markdown."""

import csv
import io

import pytest
from rich.console import Console

from regbench.analysis.rows import USUAL, ConfigRow, Difference
from regbench.analysis.statistics import Interval
from regbench.runs import Summary
from regbench.terminal import comparison
from tests import made_up_runs


def value(mean, half=None):
    return Interval(mean) if half is None else Interval(mean, mean - half, mean + half)


def row(name="baseline", half=None, **options):
    numbers = dict(zip(USUAL, (0.987, 0.541, 0.039, 3.289, 0.446), strict=True))
    versus = Difference(**vars(value(-0.1, half)), p_value=0.0625, pairs=5)
    fields = {
        "name": name, "config_hash": "0" * 8, "seeds": [0, 1], "runs": 1 if half is None else 2,
        "diverged": 0, "parameters": 550570, "seconds": 287.8, "changes": {},
        **{metric: value(number, half) for metric, number in numbers.items()},
        "versus_baseline": None if name == "baseline" else dict.fromkeys(USUAL, versus),
    }  # fmt: skip
    return ConfigRow(**fields | options)


def printed(rows, width):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(comparison.terminal(rows, width))
    return console.file.getvalue()


def test_80_columns_hold_every_number():
    text = printed([row(half=0.012), row("batch_norm_after_activation", half=0.012)], 80)
    assert max(map(len, text.splitlines())) <= 80
    second = next(line for line in text.splitlines() if line.startswith("batch_norm_after_act"))
    for number in ("0.987", "0.541", "0.446", "-0.100", "550,570", "4:48"):
        assert number in second
    assert "±0.012" in text
    assert "±: half of the 95% interval" in text


def test_a_wide_terminal_has_what_each_config_changes():
    rows = [row(), row("dropout", changes={"dropout.dense": 0.5, "l2": None})]
    assert "dropout.dense=0.5, l2=null" in printed(rows, 140)
    assert "dropout.dense" not in printed(rows, 80)


def test_one_seed_is_told_how_to_get_an_interval():
    text = printed([row()], 80)
    assert "±" not in text
    assert "--seeds 0-4" in text


def test_diverged_runs_are_called_so():
    lost = row("wild", runs=3, diverged=3, test_accuracy=Interval(None), versus_baseline=None)
    assert "3 of 3 diverged" in printed([row(), lost], 80)


def test_neither_markup_nor_control_characters_reach_the_terminal():
    rows = [row(changes={"data.path": "[red]\x1b[2J\n"})]
    text = printed(rows, 140)
    assert "\x1b" not in text
    assert r"[red]\u001b[2J\n" in text


def test_a_name_is_no_markup_in_any_table():
    assert printed([row("[red]x")], 80).splitlines()[1].startswith("[red]x ")
    console = Console(file=io.StringIO(), width=80, color_system=None)
    hostile = Summary.model_construct(name="[red]x", seed=0)  # none that was read has such a name
    console.print(comparison.profiles([(hostile, {"step": 1.0})]))
    assert "[red]x s0" in console.file.getvalue()


def test_csv_has_a_column_for_every_number():
    lines = list(csv.DictReader(io.StringIO(comparison.comma_separated([row(), row("l2", 0.01)]))))
    assert [line["name"] for line in lines] == ["baseline", "l2"]
    assert float(lines[0]["gap_mean"]) == 0.446
    assert lines[0]["gap_low"] == lines[0]["versus_baseline_gap_mean"] == ""
    assert float(lines[1]["versus_baseline_test_accuracy_mean"]) == -0.1
    assert float(lines[1]["versus_baseline_test_accuracy_p_value"]) == 0.0625
    assert lines[1]["seeds"] == "0 1"


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+1", "-1", "@a", "\tx"])
def test_no_text_in_csv_is_a_formula(name):
    text = comparison.comma_separated([row(name)])
    _, line = csv.reader(io.StringIO(text, newline=""))
    assert line[0] == f"'{name}"


def test_markdown_is_a_table_with_intervals():
    lines = comparison.markdown([row(), row("l2", 0.01, changes={"l2": 0.001})]).splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert "| baseline | 1 | 0.987 | 0.541 | 0.446 |" in lines[2]
    assert "0.541 ±0.010 | 0.446 ±0.010 | -0.100 ±0.010" in lines[3]
    assert lines[3].endswith("| l2=0.001 |")


def test_markdown_escapes_what_would_be_markup():
    text = comparison.markdown([row(changes={"data.path": "a|b`<script>&*_"})])
    assert r"a\|b\`&lt;script&gt;&amp;\*\_" in text


def test_80_columns_hold_a_profile():
    parts = ("start", "data", "build", "evaluate", "save", "compile", "step", "probes", "other")
    summary = made_up_runs.summary(name="batch_norm_after_activation")
    console = Console(file=io.StringIO(), width=80, color_system=None)
    console.print(comparison.profiles([(summary, dict.fromkeys(parts, 12345.6))]))
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    assert text.count("12346") == len(parts)


def test_configs_of_one_name_are_told_apart_by_their_hash_in_every_table():
    rows = [row(), row("dropout"), row("dropout", config_hash="1" * 8)]
    lines = [line.split() for line in printed(rows, 80).splitlines()]
    assert ["00000000"] in [line[:1] for line in lines]
    assert ["11111111"] in [line[:1] for line in lines]
    text = comparison.markdown(rows)
    assert "| dropout 00000000 |" in text
    assert "| dropout 11111111 |" in text
    assert "| baseline |" in text


def test_the_time_is_what_a_person_waits_and_is_said_to_be():
    text = printed([row(wall_seconds=360.0), row("l2", wall_seconds=61.0)], 80)
    assert "6:00" in text
    assert "1:01" in text
    assert "4:48" not in text
    assert "time: of a whole run, with start, measurements and probes" in text


def test_old_runs_show_the_seconds_of_training_and_say_so():
    text = printed([row(), row("l2")], 80)
    assert "4:48" in text
    assert "time: training alone" in text
    assert "time (training alone)" in comparison.markdown([row()])


def test_beside_whole_runs_a_time_of_training_is_marked():
    text = printed([row(wall_seconds=360.0), row("l2")], 80)
    assert "4:48*" in text
    assert "6:00*" not in text
    assert "*: training alone, older runs recorded no more" in text
    assert "| 4:48* |" in comparison.markdown([row(wall_seconds=360.0), row("l2")])


def test_csv_has_the_time_of_a_whole_run_where_it_is_known():
    assert "wall_seconds" not in comparison.comma_separated([row()])
    (line,) = csv.DictReader(io.StringIO(comparison.comma_separated([row(wall_seconds=2.5)])))
    assert (line["wall_seconds"], line["seconds"]) == ("2.5", "287.8")
