"""Exports, opened again by the tools that they are for where these are installed."""

from __future__ import annotations

import csv as csv_files
import json
import subprocess
import sys

import click.testing
import pandas
import pytest

from regbench import config, runs
from regbench.cli import cli
from regbench.errors import RegbenchError
from regbench.exports import paper, tidy, tracking
from regbench.runs.files import HISTORY_FILE, SUMMARY
from tests import made_up_runs

EPOCHS = 4


@pytest.fixture
def results(tmp_path):
    """Return a folder with two configs of three seeds each."""
    folder = tmp_path / "results"
    experiments = [config.load("configs/baseline.yaml"), config.load("configs/l2.yaml")]
    made_up_runs.write(folder, experiments, seeds=3, epochs=EPOCHS)
    return folder


def export(*arguments):
    """Call the command; return its result."""
    return click.testing.CliRunner().invoke(cli, ["export", *map(str, arguments)])


def test_csv_has_a_row_per_epoch_and_one_per_run_with_what_differs(results, tmp_path):
    assert export(results, "--to", "csv", "-o", tmp_path / "tables").exit_code == 0
    epochs = pandas.read_csv(tmp_path / "tables" / "epochs.csv")
    table = pandas.read_csv(tmp_path / "tables" / "runs.csv")
    assert len(epochs) == 6 * (EPOCHS + 1)
    assert len(table) == 6
    assert set(table["config.l2"].dropna().astype(str)) == {"0.0005"}
    assert [name for name in table if name.startswith("config.")] == ["config.l2"]
    # Both tables join, and the end of a run is its last epoch.
    joined = table.merge(epochs, on=["results", "run"], suffixes=("", "_then"))
    last = joined[joined["epoch"] == joined["epochs"]]
    assert (last["test_accuracy"] == last["test_accuracy_then"]).all()
    assert (last["gap"] == last["train_accuracy"] - last["test_accuracy"]).all()


def test_parquet_keeps_types_and_every_number(results, tmp_path):
    pytest.importorskip("pyarrow")
    assert export(results, "--to", "parquet", "-o", tmp_path / "tables").exit_code == 0
    read = pandas.read_parquet(tmp_path / "tables" / "epochs.parquet")
    pandas.testing.assert_frame_equal(read, runs.load(results).frame)
    assert len(pandas.read_parquet(tmp_path / "tables" / "runs.parquet")) == 6


def test_a_best_config_is_bold_only_where_it_is_decided(tmp_path):
    experiments = [config.load("configs/baseline.yaml"), config.load("configs/l2.yaml")]
    made_up_runs.write(tmp_path, experiments, seeds=8, epochs=EPOCHS)
    loaded = runs.load(tmp_path)
    made = paper.table(loaded)
    hashes = {row.name: row.config_hash for row in made.rows}
    better = {row.name: row.test_accuracy.mean for row in made.rows}
    # The made-up accuracies differ by far more than their noise ...
    assert made.best["test_accuracy"] == hashes[max(better, key=lambda name: better[name])]
    # ... but one seed of each decides nothing.
    single = paper.table(loaded.only(loaded["seed"] == 0))
    assert set(single.best.values()) == {None}


def test_a_latex_table_has_rules_intervals_and_no_special_characters(tmp_path):
    experiments = [config.load("configs/baseline.yaml"), config.load("configs/batch_norm.yaml")]
    made_up_runs.write(tmp_path, experiments, seeds=3, epochs=EPOCHS)
    result = export(tmp_path, "--to", "latex")
    assert result.exit_code == 0
    body = [line for line in result.stdout.splitlines() if not line.startswith("%")]
    assert body[0] == r"\begin{tabular}{lrrrrr}"
    assert [line for line in body if line.startswith("\\")][1:] == [
        r"\toprule", r"\midrule", r"\bottomrule", r"\end{tabular}"
    ]  # fmt: skip
    rows = [line for line in body if " & " in line]
    assert len(rows) == 3
    assert all(line.count("&") == 5 and line.endswith(r" \\") for line in rows)
    assert rows[2].startswith(r"batch\_norm & 3 & ")
    assert r"$\pm$" in rows[2]


