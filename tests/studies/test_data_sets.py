"""Studies over several data sets: their variants, a verdict for each, and one over all."""

import io
import json

import numpy as np
import pandas
import pytest
from rich.console import Console
from scipy import stats

from regbench.analysis import aggregate, metrics
from regbench.config import ConfigError
from regbench.studies import data_sets, markdown, verdicts
from regbench.studies import file as study_file
from regbench.studies import run as studies
from regbench.terminal import study as tables
from tests import made_up_runs

STUDY = """question: Everywhere?
base: base.yaml
profiles: {quick: {seeds: 0-4}}
data_sets:
  shapes: {data.name: shapes}
  digits: {data.name: digits, data.train_examples: 500}
  small: {data.name: shapes, data.train_examples: 100}
variants:
  baseline: {}
  dropout: {set: {dropout.dense: 0.5, data.test_examples: 200}}
claims:
  - {text: It is, metric: test_accuracy, variant: dropout, against: baseline, expect: higher}
"""


@pytest.fixture
def read(write):
    def read(text=STUDY, **options):
        write("data: {name: shapes}\ntrain: {epochs: 2}\n", "base.yaml")
        return study_file.read(write(text, "sets.yaml"), **options)

    return read


def table(study, values):
    """Return a table of runs in which `values[variant]` has the test accuracies, by seed."""
    rows = []
    for name, experiment in study.variants.items():
        for seed, value in enumerate(values[name]):
            head = ("results", f"{name}-s{seed}", name, experiment.hash, seed, "completed")
            rows.append((*head, 2, value))
    return pandas.DataFrame(rows, columns=[*metrics.IDENTITY, metrics.EPOCHS, "test_accuracy"])


def values(study, differences, spread=0.01, level=0.6):
    """Return accuracies whose paired differences on each data set have these means."""
    rng = np.random.default_rng(0)
    found = {}
    for name in study.data_sets:
        found[f"baseline-{name}"] = level + rng.normal(0, 0.02, 5)
        noise = rng.normal(0, spread, 5)
        found[f"dropout-{name}"] = (
            found[f"baseline-{name}"] + differences[name] + noise - noise.mean()
        )
    return found


def test_every_variant_is_trained_on_every_data_set(read):
    study = read()
    assert list(study.variants) == [
        "baseline-shapes", "baseline-digits", "baseline-small",
        "dropout-shapes", "dropout-digits", "dropout-small",
    ]  # fmt: skip
    digits = study.variants["dropout-digits"]
    assert (digits.name, digits.data.name) == ("dropout-digits", "digits")
    assert (digits.data.train_examples, digits.data.test_examples) == (500, 200)
    assert "dropout" in digits.regularizers
    assert len(study.experiments) == 30
    assert [each.text for each in study.claims] == [
        "It is (shapes)",
        "It is (digits)",
        "It is (small)",
    ]
    assert study.claims[1].against == "baseline-digits"


def test_there_is_a_verdict_on_each_data_set_and_one_over_all(read):
    study = read()
    numbers = values(study, {"shapes": 0.06, "digits": 0.05, "small": 0.055})
    *each, over_all = verdicts.judge(study, table(study, numbers))
    assert [one.pairs for one in each] == [5, 5, 5]
    means = np.array([0.06, 0.05, 0.055])
    assert over_all.claim.text == "It is (all data sets)"
    assert over_all.mean == pytest.approx(0.055)
    assert over_all.pairs == 3
    low, high = stats.t.interval(0.95, 2, means.mean(), stats.sem(means))
    assert (over_all.low, over_all.high) == pytest.approx((low, high))
    assert over_all.p_value == pytest.approx(stats.ttest_1samp(means, 0).pvalue)
    assert over_all.decision == "supported"
    # Four tests are corrected together.
    p_values = [one.p_value for one in (*each, over_all)]
    assert [one.adjusted for one in (*each, over_all)] == pytest.approx(
        verdicts.statistics.holm(p_values)
    )
    improved = aggregate.probability_of_improvement(
        *([numbers[f"{name}-{one}"] for one in study.data_sets] for name in ("dropout", "baseline"))
    )
    assert over_all.across.improvement == improved
    assert improved.mean > 0.9
    assert over_all.as_dict()["across"]["means"] == pytest.approx(
        {"shapes": 0.06, "digits": 0.05, "small": 0.055}
    )
    assert "across" not in each[0].as_dict()


