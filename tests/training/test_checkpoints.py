"""A run that resumes where it was: exactly, from what is whole, and not from anything else."""

import csv
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from regbench import config, files
from regbench.execution import signals
from regbench.execution.environment import Runtime
from regbench.regularizers.dropout import Dropout
from regbench.runs.files import HISTORY
from regbench.runs.folder import RunFolder
from regbench.training import checkpoints, compiled_epochs, compiled_models, steps, train
from regbench.training.checkpoints import CheckpointRefused, Checkpoints, Position
from regbench.training.train import Job

# Everything that has a state: Adam's slots, a falling rate, dropout, batch normalization.
STATEFUL = [
    "data.name=shapes",
    "data.train_examples=150",
    "data.test_examples=60",
    "model.blocks=[2]",
    "model.convolutions=1",
    "model.dense=[8]",
    "dropout.dense=0.5",
    "batch_norm=true",
    "train.schedule=cosine",
    "train.epochs=3",
]
STEPS = 3  # an epoch has


def experiment(*overrides):
    return config.load("configs/baseline.yaml", [*STATEFUL, *overrides])


def job(results, *overrides, threads=1, restart=False):
    runtime = Runtime(keras.backend.backend(), "cpu", threads)
    return Job(experiment(*overrides), results, runtime, ["regbench", "run"], restart)


def run(results, *overrides, **options):
    """Train in this process; return the emitted notes."""
    notes = []
    train.train(
        job(results, *overrides, **options),
        lambda kind, figures: notes.append(figures["text"]) if kind == "note" else None,
    )
    return notes


def interrupt(monkeypatch, results, asked, position, *overrides, **options):
    """Train until it is asked for the `asked`-th time whether it should stop, and answer yes.

    It is asked after each step.
    """
    answers = iter(range(1, 10**6))
    compiled_models._kept.clear()  # a trainer that was used before begins with several steps
    with monkeypatch.context() as patch:
        patch.setattr(steps, "MOST_STEPS", 1)
        patch.setattr(compiled_epochs, "MOST_STEPS", 1)  # on JAX
        patch.setattr(signals, "stop_requested", lambda: next(answers) >= asked)
        with pytest.raises(signals.Stopped, match=f"stopped at {position};"):
            run(results, *overrides, **options)


def outcome(results, *overrides):
    """Return the history without its seconds, the bytes of all weights, and the folder's names."""
    folder = RunFolder.of(results, experiment(*overrides)).path
    with (folder / "history.csv").open() as file:
        rows = [[*row.values()] for row in csv.DictReader(file)]
    seconds = HISTORY.index("seconds")
    model = keras.saving.load_model(folder / "model.keras", safe_mode=True)
    weights = [np.asarray(weight).tobytes() for weight in model.get_weights()]
    return [row[:seconds] + row[seconds + 1 :] for row in rows], weights


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    results = tmp_path_factory.mktemp("uninterrupted")
    run(results)
    return outcome(results)


def names(results):
    return sorted(path.name for path in RunFolder.of(results, experiment()).checkpoints.iterdir())


def test_a_run_that_is_stopped_and_goes_on_is_the_run_that_never_was(
    monkeypatch, tmp_path, uninterrupted
):
    """Stopped before training, in the middle of an epoch, after its last step and between two."""
    asked_at = {"epoch 1": 1, "step 2 of epoch 1": 2, "step 3 of epoch 1": 1, "epoch 3": 5}
    for position, count in asked_at.items():
        interrupt(monkeypatch, tmp_path, count, position)
    assert names(tmp_path) == ["000002-000000000", "000003-000000000"]
    assert run(tmp_path) == ["resuming from epoch 3"]
    assert outcome(tmp_path) == uninterrupted
    assert not RunFolder.of(tmp_path, experiment()).checkpoints.exists()


