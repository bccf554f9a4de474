"""Statistics of finished runs, against SciPy, brute force and hand-made frames."""

import json
import math

import pandas
import pytest
from scipy import stats

from regbench.analysis import compare as comparison
from regbench.analysis.rows import USUAL
from regbench.config.changes import changes
from regbench.errors import RegbenchError
from regbench.runs.files import HISTORY
from regbench.runs.results import RUN, Results

BASE = {"train": {"epochs": 25}, "dropout": None, "l2": None}


def frame(*finished, configs=None):
    """Return a frame of runs, each (name, config_hash, seed, test_accuracy) and maybe changes.

    With configs, return results that know them.
    """
    rows = []
    for name, config_hash, seed, accuracy, *more in finished:
        options = more[0] if more else {}
        for epoch in (0, 1):
            numbers = dict.fromkeys(HISTORY, 0.0) | {
                "epoch": epoch,
                "seconds": 2.0 * epoch,
                "train_accuracy": 0.9 if epoch else 0.1,
                "test_accuracy": accuracy if epoch else 0.1,
            }
            run = {
                "results": "results", "run": f"{name}-{config_hash}-s{seed}", "name": name,
                "config_hash": config_hash, "seed": seed, "status": "completed", "parameters": 7,
            }  # fmt: skip
            rows.append(run | numbers | options)
    made = pandas.DataFrame(rows, columns=[*RUN, *HISTORY])
    return Results(made, configs) if configs else made


def compare(*arguments, **options):
    """Return the rows of a comparison as `regbench compare --json` prints them."""
    return [row.as_dict() for row in comparison.compare(*arguments, **options)]


def five(name, config_hash, accuracies):
    return [(name, config_hash, seed, accuracy) for seed, accuracy in enumerate(accuracies)]


def test_an_object_has_the_keys_of_the_contract_in_their_order():
    row, other = compare(frame(("baseline", "b", 0, 0.5), ("l2", "c", 0, 0.6)))
    expected = ["name", "config_hash", "seeds", "runs", "diverged", "parameters", "seconds"]
    assert list(row) == [*expected, "changes", *USUAL, "versus_baseline", "mcnemar"]
    assert (row["seeds"], row["runs"], row["parameters"], row["seconds"]) == ([0], 1, 7, 2.0)
    assert row["versus_baseline"] is None
    assert set(other["versus_baseline"]) == set(USUAL)
    numbers = ["mean", "low", "high", "p_value", "p_floor", "p_holm", "pairs", "pairs_needed"]
    numbers += ["pairs_needed_low", "pairs_needed_high"]
    assert list(other["versus_baseline"]["gap"]) == numbers


def test_the_last_epoch_counts():
    (row,) = compare(frame(("baseline", "b", 0, 0.5)))
    assert row["test_accuracy"]["mean"] == 0.5
    assert row["gap"]["mean"] == pytest.approx(0.4)


def test_one_seed_has_no_interval_and_no_p_value():
    row, other = compare(frame(("baseline", "b", 0, 0.5), ("l2", "c", 0, 0.6)))
    assert row["gap"]["low"] is row["gap"]["high"] is None
    versus = other["versus_baseline"]["test_accuracy"]
    assert versus.pop("mean") == pytest.approx(0.1)
    assert versus.pop("pairs") == 1
    assert set(versus.values()) == {None}


def test_differences_are_paired_by_seed_and_unpaired_seeds_left_out():
    baseline = five("baseline", "b", [0.1, 0.2, 0.3])
    variant = [("l2", "c", 1, 0.25), ("l2", "c", 2, 0.36), ("l2", "c", 9, 0.99)]
    _, row = compare(frame(*baseline, *variant))
    versus = row["versus_baseline"]["test_accuracy"]
    expected = stats.t.interval(0.95, 1, 0.055, stats.sem([0.05, 0.06]))
    assert versus["pairs"] == 2
    assert versus["mean"] == pytest.approx(0.055)
    assert (versus["low"], versus["high"]) == pytest.approx(expected)
    assert row["runs"] == 3


