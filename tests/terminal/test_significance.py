"""What a reader sees of one metric: p-values, seeds needed, and what they cannot tell."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from regbench.analysis import answers, evidence
from regbench.analysis.mcnemar import Disagreement
from regbench.analysis.rows import USUAL, ConfigRow, Difference, Value
from regbench.analysis.statistics import Interval
from regbench.errors import RegbenchError
from regbench.terminal import significance


def difference(half, **options):
    numbers = {
        "p_value": 0.0625, "p_floor": 0.0625, "p_holm": 0.2, "pairs": 5, "pairs_needed": 1_234,
        "pairs_needed_low": 678, "pairs_needed_high": 4_321,
    }  # fmt: skip
    return Difference(0.02, 0.02 - half, 0.02 + half, **numbers | options)


def config(name, number, versus, runs=5, **options):
    base = name == "baseline"
    fields = {
        "name": name, "config_hash": "00000000", "seeds": list(range(runs)), "runs": runs,
        "diverged": 0, "parameters": 550_570, "seconds": 288.0,
        "changes": {} if base else {"l2": 0.1}, **dict.fromkeys(USUAL, number),
        "versus_baseline": None if base else dict.fromkeys(USUAL, versus),
    }  # fmt: skip
    return ConfigRow(**fields | options)


def row(name, mean, p_holm=None, pairs=5, mcnemar=None, metric="test_accuracy", **options):
    """Return a row with a metric that was asked for."""
    versus = difference(0.03, p_holm=p_holm, pairs=pairs)
    value = Value(mean, 0.4, 0.6, None if name == "baseline" else versus)
    number = Interval(mean, 0.4, 0.6)
    return config(name, number, versus, metrics={metric: value}, mcnemar=mcnemar, **options)


def printed(group, width=80):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(group)
    return console.file.getvalue()


MCNEMAR = [
    Disagreement(seed=0, only_this_right=462, only_baseline_right=489, p_value=0.4),
    Disagreement(seed=1, only_this_right=464, only_baseline_right=491, p_value=0.01),
]


def test_80_columns_hold_every_number():
    rows = [row("baseline", 0.5), row("batch_norm_after_activation", 0.52, 0.103, 5, MCNEMAR)]
    text = printed(significance.terminal(rows, "test_accuracy"))
    line = next(line for line in text.splitlines() if line.startswith("batch_norm"))
    for number in ("0.520", "+0.020", "0.0625", "0.103", "678 to", "463/490 1/2"):
        assert number in line
    assert "[-0.010, +0.050]" in text
    assert max(map(len, text.splitlines())) <= 80
    assert "McNemar" in text
    assert "not about the config" in text


def test_five_pairs_are_told_the_floor_and_six_are_not():
    for pairs, told in ((5, True), (6, False)):
        rows = [row("baseline", 0.5), row("l2", 0.52, 0.2, pairs)]
        text = printed(significance.terminal(rows, "test_accuracy"))
        assert ("cannot go below" in text) is told


def test_a_decided_difference_needs_no_more_seeds():
    text = printed(significance.terminal([row("l2", 0.52, 0.01)], "test_accuracy"))
    assert "4,321" not in text
    assert "| 678 to 4,321 |" in significance.markdown([row("l2", 0.52, 0.2)], "test_accuracy")


def test_one_seed_is_told_how_to_get_a_p_value():
    text = printed(significance.terminal([row("l2", 0.52, None, 1)], "test_accuracy"))
    assert "--seeds 0-4" in text


def test_rows_are_sorted_best_first_or_worst_first_and_missing_ones_are_last():
    rows = [row("a", 0.5), row("b", None), row("c", 0.4)]
    for by, names in (("test_accuracy", "acb"), ("-test_accuracy", "cab"), ("-name", "cba")):
        assert "".join(each.name for each in evidence.ordered(rows, by)) == names
    with pytest.raises(RegbenchError, match="expected name or a metric"):
        evidence.ordered(rows, "nope")


def test_accuracy_and_loss_stand_for_both_of_theirs():
    expected = ["train_accuracy", "test_accuracy", "gap"]
    assert evidence.spelled_out(("accuracy", "test_accuracy", "gap")) == expected


def test_a_narrow_terminal_has_all_that_a_config_changes():
    rows = [row("l2", 0.5, changes={"model.conv_activation": "relu", "l2": 0.0005})]
    text = printed(significance.changed_configs(rows), 40).replace("\n", "").replace(" ", "")
    assert "l2=0.0005" in text


def usual(name, half=0.01, pairs=5, **options):
    """Return a row as every comparison has it, with statistics of its differences."""
    return config(name, Interval(0.5, 0.4, 0.6), difference(half, pairs=pairs, **options), pairs)


def test_sorting_leaves_the_baseline_on_top():
    rows = [row("baseline", 0.1), row("a", 0.4), row("b", 0.5)]
    for by in ("test_accuracy", "-test_accuracy", "name", "-name"):
        assert evidence.ordered(rows, by)[0].name == "baseline"


def test_the_smallest_is_best_where_lower_is_better():
    rows = [row(name, mean, metric="gap") for name, mean in (("a", 0.4), ("b", 0.3))]
    assert [each.name for each in evidence.ordered(rows, "gap")] == ["b", "a"]


def test_undecided_beyond_10000_seeds_is_told_and_not_left_blank():
    text = significance.markdown([usual("l2", pairs_needed_low=None)], "gap")
    assert "| more than 10,000 |" in text
    assert "| 678 to >10,000 |" in significance.markdown(
        [usual("l2", pairs_needed_high=None)], "gap"
    )
    assert "more than" not in significance.markdown(
        [usual("l2", pairs_needed_low=None, p_holm=0.01)], "gap"
    )


def test_a_p_value_at_its_floor_is_marked_and_another_is_not():
    assert "0.0625 (floor)" in significance.markdown([usual("l2")], "gap")
    assert "(floor)" not in significance.markdown([usual("l2", p_value=0.125)], "gap")


def test_the_usual_tables_end_with_the_differences_where_two_seeds_are_shared():
    usual_rows = [usual("baseline"), usual("l2")]
    first, _, below = significance.view(usual_rows, [], False, 80)
    assert "l2 and baseline: no difference is shown in the gap" in printed(first)
    text = printed(below)
    assert "[+0.010, +0.030]" in text
    assert text.count("4,321") == 2  # of test accuracy, and of the gap
    said = " ".join(text.split())
    assert said.count("judge added seeds as a fresh set") == 1
    assert "15% of cases (looks at 5, 10, 20, 40) or 25% (at every seed)" in said
    assert "baseline  " not in text.splitlines()[3]
    once = [usual("baseline", pairs=1), usual("l2", pairs=1)]
    assert len(significance.view(once, [], False, 80)) == 1


def test_pairing_and_what_each_interval_covers_are_told_in_80_columns():
    known = {
        "correlation": 0.834, "variance_ratio": 0.217, "images_low": -0.04, "images_high": 0.08,
        "samples_low": -0.05, "samples_high": 0.09,
    }  # fmt: skip
    rows = [usual("baseline"), config("l2", Interval(0.4, 0.3, 0.5), difference(0.01, **known))]
    *_, below = significance.view(rows, [], False, 80)
    assert "r 0.83" in printed(below)
    assert "var 0.22" in printed(below)
    _, covered = significance.view(rows, [], False, 80, covered=True)
    line = next(each for each in printed(covered).splitlines() if each.startswith("l2"))
    assert line.split() == ["l2", "+0.020", "0.010", "0.060", "0.070", "0.83", "0.22"]
    unknown = [usual("baseline"), usual("l2")]
    _, covered = significance.view(unknown, ["gap"], False, 80, covered=True)
    line = next(each for each in printed(covered).splitlines() if each.startswith("l2"))
    assert line.split() == ["l2", "+0.020", "0.010"]


@pytest.mark.parametrize("width", [60, 80])
def test_no_number_is_cut_off_in_60_or_80_columns(width):
    rows = [usual("baseline"), usual("a_name_beyond_every_column_there_is", pairs_needed_high=None)]
    for part in [
        *significance.view(rows, [], False, width)[1:],
        *significance.view(rows, ["test_accuracy"], False, width)[1:],
        *significance.view(rows, [], False, width, covered=True)[1:],
    ]:
        text = printed(part, width)
        assert max(map(len, text.splitlines())) <= width
        cut = [line for line in text.splitlines() if "…" in line]
        assert all(line.count("…") == 1 and line.startswith("a_name") for line in cut)
        assert cut


def test_a_long_comparison_opens_with_its_first_answers_and_the_number_of_the_others():
    rows = [usual("baseline"), *(usual(f"l2_{number}") for number in range(answers.MOST + 2))]
    text = printed(significance.view(rows, [], False, 80)[0])
    assert text.count("\n- l2_") + text.startswith("- l2_") == answers.MOST
    assert "- and 2 more, in the tables below" in text


def test_the_view_of_changes_has_the_key_numbers_beside_them():
    text = printed(significance.changed_configs([usual("baseline"), usual("l2")]), 60)
    assert "0.500" in text
    assert "+0.020 l2=0.1" in text


def test_small_and_large_numbers_keep_their_digits():
    for mean, shown in ((0.00042, "0.00042"), (38_797_312.0, "38,797,312")):
        each = replace(usual("l2"), gap=Interval(mean))
        assert f"| {shown} |" in significance.markdown([each], "gap")


def test_configs_of_one_name_are_told_apart_by_their_hash():
    rows = [
        row("baseline", 0.5, config_hash="aaaaaaaa"),
        row("l2", 0.6, config_hash="bbbbbbbb"),
        row("l2", 0.7, config_hash="cccccccc"),
    ]
    texts = [
        printed(significance.terminal(rows, "test_accuracy")),
        significance.markdown(rows, "test_accuracy"),
        printed(significance.changed_configs(rows, ["test_accuracy"])),
        printed(significance.differences(rows)),
    ]
    for text in texts:
        assert "bbbbbbbb" in text
        assert "cccccccc" in text
        assert "aaaaaaaa" not in text


def test_a_table_drawn_line_by_line_looks_as_rich_draws_it():
    from rich.console import Console

    from regbench.terminal.stacked_table import StackedTable, cell

    table = StackedTable(["config", "mean", "seeds\nneeded"], most=9, title="\nA metric")
    table.add([cell("baseline\n5 seeds"), cell("0.541"), cell("")])
    table.add([cell("a_long_name"), [("+0.1", ""), ("±0.02", "dim")], cell("1,234 to\n>10,000")])

    def lines(shown):
        screen = Console(width=60, color_system=None)
        with screen.capture() as capture:
            screen.print(shown)
        return capture.get()

    assert "a_long_n…" in lines(table)
    assert lines(table) == lines(table._drawn_by_rich())
