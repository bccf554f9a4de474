"""`regbench bundle`, and each command that reads results, on a bundle and on its folders."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from regbench import report, runs
from regbench.studies import file as study_file
from regbench.sweeps import plan, schedule
from tests import made_up_runs

STUDY = """
question: Does dropout narrow the gap?
base: {base}
profiles: {{quick: {{seeds: 0-2}}}}
variants: {{baseline: {{}}, dropout: {{set: {{dropout.dense: 0.5}}}}}}
claims:
  - {{text: It does, metric: gap, variant: dropout, against: baseline, expect: lower}}
  - {{text: It shrinks the weights, metric: weight_norm, variant: dropout, against: baseline,
     expect: lower}}
"""


def regbench(*arguments, cwd=None, code=0):
    """Run the program; return what it printed on stdout and on stderr."""
    command = [sys.executable, "-m", "regbench", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=cwd, timeout=280, env=environment
    )
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a study, the folder of its runs where it is by default, and their bundle."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "mine.yaml").write_text(STUDY.format(base=Path("configs/baseline.yaml").resolve()))
    runs = folder / "results" / "studies" / "mine"
    for number, experiment in enumerate(study_file.read(folder / "mine.yaml").experiments):
        made_up_runs.write_run(runs, experiment, 3 if number < 3 else 15, 4, probed=True)
    _, said = regbench("bundle", runs, "-o", folder / "mine.zip")
    assert said.startswith(f"6 runs in {folder / 'mine.zip'}: 30 files of ")
    assert said.count("\n") == 1
    return folder


@pytest.fixture
def bundled(home, tmp_path):
    """The same folder, with a bundle instead of run folders."""
    shutil.copy(home / "mine.yaml", tmp_path)
    runs = tmp_path / "results" / "studies" / "mine"
    runs.mkdir(parents=True)
    shutil.copy(home / "mine.zip", runs / "runs.zip")
    return tmp_path


def test_the_command_writes_the_same_bytes_again(home, tmp_path):
    regbench("bundle", "results/studies/mine", "-o", tmp_path / "again.zip", cwd=home)
    assert (tmp_path / "again.zip").read_bytes() == (home / "mine.zip").read_bytes()


@pytest.mark.parametrize("options", [["--json"], ["--metric", "weight_norm", "--changes"]])
def test_compare_prints_the_same_of_a_bundle(home, options):
    inside, _ = regbench("compare", "mine.zip", *options, cwd=home)
    assert inside == regbench("compare", "results/studies/mine", *options, cwd=home)[0]


def test_a_report_of_a_bundle_is_the_same_page(home):
    warnings = []
    paths = home / "mine.zip", home / "results" / "studies" / "mine"
    page, other = (report.render(runs.load(path), warn=warnings.append) for path in paths)
    assert page == other
    assert warnings == []
    assert "The gap ledger" in page
    assert "A processor" in page


def test_a_study_is_judged_by_a_bundle_as_by_folders(home, bundled):
    judged = [
        regbench("study", "mine.yaml", "--no-run", "--json", *options, cwd=folder)[0]
        for folder, options in (
            (home, []),
            (home, ["--results", "mine.zip"]),
            (bundled, []),
        )
    ]
    assert judged[0] == judged[1] == judged[2]
    assert [variant["runs"] for variant in json.loads(judged[0])["variants"]] == [3, 3]
    assert sorted(path.name for path in bundled.rglob("*") if path.is_file()) == [
        "mine.yaml",
        "runs.zip",
    ]


def test_a_study_does_not_train_what_its_folders_bundle_holds(bundled):
    study = study_file.read(bundled / "mine.yaml")
    results = bundled / "results" / "studies" / "mine"
    found = schedule.sort_out(study.experiments, results)
    assert (len(found.skipped), found.pending) == (6, [])
    assert {run.state for run in plan.plan(study.experiments, results).runs} == {"finished"}
    assert len(schedule.sort_out(study.experiments, results, force=True).pending) == 6
    stdout, _ = regbench("study", "mine.yaml", "--json", cwd=bundled)
    assert [variant["runs"] for variant in json.loads(stdout)["variants"]] == [3, 3]
    assert sorted(path.name for path in results.iterdir()) == [
        "runs.zip",
        "verdicts.json",
        "verdicts.md",
    ]


@pytest.mark.parametrize("options", [[], ["--dry-run"], ["--dry-run", "--no-run"]])
def test_a_study_does_not_train_into_a_bundle(home, options):
    said = regbench("study", "mine.yaml", "--results", "mine.zip", *options, cwd=home, code=2)[1]
    assert "expected a folder for training, received the file mine.zip" in said


def test_extracting_gives_the_folders_back_and_says_what_was_there(home, tmp_path):
    folder = tmp_path / "back"
    _, said = regbench("bundle", "--extract", "mine.zip", "-o", folder, cwd=home)
    assert said == f"6 runs of mine.zip in {folder}\n"
    for path in (home / "results" / "studies" / "mine").glob("*/[a-z]*"):
        assert (folder / path.parent.name / path.name).read_bytes() == path.read_bytes()
    _, said = regbench("bundle", "--extract", "mine.zip", "-o", folder, cwd=home)
    assert said == f"0 runs of mine.zip in {folder}; 6 already existed\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nowhere", "-o", "x.zip"], "nowhere: no such folder"),
        (["results/studies/mine", "-o", "results"], "expected a file, received the folder"),
        (["mine.yaml", "-o", "x.zip"], "expected a file that regbench bundle wrote"),
        (["--extract", "mine.yaml", "-o", "x"], "expected a file that regbench bundle wrote"),
        (["--extract", "nowhere.zip", "-o", "x"], "No such file or directory"),
        (["--extract", "results", "-o", "x"], "wrote, received a folder"),
        (["--extract", "--no-models", "mine.zip", "-o", "x"], "--no-models cannot be combined"),
        (["mine.zip"], "Missing option '-o'"),
    ],
)
def test_wrong_usage_ends_in_exit_code_2_and_says_what_was_expected(home, arguments, expected):
    stdout, said = regbench("bundle", *arguments, cwd=home, code=2)
    assert stdout == ""
    assert expected in said
    assert "Traceback" not in said
    assert not (home / "x.zip").exists()


@pytest.mark.parametrize("command", ["compare", "report", "study"])
def test_a_damaged_bundle_is_one_line_and_exit_code_2(bundled, command):
    results = bundled / "results" / "studies" / "mine"
    (results / "runs.zip").write_bytes((results / "runs.zip").read_bytes()[:-100])
    arguments = ["mine.yaml", "--no-run"] if command == "study" else [results]
    stdout, said = regbench(command, *arguments, cwd=bundled, code=2)
    assert stdout == ""
    (error,) = [line for line in said.splitlines() if line.startswith("Error: ")]
    assert "runs.zip: expected a file that regbench bundle wrote" in error
    assert "Traceback" not in said
