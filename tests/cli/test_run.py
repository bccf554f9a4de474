"""What `regbench run` says before it trains, or instead of it, in a process of its own."""

import subprocess
import sys

import pytest

from regbench import config
from tests.made_up_runs import write_run


def run(*arguments):
    command = [sys.executable, "-m", "regbench", "run", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=280)


@pytest.mark.parametrize("options", [[], ["--dry-run"], ["--quiet"]])
def test_runs_that_another_backend_finished_are_told_with_the_way_to_train_them(tmp_path, options):
    experiment = config.load("configs/baseline.yaml")
    for seed, backend in enumerate(("jax", "jax", "tensorflow")):
        write_run(tmp_path, experiment.with_seed(seed), 0, 2, False, backend=backend)
    asked = ["configs/baseline.yaml", "--backend", "tensorflow", "--results", tmp_path, *options]
    done = run(*asked, "--seeds", "0-2")
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("Warning: ")]
    assert line == (
        "Warning: finished with jax, and not trained with tensorflow: baseline s0, baseline s1; "
        "to train them, choose another folder with --results, or replace them with --force"
    )
    assert "Warning" not in run(*asked, "--seeds", "2").stderr


def test_set_that_makes_two_configs_the_same_experiment_is_an_error_that_names_both(tmp_path):
    baseline, dropout = "configs/baseline.yaml", "configs/dropout.yaml"
    done = run(baseline, dropout, "--set", "dropout=null", "--results", tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        f"Error: {baseline} and {dropout}: expected two experiments, but --set dropout=null makes "
        "them the same one, under the names baseline and dropout; give one of the files, or "
        "change only one\n"
    )
    assert list(tmp_path.iterdir()) == []
