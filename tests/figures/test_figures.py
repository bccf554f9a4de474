"""Figures: what they draw, and the files they are saved as."""

import json
import re
from itertools import pairwise

import pandas
import pytest
from scipy import stats

from regbench import config, figures, runs
from regbench.analysis import compare
from regbench.errors import RegbenchError
from regbench.figures import FIGURES, curves, differences, probes, save, save_all, style, variants
from regbench.report import charts
from regbench.runs import loading
from tests import made_up_runs

PROBING = [FIGURES[name] for name in figures.PROBING]
# Made-up runs differ in every source of variance at once, and are no factorial design.
# Those of studies of one kind, which other runs do not have.
OF_STUDIES = ("sources", "interactions", "boundaries")
DRAWN = [name for name in FIGURES if name not in OF_STUDIES]


def frame(*names, seeds=1, epochs=3):
    rows = []
    for name in names:
        for seed in range(seeds):
            for epoch in range(epochs + 1):
                numbers = dict.fromkeys(loading.HISTORY, 0.5) | {
                    "epoch": epoch,
                    "train_accuracy": 0.2 * epoch + 0.1 * seed,
                    "test_accuracy": 0.1 * epoch,
                }
                run = {
                    "results": "r", "run": f"{name}-s{seed}", "name": name, "seed": seed,
                    "config_hash": f"hash-{name}", "status": "completed", "parameters": 1,
                }  # fmt: skip
                rows.append(run | numbers)
    return pandas.DataFrame(rows, columns=[*loading.RUN, *loading.HISTORY])


@pytest.mark.parametrize("figure", FIGURES.values(), ids=FIGURES)
@pytest.mark.parametrize("count", [1, 4, 20])
def test_every_figure_is_a_valid_chart(figure, count):
    others = [f"variant{index}" for index in range(1, count)]
    chart = figure(frame("baseline", *others, seeds=2))
    if chart is None:
        assert count == 1 or figure in (*PROBING, *(FIGURES[name] for name in OF_STUDIES))
        return
    assert chart.to_dict()["$schema"].startswith("https://vega.github.io/schema/vega-lite/")


def test_curves_are_means_over_seeds_with_their_range():
    data = variants.by_epoch(frame("baseline", seeds=3), "accuracy").set_index("epoch")
    assert data.loc[2, "train"] == pytest.approx(0.5)
    assert (data.loc[2, "train_low"], data.loc[2, "train_high"]) == pytest.approx((0.4, 0.6))
    assert data.loc[2, "test"] == pytest.approx(0.2)


def test_each_panel_is_named_with_its_final_gap():
    facet = curves(frame("l2")).to_dict()["facet"]
    assert facet["sort"] == ["l2, gap 0.300"]


def test_a_gap_of_several_seeds_has_its_interval():
    runs = frame("l2", seeds=3)
    gaps = (runs["train_accuracy"] - runs["test_accuracy"])[runs["epoch"] == runs["epoch"].max()]
    half = stats.t.ppf(0.975, 2) * gaps.std() / 3**0.5
    assert half > 0.01
    facet = curves(runs).to_dict()["facet"]
    assert facet["sort"] == [f"l2, gap {gaps.mean():.3f} ±{half:.3f}"]


def test_the_baseline_is_the_first_panel():
    header = curves(frame("a", "baseline", "z")).to_dict()["facet"]
    assert [panel.split(",")[0] for panel in header["sort"]] == ["baseline", "a", "z"]


@pytest.mark.parametrize(("count", "own"), [(1, False), (2, False), (3, True), (4, False)])
def test_no_axis_is_drawn_below_a_panel_that_the_last_row_lacks(count, own):
    chart = curves(frame("baseline", *"abc"[: count - 1]), width=400).to_dict()
    assert chart["columns"] == min(count, 2)
    assert (chart.get("resolve", {}).get("axis") == {"x": "independent"}) is own


def test_two_configs_of_one_name_are_told_apart_by_their_hash():
    both = pandas.concat([frame("l2"), frame("l2").assign(config_hash="other")])
    assert set(variants.by_epoch(both, "accuracy")["variant"]) == {
        "l2 hash-l2",
        "l2 other",
    }


def test_an_epoch_without_numbers_is_left_out():
    diverged = frame("wild")
    diverged.loc[diverged.epoch == 3, "train_loss"] = float("nan")
    assert list(variants.by_epoch(diverged, "loss")["epoch"]) == [0, 1, 2]


def test_a_copied_results_folder_changes_no_curve():
    once = frame("l2", seeds=2)
    twice = pandas.concat([once, once.assign(results="copy")], ignore_index=True)
    assert variants.by_epoch(twice, "accuracy").equals(variants.by_epoch(once, "accuracy"))


@pytest.mark.parametrize(
    ("suffix", "start"),
    [
        (".svg", b"<svg"),
        (".pdf", b"%PDF-"),
        (".png", b"\x89PNG"),
        (".html", b"<!DOCTYPE html>"),
    ],
)
def test_a_figure_is_saved_in_the_format_of_its_suffix(tmp_path, suffix, start):
    path = tmp_path / "new" / f"curves{suffix}"
    save(curves(frame("baseline", "dropout")), path)
    assert path.read_bytes().lstrip().startswith(start)
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_more_rows_than_altair_takes_by_itself_are_drawn_and_reported(tmp_path):
    import altair

    many = frame("baseline", *[f"variant{index}" for index in range(25)], epochs=200)
    with pytest.raises(altair.MaxRowsError):
        curves(many).to_dict()
    save(curves(many), tmp_path / "curves.svg")
    assert (tmp_path / "curves.svg").stat().st_size > 0
    shared = figures.Shared(compare.compare(many), {})
    drawn = {figure.name for figure in charts.figures(many, shared)}
    assert {"together", "curves", "gap"} <= drawn


