"""Runs of other tools, from a table: the same statistics, and a line for what is wrong."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pandas
import pytest
from scipy import stats

import regbench
from regbench import config, runs
from regbench.cli import main
from regbench.errors import RegbenchError
from regbench.exports import tidy
from tests import made_up_runs

METHODS = {"baseline": 0.80, "mixup": 0.81, "ours": 0.84}
SEEDS = 10


@pytest.fixture
def table():
    """Three methods of ten seeds; what a seed does is shared by the methods."""
    rng = np.random.default_rng(5)
    shared = rng.normal(0, 0.01, SEEDS)
    rows = [
        {"name": name, "seed": seed, "accuracy": mean + shared[seed] + rng.normal(0, 0.004)}
        for name, mean in METHODS.items()
        for seed in range(SEEDS)
    ]
    return pandas.DataFrame(rows).assign(loss=lambda rows: 1 - rows["accuracy"])


@pytest.fixture
def written(table, tmp_path):
    """The table as a file."""
    path = tmp_path / "elsewhere.csv"
    table.to_csv(path, index=False)
    return path


@pytest.fixture
def command(capsys):
    """The command line; its exit code, stdout and stderr."""

    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            main([*map(str, arguments)])
        return SimpleNamespace(exit_code=ended.value.code, **capsys.readouterr()._asdict())

    return call


def test_means_intervals_and_paired_tests_are_those_of_scipy(table, written):
    rows = {row.name: row for row in regbench.compare(regbench.load(written), metrics=["accuracy"])}
    values = {name: each["accuracy"].to_numpy() for name, each in table.groupby("name")}
    p_values = {}
    for name, own in values.items():
        low, high = stats.t.interval(0.95, SEEDS - 1, own.mean(), stats.sem(own))
        found = rows[name].value("accuracy")
        assert (found.mean, found.low, found.high) == pytest.approx((own.mean(), low, high))
        if name != "baseline":
            p_values[name] = stats.ttest_rel(own, values["baseline"]).pvalue
    # Holm's correction of two: the smaller twice, the larger as it is.
    smaller, larger = sorted(p_values, key=lambda name: p_values[name])
    expected = {smaller: 2 * p_values[smaller]}
    expected[larger] = max(p_values[larger], expected[smaller])
    for name, p_holm in expected.items():
        versus = rows[name].value("accuracy").versus_baseline
        assert versus.p_holm == pytest.approx(p_holm)
        assert versus.pairs == SEEDS


def test_the_command_shows_every_column_and_says_what_is_not_known(written, command):
    result = command("compare", written)
    assert not result.exit_code
    assert "made elsewhere: runs of one seed are taken for pairs" in result.err
    assert [line for line in result.out.splitlines() if line.startswith(("accuracy", "loss"))]
    asked = command("compare", written, "--metric", "accuracy", "--sort", "accuracy", "--json")
    # The baseline stays on top, and the higher accuracy is the better one.
    assert [row["name"] for row in json.loads(asked.out)] == ["baseline", "ours", "mixup"]


def test_the_last_epoch_of_a_run_counts(table, tmp_path):
    early = table.assign(epoch=1, accuracy=0.1)
    path = tmp_path / "epochs.csv"
    pandas.concat([table.assign(epoch=2), early]).to_csv(path, index=False)
    rows = {row.name: row for row in regbench.compare(regbench.load(path), metrics=["accuracy"])}
    means = table.groupby("name")["accuracy"].mean()
    assert rows["ours"].value("accuracy").mean == pytest.approx(means["ours"])


def test_what_regbench_exports_gives_the_comparison_of_the_runs(tmp_path):
    experiments = [config.load("configs/baseline.yaml"), config.load("configs/l2.yaml")]
    made_up_runs.write(tmp_path / "results", experiments, seeds=3, epochs=3)
    loaded = runs.load(tmp_path / "results")
    path, _ = tidy.csv(loaded, tmp_path / "tables")
    theirs = [row.as_dict() for row in regbench.compare(loaded, examples=False)]
    mine = [row.as_dict() for row in regbench.compare(runs.load(path), examples=False)]
    for row in (*mine, *theirs):  # a table has no configs, which tell changes and what data is from
        row.pop("changes")
        for versus in (row["versus_baseline"] or {}).values():
            versus.pop("samples_low", None)
            versus.pop("samples_high", None)
    assert mine == theirs


def test_runs_of_a_table_stand_beside_those_of_regbench(table, tmp_path):
    made_up_runs.write(tmp_path / "results", [config.load("configs/baseline.yaml")], seeds=3)
    renamed = table[table["name"] == "ours"].rename(columns={"accuracy": "test_accuracy"})
    renamed.to_csv(tmp_path / "ours.csv", index=False)
    both = runs.load([tmp_path / "results", tmp_path / "ours.csv"])
    assert {row.name for row in regbench.compare(both)} == {"baseline", "ours"}


def test_names_are_made_plain_and_that_is_told(table, tmp_path):
    path = tmp_path / "elsewhere.csv"
    table.replace({"name": {"ours": "Ours (λ=0.1), best"}}).to_csv(path, index=False)
    told = []
    names = set(runs.load(path, told.append).frame["name"])
    assert names == {"baseline", "mixup", "Ours_0.1_best"}
    assert any("Ours (λ=0.1), best as Ours_0.1_best" in line for line in told)


def test_a_metric_that_is_not_there_names_those_that_are(written, command):
    result = command("compare", written, "--metric", "acuracy")
    assert result.exit_code == 2
    assert "did you mean accuracy?" in result.err


@pytest.mark.parametrize("reader", ["bundle", "export"])
def test_what_needs_run_folders_says_so_of_a_table(reader, written, tmp_path, command):
    options = {"export": ["--to", "trackio"]}.get(reader, [])
    if reader == "export":
        pytest.importorskip("trackio")
    result = command(reader, written, *options, "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert "expected run folders or a bundle, received a table of runs" in result.err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "expected a table, received: No columns to parse from file"),
        ("name,seed,accuracy\n", "expected rows, received none"),
        ("name,seed" + ",0" * 10_000 + "\n", "expected at most 10,000 columns"),
        ("method,seed,accuracy\na,0,1\n", "expected the columns name and seed"),
        ("name,seed,accuracy\na,zero,1\n", "seed: expected whole numbers from 0 in every row"),
        ("name,seed,accuracy\na,,1\n", "seed: expected whole numbers from 0 in every row"),
        ("name,seed,accuracy\na,0.5,1\n", "seed: expected whole numbers from 0 in every row"),
        ("name,seed,accuracy\na,-1,1\n", "seed: expected whole numbers from 0 in every row"),
        ("name,seed,epoch,f1\na,0,x,1\n", "epoch: expected whole numbers from 0 in every row"),
        ("name,seed,accuracy\na,0,1\n,1,1\n", "received none in line 3"),
        ("name,seed,accuracy\na,0,1\na,0,2\n", "a with seed 0 is there twice (line 3)"),
        ("name,seed,epoch,f1\na,0,1,1\na,0,1,2\n", "a with seed 0, epoch 1, is there twice"),
        ("name,seed,note\na,0,good\n", "expected a column of numbers beside name and seed"),
        ("name,seed,f1\na,0,inf\n", "f1: expected a number from -1e+40 to 1e+40, received inf"),
        (
            "name,seed,test_accuracy\na,0,81\n",
            "expected a share from 0 to 1, received 81 in line 2",
        ),
        ("name,seed,f1\n***,0,1\n", "name: expected letters or digits, received '***'"),
        ("name,seed,f1\na b,0,1\na_b,0,1\n", "expected names that differ in letters, digits"),
        ("name,seed,f1\na,0,1,5,6\n", "expected a table, received: Length of header"),
        ("\x00\x01\x02", "expected"),
    ],
)
def test_a_wrong_file_ends_in_a_clear_line(text, expected, tmp_path, command):
    path = tmp_path / "elsewhere.csv"
    path.write_text(text)
    with pytest.raises(RegbenchError) as caught:
        runs.load(path)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
    assert command("compare", path).exit_code == 2


def test_parquet_is_read_as_csv_is(table, written, tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "elsewhere.parquet"
    table.to_parquet(path)
    (tmp_path / "damaged.parquet").write_bytes(path.read_bytes()[:100])
    mine, theirs = runs.load(path).frame, runs.load(written).frame
    pandas.testing.assert_frame_equal(
        mine.drop(columns="results"), theirs.drop(columns="results"), check_dtype=False
    )
    with pytest.raises(RegbenchError, match="expected a table"):
        runs.load(tmp_path / "damaged.parquet")
