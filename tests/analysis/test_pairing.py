"""Only runs of equal data are compared, and whoever mixes data sets is told."""

import json
import re
import subprocess
import sys

import pytest
from PIL import Image

from regbench import config, report, runs
from regbench.analysis.compare import compare
from regbench.analysis.pairing import (
    NOT_RECORDED,
    OTHER_DATA,
    OTHER_EXAMPLES,
    Fingerprint,
    obstacle,
)
from regbench.figures.differences import compared as drawn
from regbench.runs import predictions
from regbench.sweeps import sweep
from tests.made_up_runs import write_run

A, B = "a" * 64, "b" * 64


def data(pool, examples):
    return {"pool": pool * 64, "examples": examples * 64}


def made_up(results, read, name="baseline", seed=0, change="l2=0", **environment):
    """Write a finished run that read this data."""
    experiment = config.load("configs/baseline.yaml", [f"name={name}", change]).with_seed(seed)
    return write_run(results, experiment, len(name), 3, False, read, **environment).path


def compared(results):
    """Return the rows of a comparison by name, and its warnings."""
    warnings = []
    rows = compare(runs.load(results, warnings.append), warn=warnings.append)
    return {row.name: row for row in rows}, warnings


def pairs(row):
    return row.versus("test_accuracy").pairs


@pytest.mark.parametrize(
    ("one", "other", "same_data", "expected"),
    [
        ((A, A), (A, A), True, None),
        ((A, A), (B, A), True, OTHER_DATA),
        ((A, A), (B, A), False, OTHER_DATA),
        ((A, A), (A, B), True, OTHER_EXAMPLES),
        ((A, A), (A, B), False, None),  # as the configs ask
        ((None, None), (None, None), True, None),  # both of version 0.1
        ((None, None), (A, A), False, NOT_RECORDED),
        ((A, None), (A, A), True, NOT_RECORDED),
        ((A, None), (A, A), False, None),
    ],
)
def test_the_rule_of_pairs(one, other, same_data, expected):
    assert obstacle(Fingerprint(*one), Fingerprint(*other), same_data) == expected
    assert obstacle(Fingerprint(*other), Fingerprint(*one), same_data) == expected


