"""Metrics: every number a claim may be about, from the files of a run alone."""

import json
import math

import numpy as np
import pytest

from regbench import config, runs
from regbench.analysis import metrics
from regbench.analysis.statistics import Interval
from regbench.errors import RegbenchError
from regbench.runs.probe_results import Costs, Kernel
from tests import made_up_runs


@pytest.fixture
def frame(tmp_path):
    experiments = [config.load(f"configs/{name}.yaml") for name in ("baseline", "dropout", "l2")]
    made_up_runs.write(tmp_path, experiments, seeds=2, epochs=4)
    return runs.load(tmp_path)


def values(frame, *names, warn=None):
    return metrics.table(frame, names, warn).set_index(["name", "seed"])


def test_a_row_per_run_with_the_last_epochs_numbers(frame):
    table = values(frame, "train_accuracy", "gap", "parameters", "seconds")
    assert len(table) == 6
    last = frame[(frame["name"] == "l2") & (frame["seed"] == 1)].iloc[-1]
    row = table.loc["l2", 1]
    assert row["train_accuracy"] == last["train_accuracy"]
    assert row["gap"] == last["train_accuracy"] - last["test_accuracy"]
    assert row["parameters"] == 550_570
    assert row["status"] == "completed"


def test_a_run_without_dropout_has_no_gain_of_its_ensemble(frame):
    table = values(frame, "dropout_ensemble_gain")["dropout_ensemble_gain"]
    assert table["dropout", 0] == pytest.approx(-0.06 / 64)
    assert math.isnan(table["baseline", 0])


def test_norms_and_zeros_are_those_of_all_kernels_together(frame):
    row = values(frame, "weight_norm", "weight_sum", "near_zero").loc["baseline", 0]
    assert row["weight_norm"] == pytest.approx(math.sqrt(sum((2 + i) ** 2 for i in range(8))))
    assert row["weight_sum"] == pytest.approx(50 * (2**8 - 1))
    near_zero = sum(0.01 * i * 9 * 2**i for i in range(8)) / sum(9 * 2**i for i in range(8))
    assert row["near_zero"] == pytest.approx(near_zero)


def test_the_first_epoch_at_a_level_is_infinite_where_it_is_never_reached(frame):
    accuracy = frame[frame["name"] == "baseline"].groupby("seed")["train_accuracy"]
    level = accuracy.nth(2).max()
    names = [f"epochs_to_train_accuracy({level:.3f})", "epochs_to_test_accuracy(1.0)"]
    table = values(frame, *names)
    assert table[names[0]]["baseline", 0] in (2, 3)
    assert set(table[names[1]]) == {math.inf}
    assert set(table["epochs"]) == {4}


def test_an_epoch_at_a_level_may_be_of_keras_own_accuracy_in_training_mode(frame):
    frame.loc[frame["epoch"] > 0, "reported_accuracy"] = [0.1, 0.2, 0.7, 0.8] * 6
    table = values(frame, "epochs_to_reported_accuracy(0.6)")
    assert set(table["epochs_to_reported_accuracy(0.6)"]) == {3.0}
    assert math.isnan(frame["reported_accuracy"][0])  # nothing is reported before the first epoch


def test_runs_that_never_reach_a_level_have_no_mean():
    reached = np.array([5.0, 6.0, 7.0])
    assert metrics.interval(reached).mean == 6
    censored = np.array([5.0, 6.0, math.inf])
    assert metrics.interval(censored) == Interval(None)


def test_seconds_per_step_leave_out_the_epoch_that_compiles(tmp_path):
    folder = made_up_runs.write_run(tmp_path, config.load("configs/baseline.yaml"), 0, 3, True)
    summary = json.loads((folder.path / "summary.json").read_text())
    costs = Costs(steps_per_epoch=10, multiply_adds=5, activation_bytes=4, pooling_parameters=0,
                  pooled_share=0.25)  # fmt: skip
    summary["probes"]["costs"] = costs.model_dump()
    (folder.path / "summary.json").write_text(json.dumps(summary))
    frame = runs.load(tmp_path)
    frame.loc[frame["epoch"] > 0, "seconds"] = [100.0, 2.0, 4.0]
    row = values(frame, "seconds_per_step", "multiply_adds", "pooled_share").iloc[0]
    assert (row["seconds_per_step"], row["multiply_adds"], row["pooled_share"]) == (0.3, 5, 0.25)


def test_the_share_of_training_is_of_the_seconds_that_a_person_waits(tmp_path):
    folder = made_up_runs.write_run(tmp_path, config.load("configs/baseline.yaml"), 0, 3, True)
    made_up_runs.write_run(tmp_path, config.load("configs/l2.yaml"), 0, 3, True)
    path = folder.path / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"wall_seconds": 100.0}))
    frame = runs.load(tmp_path)
    table = values(frame, "wall_seconds", "training_share", "seconds")
    new, old = table.loc["baseline", 0], table.loc["l2", 0]
    assert new["wall_seconds"] == 100.0
    assert new["training_share"] == pytest.approx(new["seconds"] / 100)
    assert math.isnan(old["wall_seconds"])  # recorded by no older version
    assert math.isnan(old["training_share"])