def test_no_shared_seed_is_no_difference():
    _, row = compare(frame(("baseline", "b", 0, 0.5), ("l2", "c", 1, 0.6)))
    versus = row["versus_baseline"]["gap"]
    assert versus.pop("pairs") == 0
    assert set(versus.values()) == {None}


def test_the_baseline_under_another_name_differs_by_exactly_zero():
    accuracies = [0.51, 0.55, 0.5, 0.58, 0.49]
    _, row = compare(frame(*five("baseline", "b", accuracies), *five("again", "b", accuracies)))
    for metric in USUAL:
        assert row["versus_baseline"][metric].items() >= {
            "mean": 0.0, "low": 0.0, "high": 0.0,
            "p_value": 1.0, "p_floor": 0.0625, "p_holm": 1.0, "pairs": 5, "pairs_needed": None,
            "pairs_needed_low": None, "pairs_needed_high": None,
        }.items()  # fmt: skip


def test_diverged_runs_are_counted_and_kept_out_of_the_means():
    nan = {"status": "diverged", "train_loss": math.nan, "test_accuracy": 0.1}
    rows = compare(frame(*five("baseline", "b", [0.5, 0.6]), ("baseline", "b", 2, 0.1, nan)))
    assert (rows[0]["runs"], rows[0]["diverged"]) == (3, 1)
    assert rows[0]["test_accuracy"]["mean"] == pytest.approx(0.55)


def test_a_config_of_diverged_runs_alone_is_there_without_numbers():
    nan = {"status": "diverged", "test_loss": math.inf}
    _, row = compare(frame(("baseline", "b", 0, 0.5), ("wild", "c", 0, 0.1, nan)))
    assert row["diverged"] == 1
    assert row["test_loss"] == {"mean": None, "low": None, "high": None}
    assert row["versus_baseline"]["test_loss"]["pairs"] == 0
    json.dumps(row, allow_nan=False)


def test_a_copied_results_folder_adds_no_evidence():
    once = frame(("baseline", "b", 0, 0.5))
    twice = pandas.concat([once, once.assign(results="copy")], ignore_index=True)
    (row,) = compare(twice)
    assert row["runs"] == 1


def test_the_baseline_comes_first_then_the_names_in_order():
    rows = compare(frame(("z", "1", 0, 0.5), ("baseline", "2", 0, 0.5), ("a", "3", 0, 0.5)))
    assert [row["name"] for row in rows] == ["baseline", "a", "z"]


def test_any_config_can_be_the_baseline():
    rows = compare(frame(("baseline", "b", 0, 0.5), ("l2", "c", 0, 0.6)), baseline="l2")
    assert [row["name"] for row in rows] == ["l2", "baseline"]
    assert rows[1]["versus_baseline"]["test_accuracy"]["mean"] == pytest.approx(-0.1)


def test_a_baseline_that_is_not_there_is_an_error_that_names_what_is():
    with pytest.raises(RegbenchError, match="expected one of a, b, received 'c'"):
        compare(frame(("a", "1", 0, 0.5), ("b", "2", 0, 0.5)), baseline="c")


def test_without_a_baseline_nothing_is_compared():
    (row,) = compare(frame(("l2", "c", 0, 0.6)))
    assert row["versus_baseline"] is None
    assert row["changes"] is None