def test_data_sets_that_disagree_leave_it_undecided_over_all(read):
    study = read()
    numbers = values(study, {"shapes": 0.2, "digits": -0.15, "small": 0.14}, spread=0.002)
    *each, over_all = verdicts.judge(study, table(study, numbers))
    assert [one.decision for one in each] == ["supported", "contradicted", "supported"]
    assert over_all.decision == "undecided"
    assert "data sets like these would decide it" in over_all.reason
    assert over_all.across.between > 0.9 * np.var([0.2, -0.15, 0.14], ddof=1)
    assert over_all.across.wilcoxon is None


def test_a_lower_loss_is_an_improvement(read):
    study = read(STUDY.replace("test_accuracy", "test_loss").replace("higher", "lower"))
    numbers = values(study, dict.fromkeys(study.data_sets, -0.1))
    found = table(study, numbers).rename(columns={"test_accuracy": "test_loss"})
    assert verdicts.judge(study, found)[-1].across.improvement.mean == 1.0


def test_a_data_set_without_runs_is_named_and_the_others_count(read):
    study = read()
    numbers = values(study, dict.fromkeys(study.data_sets, 0.05))
    numbers["dropout-digits"] = []
    over_all = verdicts.judge(study, table(study, numbers))[-1]
    assert over_all.pairs == 2
    assert over_all.cautions == ("no interval on digits",)
    numbers["dropout-small"] = []
    over_all = verdicts.judge(study, table(study, numbers))[-1]
    assert (over_all.decision, over_all.mean) == ("undecided", pytest.approx(0.05))
    assert "fewer than two data sets" in over_all.reason


def test_what_is_counted_is_judged_on_each_data_set_alone(read, tmp_path):
    study = read(STUDY.replace("test_accuracy", "parameters"))
    rows = table(study, dict.fromkeys(study.variants, [7.0] * 5))
    *each, over_all = verdicts.judge(study, rows.rename(columns={"test_accuracy": "parameters"}))
    assert all(one.exact for one in each)
    assert over_all.decision == "undecided"
    assert "counted" in over_all.reason


def test_the_result_says_all_of_it_in_80_columns(read, tmp_path):
    study = read()
    for number, experiment in enumerate(study.experiments):
        made_up_runs.write_run(tmp_path, experiment, number % 3, 2, probed=False)
    found = studies.judge(study, tmp_path)
    assert [each.variant for each in found.interquartile] == ["baseline", "dropout"]
    assert found.interquartile[0].runs == 15
    made = json.loads(json.dumps(found.as_dict()))
    assert made["interquartile"][0]["variant"] == "baseline"
    text = markdown.markdown(found)
    assert "It is (all data sets) (`test_accuracy: dropout - baseline > 0`)" in text
    assert "3 data sets; probability of improvement" in text
    assert "| variant | IQM of test accuracy |" in text
    console = Console(file=io.StringIO(), width=80, color_system=None)
    console.print(tables.terminal(found))
    printed = console.file.getvalue()
    assert "IQM of test accuracy" in printed
    assert max(map(len, printed.splitlines())) <= 80


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            STUDY.replace("  digits:", "  more-digits:"),
            "expected a name of letters, digits, _ and .",
        ),
        (STUDY.replace("data.name: digits", "data.nome: digits"), 'did you mean "name"?'),
        (STUDY.replace("variant: dropout,", "variant: dropout-digits,"), "no variant"),
        (STUDY.replace("  digits:", f"  {'d' * 60}:"), "expected a name of at most 64 characters"),
    ],
)
def test_what_is_wrong_with_data_sets_is_told(read, text, expected):
    with pytest.raises(ConfigError) as error:
        read(text)
    assert expected in str(error.value)


def test_one_data_set_is_no_several(read):
    lines = STUDY.splitlines(keepends=True)
    with pytest.raises(ConfigError, match="data_sets: expected two or more, received one"):
        read("".join(each for each in lines if not each.startswith(("  digits", "  small"))))


def test_a_study_without_data_sets_has_its_variants_as_they_are_named(read):
    begin, end = STUDY.index("data_sets"), STUDY.index("variants")
    study = read(STUDY[:begin] + STUDY[end:])
    assert list(study.variants) == ["baseline", "dropout"]
    assert (study.data_sets, study.over_all) == ((), ())
    assert data_sets.interquartile(study, None) == []
