"""A paper from its file to its verdicts: made-up runs, a tiny real one, and the shipped files."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner

from regbench import config
from regbench.cli import cli
from regbench.config import ConfigError, shipped, yaml12
from regbench.datasets.sizes import SIZES
from regbench.errors import RegbenchError
from regbench.models.build import build
from regbench.papers import claims, markdown, reproduce
from regbench.papers import file as papers
from tests.cli.test_json import published
from tests.made_up_runs import write_run

BASE = Path("configs/baseline.yaml").resolve()
SHIPPED = sorted(Path("configs/papers").glob("*.yaml"))
PAPER = f"""\
title: Is it so?
source: {{authors: A, year: 2014, title: T, published: J, table: table 1, page: "3", url: "http://x",
  read: in a copy}}
base: {BASE}
settings:
  train.epochs: {{value: 12, status: exact}}
  data.test_examples: {{value: 2000, status: assumed, note: not printed}}
columns:
  error: {{heading: test error %, metric: test_accuracy, unit: error percent, margin: 4,
    examples: 10000}}
  parameters: {{heading: parameters, metric: parameters, unit: number}}
rows:
  plain: {{label: Plain, printed: {{error: 47, parameters: 550570}}}}
  dropout:
    label: Dropout
    printed: {{error: 28}}
    settings: {{dropout: {{value: 0.5, status: exact}}}}
  sparse: {{label: Sparse, printed: {{error: 40}}, left_out: there is no such penalty}}
differences:
  - {{text: Dropout lowers the error, column: error, row: dropout, against: plain}}
profiles:
  full: {{seeds: 0-4, cost: an hour}}
  quick:
    seeds: 0-4
    cost: minutes
    settings: {{data.train_examples: {{value: 100, status: scaled down}}}}
"""
# Made-up runs of this kind are right on about 55% and on about 72% of the test images.
LOW, HIGH = 0, 2


@pytest.fixture
def write(tmp_path):
    def write(*changes, name="mine.yaml"):
        text = PAPER
        for before, after in changes:
            assert before in text
            text = text.replace(before, after)
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def judged(path, results, profile=None, kinds=(("plain", LOW), ("dropout", HIGH))):
    """Write made-up runs of the paper's rows, and judge it."""
    paper, numbers = papers.read(path, profile), dict(kinds)
    for experiment in paper.study.experiments:
        write_run(results, experiment, numbers[experiment.name], 12, probed=False)
    return reproduce.judge(paper, results)


def cell(found, row, column):
    (each,) = (each for each in found.rows if each.name == row)
    return next(cell for cell in each.cells if cell.column == column)


def regbench(*arguments):
    done = CliRunner().invoke(cli, [*map(str, arguments)], standalone_mode=False)
    assert done.exception is None, (done.output, done.exception)
    return done


def test_a_difference_is_reproduced_and_with_swapped_runs_contradicted(write, tmp_path):
    right = judged(write(), tmp_path / "right").differences[0]
    swapped = judged(write(), tmp_path / "swapped", None, [("plain", HIGH), ("dropout", LOW)])
    assert right.verdict == "reproduced"
    assert swapped.differences[0].verdict == "contradicted"
    assert swapped.exit_code == 1
    assert right.printed == -19
    assert right.measured.low < right.measured.mean < right.measured.high < 0
    assert right.measured.mean == pytest.approx(-swapped.differences[0].measured.mean, abs=2)


def test_a_printed_sign_that_is_the_other_way_round_is_contradicted(write, tmp_path):
    path = write(("printed: {error: 28}", "printed: {error: 60}"))
    assert judged(path, tmp_path / "runs").differences[0].verdict == "contradicted"


def test_a_difference_with_an_interval_around_0_is_undecided(write, tmp_path):
    found = judged(write(), tmp_path / "runs", None, [("plain", LOW), ("dropout", LOW)])
    each = found.differences[0]
    assert each.verdict == "undecided"
    assert each.measured.low < 0 < each.measured.high


def test_a_number_within_its_margin_is_reproduced_and_one_far_off_contradicted(write, tmp_path):
    found = judged(write(("error: 28", "error: 20")), tmp_path / "runs")
    plain, dropout = cell(found, "plain", "error"), cell(found, "dropout", "error")
    assert (plain.verdict, dropout.verdict) == ("reproduced", "contradicted")
    assert plain.measured.mean == pytest.approx(47, abs=3)  # an error, of runs that have accuracies
    assert plain.measured.low < plain.measured.mean < plain.measured.high
    assert found.exit_code == 1


def test_rows_that_are_scaled_down_are_judged_by_their_differences_alone(write, tmp_path):
    found = judged(write(), tmp_path / "runs", "quick")
    assert {cell(found, row, "error").verdict for row in ("plain", "dropout")} == {"scaled down"}
    assert [each.verdict for each in found.differences] == ["reproduced"]
    # What is counted does not depend on how many images there are.
    assert cell(found, "plain", "parameters").verdict == "reproduced"
    assert cell(found, "dropout", "parameters").verdict == "not printed"
    assert len(found.study.verdicts) == 2