def test_of_several_baselines_the_nearest_is_compared_with():
    configs = {
        "5k": BASE,
        "all": BASE | {"data": {"train_examples": "all"}},
        "drop": BASE | {"dropout": {"dense": 0.5}},
        "dropall": BASE | {"dropout": {"dense": 0.5}, "data": {"train_examples": "all"}},
    }
    rows = compare(
        frame(
            ("baseline", "5k", 0, 0.5), ("baseline", "all", 0, 0.7),
            ("dropout", "drop", 0, 0.6), ("dropout", "dropall", 0, 0.9), configs=configs,
        )
    )  # fmt: skip
    assert [row["config_hash"] for row in rows] == ["5k", "all", "drop", "dropall"]
    assert [row["changes"] for row in rows] == [{}, {}, *[{"dropout.dense": 0.5}] * 2]
    assert rows[2]["versus_baseline"]["test_accuracy"]["mean"] == pytest.approx(0.1)
    assert rows[3]["versus_baseline"]["test_accuracy"]["mean"] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (BASE, {}),
        (BASE | {"l2": 0.001}, {"l2": 0.001}),
        (BASE | {"train": {"epochs": 3}}, {"train.epochs": 3}),
        (BASE | {"dropout": {"dense": 0.5}}, {"dropout.dense": 0.5}),
        (None, None),
    ],
)
def test_changes_are_what_differs_as_dotted_keys(config, expected):
    assert changes(BASE, config) == expected


def test_what_is_switched_off_is_null():
    assert changes(BASE | {"dropout": {"dense": 0.5}}, BASE) == {"dropout": None}


def test_no_run_is_an_error_that_says_how_to_make_one():
    with pytest.raises(RegbenchError, match="make some with: regbench run"):
        compare(frame())


def test_what_is_switched_on_without_values_is_a_change():
    assert changes({"batch_norm": None}, {"batch_norm": {}}) == {"batch_norm": {}}


def test_a_folder_that_is_given_twice_counts_once():
    once = frame(*five("baseline", "b", [0.5, 0.6]))
    assert compare(pandas.concat([once, once])) == compare(once)


def test_of_copied_runs_the_first_counts():
    first = frame(("baseline", "b", 0, 0.5))
    copy = frame(("baseline", "b", 0, 0.9)).assign(results="copy")
    (row,) = compare(pandas.concat([first, copy]))
    assert row["test_accuracy"]["mean"] == 0.5


@pytest.mark.filterwarnings("error")
def test_neither_infinite_nor_huge_numbers_reach_json_or_warn():
    odd = {"seconds": math.inf, "train_loss": math.inf, "test_loss": 1e308}
    huge = {"test_loss": 1.7e308}
    baseline = [("baseline", "b", seed, 0.5, odd) for seed in range(3)]
    rows = compare(frame(*baseline, *[("l2", "c", s, 0.6, [odd, huge][s % 2]) for s in range(3)]))
    json.dumps(rows, allow_nan=False)
    assert rows[0]["seconds"] == 0
    assert rows[0]["train_loss"]["mean"] is None
    assert rows[1]["versus_baseline"]["train_loss"]["pairs"] == 0
    assert rows[1]["versus_baseline"]["test_accuracy"]["pairs"] == 3


def test_a_baseline_changes_nothing_and_an_unknown_config_is_null():
    rows = compare(frame(("baseline", "b", 0, 0.5), ("l2", "c", 0, 0.6)))
    assert [row["changes"] for row in rows] == [{}, None]


def test_where_the_nearest_of_several_baselines_is_unknown_none_is_guessed():
    configs = {"5k": BASE, "all": BASE | {"data": {"train_examples": "all"}}}
    finished = [("baseline", "5k", 0, 0.5), ("baseline", "all", 0, 0.7), ("x", "lost", 0, 0.6)]
    *_, row = compare(frame(*finished, configs=configs))
    assert row["changes"] is row["versus_baseline"] is None


def test_diverged_runs_make_no_pairs():
    nan = {"status": "diverged"}
    baseline = [*five("baseline", "b", [0.5, 0.6]), ("baseline", "b", 2, 0.9, nan)]
    _, row = compare(frame(*baseline, *five("l2", "c", [0.6, 0.7, 0.1])))
    assert row["versus_baseline"]["test_accuracy"]["pairs"] == 2
    assert row["versus_baseline"]["test_accuracy"]["mean"] == pytest.approx(0.1)


def test_configs_are_not_copied_again_for_every_variant():
    class Config(dict):
        def __deepcopy__(self, memo):
            copies.append(self)
            return self

    copies = []
    runs = [(f"v{number:03}", f"{number}", seed, 0.5) for number in range(50) for seed in (0, 1)]
    compare(frame(*runs, configs={"0": Config()}), baseline="v000")
    assert len(copies) < 10


