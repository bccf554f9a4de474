"""`regbench demo`: from nothing to table, verdicts, curves and a report."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from pathlib import Path

import pytest

from regbench import cli
from regbench.studies import file as study_file
from regbench.studies.verdicts import Verdict
from regbench.terminal import demo as sentences
from tests.cli.test_cli import regbench

README = Path("README.md")
# Of README's table: "dropout  0.809  0.673  0.136 ..." and, below, "5 seeds ±0.037 ±0.048 ±0.030".
MEANS = re.compile(r"^(\w+) +(\d\.\d{3}) +(\d\.\d{3}) +(-?\d\.\d{3})")
HALVES = re.compile(r"^5 seeds +±(\d\.\d{3}) ±(\d\.\d{3}) ±(\d\.\d{3})")
METRICS = ("train_accuracy", "test_accuracy", "gap")
# A machine with other instructions rounds sums otherwise: a seed moves by this much.
ROUNDING = 0.01


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Run the demo with tiny runs; return its folder and outcome."""
    results = tmp_path_factory.mktemp("demo") / "results"
    return results, regbench("demo", "--smoke", "--results", results)


@pytest.mark.configs
def test_a_demo_ends_with_a_table_verdicts_curves_and_a_report(tiny):
    results, done = tiny
    assert done.returncode == 0, done.stderr
    for name in study_file.read("demo").variants:
        assert re.search(rf"^{name} +\d\.\d{{3}}", done.stdout, re.MULTILINE)
    assert "±: half of the 95% interval over seeds" in done.stdout
    text = " ".join(done.stdout.split())
    for claim in study_file.read("demo").claims:
        assert f"{claim.text}." in text
    assert f"Open {results / 'report.html'} in a browser" in done.stdout
    assert (results / "report.html").read_text().startswith("<!DOCTYPE html>")
    assert (results / "curves.svg").stat().st_size > 1000
    assert (results / "verdicts.json").exists()


@pytest.mark.configs
def test_a_demo_says_first_how_long_it_will_take_and_last_how_long_it_took(tiny):
    _, done = tiny
    told = re.search(r"On this machine: about (\d+:\d\d), with \d+ runs? at a time", done.stderr)
    assert told
    assert done.stderr.index("8 runs") < told.start() < done.stderr.index("baseline s0")
    assert f"the estimate was about {told[1]}." in done.stderr


@pytest.mark.configs
def test_a_demo_that_was_finished_trains_nothing_again(tiny, capsys):
    results, done = tiny
    with pytest.raises(SystemExit) as end:
        cli.main(["demo", "--smoke", "--results", str(results)])
    assert not end.value.code
    again = capsys.readouterr()
    assert "nothing to do: all 8 runs are finished" in again.err
    assert "On this machine" not in again.err
    assert again.out == done.stdout


def test_the_demo_trains_five_seeds_of_a_baseline_and_three_regularizers():
    asked = study_file.read("demo")
    assert len(asked.experiments) == 20
    assert next(iter(asked.variants)) == "baseline"
    data = {each.data for each in asked.variants.values()}
    assert [each.name for each in data] == ["shapes"]  # which is drawn: there is no download


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, "The gap is 0.130 ±0.030 lower than that of baseline."),
        ({"mean": 0.2, "low": None}, "The gap is 0.200 higher than that of baseline."),
        ({"mean": None, "reason": "no pairs"}, "No number: no pairs."),
    ],
)
def test_evidence_is_a_sentence(changed, expected):
    claim = study_file.read("demo").claims[1]
    verdict = Verdict(claim, "supported", -0.13, -0.16, -0.10, 0.001, 0.005, 5, 0, 0, exact=False)
    assert sentences.found(replace(verdict, **changed)) == expected


def test_evidence_against_a_number_is_the_metric_itself():
    claim = study_file.read("demo").claims[0]
    assert claim.against == 0.1
    verdict = Verdict(claim, "supported", 0.17, 0.15, 0.19, 0.001, 0.005, 5, 0, 0, exact=False)
    assert sentences.found(verdict) == "The gap is 0.270 ±0.020."


def shown_in_readme() -> dict[str, list[tuple[float, float]]]:
    """Return mean and half of the interval of each metric, by config, as README shows them."""
    lines = README.read_text(encoding="utf-8").splitlines()
    found = {}
    for line, below in itertools.pairwise(lines):
        means, halves = MEANS.match(line), HALVES.match(below)
        if means and halves:
            numbers = zip(means.groups()[1:], halves.groups(), strict=True)
            found[means[1]] = [(float(mean), float(half)) for mean, half in numbers]
    return found


def test_readme_shows_the_table_of_the_demo():
    assert list(shown_in_readme()) == sorted(study_file.read("demo").variants)


@pytest.mark.slow
def test_a_demo_gives_what_readme_shows_in_the_time_that_it_announced(tmp_path):
    from regbench import compare, runs

    done = regbench("demo", "--results", tmp_path)
    assert done.returncode == 0, done.stderr
    shown = shown_in_readme()
    for row in compare(runs.load(tmp_path)):
        for metric, (mean, half) in zip(METRICS, shown[row.name], strict=True):
            assert row.mean(metric).mean == pytest.approx(mean, abs=half + ROUNDING), metric
    took, told = (
        int(minutes) * 60 + int(seconds)
        for minutes, seconds in re.findall(r"(\d+):(\d\d)[; ]", done.stderr.splitlines()[-1])
    )
    assert took <= 1.3 * told
