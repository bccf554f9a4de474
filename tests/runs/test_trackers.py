"""Stores of other tools, as their files are: names, seeds, damage, and what is said of them."""

from __future__ import annotations

import json
import sqlite3
import struct

import pytest

import regbench
from regbench import runs
from regbench.errors import RegbenchError
from regbench.runs import trackers
from regbench.runs.trackers import places
from regbench.runs.trackers.tracked_run import TrackedRun, column


def mlflow_run(store, name, metrics, status=3, params=None):
    """Write a run as MLflow's file store has it: metrics are (value, step) by key."""
    folder = store / "1" / name
    (folder / "metrics").mkdir(parents=True)
    (folder / "params").mkdir()
    (folder / "meta.yaml").write_text(
        f"lifecycle_stage: active\nrun_name: '{name}'\nstart_time: 1\nstatus: {status}\n"
    )
    for key, points in metrics.items():
        lines = [f"1700000000000 {value} {step}\n" for value, step in points]
        (folder / "metrics" / key).write_text("".join(lines))
    for key, value in (params or {}).items():
        (folder / "params" / key).write_text(str(value))


@pytest.mark.parametrize(
    ("label", "name", "seed"),
    [
        ("ours-s3", "ours", 3),
        ("ours_seed=12", "ours", 12),
        ("ours/seed_0", "ours", 0),
        ("ours/7", "ours", 7),
        ("gifted-bear-123", "gifted-bear-123", None),  # a tool's random name, no seed
        ("class3", "class3", None),
        ("lightning/version_3", "lightning/version_3", None),
    ],
)
def test_name_and_seed_are_taken_from_a_label_only_where_it_says_seed(label, name, seed):
    run = TrackedRun("key", label)
    assert (run.name, run.seed) == (name, seed)


def test_settings_and_groups_are_believed_before_labels():
    told = {"method": "ours", "random_seed": "4"}
    assert TrackedRun("k", "x-s1", settings=told).seed == 4
    assert TrackedRun("k", "x-s1", settings=told).name == "ours"
    assert TrackedRun("k", "x-s1", group="mine").name == "mine"


@pytest.mark.parametrize(
    ("tag", "curve", "expected"),
    [
        ("Loss/train", "", "train_loss"),
        ("val_acc", "", "validation_accuracy"),
        ("test/accuracy", "", "test_accuracy"),
        ("epoch_loss", "validation", "validation_loss"),
        ("accuracy", "", "accuracy"),  # of which examples, nobody says
        ("f1", "test", "test_f1"),
        ("test_f1", "", "test_f1"),
    ],
)
def test_numbers_get_the_names_that_regbench_has_for_them(tag, curve, expected):
    assert column(tag, curve) == expected


def test_runs_without_a_seed_make_no_pairs_and_that_is_said(tmp_path):
    for method, mean in (("baseline", 0.6), ("ours", 0.7)):
        for place in range(3):
            found = {"test_acc": [(mean + place / 100, 0)]}
            mlflow_run(tmp_path, f"{method}{place}", found, params={"method": method})
    told = []
    rows = regbench.compare(runs.load(tmp_path, told.append))
    assert any("no seed is recorded, so these make no pairs" in line for line in told)
    assert rows[1].runs == 3
    assert rows[1].test_accuracy.mean == pytest.approx(0.71)
    assert not rows[1].versus("test_accuracy") or not rows[1].versus("test_accuracy").pairs


def test_the_last_value_of_each_number_counts_wherever_it_was_logged(tmp_path):
    mlflow_run(tmp_path, "ours-s0", {"test_acc": [(0.5, 1), (0.7, 2)], "f1": [(0.4, 1)]})
    frame = runs.load(tmp_path).frame
    assert frame["epoch"].tolist() == [1, 2]
    assert frame["f1"].tolist() == [0.4, 0.4]
    assert frame["test_accuracy"].tolist() == [0.5, 0.7]


