"""Claims judged on runs that regbench did not make, by the names of variants."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import stats

from regbench import report
from regbench.cli import cli
from regbench.errors import RegbenchError
from regbench.runs import load
from regbench.studies import file as study_file
from regbench.studies import run as studies

STUDY = """
question: Is ours better?
base: regbench:baseline
profiles: {quick: {seeds: 0-4}}
variants:
  baseline: {}
  ours: {set: {l2: 1e-3}}
claims:
  - text: Ours tests better
    metric: test_accuracy
    variant: ours
    against: baseline
    expect: higher
"""
VALUES = {"baseline": [0.70, 0.72, 0.71, 0.73, 0.70], "ours": [0.75, 0.76, 0.77, 0.76, 0.74]}


@pytest.fixture
def study(tmp_path):
    """The study's file."""
    path = tmp_path / "ours.yaml"
    path.write_text(STUDY)
    return path


@pytest.fixture
def table(tmp_path):
    """Two methods of the study, one that it does not have, and another metric."""
    lines = ["name,seed,test_accuracy,f1", "other,0,0.1,0.2"]
    for name, values in VALUES.items():
        lines += [f"{name},{seed},{value},{value / 2}" for seed, value in enumerate(values)]
    path = tmp_path / "elsewhere.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_the_verdict_is_that_of_the_paired_t_test_and_says_what_is_not_known(study, table):
    told = []
    (verdict,) = studies.judge(study_file.read(study), table, warn=told.append).verdicts
    expected = stats.ttest_rel(VALUES["ours"], VALUES["baseline"])
    assert verdict.decision == "supported"
    assert verdict.mean == pytest.approx(np.subtract(*VALUES.values()).mean() * -1)
    assert verdict.p_value == pytest.approx(expected.pvalue)
    # The study's config says how many test examples its own runs have, not these.
    assert verdict.test_examples is None
    assert any("number of test examples is unknown" in each for each in verdict.cautions)
    assert any("left out, no variant has this name: other" in line for line in told)
    assert any("by their names alone" in line for line in told)


def test_the_command_proposes_no_training_into_what_another_tool_wrote(study, table):
    arguments = ["study", str(study), "--no-run", "--results", str(table), "--json"]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["next"] == {
        "state": "decided",
        "reason": "every claim is decided, by evidence or by arithmetic",
        "command": None,
    }


def test_other_names_end_in_a_line_with_those_that_were_expected(study, tmp_path):
    path = tmp_path / "names.csv"
    path.write_text("name,seed,test_accuracy\nmine,0,0.5\n")
    with pytest.raises(RegbenchError, match=r"variants \(baseline, ours\), received mine"):
        studies.judge(study_file.read(study), path)


def test_the_report_shows_their_own_metrics_and_does_not_claim_how_they_were_measured(table):
    page = report.render(load(table))
    assert "Metrics of other tools" in page
    assert ">f1</h3>" in page
    assert "How train and test were measured there is not known" in page
    assert "measured alike: same function" not in page
