"""A study pairs runs of equal data, and says of which variants and seeds it did not."""

from pathlib import Path

import pytest

from regbench.studies import file as study_file
from regbench.studies import run as study
from tests.made_up_runs import write_run

BASE = Path("configs/baseline.yaml").resolve()
FILE = """
question: Is it so?
base: {base}
profiles: {{quick: {{seeds: 0-4}}}}
variants:
  baseline: {{}}
  dropout: {{set: {{dropout.dense: 0.5}}}}
  few: {{set: {{data.train_examples: 500}}}}
  few_dropout: {{set: {{data.train_examples: 500, dropout.dense: 0.5}}}}
claims:
  - {{text: A, metric: gap, variant: dropout, against: baseline, expect: lower}}
  - {{text: B, metric: gap, variant: few, against: baseline, expect: higher}}
  - {{text: C, metric: gap, variant: few_dropout, against: few, expect: lower,
      beyond: {{variant: dropout, against: baseline}}}}
"""


@pytest.fixture
def judged(tmp_path):
    """Judge made-up runs, whose data is given by variant, and which change by (variant, seed)."""
    path = tmp_path / "mine.yaml"
    path.write_text(FILE.format(base=BASE))

    def judge(examples, odd, **environment):
        read = study_file.read(path)
        for number, each in enumerate(read.experiments):
            data = {"pool": "1" * 64, "examples": examples[each.name] * 64}
            key = each.name, each.seed
            data |= odd.get(key, {})
            own = environment if key in odd else {}
            write_run(tmp_path / "runs", each, number % 4, 12, False, data, **own)
        warnings = []
        return study.judge(read, tmp_path / "runs", warn=warnings.append).verdicts, warnings

    return judge


EXAMPLES = {"baseline": "a", "dropout": "a", "few": "b", "few_dropout": "b"}


def test_variants_that_ask_for_other_examples_are_pairs(judged):
    verdicts, warnings = judged(EXAMPLES, {})
    assert [each.pairs for each in verdicts] == [5, 5, 5]
    assert warnings == []


def test_a_run_of_other_data_is_in_no_pair_and_told_by_name(judged):
    verdicts, warnings = judged(EXAMPLES, {("dropout", 2): {"pool": "2" * 64}})
    assert [each.pairs for each in verdicts] == [4, 5, 4]
    assert [each.lost for each in verdicts] == [1, 0, 1]
    assert warnings == [
        "dropout: runs of 2 data sets: 11111111 (s0, s1, s3, s4), 22222222 (s2)",
        "not paired, trained on other data: dropout against baseline (s2)",
    ]


def test_a_run_of_another_machine_is_a_pair_and_told(judged):
    verdicts, warnings = judged(EXAMPLES, {("few", 4): {}}, cpu="Another")
    assert [each.pairs for each in verdicts] == [5, 5, 5]
    assert warnings == ["few: runs of 2 processors: A processor (s0-s3), Another (s4)"]