def test_a_setting_of_the_command_line_counts_as_scaled_down_unless_it_says_where_the_data_is(
    write,
):
    path = write(("settings: {dropout:", "settings: {l2: {value: 1e-2, status: exact}, dropout:"))
    for given, expected in ((("data.path=x",), ["error"]), (("l2=1e-4",), [])):
        paper = papers.read(path, overrides=given)
        assert claims.judged(paper.file, "full", "dropout") == expected
    settings = paper.settings("dropout")["l2"]
    assert (settings.value, settings.status) == ("1e-4", "scaled down")
    assert paper.study.variants["dropout"].l2.root == 1e-4


def test_what_is_counted_is_not_judged_of_a_smaller_network_but_measured(write, tmp_path):
    smaller = "settings: {model.dense: {value: [8], status: scaled down}, data.train_examples:"
    path = write(("settings: {data.train_examples:", smaller))
    assert claims.judged(papers.read(path, "quick").file, "quick", "plain") == []
    counted = cell(judged(path, tmp_path / "runs", "quick"), "plain", "parameters")
    assert (counted.verdict, counted.measured.mean) == ("scaled down", 550_570)


def test_a_row_that_is_left_out_is_shown_with_its_reason_and_not_run(write, tmp_path):
    found = judged(write(), tmp_path / "runs")
    assert {each.name for each in found.paper.study.experiments} == {"plain", "dropout"}
    assert "Sparse is left out: there is no such penalty" in markdown.markdown(found)
    assert "| Sparse | 0 | 40.00 | - | left out |" in markdown.markdown(found)


def test_a_printed_difference_within_the_error_of_its_test_images_is_marked(write, tmp_path):
    path = write(("error: 28", "error: 46.5"))
    (each,) = judged(path, tmp_path / "runs").differences
    assert each.chance == pytest.approx(100 * (2 * 0.47 * 0.53 / 1e4) ** 0.5, rel=0.01)
    assert any("could be chance" in remark for remark in each.remarks)
    (clear,) = judged(write(name="other.yaml"), tmp_path / "runs").differences
    assert clear.remarks == ()


