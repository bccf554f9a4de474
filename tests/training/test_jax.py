"""On JAX: compiled epochs are the step-by-step updates, and all that holds on TensorFlow holds.

Keras is imported with one backend. Where that is another one, these tests run in one process of
their own, which `test_all_of_this_holds_on_jax` starts.
"""

import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from regbench import config, datasets
from regbench.execution.environment import Runtime
from regbench.models import batches, precision
from regbench.models.build import build, compile_model
from regbench.regularizers.dropout import Dropout
from regbench.runs.folder import RunFolder
from regbench.training import compiled_epochs, steps, train
from regbench.training.compiled_epochs import ResidentEpochs, UploadedBatches
from regbench.training.steps import Steps
from regbench.training.train import Job
from tests import tiny

on_jax = pytest.mark.skipif(keras.backend.backend() != "jax", reason="for a process with JAX")

# Adam's slots and a falling rate; 9 batches of 8 examples and a last one of 3.
TOY = [
    *tiny.RUN,
    "data.train_examples=75",
    "dropout=null",
    "train.schedule=cosine",
]
TECHNIQUES = {
    "dropout": ["dropout.dense=0.5"],
    "batch_norm": ["batch_norm=true"],
    "mixup": ["mixup=0.2"],
    "mixed_float16": ["train.precision=mixed_float16", "dropout.dense=0.5", "batch_norm=true"],
    "all": ["dropout.dense=0.5", "batch_norm=true", "mixup=0.2", "gradient_clipping=1", "ema=0.9"],
}
# The shipped tests train one of them; those of each are behind a marker.
EACH = [
    pytest.param(name, marks=() if name == "all" else pytest.mark.processes) for name in TECHNIQUES
]
EPOCHS = range(1, 6)
# `make gpu` runs all of this on a GPU.
DEVICE = os.environ.get("REGBENCH_TEST_DEVICE", "cpu")


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="this is that process")
def test_all_of_this_holds_on_jax():
    if importlib.util.find_spec("jax") is None:
        pytest.skip("jax is not installed")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    variables = os.environ | Runtime("jax", "cpu", 1).variables()
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def experiment(*overrides):
    return config.load("configs/baseline.yaml", [*TOY, *overrides])


def run(results, *overrides, restart=False, probes=False):
    """Train in this process; return the notes."""
    notes = []
    runtime = Runtime("jax", DEVICE, 1)
    made = experiment(*overrides)
    train.train(
        Job(made, results, runtime, ["regbench", "run"], restart, probes=probes),
        lambda kind, figures: notes.append(figures["text"]) if kind == "note" else None,
    )
    return notes


def outcome(results, *overrides):
    """Return the history without its seconds, and the bytes of all weights."""
    folder = RunFolder.of(results, experiment(*overrides)).path
    lines = [line.split(",") for line in (folder / "history.csv").read_text().splitlines()]
    left_out = lines[0].index("seconds")
    model = keras.saving.load_model(folder / "model.keras", safe_mode=True)
    weights = [np.asarray(weight).tobytes() for weight in model.get_weights()]
    return [line[:left_out] + line[left_out + 1 :] for line in lines], weights


@on_jax
@pytest.mark.parametrize("name", EACH)
def test_a_killed_run_resumes_to_the_bytes_of_one_that_was_not(tmp_path, name):
    """Killed after single steps; the other run makes as many in a call as it likes."""
    overrides = TECHNIQUES[name]
    run(tmp_path / "whole", *overrides)
    program = f"from tests.training import test_jax; test_jax.killed({str(tmp_path)!r}, {name!r})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert run(tmp_path, *overrides) == ["resuming from step 3 of epoch 1"]
    assert outcome(tmp_path, *overrides) == outcome(tmp_path / "whole", *overrides)


def killed(results, name):
    """Train with a checkpoint after each step, and kill this process after the fourth one."""
    compiled_epochs.MOST_STEPS = steps.MOST_STEPS = 1
    save = train.Checkpoints.save

    def save_and_die(*arguments):
        save(*arguments)
        if str(arguments[2]) == "step 3 of epoch 1":
            os.kill(os.getpid(), signal.SIGKILL)

    train.Checkpoints.save = save_and_die
    train.Checkpoints.is_due = True
    run(Path(results), *TECHNIQUES[name])


@on_jax
def test_a_run_repeats_to_the_byte_and_is_paired_with_the_other_variants(tmp_path):
    run(tmp_path, probes=True)
    first = outcome(tmp_path)
    run(tmp_path, restart=True, probes=True)
    assert outcome(tmp_path) == first
    run(tmp_path, "dropout.dense=0.5", probes=True)
    other = outcome(tmp_path, "dropout.dense=0.5")
    assert other[0][1] == first[0][1]  # untrained: equal weights, equal examples
    assert other[0][2] != first[0][2]
    for overrides in [], ["dropout.dense=0.5"]:
        folder = RunFolder.of(tmp_path, experiment(*overrides)).path
        summary = json.loads((folder / "summary.json").read_text())
        assert "probes_failed" not in summary
        assert summary["probes"]["ledger"]
        assert (summary["probes"]["dropout"] is None) == (not overrides)


