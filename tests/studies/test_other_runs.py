"""What `study --no-run` says of a folder that has none of a study's runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from regbench.studies import file as study_file
from regbench.studies import other_runs
from tests.cli.test_cli import regbench
from tests.made_up_runs import write_run

BASE = Path("configs/baseline.yaml").resolve()
STUDY = f"""\
question: Is it so?
base: {BASE}
profiles: {{quick: {{seeds: 0-1}}}}
variants: {{baseline: {{}}, dropout: {{set: {{dropout.dense: 0.5}}}}}}
claims:
  - {{text: A claim, metric: gap, variant: dropout, against: baseline, expect: lower}}
"""
# As for an archive that holds the published images in another order.
OTHER = "data.sha256=" + "ab" * 32


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text(STUDY)
    return file


def test_runs_of_other_settings_are_named_with_the_settings(path, tmp_path):
    results = tmp_path / "runs"
    assert other_runs.note(study_file.read(path), results).endswith(
        "none of the 4 runs of profile quick is there"
    )
    made = study_file.read(path, overrides=[OTHER])
    for experiment in made.experiments:
        write_run(results, experiment, 3, 2, probed=False)
    assert other_runs.note(made, results) is None
    said = other_runs.note(study_file.read(path), results)
    assert said.endswith(f"there with other settings, try: --set {OTHER}")


def test_a_command_that_judges_nothing_says_why(path, tmp_path):
    done = regbench("study", path, "--no-run", "--results", tmp_path / "none")
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert line.endswith("none: none of the 4 runs of profile quick is there")