def test_settings_of_a_row_win_over_those_of_its_profile_and_of_the_file(write):
    path = write(
        ("settings: {data.train_examples:", "settings: {l2: {value: 1e-3, status: assumed}, "
         "train.epochs: {value: 3, status: scaled down}, data.train_examples:"),
        ("settings: {dropout:", "settings: {l2: {value: 1e-2, status: exact}, dropout:"),
    )  # fmt: skip
    paper = papers.read(path, "quick")
    plain, dropout = (paper.study.variants[each] for each in ("plain", "dropout"))
    assert (plain.train.epochs, plain.l2.root) == (3, 1e-3)
    assert (dropout.train.epochs, dropout.l2.root) == (3, 1e-2)
    assert paper.settings("dropout")["l2"].status == "exact"


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("row: dropout,", "row: dorpout,", "differences[0].row: no 'dorpout' in this file; did"),
        ("column: error,", "column: eror,", "differences[0].column: no 'eror'"),
        ("{error: 47,", "{eror: 47,", "rows.plain.printed: no 'eror' in this file; did you mean"),
        ("{error: 28}", "{error: 47}", "differences[0]: expected two different printed numbers"),
        ("margin: 4,", "", "columns.error.margin: expected above 0"),
        ("metric: test_accuracy", "metric: foo", "columns.error.metric: expected one of"),
        ("0.5, status: exact", "0.5, status: sure", "settings.dropout.status: expected"),
        ("train.epochs: {value: 12", "train.epochs: {value: 0", "train.epochs: expected"),
        ("dropout: {value: 0.5", "dropuot: {value: 0.5", "dropuot: unknown key"),
        ("cost: minutes", "cost: minutes\n    rows: [foo]", "profiles.quick.rows: no 'foo'"),
        ("seeds: 0-4, cost", "seeds: 4-0, cost", "profiles.full.seeds: "),
        ("  read: in a copy}", "  }", "source.read: missing"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_file_is_said_with_its_place(write, before, after, expected):
    with pytest.raises(ConfigError) as error:
        papers.read(write((before, after)))
    assert expected in str(error.value)
    assert "mine.yaml:" in str(error.value)


def test_a_config_a_study_and_an_unknown_name_are_no_papers(tmp_path):
    for path in (BASE, "configs/studies/demo.yaml"):
        with pytest.raises(ConfigError, match="expected a paper"):
            papers.read(path)
    with pytest.raises(ConfigError, match='did you mean "zhang2017-mlp"'):
        papers.read("zhang2017")
    with pytest.raises(ConfigError, match="is a paper; give it to: regbench reproduce"):
        config.load("zhang2017-mlp")
    with pytest.raises(RegbenchError, match=r"--profile: .* has quick, full"):
        papers.read("zhang2017-mlp", "fast")


def test_the_example_of_the_guide_is_a_paper(tmp_path):
    page = Path("docs/papers.md").read_text(encoding="utf-8")
    path = tmp_path / "mine.yaml"
    path.write_text(page.split("```yaml\n")[1].split("```")[0], encoding="utf-8")
    assert papers.read(path).rows == ["l2", "max_norm"]
    assert [each for each in shipped.names("paper") if f"`{each}`" not in page] == []


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_paper_fits_the_schema_and_both_profiles_can_be_run(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# yaml-language-server: $schema=schema.json"
    assert f"#   regbench reproduce {path.stem}" in lines
    plain = yaml12.read(path, path.name).root.plain()
    jsonschema.validate(plain, papers.schema())
    assert list(plain["profiles"]) == ["quick", "full"]
    for profile in plain["profiles"]:
        paper = papers.read(path.stem, profile)
        hashes = [each.hash for each in paper.study.variants.values()]
        assert len(set(hashes)) == len(hashes)
        assert len(paper.study.seeds) >= 3
        smaller = [
            each for row in paper.rows for each in paper.settings(row).values()
            if each.status == "scaled down"
        ]  # fmt: skip
        assert bool(smaller) == (profile == "quick")


def test_the_networks_of_the_shipped_papers_have_the_printed_parameters():
    file = papers.read("zhang2017-mlp", "full")
    printed = {name: row.printed["parameters"] for name, row in file.file.rows.items()}
    for name in ("mlp_3x512", "mlp_1x512", "alexnet"):
        experiment = file.study.variants[name]
        assert SIZES["cifar10"][0] == (32, 32, 3)
        assert experiment.data.center_crop == 28
        assert build(experiment, (28, 28, 3), 10).count_params() == printed[name]


def test_the_schema_file_beside_the_papers_is_up_to_date():
    """After a change: regbench schema paper > configs/papers/schema.json"""
    text = Path("configs/papers/schema.json").read_text(encoding="utf-8")
    assert json.loads(text) == json.loads(regbench("schema", "paper").stdout)


def test_without_a_name_the_papers_are_listed_with_their_cost():
    shown = regbench("reproduce").stdout
    listed = json.loads(regbench("reproduce", "--json").stdout)
    jsonschema.validate(listed, published("papers"))
    assert [each["name"] for each in listed] == list(shipped.names("paper"))
    assert all(set(each["profiles"]) == {"quick", "full"} for each in listed)
    assert all(each["name"] in shown for each in listed)


def test_what_is_printed_as_json_holds_to_its_schema(write, tmp_path):
    path = write()
    judged(path, tmp_path / "runs")
    done = regbench("reproduce", path, "--no-run", "--json", "--results", tmp_path / "runs")
    content = json.loads(done.stdout)
    jsonschema.validate(content, published("paper-result"))
    assert content["counts"]["differences"] == {
        "reproduced": 1, "contradicted": 0, "undecided": 0,
    }  # fmt: skip


def test_what_is_published_gives_the_same_result_again(write, tmp_path):
    path, target = write(), tmp_path / "published"
    judged(path, tmp_path / "runs")
    arguments = ("reproduce", path, "--no-run", "--results")
    first = regbench(*arguments, tmp_path / "runs", "--publish", target).stdout
    assert sorted(each.name for each in target.iterdir()) == [
        "runs.zip",
        "table.md",
        "verdicts.json",
    ]
    again = regbench(*arguments, target).stdout
    assert again == first
    shown = regbench(*arguments, target, "--markdown").stdout
    assert shown == (target / "table.md").read_text(encoding="utf-8")


@pytest.mark.processes
def test_missing_runs_are_trained_and_judged(write, tmp_path):
    tiny = (
        "settings: {data.name: {value: shapes, status: different}, "
        "model.blocks: {value: [2], status: scaled down}, "
        "model.dense: {value: [3], status: scaled down}, "
        "train.epochs: {value: 1, status: scaled down}, "
        "data.test_examples: {value: 50, status: scaled down}, data.train_examples:"
    )
    path = write(("settings: {data.train_examples:", tiny))
    options = ("--profile", "quick", "--seeds", "0", "--jobs", "1", "--no-probes", "--quiet")
    results = tmp_path / "runs"
    done = regbench("reproduce", path, *options, "--results", results, "--json")
    content = json.loads(done.stdout)
    assert [(each["name"], each["runs"]) for each in content["rows"][:2]] == [
        ("plain", 1), ("dropout", 1),
    ]  # fmt: skip
    assert content["differences"][0]["remarks"][0].startswith("only one pair")
    assert {"table.md", "verdicts.json"} < {each.name for each in results.iterdir()}


@pytest.mark.parametrize("folder", sorted(Path("results/papers").glob("*")), ids=lambda p: p.name)
def test_shipped_verdicts_are_those_of_the_shipped_runs(folder):
    verdicts = json.loads((folder / "verdicts.json").read_text(encoding="utf-8"))
    paper = papers.read(folder.name, verdicts["profile"], verdicts["seeds"], verdicts["overrides"])
    found = reproduce.judge(paper, folder)
    assert markdown.markdown(found) == (folder / "table.md").read_text(encoding="utf-8")
    assert found.counts == verdicts["counts"]
    assert all(row.runs == len(paper.study.seeds) for row in found.rows if not row.left_out)