def test_markdown_goes_into_a_file_if_one_is_named(results, tmp_path):
    result = export(results, "--to", "markdown", "-o", tmp_path / "table.md")
    assert result.exit_code == 0
    assert result.stdout == ""
    text = (tmp_path / "table.md").read_text()
    assert text.splitlines()[0] == "| config | seeds | train acc. | test acc. | test loss | gap |"


def test_tensorboard_reads_train_and_test_under_one_tag_and_the_settings(results, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    # A second export replaces the first: no point is there twice.
    for _ in range(2):
        assert export(results, "--to", "tensorboard", "-o", tmp_path / "logs").exit_code == 0
    for run in runs.load(results).runs:
        rows = list(csv_files.DictReader((run.folder / HISTORY_FILE).open()))
        for curve in ("train", "test"):
            events = EventAccumulator(str(tmp_path / "logs" / run.folder.name / curve)).Reload()
            points = events.Scalars("accuracy")
            assert [point.step for point in points] == [int(row["epoch"]) for row in rows]
            assert [point.value for point in points] == pytest.approx(
                [float(row[f"{curve}_accuracy"]) for row in rows], rel=1e-6
            )
    from tensorboard.plugins.hparams import plugin_data_pb2

    events = EventAccumulator(str(tmp_path / "logs" / run.folder.name)).Reload()
    assert "learning_rate" in events.Tags()["scalars"]
    metadata = events.SummaryMetadata("_hparams_/session_start_info")
    found = plugin_data_pb2.HParamsPluginData.FromString(metadata.plugin_data.content)
    settings = found.session_start_info.hparams
    assert settings["l2"].number_value == 0.0005
    assert settings["train.optimizer"].string_value == "adam"


def test_mlflow_reads_settings_epochs_and_files(results, tmp_path):
    pytest.importorskip("mlflow")
    from mlflow import MlflowClient

    for _ in range(2):  # the second export replaces the first
        done = export(results, "--to", "mlflow", "-o", tmp_path / "mlruns")
        assert done.exit_code == 0, done.output
    client = MlflowClient(tracking_uri=(tmp_path / "mlruns").as_uri())
    experiment = client.get_experiment_by_name("regbench")
    found = client.search_runs([experiment.experiment_id])
    assert len(found) == 6
    run = next(each for each in found if each.data.tags["mlflow.runName"] == "l2 s1")
    assert run.data.params["l2"] == "0.0005"
    assert run.info.status == "FINISHED"
    history = client.get_metric_history(run.info.run_id, "test_accuracy")
    stored = runs.load(results).frame.query("name == 'l2' and seed == 1")
    assert [each.value for each in sorted(history, key=lambda each: each.step)] == list(
        stored["test_accuracy"]
    )
    files = {each.path for each in client.list_artifacts(run.info.run_id)}
    assert {"config.yaml", "summary.json", "history.csv"} <= files


def test_a_store_that_mlflow_left_half_written_is_one_line(results, tmp_path):
    """As a full disk leaves it: MLflow itself ends in a traceback then, at every later call."""
    pytest.importorskip("mlflow")
    store = tmp_path / "mlruns"
    assert export(results, "--to", "mlflow", "-o", store).exit_code == 0
    for path in store.glob("*/*/meta.yaml"):
        path.write_text("")
    done = export(results, "--to", "mlflow", "-o", store)
    assert isinstance(done.exception, RegbenchError)
    told = str(done.exception)
    assert "MLflow can't use this store" in told
    assert "\n" not in told


@pytest.mark.parametrize("tool", ["wandb", "trackio"])
def test_wandb_and_trackio_take_every_epoch_offline(tool, results, tmp_path):
    pytest.importorskip(tool)
    # In a process of its own: both keep global state, and threads that outlive a run.
    command = [sys.executable, "-m", "regbench", "export", str(results), "--to", tool]
    done = subprocess.run(
        [*command, "-o", str(tmp_path / "out")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.endswith(f"6 runs in {tmp_path / 'out'}\n")
    if tool == "wandb":
        assert len(list((tmp_path / "out").rglob("*.wandb"))) == 6
        return
    import sqlite3

    (database,) = (tmp_path / "out").rglob("regbench.db")
    with sqlite3.connect(database) as opened:
        counted = opened.execute("select count(*), count(distinct run_name) from metrics")
        assert counted.fetchone() == (6 * (EPOCHS + 1), 6)


class Recorded:
    """A tracker that remembers what it was told, as a list of lines."""

    def __init__(self):
        self.lines = []

    def begin(self, run, settings):
        self.lines.append(("begin", run.key))
        self.key = run.key
        return self

    def log(self, epoch, numbers, at):
        self.lines.append(("epoch", epoch))

    def finish(self, run):
        self.lines.append(("finish", run.state))

    def close(self):
        self.lines.append(("close",))


def test_following_sends_each_epoch_once_and_the_end_when_it_comes(results, monkeypatch):
    (finished,) = results.glob("l2-*-s0")
    for other in results.iterdir():
        if other != finished:
            other.rename(results.parent / other.name)
    history = (finished / HISTORY_FILE).read_text().splitlines(keepends=True)
    summary = (finished / SUMMARY).read_text()
    (finished / SUMMARY).unlink()
    (finished / HISTORY_FILE).write_text("".join(history[:2]))
    recorded = Recorded()

    def later(seconds):
        if not (finished / SUMMARY).exists() and len(recorded.lines) > 2:
            (finished / HISTORY_FILE).write_text("".join(history))
            (finished / SUMMARY).write_text(summary)
        elif ("finish", "completed") in recorded.lines:
            raise KeyboardInterrupt
        else:
            (finished / HISTORY_FILE).write_text("".join(history[:4]))

    monkeypatch.setattr(tracking.time, "sleep", later)
    with pytest.raises(KeyboardInterrupt):
        tracking.export([results], recorded, follow=True)
    epochs = [line for line in recorded.lines if line[0] == "epoch"]
    assert epochs == [("epoch", number) for number in range(EPOCHS + 1)]
    assert recorded.lines[0] == ("begin", finished.name)
    assert recorded.lines[-2:] == [("finish", "completed"), ("close",)]


def test_without_following_only_finished_runs_are_sent(results):
    (unfinished,) = results.glob("l2-*-s0")
    (unfinished / SUMMARY).unlink()
    recorded = Recorded()
    assert tracking.export([results], recorded) == 5
    assert ("begin", unfinished.name) not in recorded.lines


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--to", "csv"], "--to csv needs --output, where to write"),
        (["--to", "csv", "-o", "x", "--follow"], "--follow cannot be combined with --to csv"),
        (["--to", "csv", "-o", "x", "--baseline", "l2"], "--baseline is for --to latex and"),
    ],
)
def test_a_wrong_combination_is_one_line_and_exit_code_2(arguments, expected, results):
    result = export(results, *arguments)
    assert result.exit_code == 2
    assert expected in result.stderr


def test_a_library_that_is_missing_is_named_with_the_way_to_install_it(
    results, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(Exception, match=r"pip install 'regbench\[wandb\]'"):
        cli.main(
            ["export", str(results), "--to", "wandb", "-o", str(tmp_path)], standalone_mode=False
        )


def test_settings_that_differ_are_text_where_a_column_needs_one_type(tmp_path):
    experiments = [config.load("configs/baseline.yaml"), config.load("configs/dropout.yaml")]
    made_up_runs.write(tmp_path, experiments, epochs=2)
    table = tidy.runs(runs.load(tmp_path))
    values = set(table["config.dropout.dense"].dropna())
    assert all(isinstance(json.loads(value), float) for value in values)