def stored(tmp_path, labels, guesses):
    """Return a frame of runs with these guesses by (name, seed), stored under `tmp_path`."""
    from regbench.runs import predictions

    finished = [
        (name, name, seed, sum(map(int.__eq__, labels, found)) / len(labels))
        for (name, seed), found in guesses.items()
    ]
    for name, seed in guesses:
        folder = tmp_path / f"{name}-{name}-s{seed}"
        folder.mkdir()
        predictions.write(folder / predictions.PREDICTIONS, labels, guesses[name, seed])
    return frame(*finished).assign(results=str(tmp_path))


def test_mcnemar_counts_the_examples_that_one_model_alone_gets_right(tmp_path):
    guesses = {("baseline", 0): [0] * 8, ("l2", 0): [1] * 7 + [0]}
    reference, row = compare(stored(tmp_path, [1] * 6 + [0, 0], guesses))
    expected = {"seed": 0, "only_this_right": 6, "only_baseline_right": 1}
    (found,) = row["mcnemar"]
    assert found.pop("p_value") == pytest.approx(stats.binomtest(1, 7).pvalue)
    assert found == expected
    assert reference["mcnemar"] is None


def test_models_of_different_test_sets_are_not_compared_by_example(tmp_path):
    runs_ = stored(tmp_path, [0, 1], {("baseline", 0): [0, 1], ("l2", 0): [0, 0]})
    (tmp_path / "l2-l2-s0" / "predictions.csv").write_text("label,predicted\n1,1\n0,1\n")
    warnings = []
    assert compare(runs_, warn=warnings.append)[1]["mcnemar"] is None
    (warning,) = warnings
    assert "test labels are not those of" in warning


@pytest.mark.parametrize("rows", ["0,0\n", "0,0\n1,1\n", ""])
def test_predictions_that_give_another_accuracy_are_a_warning_and_no_numbers(tmp_path, rows):
    runs_ = stored(tmp_path, [0, 1], {("baseline", 0): [0, 1], ("l2", 0): [0, 0]})
    (tmp_path / "l2-l2-s0" / "predictions.csv").write_text(f"label,predicted\n{rows}")
    warnings = []
    assert compare(runs_, warn=warnings.append)[1]["mcnemar"] is None
    (warning,) = warnings
    assert "not the run's test_accuracy of 0.5" in warning


def test_damaged_predictions_are_a_warning_and_no_numbers(tmp_path):
    runs_ = stored(tmp_path, [0, 1], {("baseline", 0): [0, 1], ("l2", 0): [0, 0]})
    (tmp_path / "l2-l2-s0" / "predictions.csv").write_text("label,predicted\n1,x\n")
    warnings = []
    assert compare(runs_, warn=warnings.append)[1]["mcnemar"] is None
    assert "l2-l2-s0" in warnings[0]


def test_a_run_that_never_reaches_a_level_leaves_neither_a_mean_nor_a_difference():
    runs_ = frame(*five("baseline", "b", [0.5, 0.6]), *five("l2", "c", [0.6, 0.8]))
    asked = "epochs_to_test_accuracy(0.55)"
    reference, row = compare(runs_, metrics=[asked])
    assert reference["metrics"][asked]["mean"] is None  # one of its two runs got there
    assert row["metrics"][asked]["mean"] == 1
    versus = row["metrics"][asked]["versus_baseline"]
    assert (versus["mean"], versus["pairs"], versus["p_holm"]) == (None, 0, None)
    json.dumps(row, allow_nan=False)


def test_seeds_needed_are_a_range_since_the_spread_is_uncertain():
    better = [0.51, 0.53, 0.5, 0.54, 0.52]
    _, row = compare(frame(*five("baseline", "b", [0.5] * 5), *five("l2", "c", better)))
    versus = row["versus_baseline"]["test_accuracy"]
    needed = [versus[f"pairs_needed{end}"] for end in ("_low", "", "_high")]
    # A standard deviation of five values is known to 0.72 to 1.94 times itself.
    assert needed == [5, 8, 21]