def probes_of(tmp_path, **changed):
    """Write a run whose probes found something else, and return the frame of it."""
    folder = made_up_runs.write_run(tmp_path, config.load("configs/batch_norm.yaml"), 0, 3, True)
    summary = json.loads((folder.path / "summary.json").read_text())
    summary["probes"] |= changed
    (folder.path / "summary.json").write_text(json.dumps(summary))
    return runs.load(tmp_path)


def kernel(*weights):
    array = np.abs(np.array(weights, np.float64))
    return Kernel(
        layer="dense1",
        weights=array.size,
        one_norm=array.sum(),
        two_norm=math.sqrt(np.square(array).sum()),
        sparsity=float((array < 1e-3).mean()),
    ).model_dump()


@pytest.mark.parametrize("scale", [1, 1e-6])
@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ((1, -1, 1, -1), 0.0),
        ((0, 0, -3, 0), 1.0),
        ((1, 1, 0, 0), 2 - math.sqrt(2)),  # (2 - 2 / sqrt(2)) / (2 - 1)
    ],
)
def test_sparseness_does_not_change_with_the_scale_of_the_weights(
    tmp_path, scale, weights, expected
):
    frame = probes_of(tmp_path, weights=[kernel(*(scale * each for each in weights))])
    row = values(frame, "sparseness").iloc[0]
    assert row["sparseness"] == pytest.approx(expected, abs=1e-9)


def test_sparseness_counts_each_kernel_by_its_size_and_skips_where_it_has_no_meaning(tmp_path):
    found = [kernel(1, 1, 1, 1, 1, 1), kernel(0, 5, 0), kernel(7), kernel(0, 0)]
    row = values(probes_of(tmp_path, weights=found), "sparseness").iloc[0]
    assert row["sparseness"] == pytest.approx(3 / 9)
    nothing = values(probes_of(tmp_path, weights=[kernel(7)]), "sparseness").iloc[0]
    assert math.isnan(nothing["sparseness"])


def test_the_gain_of_recalibration_is_that_over_moving_averages(tmp_path, frame):
    quality = {"accuracy": 0.3, "loss": 1.0}
    layer = {"layer": "norm", "mean_shift": 0.1, "variance_ratio": 1.0}
    norm = {"layers": [layer], "examples": 1000, "moving": quality, "batch": quality,
            "recalibrated": {"accuracy": 0.7, "loss": 0.9}}  # fmt: skip
    changed = probes_of(tmp_path / "norm", batch_norm=norm)
    row = values(changed, "batch_norm_recalibration_gain").iloc[0]
    assert row["batch_norm_recalibration_gain"] == pytest.approx(0.4)
    baseline = values(frame, "batch_norm_recalibration_gain").loc["dropout", 0]
    assert math.isnan(baseline["batch_norm_recalibration_gain"])


def test_reported_accuracy_is_of_the_network_as_it_is_while_training(frame):
    name = "epochs_to_reported_accuracy(0.5)"
    frame = frame.frame.assign(train_accuracy=0.1)
    frame["reported_accuracy"] = np.where(frame["epoch"] >= 2, 0.6, 0.4)
    frame.loc[frame["epoch"] == 0, "reported_accuracy"] = math.nan
    assert set(values(frame, name)[name]) == {2}


def test_damaged_probes_are_a_warning_and_no_number(tmp_path, frame):
    path = next(tmp_path.glob("l2*-s0")) / "summary.json"
    summary = json.loads(path.read_text())
    summary["probes"]["weights"][0]["two_norm"] = "many"
    path.write_text(json.dumps(summary))
    warnings = []
    table = values(frame, "weight_norm", "gap", warn=warnings.append)
    assert math.isnan(table["weight_norm"]["l2", 0])
    assert not math.isnan(table["gap"]["l2", 0])
    (warning,) = warnings
    assert "l2" in warning
    assert "weights.0.two_norm" in warning


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("weight_nrom", "did you mean weight_norm?"),
        ("epochs_to_test_accuracy", "did you mean epochs_to_test_accuracy(0.6)?"),
        ("epochs_to_test_accuracy(1.5)", "epochs_to_test_accuracy(0.6)"),
        ("epochs_to_test_accuracy(0.6.1)", "epochs_to_test_accuracy(0.6)"),
        ("gap(0.5)", "expected one of"),
    ],
)
def test_an_unknown_metric_is_one_line_that_names_the_nearest(frame, name, hint):
    with pytest.raises(RegbenchError) as error:
        metrics.table(frame, [name])
    assert "\n" not in str(error.value)
    assert hint in str(error.value)
