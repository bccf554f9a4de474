"""The answer to "does it help?" as a sentence for each config."""

import pytest

from regbench.analysis import answers
from regbench.analysis.rows import ConfigRow, Difference
from regbench.analysis.statistics import Interval

NONE = Interval(0.5, 0.4, 0.6)


def row(name, **versus):
    return ConfigRow(
        name, "44136fa3", range(5), 5, 0, 10, 1.0, {}, NONE, NONE, NONE, NONE, NONE,
        versus_baseline=versus or None,
    )  # fmt: skip


def difference(mean, low, high, p_holm=0.01, pairs=5):
    return Difference(mean, low, high, p_value=0.06, p_holm=p_holm, pairs=pairs)


def told(*rows, metrics=answers.ASKED):
    return answers.sentences(rows, [each.name for each in rows], metrics)


NARROWER = difference(-0.124, -0.149, -0.099)
WORSE = difference(-0.07, -0.085, -0.055)
OPEN = difference(0.004, -0.01, 0.018, p_holm=0.4)
# Its own interval excludes zero, its corrected p-value does not.
CORRECTED = difference(0.056, 0.021, 0.091, p_holm=0.055)


# ruff: noqa: E501 -- a case is a line
@pytest.mark.parametrize(
    ("gap", "test_accuracy", "sentence"),
    [
        (NARROWER, WORSE, "dropout narrows the gap by 0.124 (0.099 to 0.149; 5 seeds) and lowers the test accuracy by 0.070 (0.055 to 0.085)."),
        (NARROWER, OPEN, "dropout narrows the gap by 0.124 (0.099 to 0.149; 5 seeds); no difference is shown in the test accuracy: +0.004 (-0.010 to +0.018)."),
        (OPEN, WORSE, "dropout lowers the test accuracy by 0.070 (0.055 to 0.085; 5 seeds); no difference is shown in the gap: +0.004 (-0.010 to +0.018)."),
        (OPEN, CORRECTED, "dropout and baseline: no difference is shown in the gap: +0.004 (-0.010 to +0.018; 5 seeds), nor in the test accuracy once all configs are corrected for: +0.056 (+0.021 to +0.091)."),
        (difference(0.02, 0.01, 0.03), difference(0.2, 0.1, 0.3), "dropout widens the gap by 0.020 (0.010 to 0.030; 5 seeds) and raises the test accuracy by 0.200 (0.100 to 0.300)."),
    ],
)  # fmt: skip
def test_each_config_has_a_sentence(gap, test_accuracy, sentence):
    compared = row("dropout", gap=gap, test_accuracy=test_accuracy)
    assert told(row("baseline"), compared) == [sentence]


def test_a_single_pair_answers_nothing():
    alone = difference(0.1, None, None, p_holm=None, pairs=1)
    assert told(row("baseline"), row("dropout", gap=alone, test_accuracy=alone)) == []


def test_a_sentence_is_about_the_metrics_that_are_asked_for():
    compared = row("l2", test_loss=difference(-0.3, -0.4, -0.2), gap=NARROWER)
    (sentence,) = told(row("baseline"), compared, metrics=["test_loss"])
    assert sentence == "l2 lowers the test loss by 0.300 (0.200 to 0.400; 5 seeds)."


def test_the_first_sentences_of_many_are_those_of_all():
    rows = [row("baseline"), *(row(f"l2_{n}", gap=NARROWER) for n in range(5))]
    labels = [each.name for each in rows]
    assert answers.count(rows) == 5
    assert answers.sentences(rows, labels, most=2) == answers.sentences(rows, labels)[:2]
