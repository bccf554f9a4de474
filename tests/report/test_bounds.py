"""A page of very many runs or epochs: it stays below 5 MB, and says what it leaves out."""

import json
import re

import numpy as np
import pandas
import pytest

from regbench import config, report, runs
from regbench.report import bounds, provenance
from tests import made_up_runs


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Return the results of three shipped configs, and of two with one name."""
    folder = tmp_path_factory.mktemp("bounds")
    experiments = {each.name: each for each in made_up_runs.twenty()}
    asked = [experiments[name] for name in ("baseline", "dropout", "l2")]
    asked += [config.load("configs/baseline.yaml", ["name=mine", f"l2={l2}"]) for l2 in (1, 2)]
    made_up_runs.write(folder, asked, seeds=2, epochs=12)
    return runs.load(folder)


@pytest.fixture(scope="module")
def whole(results):
    return report.render(results, warn=pytest.fail)


def data_of(page):
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)
    return json.loads(text)


def points(page):
    datasets = data_of(page)["datasets"].values()
    return [len(each["epoch"]) for each in datasets if "train_low" in each]


def note(page):
    (text,) = re.findall(r'<p class="note" id="thinned">(.*?)</p>', page)
    return text


def test_a_small_page_is_whole_and_says_nothing(results, whole, monkeypatch):
    assert 'id="thinned"' not in whole
    assert points(whole) == [65, 65]
    for most in ("MOST_BYTES", "MOST_DRAWN", "MOST_LINES"):
        monkeypatch.setattr(bounds, most, 10**12)
    assert report.render(results) == whole


def test_a_page_of_tens_of_thousands_of_epochs_stays_below_5_mb_and_says_so(results):
    epochs = 25_000
    first = results["name"] == "baseline"
    frame = results.frame[first & (results["seed"] == 0) & (results["epoch"] == 0)]
    frame = frame.loc[frame.index.repeat(epochs)].reset_index(drop=True)
    rng = np.random.default_rng(0)
    for column in ("train_loss", "test_loss", "train_accuracy", "test_accuracy"):
        frame[column] = rng.uniform(0.2, 0.9, epochs)
    heard = []
    page = report.render(frame.assign(epoch=range(epochs)), warn=heard.append)
    assert len(page.encode()) < 5_000_000
    kept = sum(points(page))
    assert kept < 20_000
    assert note(page).startswith("This page is kept below 5 MB. It shows ")
    assert f"{kept:,} of 50,000 points of curves and bands" in note(page)
    assert heard == [f"the page is kept below 5 MB: it shows {note(page).split('shows ')[1][:-1]}"]


def test_the_best_variants_stay_in_the_figures_under_their_names(results, whole, monkeypatch):
    monkeypatch.setattr(bounds, "MOST_DRAWN", 3)
    monkeypatch.setattr(bounds, "LEAST_DRAWN", 2)
    page = report.render(results)
    assert "3 of 5 variants in its figures, those that test best" in note(page)
    boxes = re.findall(r'<input type="checkbox" value="(.*?)"', page)
    rows = re.findall(r'<tr data-variant="(.*?)">', page)
    assert rows == re.findall(r'<tr data-variant="(.*?)">', whole)
    assert boxes == [each for each in rows if each in boxes]
    assert boxes[0] == "baseline"
    tested = results.frame.groupby(["name", "config_hash"])["test_accuracy"].last()
    assert len(boxes) == 3
    assert len(tested) == 5
    drawn = {each for data in data_of(page)["datasets"].values() for each in data["variant"]}
    assert drawn == set(boxes)
    assert page.count('<details class="model">') == 3


def test_of_too_many_variants_and_commands_the_page_lists_some(results, monkeypatch):
    monkeypatch.setattr(provenance, "MOST_COMMANDS", 0)
    monkeypatch.setattr(bounds, "MOST_LINES", 2)
    monkeypatch.setattr(bounds, "LEAST_LINES", 2)
    page = report.render(results)
    assert "2 of 5 variants in its tables; regbench compare has all of them" in note(page)
    assert len(re.findall(r"<tr data-variant", page)) == 2
    assert "5 variants, 10 runs" in page
    assert '<p class="note">Left out: 1 commands.</p>' in page


def test_where_thinning_would_show_fewer_variants_are_drawn(results, monkeypatch):
    frame = results.frame.copy()
    noise = np.random.default_rng(0).uniform(0, 1, (len(frame), 2))
    frame[["train_accuracy", "test_accuracy"]] = noise
    monkeypatch.setattr(bounds, "LEAST_DRAWN", 2)
    monkeypatch.setattr(bounds, "CARD_BYTES", 0)
    # As much room as two variants' curves and figures take.
    lines, drawn = 5 * bounds.LINE_BYTES, 2 * (bounds.DRAWN_BYTES + bounds.PROBED_BYTES)
    room = bounds.EMPTY_BYTES + lines + drawn + 2 * 2 * 13 * 130
    monkeypatch.setattr(bounds, "MOST_BYTES", room)
    page = report.render(runs.Results(frame))
    assert "2 of 5 variants in its figures" in note(page)
    assert "pixels" not in note(page)


def test_model_cards_leave_room_for_the_curves(results, whole, monkeypatch):
    monkeypatch.setattr(bounds, "MOST_BYTES", len(whole.encode()) - 60_000)
    monkeypatch.setattr(bounds, "CARD_BYTES", 100_000)
    monkeypatch.setattr(bounds, "EMPTY_BYTES", 1_000_000)
    page = report.render(results)
    assert re.search(r"[1-4] of 5 models from inside, the best", note(page))
    assert points(page) == points(whole)
    assert "have no probes" not in page


def test_facts_and_commands_of_very_many_runs_are_counted(monkeypatch):
    facts = [("cpu", f"a processor {number}") for number in range(10_000)]
    commands = [f"regbench run {number}" for number in range(200)]
    found = provenance._bounded(facts, commands)
    kept = len(found.facts["cpu"])
    assert 2_000 < kept < 4_000
    assert len(found.commands) == provenance.MOST_COMMANDS
    assert found.left_out == f"{10_000 - kept:,} facts, 150 commands"
    assert provenance._bounded(facts[:3], commands[:2]).left_out == ""


def test_the_frame_of_a_part_keeps_the_names_of_the_whole(results):
    table = bounds.variants.labeled(results)
    two = [each for each in dict.fromkeys(table["variant"]) if each.startswith("mine ")]
    assert len(two) == 2
    part, _ = bounds._only(results, [], table, two[:1])
    assert set(bounds.variants.labeled(part)["variant"]) == {two[0]}
    assert isinstance(part.frame, pandas.DataFrame)