def test_unfinished_and_repeated_runs_are_left_out_and_named(tmp_path):
    mlflow_run(tmp_path, "ours-s0", {"f1": [(0.5, 0)]})
    mlflow_run(tmp_path, "crashed-s0", {"f1": [(0.1, 0)]}, status=4)
    mlflow_run(tmp_path, "ours-s00", {"f1": [(0.6, 0)]})
    told = []
    frame = runs.load(tmp_path, told.append).frame
    assert frame["f1"].tolist() == [0.6]
    assert any("not finished or without numbers: crashed-s0" in line for line in told)
    assert any("the last counts, not ours-s0" in line for line in told)


def test_a_share_in_percent_is_refused_with_the_run_that_has_it(tmp_path):
    mlflow_run(tmp_path, "ours-s0", {"test_acc": [(81.0, 0)]})
    with pytest.raises(RegbenchError, match=r"a share from 0 to 1, received 81 in the run ours-s0"):
        runs.load(tmp_path)


def test_mlflows_database_is_read_without_mlflow(tmp_path):
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.executescript("""
            create table runs (run_uuid, name, status, lifecycle_stage, start_time);
            create table metrics (run_uuid, key, value, step, is_nan, timestamp);
            create table params (run_uuid, key, value);
            create table tags (run_uuid, key, value);
            insert into runs values ('a', 'x', 'FINISHED', 'active', 1);
            insert into runs values ('b', 'y', 'FINISHED', 'deleted', 2);
            insert into params values ('a', 'seed', '3'), ('a', 'method', 'ours');
            insert into metrics values ('a', 'test_acc', 0.5, 1, 0, 1), ('b', 'f1', 1, 1, 0, 1);
        """)
    for path in (tmp_path, tmp_path / "mlflow.db"):
        frame = runs.load(path).frame
        assert frame[["name", "seed", "test_accuracy"]].to_numpy().tolist() == [["ours", 3, 0.5]]


def test_a_servers_runs_are_asked_for_page_by_page(monkeypatch):
    from regbench.runs.trackers import mlflow_server

    def answer(method, address, **content):
        call = address.partition("2.0/mlflow/")[2]
        if call == "experiments/search":
            return {"experiments": [{"experiment_id": "1"}]}
        if call == "metrics/get-history":
            return {"metrics": [{"key": "f1", "value": 0.5, "step": 1}]}
        seed = 1 if "page_token" in content["json"] else 0
        info = {"run_id": f"r{seed}", "run_name": f"ours-s{seed}", "status": "FINISHED"}
        found = {"runs": [{"info": info, "data": {"metrics": [{"key": "f1", "value": 0.5}]}}]}
        return found if seed else found | {"next_page_token": "more"}

    monkeypatch.setattr(mlflow_server, "_answer", answer)
    frame = runs.load("http://localhost:5000").frame
    assert frame[["name", "seed", "f1"]].to_numpy().tolist() == [["ours", 0, 0.5], ["ours", 1, 0.5]]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("events.out.tfevents.1", struct.pack("<QI", 99, 0)),
        ("events.out.tfevents.1", struct.pack("<QI", 3, 0) + b"\xff\xff\xff" + b"\0" * 4),
        ("run-a.wandb", b"nothing of W&B"),
        ("run-a.wandb", b":W&B\xbe\xe1\0" + b"\0" * 4 + struct.pack("<HB", 2, 1) + b"\xff\xff"),
    ],
)
def test_a_damaged_file_ends_in_one_line_that_says_what_was_expected(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RegbenchError) as caught:
        runs.load(tmp_path)
    assert "expected" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_trackio_database_with_other_json_ends_in_one_line(tmp_path):
    with sqlite3.connect(tmp_path / "mine.db") as database:
        database.execute("create table metrics (id, run_name, step, metrics)")
        database.execute("create table configs (run_name, config)")
        database.execute("insert into metrics values (1, 'a', 0, ?)", [json.dumps([1])])
    with pytest.raises(RegbenchError, match="expected a trackio database, received: expected a"):
        runs.load(tmp_path)


def test_a_link_to_a_folder_with_events_is_not_followed(tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "events.out.tfevents.1").write_bytes(b"")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "link").symlink_to(tmp_path / "outside")
    assert trackers.kind(tmp_path / "logs") is None
    assert list(places.event_files(tmp_path / "logs")) == []
