"""The next seed of a config, with the graphs of an earlier one, and nothing else of it."""

import csv
from pathlib import Path

import keras
import numpy as np
import pytest

from regbench import config
from regbench.execution.environment import Runtime
from regbench.training import compiled_models, train
from regbench.training.train import Job
from tests.tiny import RUN

KINDS = {
    "noise, statistics, penalty": ["dropout.dense=0.5", "batch_norm=true", "l2=1e-2"],
    "averages and batches": ["ema=true", "mixup=true", "spatial_dropout.rate=0.3"],
    "statistics taken again": ["swa=true", "batch_norm=true", "model.activation=silu"],
    "limits of weights": ["max_norm=0.5", "weight_decay=0.1", "gradient_clipping=0.1"],
    "two precisions": ["train.precision=mixed_float16", "gaussian_noise.input=0.1"],
}


def trained(results: Path, seed: int, *changes: str):
    """Train here; return the history but for its seconds, predictions and the probes' details."""
    experiment = config.load("configs/baseline.yaml", [*RUN, "data.train_examples=30", *changes])
    runtime = Runtime(keras.backend.backend(), "cpu", 1)
    job = Job(experiment.with_seed(seed), results, runtime, ["regbench", "run"])
    train.train(job, lambda kind, figures: None)
    folder = results / experiment.with_seed(seed).run_name
    with (folder / "history.csv").open() as file:
        history = [{**row, "seconds": ""} for row in csv.DictReader(file)]
    return history, *((folder / name).read_bytes() for name in ("predictions.csv", "probes.json"))


def traces(trainer):
    """Return how often the call of several updates was traced or compiled, and its identity."""
    if keras.backend.backend() == "jax":
        return trainer._program._run._cache_size(), id(trainer._program)
    if keras.backend.backend() == "torch":
        return 0
    return trainer._loop.experimental_get_tracing_count(), id(trainer._loop)


@pytest.mark.parametrize("changes", KINDS.values(), ids=list(KINDS))
def test_the_second_seed_traces_nothing_and_ends_as_if_it_were_the_first(tmp_path, changes):
    first = trained(tmp_path / "both", 0, *changes)
    (before,) = compiled_models._kept.values()
    traced = traces(before.trainer)
    second = trained(tmp_path / "both", 1, *changes)
    (after,) = compiled_models._kept.values()
    assert after.model is before.model
    assert after.trainer is before.trainer
    assert traces(after.trainer) == traced
    compiled_models._kept.clear()
    assert trained(tmp_path / "alone", 1, *changes) == second
    assert second[0] != first[0]


def test_a_saved_model_has_the_same_weights_whichever_seed_was_trained_before(tmp_path):
    trained(tmp_path / "both", 0)
    trained(tmp_path / "both", 1)
    compiled_models._kept.clear()
    trained(tmp_path / "alone", 1)
    found = sorted(tmp_path.glob("*/*-s1/model.keras"))
    alone, both = (keras.saving.load_model(path) for path in found)
    # Keras counts input layers; the others have names of their own.
    assert [each.name for each in alone.layers[1:]] == [each.name for each in both.layers[1:]]
    for mine, other in zip(alone.variables, both.variables, strict=True):
        np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (mine, other)))


def test_a_run_that_fails_leaves_no_model_behind(tmp_path, monkeypatch):
    trained(tmp_path, 0)
    assert len(compiled_models._kept) == 1

    def failing(*ignored):
        raise RuntimeError("no memory")

    monkeypatch.setattr(train, "_finish", failing)
    with pytest.raises(RuntimeError, match="no memory"):
        trained(tmp_path, 1)
    assert not compiled_models._kept


def test_few_models_are_kept_and_no_large_one(tmp_path, monkeypatch):
    monkeypatch.setattr(compiled_models, "MOST_MODELS", 2)
    for name in ("a", "b", "a", "c"):
        trained(tmp_path / name, 0, f"name={name}", "train.epochs=1")
        (tmp_path / name).rename(tmp_path / f"{name}-{len(list(tmp_path.iterdir()))}")
    assert [key[0] for key in compiled_models._kept] == ["a", "c"]
    monkeypatch.setattr(compiled_models, "MOST_PARAMETERS", 10)
    trained(tmp_path / "d", 0, "name=d", "train.epochs=1")
    assert "d" not in {key[0] for key in compiled_models._kept}


def test_a_model_that_a_plugin_had_a_hand_in_is_not_kept(tmp_path):
    from regbench import plugins

    source = tmp_path / "own_penalty.py"
    source.write_text(
        "import regbench\n\n\n"
        '@regbench.regularizer("own_penalty")\n'
        "class OwnPenalty(regbench.Toggle):\n"
        '    """Does nothing."""\n'
    )
    plugins.load(source)
    try:
        trained(tmp_path / "results", 0, "own_penalty={}")
        assert not compiled_models._kept
    finally:
        plugins.unload()
