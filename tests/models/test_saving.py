"""A run's model is loaded by plain Keras, and by regbench with its preprocessing."""

import subprocess
import sys
import time
import zipfile

import keras
import numpy as np
import pytest
from PIL import Image

import regbench
from regbench import config, datasets
from regbench.errors import RegbenchError
from regbench.execution.environment import Runtime
from regbench.models import saving
from regbench.models.build import build
from regbench.regularizers.keras_penalties import LpNorm
from regbench.runs.folder import RunFolder
from regbench.training.train import Job, train

CHANGES = ["lp={p: 3, strength: 1e-3}", "l2=1e-3", "batch_norm=true", "train.epochs=2"]
PLAIN = """
import sys, keras
model = keras.saving.load_model(sys.argv[1])
assert "regbench" not in sys.modules
print(model.count_params())
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run with every kind of penalty: its folder and its summary."""
    results = tmp_path_factory.mktemp("results")
    experiment = config.load("configs/smoke.yaml", CHANGES)
    summary = train(Job(experiment, results, Runtime("tensorflow", "cpu", 1), []), lambda *_: None)
    return RunFolder.of(results, experiment).path, summary


def test_plain_keras_loads_the_model_of_a_run_with_penalties_of_regbench(finished):
    folder, summary = finished
    done = subprocess.run(
        [sys.executable, "-c", PLAIN, str(folder / "model.keras")],
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) == summary["parameters"]


def test_saving_leaves_the_model_its_penalties(tmp_path):
    experiment = config.load("configs/smoke.yaml", CHANGES)
    model = build(experiment, (32, 32, 3), 10)
    before = float(sum(model.losses))
    saving.save(model, tmp_path / "model.keras")
    assert float(sum(model.losses)) == before > 0
    assert model.layers[0].kernel_regularizer is not None


@pytest.mark.parametrize("now", [0.0, 200 * 365.25 * 86_400])
def test_a_model_is_saved_whatever_the_clock_says(tmp_path, monkeypatch, now):
    """A zip file can be dated from 1980 to 2107 alone; clocks without a battery start in 1970."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    monkeypatch.setattr(time, "time", lambda: now)
    saving.save(model, tmp_path / "model.keras")
    assert keras.saving.load_model(tmp_path / "model.keras").count_params() == 3
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        assert {each.date_time[0] for each in archive.infolist()} <= {1980}
    assert zipfile.time is time


def test_a_loaded_model_takes_raw_images_and_is_as_good_as_the_run_says(finished):
    folder, summary = finished
    data = config.load(folder / "config.yaml").data
    splits = datasets.load(data, seed=0)
    loaded = regbench.load_model(folder)
    assert loaded.classes == splits.classes
    probabilities = loaded.predict(splits.test_images)
    assert probabilities.shape == (len(splits.test_labels), len(loaded.classes))
    accuracy = float((probabilities.argmax(axis=1) == splits.test_labels).mean())
    assert accuracy == summary["test_accuracy"]
    wrong = splits.test_images / 255
    with pytest.raises(RegbenchError, match=r"expected uint8 of nx.*, received float64 of"):
        loaded.predict(wrong)
    with pytest.raises(RegbenchError, match="images: expected uint8"):
        loaded.predict(splits.test_images[0])


def test_a_model_that_was_saved_with_its_penalties_is_loaded_too(tmp_path):
    layers = [keras.Input((4, 4, 1)), keras.layers.Flatten()]
    dense = keras.layers.Dense(2, "softmax", kernel_regularizer=LpNorm(3, 1e-3))
    keras.Sequential([*layers, dense]).save(tmp_path / "model.keras")
    loaded = regbench.load_model(tmp_path)
    assert loaded.classes == ()
    assert loaded.predict(np.zeros((3, 4, 4, 1), np.uint8)).shape == (3, 2)


def test_what_is_no_model_is_one_line(tmp_path):
    with pytest.raises(RegbenchError, match=r"expected the folder of a finished run"):
        regbench.load_model(tmp_path)
    (tmp_path / "model.keras").write_bytes(b"no archive")
    with pytest.raises(RegbenchError, match=r"can't be loaded") as error:
        regbench.load_model(tmp_path)
    assert "\n" not in str(error.value)


def test_importing_regbench_stays_cheap():
    code = "import sys, regbench; regbench.__all__; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    loaded = set(done.stdout.split())
    assert not loaded & {"numpy", "keras", "tensorflow", "pandas", "pydantic"}


def test_a_run_is_opened_by_its_folder_and_its_model_predicts_on_a_folder_of_images(
    finished, tmp_path
):
    folder, summary = finished
    run = regbench.Run(folder)
    assert (run.name, run.seed, run.folder) == (summary["name"], summary["seed"], folder)
    drawn = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    (tmp_path / "more").mkdir()
    for place, pixels in zip(("b.png", "a.png", "more/c.png"), drawn, strict=True):
        Image.fromarray(pixels).save(tmp_path / place)
    model = run.model()
    found = model.predict_folder(tmp_path)
    assert found["file"].tolist() == ["a.png", "b.png", "more/c.png"]
    expected = model.predict(drawn[[1, 0, 2]])
    np.testing.assert_allclose(found[list(model.classes)].to_numpy(), expected, rtol=1e-6)
    best = [model.classes[each] for each in expected.argmax(axis=1)]
    assert found["predicted"].tolist() == best
    # Gray images and other sizes are made to fit only if that is asked for.
    Image.fromarray(drawn[0, ..., 0]).resize((48, 40)).save(tmp_path / "d.png")
    with pytest.raises(RegbenchError, match=r"expected 32 x 32 pixels.*received 48 x 40.*resize"):
        model.predict_folder(tmp_path)
    assert len(model.predict_folder(tmp_path, resize=True)) == 4


def test_a_folder_that_is_no_run_or_has_no_images_ends_in_a_line(finished, tmp_path):
    with pytest.raises(RegbenchError, match="expected the folder of a finished run"):
        regbench.Run(tmp_path)
    with pytest.raises(RegbenchError, match="expected a folder with PNG or JPEG files"):
        regbench.Run(finished[0]).model().predict_folder(tmp_path)
