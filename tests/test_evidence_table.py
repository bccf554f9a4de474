"""What a reader sees of one metric: p-values, seeds needed, and what they cannot tell."""

import io

import pytest
from rich.console import Console

from regbench import evidence_table
from regbench.errors import RegbenchError


def row(name, mean, p_holm=None, pairs=5, mcnemar=None):
    versus = {
        "mean": 0.02, "low": -0.01, "high": 0.05, "p_value": 0.0625, "p_floor": 0.0625,
        "p_holm": p_holm, "pairs": pairs, "pairs_needed": 1_234,
    }  # fmt: skip
    value = {"mean": mean, "low": 0.4, "high": 0.6}
    value["versus_baseline"] = None if name == "baseline" else versus
    return {"name": name, "metrics": {"test_accuracy": value}, "mcnemar": mcnemar, "changes": {}}


def printed(group, width=80):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(group)
    return console.file.getvalue()


MCNEMAR = [
    {"seed": 0, "only_this_right": 462, "only_baseline_right": 489, "p_value": 0.4},
    {"seed": 1, "only_this_right": 464, "only_baseline_right": 491, "p_value": 0.01},
]


def test_80_columns_hold_every_number():
    rows = [row("baseline", 0.5), row("batch_norm_after_activation", 0.52, 0.103, 5, MCNEMAR)]
    text = printed(evidence_table.terminal(rows, "test_accuracy"))
    line = next(line for line in text.splitlines() if line.startswith("batch_norm"))
    for number in ("0.520", "+0.020", "0.0625", "0.103", "1,234", "463/490 1/2"):
        assert number in line
    assert "±0.030" in text
    assert "fixes/breaks" in text.splitlines()[1]


def test_five_pairs_are_told_the_floor_and_six_are_not():
    for pairs, told in ((5, True), (6, False)):
        rows = [row("baseline", 0.5), row("l2", 0.52, 0.2, pairs)]
        text = printed(evidence_table.terminal(rows, "test_accuracy"))
        assert ("cannot go below" in text) is told


def test_a_decided_difference_needs_no_more_seeds():
    text = printed(evidence_table.terminal([row("l2", 0.52, 0.01)], "test_accuracy"))
    assert "1,234" not in text
    assert "| 1,234 |" in evidence_table.markdown([row("l2", 0.52, 0.2)], "test_accuracy")


def test_one_seed_is_told_how_to_get_a_p_value():
    text = printed(evidence_table.terminal([row("l2", 0.52, None, 1)], "test_accuracy"))
    assert "--seeds 0-4" in text


def test_rows_are_sorted_either_way_and_missing_ones_are_last():
    rows = [row("a", 0.5), row("b", None), row("c", 0.4)]
    for by, names in (("test_accuracy", "cab"), ("-test_accuracy", "acb"), ("-name", "cba")):
        assert "".join(each["name"] for each in evidence_table.ordered(rows, by)) == names
    with pytest.raises(RegbenchError, match="expected name or a metric"):
        evidence_table.ordered(rows, "nope")


def test_accuracy_and_loss_stand_for_both_of_theirs():
    expected = ["train_accuracy", "test_accuracy", "gap"]
    assert evidence_table.spelled_out(("accuracy", "test_accuracy", "gap")) == expected


def test_a_narrow_terminal_has_all_that_a_config_changes():
    rows = [row("l2", 0.5) | {"changes": {"model.conv_activation": "relu", "l2": 0.0005}}]
    text = printed(evidence_table.changes(rows), 40).replace("\n", "").replace(" ", "")
    assert "l2=0.0005" in text
