"""Runs that are there twice: a copy counts once in silence, and other numbers are told."""

import json
import shutil

import pandas
import pytest

from regbench import config, runs
from regbench.analysis.compare import compare
from regbench.figures import variants
from regbench.runs import copies
from tests.made_up_runs import write_run


def made_up(results, seed=0, number=0, epochs=3):
    experiment = config.load("configs/baseline.yaml").with_seed(seed)
    return write_run(results, experiment, number, epochs, probed=False).path


def compared(*paths):
    """Return the rows of a comparison and its warnings."""
    warnings = []
    return compare(runs.load(paths, warnings.append), warn=warnings.append), warnings


def test_a_copied_folder_and_one_that_computed_the_same_again_count_once_in_silence(tmp_path):
    folder = made_up(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    lines = (folder / "history.csv").read_text().splitlines()
    header, *rows = [line.split(",") for line in lines]
    seconds = header.index("seconds")
    slower = [[*row[:seconds], "99.0", *row[seconds + 1 :]] for row in rows]
    text = "".join(",".join(row) + "\n" for row in [header, *slower])
    (tmp_path / "b" / folder.name / "history.csv").write_text(text)
    (row,), warnings = compared(tmp_path / "a", tmp_path / "b")
    assert warnings == []
    assert row.runs == 1


def test_other_numbers_of_one_config_and_seed_are_told_with_both_folders(tmp_path):
    first = made_up(tmp_path / "a", number=0)
    second = made_up(tmp_path / "b", number=5)
    (row,), (warning,) = compared(tmp_path / "a", tmp_path / "b")
    expected = "same config and seed, but different numbers or data; only the first counts"
    assert warning == f"{first} and {second}: {expected}"
    accuracy = json.loads((first / "summary.json").read_text())["test_accuracy"]
    assert (row.runs, row.test_accuracy.mean) == (1, pytest.approx(accuracy))
    (other,), (warning,) = compared(tmp_path / "b", tmp_path / "a")
    assert warning == f"{second} and {first}: {expected}"
    assert other.test_accuracy.mean != row.test_accuracy.mean


def test_equal_numbers_of_other_data_are_told_too(tmp_path):
    folder = made_up(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    summary = tmp_path / "b" / folder.name / "summary.json"
    data = {"pool": "1" * 64, "examples": "2" * 64}
    summary.write_text(json.dumps(json.loads(summary.read_text()) | {"data": data}))
    _, (warning,) = compared(tmp_path / "a", tmp_path / "b")
    assert "same config and seed, but different numbers or data; only the first counts" in warning


def test_many_runs_of_two_folders_are_one_line(tmp_path):
    for seed in range(9):
        made_up(tmp_path / "a", seed, number=0)
        made_up(tmp_path / "b", seed, number=5)
    (row,), (warning,) = compared(tmp_path / "a", tmp_path / "b")
    assert row.runs == 9
    assert warning.startswith(f"{tmp_path / 'a'} and {tmp_path / 'b'}: ")
    assert "in 9 runs (baseline-44136fa3-s0, " in warning
    assert f"and 3 more); only those in {tmp_path / 'a'} count" in warning


def test_figures_never_put_the_epochs_of_two_runs_into_one_curve(tmp_path):
    made_up(tmp_path / "a", number=0, epochs=2)
    made_up(tmp_path / "b", number=5, epochs=6)
    frame = runs.load([tmp_path / "a", tmp_path / "b"])
    first = runs.load(tmp_path / "a")
    drawn = variants.labeled(frame).drop(columns="variant")
    pandas.testing.assert_frame_equal(drawn, first.frame, check_like=True)


def test_a_run_counts_once_in_whatever_order_its_epochs_come(tmp_path):
    for seed in range(2):
        made_up(tmp_path, seed, number=seed)
    frame = runs.load(tmp_path).frame
    mixed = pandas.concat([frame, frame]).sort_values(["epoch", "seed"], ascending=[False, True])
    once = copies.distinct(mixed)
    assert len(once) == len(frame)
    assert once.equals(mixed.drop_duplicates().reset_index(drop=True))
    assert compare(mixed) == compare(frame)