@pytest.mark.configs
def test_a_technique_that_changes_batches_draws_after_a_stop_what_it_would_have_drawn(
    monkeypatch, tmp_path
):
    def noise(technique, images, targets, rng):
        mixed = rng.permutation(len(images))
        return images + rng.normal(0, 0.1, images.shape).astype("float32"), (
            np.float32(0.5) * targets + np.float32(0.5) * targets[mixed]
        )

    monkeypatch.setattr(Dropout, "batch", noise)
    assert_resumes(monkeypatch, tmp_path)


EVERY_TECHNIQUE = [
    "flip=true",
    "mixup=true",
    "dropblock=0.3",
    "gaussian_noise=0.1",
    "weight_decay=0.1",
    "gradient_clipping=1.0",
    "max_norm=1",
    "ema=0.9",
    "data.validation_examples=20",
    # Best after the first epoch: the last one restores weights that a checkpoint brought along.
    "early_stopping={patience: 9, metric: validation_accuracy}",
    "train.learning_rate=1.0",
]


SWA = pytest.param(["swa={start: 0.3}"], id="swa", marks=pytest.mark.configs)


@pytest.mark.parametrize("overrides", [pytest.param(EVERY_TECHNIQUE, id="all"), SWA])
@pytest.mark.processes
def test_averages_and_the_best_weights_are_those_of_a_run_that_never_was_stopped(
    monkeypatch, tmp_path, overrides
):
    assert_resumes(monkeypatch, tmp_path, *overrides)


def assert_resumes(monkeypatch, results, *overrides):
    """Stop a run within an epoch and between two; it ends as one that was never stopped."""
    run(results / "whole", *overrides)
    interrupt(monkeypatch, results, 3, "step 2 of epoch 1", *overrides)
    interrupt(monkeypatch, results, 6, "epoch 3", *overrides)
    assert run(results, *overrides) == ["resuming from epoch 3"]
    assert outcome(results, *overrides) == outcome(results / "whole", *overrides)


@pytest.mark.configs
@pytest.mark.parametrize("pooling", ["stochastic", "mixed"])
def test_layers_that_keras_does_not_have_draw_on_where_they_were(monkeypatch, tmp_path, pooling):
    random = [f"pooling={pooling}", "dropblock=0.3", "gaussian_noise=0.1", "spatial_dropout=0.2"]
    random += ["gaussian_dropout=0.2", "dropout=null", "train.epochs=1"]
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    run(whole, *random)
    interrupt(monkeypatch, stopped, 2, "step 1 of epoch 1", *random)
    assert run(stopped, *random) == ["resuming from step 1 of epoch 1"]
    assert outcome(stopped, *random) == outcome(whole, *random)


def test_the_time_of_a_run_is_that_of_all_its_sessions(monkeypatch, tmp_path):
    interrupt(monkeypatch, tmp_path, 2, "step 1 of epoch 1")
    path = RunFolder.of(tmp_path, experiment()).checkpoints / "000001-000000001" / "state.json"
    before = json.loads(path.read_text())["position"]["wall_seconds"]
    assert before > 0
    monkeypatch.setattr(train.Stopwatch, "breakdown", lambda watch: {"total": 1000.0})
    run(tmp_path)
    summary = json.loads((path.parents[2] / "summary.json").read_text())
    assert summary["wall_seconds"] == pytest.approx(before + 1000)


