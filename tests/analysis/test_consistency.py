"""Runs that differ in more than config and seed are named, in a line for each way."""

import pytest

from regbench import config, runs
from regbench.analysis.compare import compare
from tests.made_up_runs import ENVIRONMENT, write_run


def made_up(results, name="baseline", seed=0, change="l2=0", **environment):
    experiment = config.load("configs/baseline.yaml", [f"name={name}", change]).with_seed(seed)
    write_run(results, experiment, len(name), 2, probed=False, **environment)


def warnings_of(results):
    warnings = []
    compare(runs.load(results, warnings.append), warn=warnings.append)
    return warnings


def packages(**versions):
    return ENVIRONMENT["packages"] | versions


def test_runs_of_one_machine_and_version_need_no_word(tmp_path):
    for seed in range(3):
        made_up(tmp_path, seed=seed)
    assert warnings_of(tmp_path) == []


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (
            {"packages": packages(keras="3.15.2")},
            "runs of 2 versions of keras: 3.15.1 (s0, s1), 3.15.2 (s2)",
        ),
        ({"backend": "jax"}, "runs of 2 backends: tensorflow (s0, s1), jax (s2)"),
        ({"cpu": "Another"}, "runs of 2 processors: A processor (s0, s1), Another (s2)"),
    ],
)
def test_runs_of_one_config_that_differ_are_named_with_their_seeds(tmp_path, other, expected):
    for seed in range(3):
        made_up(tmp_path, seed=seed, **(other if seed == 2 else {}))
    assert warnings_of(tmp_path) == [f"baseline: {expected}"]


def test_configs_whose_runs_differ_alike_share_a_line(tmp_path):
    for seed in range(2):
        for name, change in (("baseline", "l2=0"), ("l2", "l2=0.1")):
            made_up(tmp_path, name, seed, change, cpu=f"Processor {seed}")
    expected = "baseline, l2: runs of 2 processors: Processor 0 (s0), Processor 1 (s1)"
    assert warnings_of(tmp_path) == [expected]


def test_runs_of_two_backends_in_one_comparison_are_told(tmp_path):
    made_up(tmp_path)
    made_up(tmp_path, "l1", change="l1=0.1")
    made_up(tmp_path, "l2", change="l2=0.1", backend="jax")
    expected = "2 backends are compared with each other: tensorflow (baseline, l1), jax (l2)"
    assert warnings_of(tmp_path) == [expected]


def test_a_package_that_did_not_compute_is_no_difference(tmp_path):
    made_up(tmp_path, seed=0, packages=packages(torch="2.1", pandas="2.0"))
    made_up(tmp_path, seed=1, packages=packages(torch="2.2", pandas="3.0"))
    assert warnings_of(tmp_path) == []


def test_processors_of_one_name_and_another_kind_are_told_unless_some_runs_know_names_alone(
    tmp_path,
):
    for seed, family in enumerate(("6.85.7", "6.106.6")):
        made_up(tmp_path, seed=seed, processor={"family": family})
    expected = "2 processors: A processor (6.85.7) (s0), A processor (6.106.6) (s1)"
    assert warnings_of(tmp_path) == [f"baseline: runs of {expected}"]
    made_up(tmp_path, seed=2)
    assert warnings_of(tmp_path) == []


def test_commits_are_one_line_in_all(tmp_path):
    for seed in range(2):
        for name, change in (("baseline", "l2=0"), ("l2", "l2=0.1")):
            made_up(tmp_path, name, seed, change, git_commit=f"{seed}" * 40 + "+" * seed)
    (line,) = warnings_of(tmp_path)
    assert line == (
        "runs of 2 commits, which may have changed nothing: "
        "00000000 (baseline s0, l2 s0), 11111111+ (baseline s1, l2 s1)"
    )


def test_what_older_runs_did_not_record_is_no_difference(tmp_path):
    made_up(tmp_path, seed=0)
    made_up(tmp_path, seed=1, cpu=None, packages=None, backend=None, git_commit=None)
    assert warnings_of(tmp_path) == []


def test_configs_of_one_name_are_named_with_their_hash(tmp_path):
    made_up(tmp_path, backend="jax")
    made_up(tmp_path, change="l2=0.1")
    (line,) = warnings_of(tmp_path)
    assert "jax (baseline 44136fa3)" in line
    assert "tensorflow (baseline 17580e56)" in line


def test_hostile_values_are_told_in_printable_characters(tmp_path):
    evil = "\x1b]0;owned\x07"
    made_up(tmp_path, seed=0)
    made_up(tmp_path, seed=1, backend=evil, cpu=evil, packages={evil: evil}, git_commit=evil)
    lines = warnings_of(tmp_path)
    assert len(lines) == 3
    assert all(map(str.isprintable, lines)), lines