@pytest.fixture(scope="module", params=["resident", "uploaded"])
def toy(request):
    """Return an experiment, its data, its compiled model, and all variables with their values."""
    made = experiment(
        *TECHNIQUES["dropout"], *TECHNIQUES["batch_norm"], *(
            TECHNIQUES["mixup"] if request.param == "uploaded" else []
        ), "l2=0.001", "train.learning_rate=0.001",
    )  # fmt: skip
    splits = datasets.load(made.data, made.seed)
    model = build(made, splits.train_images.shape[1:], len(splits.classes))
    compile_model(model, made, 5 * batches.steps(made, splits))
    variables = [*model.variables, *model.optimizer.variables]
    return made, splits, model, [(each, values(each)) for each in variables]


def values(variable):
    return keras.ops.convert_to_numpy(variable).copy()


def trained(toy, trainer):
    """Train the untrained model; return the updates, and the values of all variables."""
    made, splits, _, variables = toy
    for variable, value in variables:
        variable.assign(value.copy())
    updates = []
    for epoch in EPOCHS:
        with trainer.epoch(made, splits, epoch) as calls:
            updates += [update for call in calls for update in trainer.train(call)]
    return updates, [values(variable) for variable, _ in variables]


def follows_rounding(variable, classes):
    """Return whether a variable is the bias of a hidden layer, or a mean that contains one.

    Batch normalization takes the bias out again: its gradient is what rounding leaves of zero,
    which Adam scales up to steps of full size.
    """
    is_hidden_bias = variable.path.endswith("bias") and variable.shape != (classes,)
    return is_hidden_bias or variable.path.endswith("moving_mean")


@on_jax
def test_compiled_epochs_are_those_of_single_steps(monkeypatch, toy):
    monkeypatch.setattr(steps, "SECONDS_PER_CALL", 1e9)  # however busy the machine is
    made, splits, model, _ = toy
    expected, after = trained(toy, Steps(model))
    trainer = compiled_epochs.trainer(model, made, splits)
    assert isinstance(trainer, UploadedBatches if made.changing("batch") else ResidentEpochs)
    updates, variables = trained(toy, trainer)
    assert trainer.per_call > 1
    assert [each.examples for each in updates] == [each.examples for each in expected]
    assert [each.loss for each in updates] == pytest.approx([each.loss for each in expected], 1e-6)
    assert [each.accuracy for each in updates] == [each.accuracy for each in expected]
    for (variable, _), mine, theirs in zip(toy[-1], variables, after, strict=True):
        if not follows_rounding(variable, len(splits.classes)):
            np.testing.assert_allclose(mine, theirs, 1e-5, 1e-6, err_msg=variable.path)
    # With itself equal to the last bit, wherever its pieces end.
    for module in compiled_epochs, steps:
        monkeypatch.setattr(module, "MOST_STEPS", 2)
    trainer.per_call = 1
    again, same = trained(toy, trainer)
    assert again == updates
    assert [each.tobytes() for each in same] == [each.tobytes() for each in variables]


@on_jax
@pytest.mark.processes
def test_compiled_epochs_scale_float16_losses_as_single_steps_do(monkeypatch):
    """The scale grows, and falls where a gradient overflows, within the 20 updates."""

    def scaled(optimizer, _):
        return keras.optimizers.LossScaleOptimizer(optimizer, 2.0**20, dynamic_growth_steps=3)

    monkeypatch.setattr(precision, "with_loss_scale", scaled)
    monkeypatch.setattr(steps, "SECONDS_PER_CALL", 1e9)
    made = experiment("train.precision=mixed_float16", "dropout.dense=0.5")
    splits = datasets.load(made.data, made.seed)
    found = []
    for kind in Steps, ResidentEpochs:
        model = build(made, splits.train_images.shape[1:], len(splits.classes))
        compile_model(model, made, batches.steps(made, splits))
        trainer = kind(model)
        losses = []
        for epoch in 1, 2:
            with trainer.epoch(made, splits, epoch) as calls:
                losses += [each.loss for call in calls for each in trainer.train(call)]
        state = [values(getattr(model.optimizer, key)) for key in ("dynamic_scale", "step_counter")]
        found.append((losses, state))
    (expected, theirs), (losses, mine) = found
    assert mine == theirs
    # float16 has 11 bits: what XLA fuses, it rounds less often.
    assert losses == pytest.approx(expected, rel=5e-3)


@on_jax
def test_without_compilation_the_updates_are_the_same(monkeypatch):
    """Operation by operation, by Keras' own step."""
    found = []
    for asked, kind in ("null", ResidentEpochs), ("false", Steps):
        made = experiment(f"train.jit_compile={asked}", "data.train_examples=16")
        splits = datasets.load(made.data, made.seed)
        model = build(made, splits.train_images.shape[1:], len(splits.classes))
        compile_model(model, made, batches.steps(made, splits))
        trainer = compiled_epochs.trainer(model, made, splits)
        assert type(trainer) is kind
        assert model.jit_compile == (asked == "null")
        with trainer.epoch(made, splits, 1) as calls:
            found.append([each.loss for call in calls for each in trainer.train(call)])
    assert found[0] == pytest.approx(found[1], rel=1e-5)


@on_jax
def test_a_technique_of_ones_own_trains_as_on_tensorflow(monkeypatch, tmp_path):
    def softened(technique, images, targets, rng):
        return images + rng.normal(0, 0.1, images.shape).astype("float32"), targets

    monkeypatch.setattr(Dropout, "batch", softened)
    run(tmp_path, "dropout.dense=0.5", "train.epochs=1")
    first = outcome(tmp_path, "dropout.dense=0.5", "train.epochs=1")
    run(tmp_path, "dropout.dense=0.5", "train.epochs=1", restart=True)
    assert outcome(tmp_path, "dropout.dense=0.5", "train.epochs=1") == first