def test_saved_figures_are_of_the_baseline_that_was_asked_for(tmp_path, monkeypatch):
    titles = {}
    monkeypatch.setattr(figures, "save", lambda chart, path, **_: titles.update({path.stem: chart}))
    save_all(frame("plain", "dropout", seeds=2), tmp_path, "plain")
    assert {"differences", "cost"} <= set(titles)
    rows = titles["differences"].to_dict()["datasets"]
    assert {row["variant"] for data in rows.values() for row in data} == {"dropout"}


def test_html_fetches_nothing(tmp_path):
    save(curves(frame("baseline")), tmp_path / "curves.html")
    text = (tmp_path / "curves.html").read_text()
    assert "vegaEmbed" in text
    assert not re.search(r"<(script|link)[^>]+(src|href)=", text)


def test_another_format_is_refused_by_name(tmp_path):
    with pytest.raises(RegbenchError, match=r"\.svg, \.pdf, \.png, \.html, received '.jpg'"):
        save(curves(frame("baseline")), tmp_path / "curves.jpg")


def test_the_gap_of_the_loss_is_positive_where_the_test_set_is_worse():
    worse = frame("l2").assign(train_loss=0.5, test_loss=2.0)
    assert set(variants.by_epoch(worse, "loss")["gap"]) == {1.5}


def test_24_variants_differ_in_color_or_dashes_and_the_baseline_is_ink():
    names = ["baseline", *(f"v{index:02}" for index in range(24))]
    styles = style.styles(names, ["baseline"])
    assert len({(style.color, tuple(style.dash)) for style in styles}) == 25
    assert styles[0].color == style.INK


def test_differences_need_a_baseline_with_the_same_seeds():
    assert differences(frame("l1", "l2")) is None
    assert differences(frame("baseline", "l2", seeds=2)) is not None


@pytest.fixture(scope="module")
def probed(tmp_path_factory):
    results = tmp_path_factory.mktemp("probed")
    made_up_runs.write(results, made_up_runs.twenty()[:4], seeds=2, epochs=3)
    return runs.load(results)


@pytest.mark.parametrize("name", DRAWN)
def test_every_figure_of_probed_runs_is_a_valid_chart(probed, name):
    assert "data" in FIGURES[name](probed).to_dict()


def test_the_curves_of_averaged_passes_are_told_apart_by_a_legend(tmp_path):
    made_up_runs.write(
        tmp_path, [config.load(f"configs/{name}.yaml") for name in ("dropout", "dropout_conv")]
    )
    save(probes.ensemble(runs.load(tmp_path)), tmp_path / "ensemble.svg")
    assert ">dropout_conv</text>" in (tmp_path / "ensemble.svg").read_text()


def test_the_waterfall_leads_from_the_training_number_to_the_test_number(probed):
    for variant, terms in probes.ledgers(probes.found_in(probed), "loss"):
        bars = list(probes._waterfall(variant, terms))
        for before, after in pairwise(bars[:-1]):
            assert after["start"] == before["end"]
        assert bars[0]["end"] == terms["reported"]
        assert bars[-2]["end"] == pytest.approx(bars[-1]["end"], abs=1e-6)


def test_the_waterfall_has_a_step_for_targets_and_augmentation_where_batches_are_changed(tmp_path):
    experiments = [config.load(f"configs/{name}.yaml") for name in ("baseline", "crop")]
    made_up_runs.write(tmp_path, experiments, seeds=2, epochs=3)
    frame = runs.load(tmp_path).frame
    steps = {
        variant: [bar["step"] for bar in probes._waterfall(variant, terms)]
        for variant, terms in probes.ledgers(probes.found_in(frame), "loss")
    }
    assert steps["crop"] == [name for name, _ in probes.STEPS.values()]
    assert steps["baseline"] == [each for each in steps["crop"] if each != "targets, augmentation"]
    assert "targets, augmentation" in json.dumps(probes.ledger(frame).to_dict())
    plain = frame[frame["name"] == "baseline"]
    assert "targets, augmentation" not in json.dumps(probes.ledger(plain).to_dict())


def test_damaged_probes_are_left_out_with_a_warning(tmp_path):
    made_up_runs.write(tmp_path, made_up_runs.twenty()[:2], epochs=3)
    damaged = next(tmp_path.glob("all-*/probes.json"))
    damaged.write_text("{")
    warnings = []
    found = probes.found_in(runs.load(tmp_path), warnings.append)
    assert list(found) == ["average_pooling"]
    assert "all-" in warnings[0]
    assert "damaged" in warnings[0]


def test_all_figures_are_saved_as_wide_as_a_papers_column(probed, tmp_path):
    paths = save_all(probed, tmp_path / "paper")
    assert len(paths) == 2 * len(DRAWN)
    for path in paths:
        if path.suffix == ".svg":
            width = float(re.search(r'width="([\d.]+)"', path.read_text())[1])
            assert width <= 1.15 * figures.PAPER_WIDTH, path.name


def test_a_name_that_every_object_of_javascript_has_goes_with_its_hash():
    labeled = variants.labeled(frame("baseline", "constructor"))
    assert set(labeled["variant"]) == {"baseline", "constructor hash-constructor"}