def test_runs_without_predictions_have_no_mcnemar():
    assert compare(frame(("baseline", "b", 0, 0.5), ("l2", "c", 0, 0.6)))[1]["mcnemar"] is None


def test_a_metric_that_is_asked_for_is_compared_like_the_others():
    runs_ = frame(*five("baseline", "b", [0.5, 0.6]), *five("l2", "c", [0.6, 0.8]))
    reference, row = compare(
        pandas.concat([runs_, runs_]), metrics=["epochs_to_test_accuracy(0.5)", "gap"]
    )
    asked = row["metrics"]["epochs_to_test_accuracy(0.5)"]
    assert asked["mean"] == 1.0
    assert asked["versus_baseline"]["mean"] == 0.0
    assert row["metrics"]["gap"]["versus_baseline"] == row["versus_baseline"]["gap"]
    assert reference["metrics"]["gap"]["versus_baseline"] is None


def test_the_json_of_a_row_is_what_it_was_and_its_attributes_say_the_same():
    runs_ = frame(*five("baseline", "b", [0.5, 0.6]), *five("l2", "c", [0.75, 0.85]))
    _, row = comparison.compare(runs_, metrics=["test_accuracy"])
    nothing = {"mean": 0.0, "low": 0.0, "high": 0.0}
    sample, undecided = dict.fromkeys(USUAL, nothing), {
        "p_value": 1.0, "p_floor": 0.5, "p_holm": 1.0, "pairs": 2, "pairs_needed": None,
        "pairs_needed_low": None, "pairs_needed_high": None,
    }  # fmt: skip
    told = json.loads(json.dumps(row.as_dict()))
    better, value = told["versus_baseline"]["test_accuracy"], told["test_accuracy"]
    assert list(told) == [
        "name", "config_hash", "seeds", "runs", "diverged", "parameters", "seconds", "changes",
        *USUAL, "versus_baseline", "metrics", "mcnemar",
    ]  # fmt: skip
    assert told == {
        "name": "l2", "config_hash": "c", "seeds": [0, 1], "runs": 2, "diverged": 0,
        "parameters": 7, "seconds": 2.0, "changes": None, **sample,
        "train_accuracy": {"mean": 0.9, "low": 0.9, "high": 0.9},
        "test_accuracy": value, "gap": told["gap"],
        "versus_baseline": {
            **dict.fromkeys(USUAL, nothing | undecided),
            "test_accuracy": better, "gap": told["versus_baseline"]["gap"],
        },
        "metrics": {"test_accuracy": value | {"versus_baseline": better}},
        "mcnemar": None,
    }  # fmt: skip
    assert list(told["metrics"]["test_accuracy"]) == ["mean", "low", "high", "versus_baseline"]
    assert better["mean"] == row.value("test_accuracy").versus_baseline.mean
    assert better["mean"] == pytest.approx(0.25)
    assert row.gap.mean == pytest.approx(row.train_accuracy.mean - row.test_accuracy.mean)


def test_the_time_is_that_of_a_whole_run_where_every_run_recorded_it():
    waited = [("baseline", "b", seed, 0.5, {"wall_seconds": 10.0 + seed}) for seed in (0, 1)]
    half = [("l2", "c", 0, 0.5, {"wall_seconds": 10.0}), ("l2", "c", 1, 0.5)]
    whole, partly = comparison.compare(frame(*waited, *half))
    assert (whole.wall_seconds, whole.seconds) == (10.5, 2.0)
    assert whole.as_dict()["wall_seconds"] == 10.5
    # A mean of some of the runs would be read as that of all.
    assert partly.wall_seconds is None
    assert "wall_seconds" not in partly.as_dict()


def test_a_frame_without_the_time_of_whole_runs_is_compared_as_before():
    old = frame(*five("baseline", "b", [0.5, 0.6])).drop(columns="wall_seconds")
    (row,) = comparison.compare(old)
    assert (row.seconds, row.wall_seconds) == (2.0, None)
