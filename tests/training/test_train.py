"""One run through the real path, on a network of a few hundred parameters."""

import base64
import csv
import io
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import regbench
from regbench import config, datasets
from regbench.datasets import fingerprint
from regbench.execution.environment import Runtime
from regbench.models import evaluate, saving
from regbench.models.batches import batches as of_epoch
from regbench.models.build import to_inputs
from regbench.models.evaluate import measure
from regbench.regularizers import penalties
from regbench.report import model_cards
from regbench.runs import probe_results
from regbench.runs.files import VALIDATION
from regbench.training import compiled_models, train
from regbench.training.steps import Steps
from regbench.training.train import Job

TINY = [
    "data.name=shapes",
    "data.train_examples=150",
    "data.test_examples=100",
    "model.blocks=[4, 4]",
    "model.dense=[8]",
    "train.epochs=2",
]


def run(results: Path, *overrides: str, seed: int = 0, profile: bool = False, probes: bool = True):
    """Train in this process; return the run's folder, history, summary and emitted events."""
    experiment = config.load("configs/baseline.yaml", [*TINY, *overrides]).with_seed(seed)
    events = []
    runtime, command = Runtime("tensorflow", "cpu", 1), ["regbench", "run"]
    job = Job(experiment, results, runtime, command, profile=profile, probes=probes)
    train.train(job, lambda kind, figures: events.append((kind, figures)))
    folder = results / f"{experiment.name}-{experiment.hash}-s{seed}"
    with (folder / "history.csv").open() as file:
        history = [
            {key: float(value) if value else None for key, value in row.items()}
            for row in csv.DictReader(file)
        ]
    return folder, history, json.loads((folder / "summary.json").read_text()), events


def test_a_run_leaves_the_files_of_the_contract_and_no_others(tmp_path):
    folder, history, summary, events = run(tmp_path)
    names = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    expected = {"config.yaml", "environment.json", "history.csv", "model.keras"}
    expected |= {"predictions.csv", "probes.json", "summary.json"}
    assert names == expected
    assert [row["epoch"] for row in history] == [0, 1, 2]
    assert [kind for kind, _ in events].count("epoch") == 3
    last = history[-1]
    for key in ("train_accuracy", "test_accuracy", "train_loss", "test_loss"):
        assert summary[key] == last[key]
    assert summary["gap"] == last["train_accuracy"] - last["test_accuracy"]
    assert summary["seconds"] == pytest.approx(sum(row["seconds"] for row in history))
    assert summary["images_per_second"] == pytest.approx(2 * 150 / summary["seconds"])
    assert (summary["status"], summary["epochs"], summary["seed"]) == ("completed", 2, 0)
    assert (summary["train_examples"], summary["test_examples"]) == (150, 100)
    assert (summary["train_evaluated"], summary["test_evaluated"]) == (100, 100)
    assert summary["wall_seconds"] > summary["seconds"]
    assert "probes_failed" not in summary