def test_a_run_that_is_to_restart_does(monkeypatch, tmp_path, uninterrupted):
    interrupt(monkeypatch, tmp_path, 2, "step 1 of epoch 1")
    assert run(tmp_path, restart=True) == []
    assert outcome(tmp_path) == uninterrupted


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_two_runs_of_a_seed_are_equal_on_another_backend_too(backend):
    """Keras is imported with one backend, so that another one needs a process of its own."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    command = [sys.executable, "-m", "pytest", "-q", __file__, "-k", "never_was or restart_does"]
    variables = os.environ | Runtime(backend, "cpu", 1).variables()
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout


def test_a_finished_run_is_not_trained_again_by_a_sweep_that_began_before_its_end(tmp_path):
    run(tmp_path, "train.epochs=1")
    path = RunFolder.of(tmp_path, experiment("train.epochs=1")).path
    before = contents(path)
    assert run(tmp_path, "train.epochs=1") == ["finished meanwhile"]
    summary = train.train(job(tmp_path, "train.epochs=1"), lambda kind, figures: None)
    assert summary == json.loads((path / "summary.json").read_text())
    assert contents(path) == before


def contents(folder):
    """Return the bytes of every file, and when it was written."""
    return {
        each.name: (each.read_bytes(), each.stat().st_mtime_ns)
        for each in folder.iterdir()
        if each.is_file() and each.name != ".lock"
    }


def test_a_finished_run_stays_until_the_one_that_replaces_it_is_complete(
    monkeypatch, tmp_path, uninterrupted
):
    run(tmp_path)
    folder = RunFolder.of(tmp_path, experiment())
    before = contents(folder.path)
    interrupt(monkeypatch, tmp_path, 2, "step 1 of epoch 1", restart=True)
    interrupt(monkeypatch, tmp_path, 3, "epoch 2")  # the replacement resumes
    assert contents(folder.path) == before
    assert folder.is_being_replaced
    assert run(tmp_path) == ["resuming from epoch 2"]
    assert not folder.is_being_replaced
    after = contents(folder.path)
    assert set(after) == set(before)
    assert not set(after.values()) & set(before.values())
    assert outcome(tmp_path) == uninterrupted
    assert [each.name for each in tmp_path.iterdir()] == [folder.path.name]


def test_checkpoints_that_take_long_leave_most_of_the_time_to_training(monkeypatch, tmp_path):
    """With a history of 100,000 epochs a checkpoint takes seconds."""
    monkeypatch.setattr(checkpoints, "COSTLY_SECONDS", -1.0)
    monkeypatch.setattr(checkpoints, "PAUSE", 10**9)
    saved = []
    save = Checkpoints.save
    monkeypatch.setattr(
        Checkpoints, "save", lambda *args: (saved.append(str(args[2])), save(*args))
    )
    run(tmp_path)
    assert saved == ["epoch 1"]


def test_minutes_bound_what_a_crash_in_a_long_epoch_costs(monkeypatch, tmp_path):
    saved = []
    save = Checkpoints.save
    monkeypatch.setattr(
        Checkpoints, "save", lambda *args: (saved.append(str(args[2])), save(*args))
    )
    run(tmp_path, "train.checkpoint_minutes=1e-9", "train.epochs=1")
    assert saved == ["epoch 1", *(f"step {step} of epoch 1" for step in (1, 2, 3))]


def small(folder, minutes=10.0, **changes):
    """Return a tiny compiled model and its checkpoints, one of them written."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.Dropout(0.5)])
    model.compile("adam", "mse")
    kept = Checkpoints(folder, IDENTITY | changes, minutes)
    return model, kept


IDENTITY = {
    "run": "baseline-00000000-s0",
    "backend": "tensorflow",
    "device": "cpu",
    "threads": 2,
    "data": "0123456789abcdef" * 4,
    "regbench": "0.1.0",
    "keras": "3.15.1",
    "numpy": "2.1.0",
    "tensorflow": "2.21.0",
}


def row(epoch):
    return dict.fromkeys(HISTORY, 0.5) | {"epoch": epoch, "reported_loss": None}


def saved(folder, steps=1, **changes):
    model, kept = small(folder, **changes)
    for step in range(steps):
        kept.save(model, Position([row(0)], step, 1.5, 2, 3.0))
    return model, kept


def test_what_was_saved_comes_back(tmp_path):
    model, kept = saved(tmp_path, steps=3)
    found = kept.latest()
    assert found.position == Position([row(0)], 2, 1.5, 2, 3.0)
    assert checkpoints.threads(tmp_path) == 2
    before = [np.array(each.value) for each in [*model.variables, *model.optimizer.variables]]
    model.fit(np.ones((8, 3)), np.ones((8, 2)), verbose=0)
    found.restore(model)
    after = [np.array(each.value) for each in [*model.variables, *model.optimizer.variables]]
    assert all(map(np.array_equal, before, after))
    assert any("seed_generator" in variable.path for variable in model.variables)


