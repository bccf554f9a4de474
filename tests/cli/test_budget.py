"""Budgets of time: training stops at that time, and says what is left and how to go on."""

import json
import signal
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from regbench.cli import cli
from regbench.execution import budget, executors, local, signals
from regbench.studies import file as study_file
from regbench.sweeps import sweep
from tests import made_up_runs

STUDY = "configs/studies/demo.yaml"


@pytest.fixture
def endless(monkeypatch):
    """An executor whose runs never end; the alarm comes at once, and closing it is noted."""
    closed = []

    def run(function, jobs, workers, variables):
        try:
            yield local.Event(0, "started")
            assert signal.getitimer(signal.ITIMER_REAL)[0] > 3000
            signal.raise_signal(signal.SIGALRM)
            pytest.fail("nothing stopped the runs")
        finally:
            closed.append(len(jobs))

    monkeypatch.setitem(executors.EXECUTORS, "endless", run)
    monkeypatch.setattr(sweep, "_fetch_data", lambda pending, observer: None)
    return closed


def regbench(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["regbench", *map(str, arguments)])
    return CliRunner().invoke(cli, [*map(str, arguments)], standalone_mode=False)


@pytest.mark.parametrize(
    ("text", "expected"), [("30m", 1800), ("90s", 90), ("1h30m", 5400), ("2h1s", 7201)]
)
def test_a_budget_is_hours_minutes_and_seconds(text, expected):
    assert budget.seconds(text) == expected


@pytest.mark.parametrize("text", ["", "30", "0m", "m", "1.5h", "30 m", "-1s"])
def test_what_is_no_time_ends_in_a_line(text, monkeypatch):
    done = regbench(monkeypatch, "run", "configs/smoke.yaml", f"--budget={text}")
    assert "expected a time such as 30m, 90s or 1h30m" in str(done.exception)


def test_runs_stop_at_the_time_with_code_0_and_the_command_that_resumes(
    endless, tmp_path, monkeypatch
):
    asked = ["run", "configs/smoke.yaml", "--seeds=0-2", f"--results={tmp_path}"]
    asked += ["--executor=endless", "--budget=1h"]
    done = regbench(monkeypatch, *asked)
    assert (done.return_value, endless) == (0, [3])
    assert "The time is up: 3 of 3 runs are left (smoke s0, smoke s1, smoke s2)." in done.stderr
    assert f"Resume with: regbench {' '.join(asked)}" in done.stderr


def test_a_study_judges_what_is_there_when_the_time_is_up(endless, tmp_path, monkeypatch):
    kinds = {"baseline": 0, "l1": 14, "l2": 14, "dropout": 14}
    for each in study_file.read(STUDY, overrides=["data.test_examples=100"]).experiments:
        if each.seed < 4:
            made_up_runs.write_run(tmp_path, each, kinds[each.name], 12, probed=False)
    done = regbench(
        monkeypatch, "study", STUDY, "--set=data.test_examples=100", "--results", tmp_path,
        "--executor=endless", "--budget=1h", "--json",
    )  # fmt: skip
    content = json.loads(done.stdout)
    assert done.return_value == content["exit_code"] == 0
    assert "The time is up: 4 of 20 runs are left" in done.stderr
    assert content["verdicts"][0]["pairs"] == 4
    assert (content["next"]["state"], endless) == ("train", [4])
    assert "--budget=1h" in content["next"]["command"]
    # An interim verdict is not written down, as if it were that of all seeds.
    assert not (tmp_path / "verdicts.json").exists()


def test_a_budget_cannot_start_over(monkeypatch, tmp_path):
    done = regbench(
        monkeypatch, "run", "configs/smoke.yaml", "--force", "--budget=1s", "--results", tmp_path
    )
    assert "--budget cannot be combined with --force" in str(done.exception)


def test_after_a_signal_the_time_no_longer_cuts_the_checkpoints_short():
    said = []
    with pytest.raises(KeyboardInterrupt) as caught:  # noqa: PT012, SIM117
        with signals.raised(lambda: None), budget.limited(1, lambda: said.append("time")):
            try:
                signal.raise_signal(signal.SIGINT)
            finally:
                time.sleep(1.2)
    assert (type(caught.value), said) == (KeyboardInterrupt, [])


@pytest.mark.slow
def test_a_run_goes_on_where_the_time_was_up(tmp_path):
    import subprocess
    import sys

    command = [
        sys.executable, "-m", "regbench", "run", "configs/smoke.yaml", "--set=train.epochs=100000",
        "--results", str(tmp_path), "--quiet", "--budget=40s",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert "The time is up: 1 of 1 runs are left (smoke s0)." in done.stderr
    (run,) = tmp_path.glob("smoke-*")
    assert list(Path(run).glob("checkpoint*"))


def test_a_search_stops_at_the_time_and_names_no_winner(endless, tmp_path, monkeypatch):
    asked = [
        "tune", "configs/smoke.yaml", "--set=data.validation_examples=50",
        "--tune=l2=log:1e-4:1e-2",
        "--trials=3", f"--results={tmp_path}",
    ]  # fmt: skip
    done = regbench(monkeypatch, *asked, "--executor=endless", "--budget=1h", "--quiet")
    assert done.return_value == 0, done.output
    assert endless == [3]
    assert "The time is up: 3 of 3 runs are left" in done.stderr
    assert "Resume with: regbench tune configs/smoke.yaml" in done.stderr
    assert "Train the winner" not in done.stderr
