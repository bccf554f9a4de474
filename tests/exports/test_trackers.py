"""What trackers keep is read again: what regbench exported, and what the tools wrote themselves."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import regbench
from regbench import config, runs
from regbench.runs import elsewhere
from tests import made_up_runs

EPOCHS = 3
# The library of each tool.
TOOLS = {"tensorboard": "tensorboard", "mlflow": "mlflow", "wandb": "wandb", "trackio": "trackio"}
# Writes two methods of three seeds with a tool's own interface: sys.argv is the tool, the folder.
WRITE = """
import os, sys
tool, out = sys.argv[1:]
methods = {"baseline": 0.6, "ours": 0.65}
values = [
    (method, seed, mean + 0.01 * seed + (0.002 * seed if method == "ours" else 0))
    for method, mean in methods.items()
    for seed in range(3)
]
if tool == "tensorboard":
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter
    for method, seed, value in values:
        writer = EventFileWriter(os.path.join(out, method, f"seed_{seed}"))
        for step in (1, 2):
            told = {"Accuracy/test": value if step == 2 else 0.1, "f1": value / 2}
            made = [Summary.Value(tag=tag, simple_value=each) for tag, each in told.items()]
            writer.add_event(Event(step=step, wall_time=step, summary=Summary(value=made)))
        writer.close()
elif tool == "mlflow":
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    import mlflow, pathlib
    mlflow.set_tracking_uri(pathlib.Path(out).absolute().as_uri())
    mlflow.set_experiment("mine")
    for method, seed, value in values:
        with mlflow.start_run():
            mlflow.log_params({"method": method, "seed": seed, "lr": 0.1})
            mlflow.log_metric("test/acc", 0.1, step=1)
            mlflow.log_metric("test/acc", value, step=2)
            mlflow.log_metric("f1", value / 2)
else:
    if tool == "trackio":
        os.environ["TRACKIO_DIR"] = out
    library = __import__(tool)
    options = {"embed": False} if tool == "trackio" else {"mode": "offline", "dir": out}
    for method, seed, value in values:
        told = {"method": method, "random_seed": seed}
        run = library.init(project="mine", config=told, **options)
        run.log({"test/acc": 0.1, "f1": 0.0, "note": "text"})
        run.log({"test/acc": value, "f1": value / 2})
        run.finish()
"""


def numbers(rows):
    """Return what a comparison says of test accuracy and gap, by config."""
    found = {}
    for row in rows:
        versus = row.versus("test_accuracy")
        difference = (versus.mean, versus.low, versus.high, versus.p_holm) if versus else ()
        values = (row.test_accuracy.mean, row.test_accuracy.low, row.gap.mean, row.gap.high)
        found[row.name, row.config_hash, row.runs] = [*values, *difference]
    return found


@pytest.mark.parametrize("tool", TOOLS)
def test_what_regbench_exports_to_a_tracker_gives_the_same_comparison(tool, tmp_path):
    pytest.importorskip(TOOLS[tool])
    experiments = [config.load("configs/baseline.yaml"), config.load("configs/l2.yaml")]
    made_up_runs.write(tmp_path / "results", experiments, seeds=3, epochs=EPOCHS)
    command = [sys.executable, "-m", "regbench", "export", str(tmp_path / "results"), "--to", tool]
    subprocess.run([*command, "-o", str(tmp_path / "out")], check=True, capture_output=True)
    theirs = runs.load(tmp_path / "out")
    assert len(theirs.frame) == 6 * (EPOCHS + 1)
    mine = numbers(regbench.compare(runs.load(tmp_path / "results"), examples=False))
    again = numbers(regbench.compare(theirs, examples=False))
    assert again.keys() == mine.keys()
    for key, expected in mine.items():  # TensorBoard keeps numbers of 32 bits
        assert again[key] == pytest.approx(expected, abs=1e-5), key


@pytest.mark.parametrize("tool", TOOLS)
def test_what_a_tool_wrote_by_itself_is_compared_and_said_to_be_from_elsewhere(tool, tmp_path):
    pytest.importorskip(TOOLS[tool])
    out = tmp_path / "kept"
    out.mkdir()
    subprocess.run(
        [sys.executable, "-c", WRITE, tool, str(out)],
        check=True, capture_output=True, cwd=tmp_path, env=os.environ | {"WANDB_SILENT": "true"},
    )  # fmt: skip
    told = []
    found = runs.load(out, told.append)
    assert found.measures == ("f1",)
    assert found.elsewhere == (str(out),)
    assert any("how their numbers were measured is not known" in line for line in told)
    rows = {row.name: row for row in regbench.compare(found, metrics=["f1"])}
    assert rows["baseline"].test_accuracy.mean == pytest.approx(0.61)  # the last step's
    assert rows["ours"].seeds == [0, 1, 2]
    versus = rows["ours"].versus("test_accuracy")
    assert (versus.pairs, versus.mean) == (3, pytest.approx(0.052, abs=1e-6))
    assert rows["ours"].value("f1").versus_baseline.mean == pytest.approx(0.026, abs=1e-6)


def test_a_folder_of_regbench_is_never_taken_for_a_trackers(tmp_path):
    made_up_runs.write(tmp_path / "results", [config.load("configs/baseline.yaml")])
    (tmp_path / "results" / "events.out.tfevents.1").write_bytes(b"")
    assert not elsewhere.is_elsewhere(tmp_path / "results")
    assert not elsewhere.is_elsewhere(Path("configs"))