@pytest.mark.parametrize(
    ("epochs", "steps", "expected"),
    [(1, 2, None), (2, 3, None), (0, 2, "step 2 of epoch 0"), (1, 1, "step 1 of epoch 1")],
)
def test_a_position_that_the_run_cannot_have_reached_is_refused(tmp_path, epochs, steps, expected):
    _, kept = saved(tmp_path, steps=3)
    if expected is None:
        kept.latest().check(epochs, steps)
        return
    with pytest.raises(CheckpointRefused, match=f"expected at most {expected}, received step 2 of"):
        kept.latest().check(epochs, steps)


def test_a_checkpoint_with_more_epochs_than_the_run_has_trains_nothing(monkeypatch, tmp_path):
    """Whoever can write a checkpoint can write its checksum, and a history with it."""
    interrupt(monkeypatch, tmp_path, 2, "step 1 of epoch 1")
    newest = checkpoints._newest_first(RunFolder.of(tmp_path, experiment()).checkpoints)[0]
    state = json.loads((newest / "state.json").read_text())
    state["position"]["rows"] = [row(epoch) for epoch in range(54)]
    (newest / "state.json").write_text(json.dumps(state))
    (newest / "SHA256SUMS").write_text(checkpoints._checksums(newest))
    with pytest.raises(CheckpointRefused, match="expected at most step 3 of epoch 3"):
        run(tmp_path)


@pytest.mark.parametrize("file", ["arrays.npz", "state.json", "SHA256SUMS"])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path, file):
    model, kept = saved(tmp_path, steps=2)
    whole = (kept.latest().path / file).read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", bytes([whole[0] ^ 1]) + whole[1:]):
        (tmp_path / "000001-000000001" / file).write_bytes(damaged)
        assert kept.latest().position.step == 0
    (tmp_path / "000001-000000001" / file).unlink()
    assert kept.latest().position.step == 0
    kept.save(model, Position([row(0)], 1))  # in the damaged one's place
    assert kept.latest().position.step == 1


@pytest.mark.parametrize("file", ["arrays.npz", "state.json", "SHA256SUMS", "."])
@pytest.mark.parametrize(
    "kind", [Path.mkdir, os.mkfifo, Path.touch, lambda path: path.symlink_to(path.name)]
)
def test_what_is_no_file_of_a_checkpoint_is_a_damaged_one(tmp_path, file, kind):
    model, kept = saved(tmp_path, steps=2)
    path = tmp_path / "000001-000000001" / file
    files.remove(path)
    kind(path)
    assert kept.latest().position.step == 0
    assert checkpoints.threads(tmp_path) == 2
    for step in (2, 3):
        kept.save(model, Position([row(0)], step))
    assert sorted(each.name[-1] for each in tmp_path.iterdir()) == ["2", "3"]


@pytest.mark.parametrize("file", ["arrays.npz", "state.json"])
def test_a_file_with_holes_is_not_read_for_its_checksum(tmp_path, file):
    """A terabyte of zeros takes no room on the disk, and hours to read."""
    _, kept = saved(tmp_path, steps=2)
    with (tmp_path / "000001-000000001" / file).open("wb") as holes:
        holes.truncate(2**40)
    assert kept.latest().position.step == 0


def test_a_peek_reads_the_state_alone(tmp_path):
    _, kept = saved(tmp_path)
    (folder,) = tmp_path.iterdir()
    (folder / "arrays.npz").unlink()
    assert str(checkpoints.peek(tmp_path).position) == "epoch 1"
    assert checkpoints.threads(tmp_path) == 2
    assert kept.latest() is None  # which reads all
    (folder / "state.json").write_text("{}")
    assert checkpoints.peek(tmp_path) is None


