"""Bundles of a class: each origin by itself, the spread over all, who changed what."""

import csv
import io
import json
from pathlib import Path

import pytest

from regbench import config
from regbench.runs import bundle
from regbench.studies import file as study_file
from tests import made_up_runs
from tests.cli.test_json import STUDY, assert_holds, judged, regbench

STUDENTS = ("anna", "ben", "cleo")


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """Three students' bundles: the same configs and seeds, but Cleo's dropout is stronger."""
    home = tmp_path_factory.mktemp("class")
    paths = []
    for number, student in enumerate(STUDENTS):
        rate = ["dropout.dense=0.8"] if student == "cleo" else []
        experiments = [
            config.load("configs/baseline.yaml"), config.load("configs/dropout.yaml", rate)
        ]  # fmt: skip
        for place, each in enumerate(experiments):
            for seed in range(2):
                kind = number + 5 * place
                made_up_runs.write_run(home / student, each.with_seed(seed), kind, 3, False)
        paths.append(home / f"{student}.zip")
        bundle.write([home / student], paths[-1], models=False)
    return paths


def rows_of(*arguments):
    return json.loads(regbench("compare", *arguments, "--json"))


def test_runs_of_the_same_config_and_seed_in_two_bundles_stay_apart(bundles):
    rows = rows_of(*bundles)
    assert [(row["origin"], row["name"], row["runs"]) for row in rows] == [
        (student, name, 2) for student in STUDENTS for name in ("baseline", "dropout")
    ]
    alone = rows_of(bundles[1])
    own = [row for row in rows if row["origin"] == "ben"]
    for row in own:
        del row["origin"], row["spread"]
    assert own == alone


def test_the_spread_is_over_the_origins_that_have_the_config(bundles):
    rows = [row for row in rows_of(*bundles) if row["name"] == "baseline"]
    means = [row["test_accuracy"]["mean"] for row in rows]
    spread = rows[0]["spread"]["test_accuracy"]
    assert spread["mean"] == pytest.approx(sum(means) / 3)
    assert (spread["min"], spread["max"], spread["origins"]) == (min(means), max(means), 3)


def test_together_the_bundles_count_as_one_folder(bundles):
    rows = rows_of(*bundles, "--together")
    assert all("origin" not in row for row in rows)
    assert [row["runs"] for row in rows] == [2, 2, 2]
    assert rows_of(bundles[0].parent / "anna") == rows_of(bundles[0].parent / "anna", "--together")


@pytest.mark.parametrize("columns", ["80", "200"])
def test_the_table_has_a_line_for_each_origin_and_says_who_changed_what(
    bundles, monkeypatch, columns
):
    monkeypatch.setenv("COLUMNS", columns)
    shown = regbench("compare", *bundles)
    assert max(map(len, shown.splitlines())) <= int(columns)
    for name in (*STUDENTS, "all"):
        assert any(line.startswith(f"{name} ") for line in shown.splitlines())
    changed = " ".join(shown.split("Who changed what")[1].split())
    assert changed.startswith("cleo: dropout")
    assert changed.endswith("is not as most have it: dropout.dense=0.8")


def test_csv_and_markdown_name_the_origin(bundles):
    lines = list(csv.DictReader(io.StringIO(regbench("compare", *bundles, "--csv"))))
    assert [line["origin"] for line in lines] == [each for each in STUDENTS for _ in range(2)]
    assert "| anna | baseline | 2 |" in regbench("compare", *bundles, "--markdown")


def test_bundles_of_one_name_keep_their_folders_apart(bundles, tmp_path):
    copies = []
    for folder in ("monday", "tuesday"):
        copies.append(tmp_path / folder / "runs2.zip")
        copies[-1].parent.mkdir()
        copies[-1].write_bytes(bundles[0].read_bytes())
    found = {row["origin"] for row in rows_of(*copies)}
    assert found == {"monday/runs2", "tuesday/runs2"}


def test_the_report_shows_bundles_side_by_side(bundles, tmp_path):
    regbench("report", *bundles, "-o", tmp_path / "class.html")
    page = (tmp_path / "class.html").read_text(encoding="utf-8")
    section = page.split('<section id="side-by-side"')[1].split("</section>")[0]
    assert all(f'<th scope="row">{each}</th>' in section for each in (*STUDENTS, "all"))
    assert "cleo: dropout" in section
    regbench("report", bundles[0], "-o", tmp_path / "one.html")
    assert "side-by-side" not in (tmp_path / "one.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def submissions(tmp_path_factory):
    """Bundles of an exercise: one complete, one of other runs, one that is no bundle."""
    home = tmp_path_factory.mktemp("exercise")
    folder = home / "submissions"
    folder.mkdir()
    kinds = {"baseline": 0, "l1": 14, "l2": 14, "dropout": 14}
    bundle.write([judged(home / "anna", gap=kinds)], folder / "anna.zip", models=False)
    made_up_runs.write(home / "ben", [config.load("configs/l2.yaml")], epochs=2, probed=False)
    bundle.write([home / "ben"], folder / "ben.zip", models=False)
    (folder / "cleo.zip").write_text("no bundle")
    return folder


def test_a_study_judges_every_bundle_of_a_folder(submissions):
    arguments = ("study", STUDY, "--no-run", "--results", submissions)
    content = assert_holds(regbench(*arguments, "--json", code=1), "class-result")
    anna, ben, cleo = content["submissions"]
    assert [each["origin"] for each in content["submissions"]] == list(STUDENTS)
    assert (anna["runs"], anna["expected"], anna["problem"]) == (20, 20, None)
    claims = [claim.text for claim in study_file.read(STUDY).claims]
    assert [each["claim"] for each in anna["verdicts"]] == claims
    decisions = [each["decision"] for each in anna["verdicts"]]
    assert decisions.count("supported") == anna["counts"]["supported"] > 0
    assert (ben["runs"], ben["problem"]) == (0, "it has none of the study's runs")
    assert "cleo.zip" in cleo["problem"]
    shown = regbench(*arguments, code=1)
    assert [line.split()[0] for line in shown.splitlines() if "/20" in line] == list(STUDENTS)
    assert "| anna | 20 of 20 |" in regbench(*arguments, "--markdown", code=1)


def test_a_bundle_alone_is_judged_as_the_class_judges_it(submissions):
    alone = json.loads(
        regbench("study", STUDY, "--no-run", "--json", "--results", submissions / "anna.zip")
    )
    text = regbench("study", STUDY, "--no-run", "--json", "--results", submissions, code=1)
    anna = json.loads(text)["submissions"][0]
    assert anna["counts"] == alone["counts"]
    assert [each["mean"] for each in anna["verdicts"]] == [
        each["mean"] for each in alone["verdicts"]
    ]


def test_a_results_folder_with_a_bundle_of_its_own_is_no_class(submissions, tmp_path):
    (tmp_path / "runs.zip").write_bytes(Path(submissions / "anna.zip").read_bytes())
    text = regbench("study", STUDY, "--no-run", "--json", "--results", tmp_path)
    assert "verdicts" in json.loads(text)
