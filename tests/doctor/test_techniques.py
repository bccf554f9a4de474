"""Every technique that ships has checks, and passes them on the backend that is installed."""

from __future__ import annotations

import json

import pytest

from regbench import cli
from regbench.doctor import techniques
from regbench.execution.environment import BACKENDS
from regbench.regularizers.flip import Flip
from tests.doctor.examined import failing


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        cli.main(["doctor", *arguments])
    return ended.value.code, capsys.readouterr()


def test_every_technique_that_ships_has_checks_of_its_own():
    assert set(techniques.names()) == {*techniques.CHECKS}
    assert set(techniques.SETTINGS) == {*techniques.CHECKS} - {techniques.BASELINE}


def test_a_technique_without_a_check_is_reported(monkeypatch):
    registered = techniques.REGULARIZERS | {"novelty": Flip}
    monkeypatch.setattr(techniques, "REGULARIZERS", registered)
    assert "novelty" in techniques.names()
    (check,) = techniques.check("novelty")
    assert not check.passed
    assert (check.rule, check.measured) == ("numeric checks", "none")


@pytest.mark.slow  # half a minute for all of them; the command below checks a few
@pytest.mark.parametrize("name", techniques.names())
def test_every_technique_passes(name, settled):
    rules = [*techniques.CHECKS[name], *techniques.common(name)]
    assert list(failing(name, rules)) == []


@pytest.mark.slow  # starts a worker, as the next one does
def test_the_command_checks_techniques_in_a_worker_of_their_backend(capsys):
    code, output = run(
        capsys, "l2", "dropout", "label_smoothing", "--backend", "tensorflow", "--json"
    )
    checks = json.loads(output.out)
    assert code == 0
    assert all(check["passed"] and check["backend"] == "tensorflow" for check in checks)
    assert {check["technique"] for check in checks} == {"l2", "dropout", "label_smoothing"}
    assert all(check["measured"] and check["expected"] for check in checks)


def test_the_command_says_in_a_line_each_what_failed_and_which_backends_were_checked(
    capsys, monkeypatch
):
    monkeypatch.setattr(techniques, "names", lambda: ["flip", "novelty"])
    code, output = run(capsys, "--backend", "tensorflow")
    lines = output.out.splitlines()
    assert code == 1
    assert lines[0].startswith("ok     tensorflow: flip: images or mirror images: 400 images (exp")
    assert lines[-1] == (
        "FAILED tensorflow: novelty: numeric checks: none (expected some in regbench/doctor)"
    )
    said = [line for line in output.err.splitlines() if line.partition(":")[0] in BACKENDS]
    assert said == [
        f"tensorflow: {len(lines)} checks, 1 failed", "jax: not checked", "torch: not checked",
    ]  # fmt: skip


def test_the_command_refuses_a_technique_that_there_is_not(capsys):
    code, output = run(capsys, "dropuot")
    assert code == 2
    assert 'did you mean "dropout"?' in output.err