def test_the_last_two_are_kept(tmp_path):
    saved(tmp_path, steps=4)
    kept_names = sorted(path.name for path in tmp_path.iterdir())
    assert kept_names == ["000001-000000002", "000001-000000003"]


@pytest.mark.parametrize(
    ("key", "other"),
    [
        ("run", "l2-00000000-s0"),
        ("backend", "jax"),
        ("device", "gpu"),
        ("threads", 4),
        ("regbench", "0.2.0"),
        ("keras", "3.16.0"),
        ("numpy", "2.2.0"),
    ],
)
def test_another_config_version_backend_or_thread_count_is_refused_with_the_reason(
    tmp_path, key, other
):
    saved(tmp_path)
    _, kept = small(tmp_path, **{key: other})
    expected = f"expected a checkpoint with {key} {other}, received one with {IDENTITY[key]!r}"
    with pytest.raises(CheckpointRefused, match=expected):
        kept.latest()


def test_a_checkpoint_of_other_data_is_refused_with_what_changed_and_what_to_do(tmp_path):
    saved(tmp_path)
    _, kept = small(tmp_path, data="fedcba9876543210" * 4)
    expected = (
        r"the data has changed: expected a checkpoint trained on examples fedcba987654\.\.\., "
        r"received one trained on '0123456789ab'\.\.\.; .*start over with --force$"
    )
    with pytest.raises(CheckpointRefused, match=expected):
        kept.latest()


def test_a_checkpoint_that_does_not_say_what_data_it_is_of_is_refused(tmp_path):
    _, kept = saved(tmp_path)
    path = kept.latest().path
    state = json.loads((path / "state.json").read_text())
    del state["identity"]["data"]
    (path / "state.json").write_text(json.dumps(state))
    (path / "SHA256SUMS").write_text(checkpoints._checksums(path))
    with pytest.raises(CheckpointRefused, match=r"does not say which data .* with --force$"):
        kept.latest()


def write_images(folder, value):
    for split in ("train", "test"):
        for label in ("a", "b"):
            (folder / split / label).mkdir(parents=True, exist_ok=True)
            for number in range(4):
                pixels = np.full((8, 8, 3), value + number, np.uint8)
                Image.fromarray(pixels).save(folder / split / label / f"{number}.png")


def test_a_run_does_not_resume_with_images_that_were_replaced_meanwhile(monkeypatch, tmp_path):
    images, results = tmp_path / "images", tmp_path / "results"
    own = ["data.name=image_folder", f"data.path={images}", "data.train_examples=all"]
    own.append("data.test_examples=all")
    write_images(images, 10)
    interrupt(monkeypatch, results, 1, "epoch 1", *own)
    folder = RunFolder.of(results, experiment(*own)).path
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    write_images(images, 90)
    with pytest.raises(CheckpointRefused, match="the data has changed"):
        run(results, *own)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    write_images(images, 10)  # the former data, in other files
    assert run(results, *own) == ["resuming from epoch 1"]
    assert run(results, *own, restart=True) == []


def test_the_identity_is_of_all_that_a_run_computes_with():
    described = {
        "backend": "jax", "devices": ["gpu:0", "gpu:1"], "threads": 2,
        "data": {"pool": "b" * 64, "examples": "a" * 64},
        "packages": {"regbench": "1", "keras": "3", "numpy": "2", "jax": "0.7", "pandas": "3"},
    }  # fmt: skip
    assert checkpoints.identity("baseline-0-s0", described) == {
        "run": "baseline-0-s0", "backend": "jax", "device": "gpu", "threads": 2,
        "data": "a" * 64, "regbench": "1", "keras": "3", "numpy": "2", "jax": "0.7",
    }  # fmt: skip


def test_weights_or_losses_that_are_not_finite_leave_the_last_finite_checkpoint(tmp_path):
    model, kept = saved(tmp_path)
    kept.save(model, Position([row(0)], 1, float("nan")))
    kept.save(model, Position([row(0) | {"test_loss": float("inf")}], 2))
    model.layers[0].kernel.assign(np.full((3, 2), np.inf))
    kept.save(model, Position([row(0)], 3))
    assert [path.name for path in tmp_path.iterdir()] == ["000001-000000000"]