def test_two_data_sets_under_one_config_hash_are_told_and_not_compared(tmp_path):
    """As when an image folder, or what a drawn set is drawn by, changes between two sweeps."""
    for seed, pool in enumerate("1122"):
        made_up(tmp_path, data(pool, "a"), seed=seed)
        made_up(tmp_path, data("1", "a"), "l2", seed, change="l2=0.1")
    done = subprocess.run(
        [sys.executable, "-m", "regbench", "compare", str(tmp_path), "--json"],
        capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    # What a slow machine is told that it waits for.
    waiting = ("Reading the runs", "Comparing the runs")
    assert [line for line in done.stderr.splitlines() if line not in waiting] == [
        "Warning: baseline: runs of 2 data sets: 11111111 (s0, s1), 22222222 (s2, s3)",
        "Warning: not paired, trained on other data: l2 against baseline (s2, s3)",
    ]
    _, row = json.loads(done.stdout)
    assert (row["runs"], row["versus_baseline"]["test_accuracy"]["pairs"]) == (4, 2)


def test_across_data_sets_there_is_no_difference_neither_of_examples_nor_drawn(tmp_path):
    for name, pool, change in (("baseline", "1", "l2=0"), ("l2", "2", "l2=0.1")):
        folder = made_up(tmp_path, data(pool, "a"), name, change=change)
        path = folder / "summary.json"
        accuracy = json.loads(path.read_text())["test_accuracy"]
        right = round(accuracy * 1000)
        predictions.write(
            folder / predictions.PREDICTIONS, [1] * 1000, [1] * right + [0] * (1000 - right)
        )
    rows, warnings = compared(tmp_path)
    assert pairs(rows["l2"]) == 0
    assert rows["l2"].versus("test_accuracy").mean is None
    assert rows["l2"].mcnemar is None
    assert "not paired, trained on other data: l2 against baseline (s0)" in warnings
    (_, baseline), (_, l2) = drawn(runs.load(tmp_path), None)
    assert baseline.versus_baseline is None
    assert l2.versus("gap").mean is None
    told = []
    report.write(runs.load(tmp_path), tmp_path / "report.html", warn=told.append)
    assert told.count("not paired, trained on other data: l2 against baseline (s0)") == 1


def test_configs_that_ask_for_other_examples_of_one_data_set_are_compared(tmp_path):
    made_up(tmp_path, data("1", "a"))
    made_up(tmp_path, data("1", "b"), "noisy", change="data.label_noise=0.2")
    made_up(tmp_path, data("1", "c"), "large", change="data.train_examples=9000")
    rows, warnings = compared(tmp_path)
    assert warnings == []
    assert pairs(rows["noisy"]) == pairs(rows["large"]) == 1


def test_configs_that_ask_for_the_same_examples_and_got_others_are_not_compared(tmp_path):
    for seed in (0, 1):
        made_up(tmp_path, data("1", "a"), seed=seed)
        made_up(tmp_path, data("1", "ab"[seed]), "l2", seed, change="l2=0.1")
    rows, (warning,) = compared(tmp_path)
    assert pairs(rows["l2"]) == 1
    assert warning == f"not paired, {OTHER_EXAMPLES}: l2 against baseline (s1)"


def test_a_config_whose_examples_keep_another_seed_is_compared_as_one_that_asks_for_others(
    tmp_path,
):
    for seed in (0, 1):
        made_up(tmp_path, data("1", "ab"[seed]), seed=seed)
        made_up(tmp_path, data("1", "a"), "held", seed, change="vary=[init]")
    rows, warnings = compared(tmp_path)
    assert warnings == []
    assert pairs(rows["held"]) == 2


def test_a_config_whose_examples_follow_the_seed_too_has_to_get_the_same(tmp_path):
    made_up(tmp_path, data("1", "a"))
    made_up(tmp_path, data("1", "b"), "varied", change="vary=[data]")
    rows, warnings = compared(tmp_path)
    assert warnings == [f"not paired, {OTHER_EXAMPLES}: varied against baseline (s0)"]
    assert pairs(rows["varied"]) == 0


def test_runs_of_which_one_recorded_no_data_are_told_and_older_ones_alone_are_compared(tmp_path):
    for seed in (0, 1, 2, 3):
        made_up(tmp_path, None, seed=seed)
        made_up(tmp_path, None, "old", seed, change="l1=0.1")
        made_up(tmp_path, data("1", "a"), "new", seed, change="l2=0.1")
    rows, warnings = compared(tmp_path)
    assert (pairs(rows["old"]), pairs(rows["new"])) == (4, 0)
    assert warnings == [f"not paired, {NOT_RECORDED}: new against baseline (s0-s3)"]


def test_a_line_of_many_configs_names_a_few(tmp_path):
    made_up(tmp_path, data("1", "a"))
    for number in range(9):
        made_up(tmp_path, data("2", "a"), f"l2_{number}", change=f"l2={number + 1}")
    _, (warning,) = compared(tmp_path)
    assert warning.startswith("not paired, trained on other data: l2_0 against baseline (s0), ")
    assert warning.endswith("(s0) and 3 more")


@pytest.mark.processes
def test_an_image_folder_that_changes_between_two_sweeps_is_told(tmp_path):
    """The config and its hash stay the same; only the pixels are others."""
    images = tmp_path / "images"
    options = [
        "data.name=image_folder", f"data.path={images}", "data.train_examples=all",
        "data.test_examples=all", "model.blocks=[4]", "model.dense=[8]", "train.epochs=1",
    ]  # fmt: skip
    for seed in (0, 1):
        for number in range(8):
            split, label = ("train", "test")[number // 4], ("a", "b")[number % 2]
            path = images / split / label / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (32, 32), (number, 100 * seed, 0)).save(path)
        experiment = config.load("configs/baseline.yaml", options).with_seed(seed)
        assert sweep.run([experiment], tmp_path / "results", jobs=1).exit_code == 0
    _, (warning,) = compared(tmp_path / "results")
    assert re.fullmatch(
        r"baseline: runs of 2 data sets: [0-9a-f]{8} \(s0\), [0-9a-f]{8} \(s1\)", warning
    )
