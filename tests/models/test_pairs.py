"""Techniques and networks: what the guide says of each pair; `test_every_pair.py` trains them."""

import csv
import re

import keras
import numpy as np
import pytest

from regbench.builders import BUILDERS
from regbench.errors import RegbenchError
from regbench.execution import signals
from regbench.execution.environment import Runtime
from regbench.models.build import build
from regbench.models.layers import leaves
from regbench.regularizers import REGULARIZERS
from regbench.runs.files import HISTORY
from regbench.runs.folder import RunFolder
from regbench.training.train import Job, train
from tests.pairs import PAGE, TECHNIQUES, documented, experiment


def refusals(name):
    """Return what the network lacks by technique, of those that it refuses."""
    builder = experiment("l2", name).model
    kit = builder.kit({})
    builder.build(kit, (32, 32, 3), 10)  # once: what it asks for depends on no technique
    found = {}
    for technique, value in TECHNIQUES.items():
        kit.regularizers = value
        try:
            kit.check_asked(name)
        except RegbenchError as error:
            text = rf"(\w+): the model {name} has no (.*), where this adds .*"
            found[technique] = re.fullmatch(text, str(error))[2]
    return found


def test_every_technique_has_a_config_that_sets_it_alone():
    assert {next(iter(value)) for value in TECHNIQUES.values()} == set(REGULARIZERS)


@pytest.mark.parametrize("name", BUILDERS)
def test_the_guide_says_which_techniques_a_network_refuses_and_why(name):
    """A new technique or network that fails here needs its rows in the table of the guide."""
    told = {each: why for (each, other), why in documented().items() if other == name}
    assert told == refusals(name)


def test_every_network_has_a_line_in_the_guide():
    text = PAGE.read_text(encoding="utf-8")
    for name, builder in BUILDERS.items():
        (line,) = re.findall(rf"^\| `{name}` \| (.*) \|$", text, re.MULTILINE)
        for key in builder.model_fields:
            assert key in ("name", "activation") or f"`{key}" in line, (name, key)


@pytest.mark.parametrize("name", BUILDERS)
def test_penalties_reach_every_kernel_of_every_network(name):
    model = build(experiment("l2", name), (28, 28, 1), 10)
    kernels = [each for each in leaves(model) if hasattr(each, "kernel")]
    assert len(model.losses) == len(kernels) > 1


def outcome(results, made):
    """Return the history without its seconds, and the bytes of all weights."""
    folder = RunFolder.of(results, made).path
    with (folder / "history.csv").open(encoding="utf-8") as file:
        rows = [[*row.values()] for row in csv.DictReader(file)]
    seconds = HISTORY.index("seconds")
    model = keras.saving.load_model(folder / "model.keras", safe_mode=True)
    weights = [np.asarray(weight).tobytes() for weight in model.get_weights()]
    return [row[:seconds] + row[seconds + 1 :] for row in rows], weights


def run(results, made, probes=False):
    """Train in this process; return the summary."""
    runtime = Runtime(keras.backend.backend(), "cpu", 1)
    job = Job(made, results, runtime, ["regbench", "run"], probes=probes)
    return train(job, lambda *_: None)


def trained_and_resumed(monkeypatch, tmp_path, made):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    summary = run(whole, made, probes=True)
    answers = iter(range(1, 10**6))
    with monkeypatch.context() as patch:  # stops in the middle of the first epoch
        patch.setattr(signals, "stop_requested", lambda: next(answers) >= 4)
        with pytest.raises(signals.Stopped, match="stopped at step"):
            run(parts, made)
    run(parts, made)
    assert outcome(parts, made) == outcome(whole, made)
    assert summary.get("probes_failed", {}) == {}
    return summary


@pytest.mark.configs
@pytest.mark.parametrize("name", ["resnet20"])
def test_a_network_with_skips_trains_is_probed_and_resumes_exactly(monkeypatch, tmp_path, name):
    made = experiment("batch_norm", name, dropout={"dense": 0.5, "conv": 0.1})
    summary = trained_and_resumed(monkeypatch, tmp_path, made)
    assert summary["probes"]["dropout"]["layers"][0]["layer"] == "block1_1_dropout"
    assert len(summary["probes"]["batch_norm"]["layers"]) == 7
    assert summary["probes"]["costs"]["multiply_adds"] > 0