def rewrite(path, **arrays):
    """Change the arrays of a checkpoint and make its checksums fit, as an attacker would."""
    with np.load(path / "arrays.npz") as content:
        np.savez(path / "arrays.npz", **{**content, **arrays})
    (path / "SHA256SUMS").write_text(checkpoints._checksums(path))


@pytest.mark.parametrize(
    "arrays",
    [
        {"model-0000": np.zeros((3, 3), "float32")},
        {"model-0000": np.zeros((3, 2), "float64")},
        {"more": np.zeros(1)},
        {"model-0000": np.zeros(10**6)},
    ],
)
def test_arrays_of_another_model_are_refused(tmp_path, arrays):
    model, kept = saved(tmp_path)
    found = kept.latest()
    rewrite(found.path, **arrays)
    with pytest.raises(CheckpointRefused, match="the checkpoint does not match this model"):
        kept.latest().restore(model)


class Touch:
    """Pickled, it makes a file when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_an_array_of_objects_is_refused_before_it_is_unpickled(tmp_path):
    model, kept = saved(tmp_path / "checkpoint")
    found = kept.latest()
    rewrite(found.path, **{"model-0000": np.array([Touch(tmp_path / "hacked")], object)})
    with pytest.raises(CheckpointRefused, match="allow_pickle=False"):
        kept.latest().restore(model)
    assert not (tmp_path / "hacked").exists()


def test_an_archive_that_would_fill_the_memory_is_refused_before_it_is_read(tmp_path):
    model, kept = saved(tmp_path)
    path = kept.latest().path
    with zipfile.ZipFile(path / "arrays.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model-0000.npy", bytes(50 * 2**20))
    (path / "SHA256SUMS").write_text(checkpoints._checksums(path))
    with pytest.raises(CheckpointRefused, match="52428800 bytes for"):
        kept.latest().restore(model)


def test_a_state_that_is_too_large_is_a_damaged_checkpoint(tmp_path, monkeypatch):
    _, kept = saved(tmp_path)
    monkeypatch.setattr(checkpoints, "MAX_STATE_BYTES", 100)
    assert kept.latest() is None


@pytest.mark.parametrize("count", [0, -1, 2**16, "2", 2.0, True, None])
def test_a_number_of_threads_that_cannot_be_is_none(tmp_path, count):
    saved(tmp_path, threads=count)
    assert checkpoints.threads(tmp_path) is None


@pytest.mark.parametrize("linked", ["arrays.npz", "state.json", ".", ".."])
def test_links_in_a_run_folder_are_not_followed(tmp_path, linked):
    saved(tmp_path / "checkpoint")
    path = tmp_path / "checkpoint" / "000001-000000000" / linked
    path = Path(str(path).removesuffix("/000001-000000000/..")).absolute()
    shutil.move(path, tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    _, kept = small(tmp_path / "checkpoint")
    assert kept.latest() is None
    assert checkpoints.threads(tmp_path / "checkpoint") is None


@pytest.mark.parametrize(
    "change",
    [
        {"rows": []},
        {"rows": [{"epoch": 0}]},
        {"rows": [row(1)]},
        {"rows": [row(0) | {"train_loss": "=cmd()"}]},
        {"step": -1},
        {"step": 0.5},
        {"more": 1},
        {"loss": "x"},
    ],
)
def test_a_position_that_cannot_be_is_a_damaged_checkpoint(tmp_path, change):
    _, kept = saved(tmp_path)
    path = kept.latest().path
    state = json.loads((path / "state.json").read_text())
    state["position"] |= change
    (path / "state.json").write_text(json.dumps(state))
    (path / "SHA256SUMS").write_text(checkpoints._checksums(path))
    assert kept.latest() is None
