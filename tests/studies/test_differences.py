"""Runs to paired differences: censored ones, what test examples allow, and what is odd."""

import json
import math

import numpy as np
import pandas
import pytest

from regbench import config
from regbench.analysis import metrics
from regbench.analysis.statistics import Interval
from regbench.runs import predictions
from regbench.studies import markdown, verdicts
from regbench.studies.file import Study
from regbench.studies.result import StudyResult, VariantResult
from regbench.studies.sections import Claim
from tests import made_up_runs

BASE = config.load("configs/quick.yaml", ["name=baseline", "data.test_examples=500"])
OTHER = config.load(
    "configs/quick.yaml", ["name=dropout", "dropout.dense=0.5", "data.test_examples=500"]
)
VARIANTS = {"baseline": BASE, "dropout": OTHER}
NEVER = math.inf
REACHED = "epochs_to_test_accuracy(0.6)"


def claim(metric, expect="higher", margin=0.0, against="baseline"):
    return Claim(
        text="A claim", metric=metric, variant="dropout", against=against, expect=expect,
        margin=margin,
    )  # fmt: skip


def judge(asked, values, epochs=20, folder="results"):
    """Return the verdict on one claim about runs with `values[metric][variant][seed]`."""
    rows = []
    for name in VARIANTS:
        for seed in range(max(len(each[name]) for each in values.values())):
            head = (str(folder), f"{name}-s{seed}", name, VARIANTS[name].hash, seed, "completed")
            long = epochs[name] if isinstance(epochs, dict) else epochs
            rows.append((*head, long, *(each[name][seed] for each in values.values())))
    table = pandas.DataFrame(rows, columns=[*metrics.IDENTITY, metrics.EPOCHS, *values])
    study = Study("study", "?", "quick", tuple(range(len(rows) // 2)), VARIANTS, (asked,))
    (verdict,) = verdicts.judge(study, table)
    return verdict


def reached(baseline, dropout, expect="higher", margin=0.0, **options):
    return judge(
        claim(REACHED, expect, margin), {REACHED: {"baseline": baseline, "dropout": dropout}},
        **options,
    )  # fmt: skip


def test_a_level_that_no_run_reached_decides_nothing():
    verdict = reached([NEVER] * 5, [NEVER] * 5, "same", 1)
    assert (verdict.decision, verdict.pairs, verdict.censored) == ("undecided", 0, 10)
    assert verdict.reason == "no run reached the level"
    assert verdict.mean is verdict.p_value is None


def test_a_run_that_never_reached_it_needs_more_epochs_than_one_that_did():
    verdict = reached([5, 6, 7, 5, 6, 8], [NEVER] * 6)
    assert (verdict.decision, verdict.pairs, verdict.censored) == ("supported", 6, 6)
    assert verdict.p_value == pytest.approx(2 / 2**6)  # of a sign test: only the order is known
    assert verdict.mean is None
    assert reached([5, 6, 7, 5, 6, 8], [NEVER] * 6, "lower").decision == "contradicted"
    assert reached([5, 6, 7, 5, 6, 8], [NEVER] * 6, "same", 3).decision == "contradicted"


def test_a_censored_run_decides_no_more_than_its_epochs_allow():
    seeds = [15, 15, 16, 15, 15, 16]
    assert reached(seeds, [NEVER] * 6, margin=4).decision == "supported"  # 21 or more
    beyond = reached(seeds, [NEVER] * 6, margin=5)  # of the 16 it may be 5 alone
    assert beyond.decision == "undecided"
    assert "train longer" in beyond.reason
    short = reached(seeds, [NEVER] * 6, epochs={"baseline": 20, "dropout": 10})
    assert short.decision == "undecided"  # 11 or more may be 11


def test_seeds_where_both_are_censored_count_against_and_are_no_pairs():
    verdict = reached([5, 6, 7, 5, 6, NEVER], [NEVER] * 6)
    assert (verdict.decision, verdict.pairs, verdict.lost) == ("undecided", 5, 1)
    assert verdict.p_value == pytest.approx(14 / 2**6)


def test_five_seeds_that_agree_are_told_how_many_a_sign_test_needs():
    verdict = reached([5, 6, 7, 5, 6], [9, 9, 8, 9, NEVER])
    assert (verdict.decision, verdict.needed) == ("undecided", 6)
    assert "only the order is known" in verdict.reason


def test_censored_runs_are_rarely_ordered_by_chance():
    """Runs of 20 epochs, of which a third never get there, alike but for chance: 0.002 are."""
    rng = np.random.default_rng(0)
    asked, wrong = claim(REACHED), 0
    for _ in range(2000):
        epochs = rng.integers(10, 26, (2, 8)).astype(float)
        low, high = np.where(epochs > 20, 21, epochs), np.where(epochs > 20, NEVER, epochs)
        known = ~np.isinf(high).all(axis=0)
        ends = low[1] - high[0], high[1] - low[0]
        _, p_value = verdicts.decide_by_order(
            asked, ends[0][known], ends[1][known], int((~known).sum())
        )
        wrong += p_value <= 0.05
    assert wrong / 2000 <= 0.05


def test_equal_and_nearly_equal_epochs_are_judged_alike():
    base = [5, 6, 7, 5, 6]
    equal = reached(base, [each + 6 for each in base])
    nearly = reached(base, [11, 12, 13, 11, 13])
    assert equal.decision == nearly.decision == "supported"
    assert 1 / 5 < equal.p_value / nearly.p_value < 5 or max(equal.p_value, nearly.p_value) < 0.001
    same = [reached(base, base, "same", margin).decision for margin in (0, 0.5, 3)]
    assert same == ["undecided", "undecided", "supported"]


def write(folder, right):
    """Write predictions of 100 examples for runs of which `right[name][seed]` are right."""
    labels = np.arange(100) % 10
    for name, seeds in right.items():
        for seed, hits in enumerate(seeds):
            path = folder / f"{name}-s{seed}"
            path.mkdir()
            mine = np.roll(labels, seed)  # every seed has its own examples
            predictions.write(path / "predictions.csv", mine, np.where(hits, mine, (mine + 1) % 10))


def test_seeds_that_lie_close_together_do_not_make_a_test_set_larger(tmp_path):
    rng = np.random.default_rng(0)
    right = {"baseline": [], "dropout": []}
    for extra in (10, 10, 11, 10, 10):  # discordant by 30 examples, and always ahead by ten
        both = np.repeat([1, 2, 3, 0], [40, 20, 20 + extra, 20 - extra])
        both = rng.permutation(both)
        right["baseline"].append((both == 1) | (both == 2))
        right["dropout"].append((both == 1) | (both == 3))
    write(tmp_path, right)
    accuracy = {
        "test_accuracy": {name: [float(each.mean()) for each in seeds]
                          for name, seeds in right.items()}
    }  # fmt: skip
    stored = judge(claim("test_accuracy"), accuracy, folder=tmp_path)
    half = stored.mean - stored.low
    assert stored.test_examples == 100
    assert stored.test_error == pytest.approx(math.sqrt((50 - 1 + 1) / 100**2 / 5), rel=0.02)
    assert half == pytest.approx(1.96 * stored.test_error, rel=0.01)  # 0.006 of the seeds alone
    assert stored.decision == "supported"
    told = judge(claim("test_accuracy"), accuracy)  # 500 examples, as the config says
    independent = math.sqrt((0.6 * 0.4 + 0.702 * 0.298 + 1 / 500) / 500 / 5)
    assert told.test_error == pytest.approx(independent, rel=0.01)


def test_too_few_test_examples_are_not_helped_by_seeds(tmp_path):
    labels = np.arange(100) % 10
    for name, hits in (("baseline", 50), ("dropout", 52)):
        for seed in range(5):
            path = tmp_path / f"{name}-s{seed}"
            path.mkdir()
            right = np.roll(np.arange(100) < hits, 20 if name == "dropout" else 0)
            predictions.write(path / "predictions.csv", labels, np.where(right, labels, 99))
    accuracy = {"test_accuracy": {"baseline": [0.5] * 5, "dropout": [0.52] * 5}}
    verdict = judge(claim("test_accuracy"), accuracy, folder=tmp_path)
    assert verdict.decision == "undecided"
    assert verdict.reason == "100 test examples are too few to decide it, at any seeds"
    assert verdict.needed is None


def test_an_unknown_number_of_test_examples_is_told(monkeypatch):
    every = config.load("configs/quick.yaml", ["name=dropout", "data.test_examples=all"])
    monkeypatch.setitem(VARIANTS, "dropout", every)
    accuracy = {"test_accuracy": {"baseline": [0.5, 0.51, 0.5], "dropout": [0.6, 0.62, 0.6]}}
    verdict = judge(claim("test_accuracy"), accuracy)
    assert verdict.test_error is None
    assert "the interval is over seeds alone" in verdict.cautions[0]


def test_the_summary_tells_the_test_examples_where_the_config_says_all(tmp_path, monkeypatch):
    every = config.load("configs/quick.yaml", ["name=dropout", "data.test_examples=all"])
    monkeypatch.setitem(VARIANTS, "dropout", every)
    (tmp_path / "dropout-s0").mkdir()
    summary = made_up_runs.summary(test_examples=2000).as_dict()
    (tmp_path / "dropout-s0/summary.json").write_text(json.dumps(summary))
    accuracy = {"test_accuracy": {"baseline": [0.5, 0.51, 0.5], "dropout": [0.6, 0.62, 0.6]}}
    verdict = judge(claim("test_accuracy"), accuracy, folder=tmp_path)
    assert verdict.test_examples == 2000
    assert verdict.cautions == ()


def test_skew_ceilings_and_collapse_are_flagged(tmp_path):
    losses = {"baseline": [1.0] * 6, "dropout": [1.01, 1.02, 1.0, 1.01, 1.02, 3.0]}
    skewed = judge(claim("test_loss"), {"test_loss": losses})
    assert skewed.cautions == ("the differences are skewed, for which p is too small",)
    even = {"baseline": [1.0] * 6, "dropout": [1.1, 1.2, 1.3, 1.4, 1.5, 1.6]}
    assert judge(claim("test_loss"), {"test_loss": even}).cautions == ()

    full = {"baseline": [1.0, 1.0, 0.99], "dropout": [0.9, 0.95, 0.93]}
    (ceiling,) = judge(claim("train_accuracy"), {"train_accuracy": full}).cautions
    assert ceiling == "train_accuracy is at its limit of 1.000 in 2 of 6 runs"

    hits = np.arange(100)
    write(tmp_path, {"baseline": [hits < 60] * 2, "dropout": [hits < 61, hits < 10]})
    accuracy = {"test_accuracy": {"baseline": [0.6, 0.6], "dropout": [0.61, 0.1]}}
    (collapse,) = judge(claim("test_accuracy"), accuracy, folder=tmp_path).cautions
    assert collapse == "1 run is at chance level"


def test_the_table_tells_what_is_censored_and_what_is_odd_and_what_is_arithmetic():
    asked = claim(REACHED)
    verdict = reached([5, 6, 7, 5, 6, 8], [NEVER] * 6)
    exact = judge(claim("parameters"), {"parameters": {"baseline": [1.0], "dropout": [2.0]}})
    study = Study("study", "?", "quick", (0,), VARIANTS, (asked, exact.claim))
    each = dict.fromkeys([*markdown.SHOWN, REACHED, "parameters"], Interval(None))
    variants = [VariantResult(name, "00000000", {}, 6, 0, each) for name in VARIANTS]
    found = StudyResult(study, variants, [verdict, exact])
    text = markdown.markdown(found)
    assert "censored: 6 runs never reached the level" in text
    assert "**supported** by arithmetic" in text
    assert found.as_dict()["verdicts"][0]["censored"] == 6
    assert found.as_dict()["counts"] == {
        "supported": 1, "contradicted": 0, "undecided": 0, "by_arithmetic": 1
    }  # fmt: skip
    for promise in ("28% for exponential", "47% for lognormal", "by arithmetic: counted"):
        assert promise in text
    json.dumps(found.as_dict(), allow_nan=False)
