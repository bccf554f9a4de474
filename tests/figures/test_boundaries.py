"""The figure of a study's looks is drawn from the verdicts beside its runs."""

import json
from dataclasses import asdict

import pytest

from regbench import config, figures, runs
from regbench.analysis.sequential import Design, Look, Passed
from regbench.figures.boundaries import points
from tests.made_up_runs import write_run

DESIGN = Design((5, 10, 20))


def verdict(passed):
    """Return what a study writes of one claim: `passed` are its p-values so far."""
    looks = tuple(
        Passed(seeds, p, alone, all_open)
        for seeds, p, alone, all_open in zip(
            DESIGN.looks, passed, DESIGN.boundaries(), DESIGN.boundaries(0.025), strict=False
        )
    )
    look = Look(len(looks), 3, looks[-1].seeds, looks[-1].alone, looks)
    claim = {"text": "A claim", "metric": "gap", "variant": "dropout", "against": "baseline"}
    return {"claim": claim, "decision": "supported", "look": asdict(look), "another key": 1}


@pytest.fixture
def results(tmp_path):
    for number, name in enumerate(("baseline", "dropout")):
        write_run(tmp_path, config.load(f"configs/{name}.yaml"), number, 2, probed=False)
    return tmp_path


def test_each_look_at_each_claim_is_a_point(results):
    stored = {"verdicts": [verdict([0.3, 0.001]), {**verdict([0.5]), "look": None}]}
    (results / "verdicts.json").write_text(json.dumps(stored))
    loaded = runs.load(results)
    found = points(loaded)
    assert [(each["seeds"], each["p_value"]) for each in found] == [(5, 0.3), (10, 0.001)]
    assert {each["claim"] for each in found} == {"gap: dropout - baseline"}
    assert all(each["all_open"] < each["alone"] <= 0.05 for each in found)
    figures.save(figures.boundaries(loaded), results / "looks.svg")
    assert "gap: dropout - baseline" in (results / "looks.svg").read_text()


@pytest.mark.parametrize(
    "content",
    [
        None,
        "{",
        json.dumps({"verdicts": [{"claim": {}, "decision": "supported"}]}),
        json.dumps({"verdicts": [{**verdict([0.3]), "decision": "maybe"}]}),
        json.dumps({"verdicts": [verdict([7.0])]}),
        json.dumps({"verdicts": [{**verdict([0.3]), "look": {"number": 1}}]}),
    ],
)
def test_there_is_no_figure_where_no_looks_are_told(results, content):
    if content:
        (results / "verdicts.json").write_text(content)
    assert figures.boundaries(runs.load(results)) is None