def test_gray_images_of_an_odd_size_are_trained_probed_and_shown_in_the_report(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "own.npz"
    arrays = {
        "train_images": rng.integers(0, 256, (40, 9, 13), np.uint8),
        "test_images": rng.integers(0, 256, (20, 9, 13), np.uint8),
    }
    labels = {"train_labels": np.arange(40) % 4, "test_labels": np.arange(20) % 4}
    np.savez(path, **arrays, **labels, classes=np.array(["a", "b", "c", "d"]))
    own = ["data.name=arrays", f"data.path={path}", "data.train_examples=all"]
    folder, history, summary, _ = run(tmp_path / "results", *own, "data.test_examples=all")
    assert "probes_failed" not in summary
    assert [row["test_evaluated"] for row in history] == [20, 20, 20]
    details = probe_results.read(folder).details
    assert details.mistake_images.shape == (len(details.mistakes), 9, 13, 1)
    shown = {image.tobytes() for image in arrays["test_images"]}
    assert {image.tobytes() for image in details.mistake_images.array()} <= shown
    assert details.filters.shape == (4, 3, 3, 1)
    model = model_cards.describe("own", [probe_results.read(folder)])
    for url in (model.filters, *(mistake.image for mistake in model.mistakes)):
        picture = Image.open(io.BytesIO(base64.b64decode(url.split(",")[1])))
        assert picture.mode == "L"
    assert (picture.width, picture.height) == (13, 9)
    predicted = saving.load_model(folder).predict(arrays["test_images"][..., None])
    assert predicted.shape == (20, 4)


def test_the_first_and_the_last_epoch_are_measured_on_all_and_others_as_the_config_says(tmp_path):
    overrides = ["train.epochs=5", "evaluation={every: 2, examples: 30}"]
    _, history, summary, events = run(tmp_path, *overrides, probes=False)
    evaluated = [(row["train_evaluated"], row["test_evaluated"]) for row in history]
    assert evaluated == [(100, 100), (0, 0), (30, 30), (0, 0), (30, 30), (100, 100)]
    for row in history:
        for column in ("train_loss", "train_accuracy", "test_loss", "test_accuracy"):
            assert (row[column] is None) == (row["test_evaluated"] == 0)
        assert row["penalty"] == 0
    assert summary["test_evaluated"] == 100
    assert [figures["epoch"] for kind, figures in events if kind == "epoch"] == list(range(6))


def test_how_the_curves_are_measured_changes_nothing_else(tmp_path):
    few = run(tmp_path, "evaluation={every: 9, examples: 30}", probes=False)
    whole = run(tmp_path, "evaluation.examples=all", probes=False)
    for one, other in zip(few[1], whole[1], strict=True):
        assert one["reported_loss"] == other["reported_loss"]
        assert other["test_evaluated"] == 100
    ends = [row["test_loss"] for row in (few[1][0], few[1][-1])]
    assert ends == [row["test_loss"] for row in (whole[1][0], whole[1][-1])]
    assert few[0] != whole[0]  # two experiments, and not one that is skipped for the other


def test_a_probe_that_fails_is_a_line_of_the_summary(tmp_path, monkeypatch):
    def fail(subject):
        raise ValueError("expected ndim=4, found ndim=2")

    monkeypatch.setattr("regbench.probes.dropout.measure", fail)
    _, _, summary, _ = run(tmp_path, "train.epochs=1", "dropout.dense=0.5")
    assert summary["status"] == "completed"
    assert summary["probes_failed"] == {"dropout": "ValueError: expected ndim=4, found ndim=2"}
    assert summary["probes"]["dropout"] is None
    assert summary["probes"]["ledger"]


def test_a_technique_that_drops_whole_maps_is_probed_as_any_other(tmp_path, monkeypatch):
    def spatial(technique, rate, name):
        return keras.layers.SpatialDropout2D(rate, name=name)

    monkeypatch.setattr("regbench.regularizers.dropout.Dropout._layer", spatial)
    _, _, summary, _ = run(tmp_path, "train.epochs=1", "dropout.conv=0.5")
    assert "probes_failed" not in summary
    first, _ = summary["probes"]["dropout"]["layers"]
    assert first["dropped"] == pytest.approx(0.5, abs=0.01)
    assert summary["probes"]["ledger"]["loss"]["passes"] >= 4


def test_a_run_without_probes_keeps_its_predictions(tmp_path):
    folder, history, summary, _ = run(tmp_path, "train.epochs=1", probes=False)
    assert "probes" not in summary
    assert not (folder / "probes.json").exists()
    rows = (folder / "predictions.csv").read_text().splitlines()[1:]
    right = sum(label == guess for label, guess in (row.split(",") for row in rows))
    assert right / len(rows) == history[-1]["test_accuracy"]


def test_probes_measure_nothing_again_that_the_last_epoch_measured(tmp_path, monkeypatch):
    images = []
    real = evaluate.predict
    counted = lambda model, batch: (images.append(len(batch)), real(model, batch))[1]  # noqa: E731
    for module in ("training.evaluate", "probes.harness", "probes.batch_norm"):
        monkeypatch.setattr(f"regbench.{module}.predict", counted)
    run(tmp_path, "evaluation.examples=30")
    assert images == [100, 100, 30, 30, 100, 100]


def test_a_run_records_the_fingerprint_of_its_data_and_the_machine(tmp_path):
    folder, _, summary, _ = run(tmp_path)
    environment = json.loads((folder / "environment.json").read_text())
    splits = datasets.load(config.load(folder / "config.yaml").data, seed=0)
    expected = {"pool": splits.pool, "examples": fingerprint.of(splits)}
    assert summary["data"] == environment["data"] == expected
    assert environment["processor"]["model"] == environment["cpu"]
    other, _, _, _ = run(tmp_path, "l2=1e-3")
    assert json.loads((other / "summary.json").read_text())["data"] == expected
    _, _, noisy, _ = run(tmp_path, "data.label_noise=0.2")
    assert noisy["data"]["pool"] == expected["pool"]
    assert noisy["data"]["examples"] != expected["examples"]


def test_epoch_0_is_the_untrained_model(tmp_path):
    _, history, _, _ = run(tmp_path)
    assert history[0]["reported_loss"] is None
    assert history[0]["reported_accuracy"] is None
    assert history[0]["train_loss"] == pytest.approx(np.log(10), rel=0.1)
    assert history[-1]["train_loss"] < history[0]["train_loss"]


def test_the_saved_model_is_the_one_that_was_measured(tmp_path):
    folder, history, summary, _ = run(tmp_path, "batch_norm=true", "dropout.dense=0.5")
    model = keras.saving.load_model(folder / "model.keras", safe_mode=True)
    data = config.load(folder / "config.yaml").data
    splits = datasets.load(data, seed=0)
    measured = measure(model, splits.test_images, splits.test_labels)
    assert measured.loss == pytest.approx(history[-1]["test_loss"], abs=1e-6)
    assert measured.accuracy == history[-1]["test_accuracy"]
    assert model.count_params() == summary["parameters"]


def test_the_resolved_config_alone_repeats_the_run(tmp_path):
    folder, _, _, _ = run(tmp_path / "first", "l2=1e-3", seed=3)
    again = config.load(folder / "config.yaml")
    assert again.seed == 3
    job = Job(again, tmp_path / "second", Runtime("tensorflow", "cpu", 1), [])
    train.train(job, lambda kind, figures: None)
    repeated = tmp_path / "second" / folder.name / "history.csv"
    assert without_seconds(repeated) == without_seconds(folder / "history.csv")


def without_seconds(path: Path) -> list[list[str]]:
    with path.open() as file:
        rows = list(csv.reader(file))
    column = rows[0].index("seconds")
    return [row[:column] + row[column + 1 :] for row in rows]


def test_keras_reports_a_loss_with_the_penalty_and_a_moving_average(tmp_path):
    _, plain, _, _ = run(tmp_path / "plain")
    _, penalized, _, _ = run(tmp_path / "l2", "l2=1.0")
    assert plain[1]["penalty"] == 0
    assert penalized[1]["penalty"] > 1
    assert penalized[1]["reported_loss"] > penalized[1]["train_loss"] + 1
    assert plain[1]["reported_loss"] != plain[1]["train_loss"]


@pytest.mark.parametrize(
    "toggles",
    [[], ["l2=1e-3", "dropout={dense: 0.5, conv: 0.2}", "batch_norm=true"], ["pooling=none"]],
)
def test_a_history_is_that_of_plain_keras(tmp_path, toggles):
    """Whatever is done for speed, a run does what fit and evaluate do with the same batches."""
    _, history, _, _ = run(tmp_path, *toggles)
    experiment = config.load("configs/baseline.yaml", [*TINY, *toggles])
    splits = datasets.load(experiment.data, 0)
    model = compiled_models.build(experiment, splits.train_images.shape[1:], 10)
    compiled_models.compile_model(model, experiment, 3)
    test = to_inputs(splits.test_images), splits.test_labels
    for epoch in (1, 2):
        batches = list(of_epoch(experiment, splits, epoch))
        images, labels = (np.concatenate(each) for each in zip(*batches, strict=True))
        fitted = model.fit(images, labels, batch_size=64, shuffle=False, verbose=0).history
        evaluated = model.evaluate(*test, verbose=0, return_dict=True)
        row = history[epoch]
        assert row["reported_loss"] == pytest.approx(fitted["loss"][0], rel=1e-4)
        assert row["reported_accuracy"] == pytest.approx(fitted["accuracy"][0], abs=1e-6)
        assert row["test_loss"] + row["penalty"] == pytest.approx(evaluated["loss"], rel=1e-4)
        assert row["test_accuracy"] == pytest.approx(evaluated["accuracy"], abs=1e-6)


def soften(technique, images, targets, rng):
    """Stand in for a technique that draws, changes images and softens targets."""
    share = np.float32(rng.uniform(0.1, 0.3))
    return images * (1 - share), (1 - share) * targets + share / np.float32(targets.shape[1])


def test_the_reported_loss_is_the_cross_entropy_against_the_targets_of_the_batch(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(penalties.L2, "batch", soften)
    whole = ["train.batch_size=150", "train.epochs=1", "l2=1e-9"]
    _, history, _, _ = run(tmp_path, *whole, probes=False)
    experiment = config.load("configs/baseline.yaml", [*TINY, *whole])
    splits = datasets.load(experiment.data, 0)
    untrained = compiled_models.build(experiment, splits.train_images.shape[1:], 10)
    ((images, targets),) = of_epoch(experiment, splits, 1)
    outputs = untrained.predict_on_batch(images)
    expected = -(targets * np.log(outputs)).sum(axis=1).mean()
    assert history[1]["reported_loss"] == pytest.approx(expected, rel=1e-5)
    right = (outputs.argmax(axis=1) == targets.argmax(axis=1)).mean()
    assert history[1]["reported_accuracy"] == pytest.approx(right)
    # The curves stay those of the true labels and pixels.
    epoch_0 = evaluate.measure(untrained, splits.test_images, splits.test_labels)
    assert history[0]["test_loss"] == epoch_0.loss


def test_an_estimate_times_what_the_techniques_do_to_batches(monkeypatch):
    called = []
    monkeypatch.setattr(penalties.L2, "batch", lambda *args: (called.append(1), soften(*args))[1])
    experiment = config.load("configs/baseline.yaml", [*TINY, "l2=1e-9"])
    splits = datasets.load(experiment.data, 0)
    model = compiled_models.build(experiment, splits.train_images.shape[1:], 10)
    compiled_models.compile_model(model, experiment, 3)
    assert train.time_epoch(Steps(model), experiment, splits) > 0
    assert len(called) == 3


def test_the_data_order_depends_on_the_seed_and_the_epoch_alone():
    def order(overrides, epoch):
        experiment = config.load("configs/baseline.yaml", [*TINY, *overrides])
        splits = datasets.load(experiment.data, 0)
        return np.concatenate([labels for _, labels in of_epoch(experiment, splits, epoch)])

    first = order([], 1)
    np.testing.assert_array_equal(first, order(["dropout.dense=0.5", "train.epochs=9"], 1))
    assert (first != order([], 2)).any()
    assert (first != order(["seed=1"], 1)).any()


def test_every_training_example_is_seen_once_an_epoch():
    experiment = config.load("configs/baseline.yaml", TINY)
    splits = datasets.load(experiment.data, 0)
    batches = [images for images, _ in of_epoch(experiment, splits, 1)]
    assert [len(batch) for batch in batches] == [64, 64, 22]
    seen = np.sort(np.concatenate(batches).sum(axis=(1, 2, 3)))
    expected = np.sort(to_inputs(splits.train_images).sum(axis=(1, 2, 3)))
    np.testing.assert_allclose(seen, expected, rtol=1e-5)


FEW = ["model={blocks: [2], convolutions: 1, dense: [4]}", "data.test_examples=40"]


def weights_of(folder):
    return keras.saving.load_model(folder / "model.keras", safe_mode=True).get_weights()


@pytest.mark.parametrize(
    "technique", [["swa={start: 0}"], ["ema=0.5", "batch_norm=true"]], ids=["swa", "ema"]
)
def test_averages_are_what_is_measured_and_saved_while_training_is_the_baselines(
    tmp_path, technique
):
    normalized = technique[1:]
    plain = [
        run(tmp_path / str(n), *FEW, *normalized, f"train.epochs={n}", probes=False) for n in (1, 2)
    ]
    folder, history, _, _ = run(tmp_path, *FEW, *technique)
    reported = [row["reported_loss"] for row in history]
    assert reported == [row["reported_loss"] for row in plain[1][1]]
    if technique == ["swa={start: 0}"]:
        after = zip(weights_of(plain[0][0]), weights_of(plain[1][0]), strict=True)
        expected = [(first + second) / 2 for first, second in after]
        for mine, mean in zip(weights_of(folder), expected, strict=True):
            np.testing.assert_allclose(mine, mean, rtol=1e-4, atol=1e-6)
    assert history[-1]["test_loss"] != plain[1][1][-1]["test_loss"]
    model = keras.saving.load_model(folder / "model.keras", safe_mode=True)
    splits = datasets.load(config.load(folder / "config.yaml").data, seed=0)
    measured = measure(model, splits.test_images, splits.test_labels)
    assert measured.loss == pytest.approx(history[-1]["test_loss"], abs=1e-6)


STOPS = [*FEW, "data.validation_examples=0.2", "train.epochs=40", "train.learning_rate=0.03"]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A run that early stopping ends long before its last epoch: so few examples soon tie."""
    toggle = "early_stopping={patience: 2, metric: validation_accuracy}"
    return run(tmp_path_factory.mktemp("stopped"), *STOPS, toggle)


def test_a_run_that_is_stopped_is_that_of_its_best_epoch_and_says_why_it_ended(stopped):
    folder, history, summary, _ = stopped
    last = int(history[-1]["epoch"])
    assert last < 40
    accuracies = [row["validation_accuracy"] for row in history[1:-1]]
    best = 1 + accuracies.index(max(accuracies))
    reason = f"validation_accuracy has not improved since epoch {best}, for 2 epochs"
    assert summary["stopped"] == {
        "epoch": last, "reason": f"early_stopping: {reason}", "kept_epoch": best,
    }  # fmt: skip
    assert best == last - 2
    assert summary["status"] == "completed"
    # The last row is measured with the weights that are kept, on all examples.
    for column in ("validation_loss", "validation_accuracy"):
        assert history[-1][column] == history[best][column] == summary[column]
    assert {row["validation_evaluated"] for row in history} == {30}
    assert (history[-1]["train_evaluated"], history[-1]["test_evaluated"]) == (40, 40)
    model = keras.saving.load_model(folder / "model.keras", safe_mode=True)
    splits = datasets.load(config.load(folder / "config.yaml").data, seed=0)
    measured = measure(model, *splits.validation)
    assert measured.accuracy == history[best]["validation_accuracy"]
    assert not (folder / "checkpoint").exists()


def test_a_run_that_was_stopped_compares_as_any_finished_run(stopped):
    warnings = []
    results = regbench.load(stopped[0].parent, warn=warnings.append)
    (row,) = regbench.compare(results, metrics=["validation_accuracy"], warn=warnings.append)
    assert warnings == []
    assert (row.runs, row.diverged) == (1, 0)
    found = row.metrics["validation_accuracy"].mean
    assert found == stopped[1][-1]["validation_accuracy"]


def test_validation_examples_change_nothing_but_what_is_measured(tmp_path):
    _, plain, summary, _ = run(tmp_path, *FEW, probes=False)
    validated = "data.validation_examples=30"
    _, history, more, _ = run(tmp_path, *FEW, validated, "evaluation.every=5", probes=False)
    assert not {*plain[0]} & {*VALIDATION}
    assert "stopped" not in more
    assert set(more) - set(summary) == {*VALIDATION}
    assert [row["reported_loss"] for row in history] == [row["reported_loss"] for row in plain]
    assert history[-1]["test_loss"] == plain[-1]["test_loss"]
    assert [row["validation_evaluated"] for row in history] == [30, 0, 30]
    assert history[1]["validation_loss"] is None


def test_a_diverging_run_ends_early_and_says_so_without_nan_in_json(tmp_path):
    overrides = ["train.optimizer=sgd", "train.learning_rate=1e38", "train.epochs=9"]
    folder, history, summary, _ = run(tmp_path, *overrides)
    assert summary["status"] == "diverged"
    assert summary["epochs"] == len(history) - 1 < 9
    assert "NaN" not in (folder / "summary.json").read_text()


@pytest.mark.parametrize("every", [1, 5])
def test_no_epoch_hides_that_a_run_diverges(tmp_path, every):
    """A loss that is reported, or weights where none is measured: both end the run at once."""
    overrides = ["train.optimizer=sgd", "train.learning_rate=1e38", "train.epochs=9"]
    measured = [f"evaluation={{every: {every}, examples: 10}}"]
    _, history, summary, _ = run(tmp_path, *overrides, *measured)
    assert summary["status"] == "diverged"
    assert len(history) == 2
    assert history[-1]["test_evaluated"] == summary["test_evaluated"] == 100


def test_a_profile_is_written_on_demand_and_its_parts_are_the_whole(tmp_path):
    folder, history, _, _ = run(tmp_path, profile=True)
    seconds = json.loads((folder / "profile.json").read_text())
    total = seconds.pop("total")
    assert sum(seconds.values()) == pytest.approx(total)
    assert {"start", "data", "build", "compile", "step", "evaluate", "save"} <= set(seconds)
    trained = sum(row["seconds"] for row in history)
    assert seconds["compile"] + seconds["step"] <= trained <= total


def test_the_learning_rate_is_recorded_as_it_falls(tmp_path):
    _, history, _, _ = run(tmp_path, "train.schedule=cosine", "train.learning_rate=0.01")
    rates = [row["learning_rate"] for row in history]
    assert rates[0] == pytest.approx(0.01)
    assert rates[1] == pytest.approx(0.005, rel=1e-3)
    assert rates[2] == pytest.approx(0, abs=1e-8)
