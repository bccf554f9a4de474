"""Figures: what they draw, and the files they are saved as."""

import re

import pandas
import pytest

from regbench import figures, runs
from regbench.errors import RegbenchError
from regbench.figures import FIGURES, curves, save


def frame(*names, seeds=1, epochs=3):
    rows = []
    for name in names:
        for seed in range(seeds):
            for epoch in range(epochs + 1):
                numbers = dict.fromkeys(runs.HISTORY, 0.5) | {
                    "epoch": epoch,
                    "train_accuracy": 0.2 * epoch + 0.1 * seed,
                    "test_accuracy": 0.1 * epoch,
                }
                run = {
                    "results": "r", "run": f"{name}-s{seed}", "name": name, "seed": seed,
                    "config_hash": f"hash-{name}", "status": "completed", "parameters": 1,
                }  # fmt: skip
                rows.append(run | numbers)
    return pandas.DataFrame(rows, columns=[*runs.RUN, *runs.HISTORY])


@pytest.mark.parametrize("figure", FIGURES.values(), ids=FIGURES)
@pytest.mark.parametrize("count", [1, 4, 20])
def test_every_figure_is_a_valid_chart(figure, count):
    chart = figure(frame(*(f"variant{index}" for index in range(count))))
    assert chart.to_dict()["$schema"].startswith("https://vega.github.io/schema/vega-lite/")


def test_curves_are_means_over_seeds_with_their_range():
    data = figures._panels(frame("baseline", seeds=3), "accuracy").set_index("epoch")
    assert data.loc[2, "train"] == pytest.approx(0.5)
    assert (data.loc[2, "train_low"], data.loc[2, "train_high"]) == pytest.approx((0.4, 0.6))
    assert data.loc[2, "test"] == pytest.approx(0.2)


def test_each_panel_is_named_with_its_final_gap():
    header = curves(frame("l2")).to_dict()["facet"]
    assert header["sort"] == ["l2, gap 0.30"]


def test_the_baseline_is_the_first_panel():
    header = curves(frame("a", "baseline", "z")).to_dict()["facet"]
    assert [panel.split(",")[0] for panel in header["sort"]] == ["baseline", "a", "z"]


def test_two_configs_of_one_name_are_told_apart_by_their_hash():
    both = pandas.concat([frame("l2"), frame("l2").assign(config_hash="other")])
    assert {title.split(",")[0] for title in figures._panels(both, "accuracy")["panel"]} == {
        "l2 hash-l2",
        "l2 other",
    }


def test_an_epoch_without_numbers_is_left_out():
    diverged = frame("wild")
    diverged.loc[diverged.epoch == 3, "train_loss"] = float("nan")
    assert list(figures._panels(diverged, "loss")["epoch"]) == [0, 1, 2]


def test_a_copied_results_folder_changes_no_curve():
    once = frame("l2", seeds=2)
    twice = pandas.concat([once, once.assign(results="copy")], ignore_index=True)
    assert figures._panels(twice, "accuracy").equals(figures._panels(once, "accuracy"))


@pytest.mark.parametrize(
    ("suffix", "start"), [(".svg", b"<svg"), (".png", b"\x89PNG"), (".html", b"<!DOCTYPE html>")]
)
def test_a_figure_is_saved_in_the_format_of_its_suffix(tmp_path, suffix, start):
    path = tmp_path / "new" / f"curves{suffix}"
    save(curves(frame("baseline", "dropout")), path)
    assert path.read_bytes().lstrip().startswith(start)
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_html_fetches_nothing(tmp_path):
    save(curves(frame("baseline")), tmp_path / "curves.html")
    text = (tmp_path / "curves.html").read_text()
    assert "vegaEmbed" in text
    assert not re.search(r"<(script|link)[^>]+(src|href)=", text)


def test_another_format_is_refused_by_name(tmp_path):
    with pytest.raises(RegbenchError, match=r"\.svg, \.png, \.html, received '.jpg'"):
        save(curves(frame("baseline")), tmp_path / "curves.jpg")
