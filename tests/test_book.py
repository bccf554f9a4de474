"""The book on the course notes: its parts, its numbers, its commands.

Numbers are computed here from the files in the bundles, by formulas of their own.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
import shlex
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from docs.book import __main__ as make_book
from docs.book import evidence, figures, pages
from docs.book.evidence import BookError
from docs.book.pages import Page
from regbench.cli import cli
from regbench.runs import bundle
from regbench.studies import file as study_file
from tests.evidence.shipped import ARCHIVE

WRITTEN = pages.pages()
BY_NAME = {page.name: page for page in WRITTEN}
SHIPPED = evidence.RESULTS
NAMED = pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)


def _kernels(probes, value):
    return [value(kernel) for kernel in probes["weights"]]


def _near_zero(probes):
    sizes = _kernels(probes, lambda kernel: kernel["weights"])
    return np.average(_kernels(probes, lambda kernel: kernel["sparsity"]), weights=sizes)


def _layers(probes, part, name):
    return np.mean([layer[name] for layer in probes[part]["layers"]])


# What the pages show of single variants: from the last row of a history, or from a summary.
LAST = ("train_accuracy", "reported_accuracy")
FOUND = {
    "parameters": lambda summary, probes: summary["parameters"],
    "weight_norm": lambda summary, probes: math.hypot(*_kernels(probes, lambda k: k["two_norm"])),
    "near_zero": lambda summary, probes: _near_zero(probes),
    "multiply_adds": lambda summary, probes: probes["costs"]["multiply_adds"],
    "pooling_parameters": lambda summary, probes: probes["costs"]["pooling_parameters"],
    "dropped_share": lambda summary, probes: _layers(probes, "dropout", "dropped"),
    "gamma_moved": lambda summary, probes: _layers(probes, "batch_norm", "gamma_moved"),
    "beta_moved": lambda summary, probes: _layers(probes, "batch_norm", "beta_moved"),
}
COUNTED = ("parameters", "multiply_adds", "pooling_parameters")


def in_bundle(path, metric, variant):
    """Return a metric of a variant's runs from the files of a bundle."""
    found = []
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if not re.fullmatch(rf"{re.escape(variant)}-[0-9a-f]{{8}}-s\d+/summary\.json", name):
                continue
            summary = json.loads(archive.read(name))
            if metric in LAST:
                history = archive.read(name.replace("summary.json", "history.csv")).decode()
                found.append(float(list(csv.DictReader(io.StringIO(history)))[-1][metric]))
            else:
                found.append(float(FOUND[metric](summary, summary["probes"])))
    return np.array(found)


def as_written(metric, values):
    if metric in COUNTED:
        assert len(set(values)) == 1
        return f"{int(values[0]):,}"
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
    return f"{values.mean():.3f} ±{half:.3f}"


def shown_numbers():
    asked = [(page.name, each) for page in WRITTEN for each in pages.INLINE.findall(page.text)]
    return [pytest.param(page, *each.split(), id=f"{page}-{each}") for page, each in asked]


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A folder for results of a study, which the book then reads in place of those shipped."""
    monkeypatch.setattr(evidence, "RESULTS", tmp_path / "studies")
    return tmp_path / "studies"


def changed(study, folder, change, data=None):
    """Copy a study, with its verdicts changed, and with the name of another data set."""
    shutil.copytree(SHIPPED / study, folder)
    stored = json.loads((folder / "verdicts.json").read_text())
    change(stored)
    (folder / "verdicts.json").write_text(json.dumps(stored))
    if data:
        made = bundle.extract(folder / "runs.zip", folder.parent.parent / data).written
        for run in made:
            text = (run / "config.yaml").read_text()
            (run / "config.yaml").write_text(
                re.sub("name: (shapes|cifar10)", f"name: {data}", text)
            )
        bundle.write(made, folder / "runs.zip")


@NAMED
def test_every_page_has_its_parts_and_types_no_number(page):
    assert list(pages.problems(page)) == []


@pytest.mark.parametrize("part", [*pages.SECTIONS, "{plot}", "{verdict}", "{command}", "<summary>"])
def test_a_page_that_lacks_a_part_is_named(part):
    page = WRITTEN[0]
    found = list(pages.problems(Page(page.path, page.text.replace(part, "Else"), page.lines)))
    assert len(found) == 1
    assert "overfitting.md: expected" in found[0]


@pytest.mark.parametrize("typed", ["0.266", "a gap of 0.27", "5 seeds", "27%", "by -0.11"])
def test_a_number_that_was_typed_is_named(typed):
    page = WRITTEN[0]
    text = page.text.replace("## Measured\n", f"## Measured\n\nIt is {typed}.\n")
    (found,) = pages.problems(Page(page.path, text, page.lines))
    assert re.search(r"\d+", typed)[0] in found


def test_every_verdict_of_the_book_is_that_of_the_runs_in_its_bundle():
    studies = {study for page in WRITTEN for study in page.studies()}
    assert len(studies) >= 12
    for study in studies:
        for each in evidence.of_study(study):
            assert list(each.mismatches()) == []


@pytest.mark.parametrize(("page", "study", "metric", "variant"), shown_numbers())
def test_every_number_in_the_text_is_the_number_in_the_bundle(page, study, metric, variant):
    values = in_bundle(evidence.of_study(study)[0].bundle, metric, variant)
    expected = as_written(metric, values)
    assert pages.mean(f"{study} {metric} {variant}") == expected
    assert expected in pages.filled(BY_NAME[page])


def test_a_difference_in_the_text_is_that_of_runs_paired_by_seed():
    lead = evidence.of_study("overfitting")[0]
    means = [
        in_bundle(lead.bundle, "train_accuracy", name).mean() for name in ("dropout", "baseline")
    ]
    tests = [lead.values("test_accuracy", name) for name in ("dropout", "baseline")]
    of_test = np.mean([tests[0][seed] - tests[1][seed] for seed in tests[0]])
    gap = lead.verdict("gap: dropout - baseline")
    assert gap.mean == pytest.approx(means[0] - means[1] - of_test)
    assert f"{abs(gap.mean):.3f} ({min(abs(gap.low), abs(gap.high)):.3f}" in pages.filled(
        BY_NAME["simpler_models"]
    )


def test_the_book_is_not_made_where_a_number_is_not_that_of_the_bundle(
    results, monkeypatch, capsys
):
    def change(stored):
        stored["verdicts"][0]["mean"] -= 0.001

    changed("dropout_rate", results / "dropout_rate", change)
    monkeypatch.setattr(pages, "order", lambda: ["dropout_rates"])
    monkeypatch.setattr(pages, "draw", lambda: pytest.fail("nothing may be drawn"))
    assert make_book.main() == 1
    said = capsys.readouterr().err
    claim = "test_loss: rate-dense_0.2 - baseline"
    found = evidence.of_study("dropout_rate")[0].verdict(claim).mean
    assert f"{claim}: expected {found + 0.001:.6g}, the mean of the runs in runs.zip" in said
    assert f"received {found:.6g}" in said


@NAMED
def test_every_figure_that_a_page_shows_is_of_runs_that_are_shipped(page):
    assert list(page.plots())
    for plot in page.plots():
        assert plot.kind in figures.KINDS
        assert all(plot.evidence.run(variant) for variant in plot.variants)
        assert plot.caption.endswith(".")


def test_a_figure_is_drawn_for_a_light_and_a_dark_page_and_old_ones_are_removed(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(figures, "FOLDER", tmp_path)
    (tmp_path / "old-light.svg").write_text("<svg/>")
    (plot,) = pages.read(pages.FOLDER / "p_norms.md").plots()
    light, dark = figures.draw_all([plot])[::-1]
    assert sorted(tmp_path.iterdir()) == [dark, light]
    assert "l2_strong" in light.read_text()
    assert figures.INK in light.read_text()
    assert figures.INK not in dark.read_text()
    assert figures.DARK[figures.INK] in dark.read_text()


def commands(page):
    text = pages.filled(page)
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [*"".join(blocks).splitlines(), *re.findall(r"`(regbench [^`]+)`", text)]


@NAMED
def test_every_command_of_a_page_is_valid(page):
    found = commands(page)
    assert any("--results again/" in each for each in found)
    for each in found:
        _, name, *arguments = shlex.split(each)
        command = cli.get_command(None, name)
        command.make_context(name, list(arguments))  # an option that it does not have raises
        if name == "study":
            assert Path(arguments[0]).exists()


@NAMED
def test_the_command_of_a_page_trains_the_runs_that_are_shipped(page):
    command = next(each for each in commands(page) if each.startswith("regbench study"))
    words = shlex.split(command)
    profile = words[words.index("--profile") + 1] if "--profile" in words else None
    lead = evidence.of_study(Path(words[2]).stem)[0]
    # The shipped runs of real images read them from an archive with another order.
    study = study_file.read(words[2], profile, overrides=[] if lead.drawn else [ARCHIVE])
    made = {experiment.hash for experiment in study.variants.values()}
    assert made == {each["config_hash"] for each in lead.stored["variants"]}


def test_the_contents_list_every_line_with_its_page_and_verdict():
    table = pages.contents().splitlines()[2:]
    assert len(table) == sum(len(page.lines) for page in WRITTEN) >= 25
    assert {re.search(r"\]\((\w+)\.md\)", row)[1] for row in table} == {
        path.stem for path in pages.FOLDER.glob("*.md") if path.stem != pages.CONTENTS
    }
    assert [row for row in table if not row.split("|")[3].strip()] == []
    (lasso,) = [row for row in table if "2-norm is the lasso" in row]
    assert "wrong by definition" in lasso


@pytest.mark.parametrize(
    "line",
    [
        "overfits", "constraint", "p-norm", "lasso", "smaller", "size and a stride", "overlap",
        "no parameters", "quadratically", "saves work", "each map by itself", "probability p",
        "inference all units", "scaled by 1 - p times y", "ensemble of $2^H$", "more iterations",
        "cheaper", "convolutions", "0.2 to 0.5", "larger network", "higher learning rate",
        "of each batch", "Gamma and beta", "moving averages",
    ],
)  # fmt: skip
def test_every_line_of_the_notes_has_a_page(line):
    assert line in pages.contents()


def decide(decision, profile):
    def change(stored):
        stored["profile"] = profile
        for each in stored["verdicts"]:
            each["decision"] = decision

    return change


def test_opposite_verdicts_on_two_data_sets_are_called_that(results):
    changed("penalties", results / "penalties", decide("supported", "quick"), "shapes")
    changed("penalties", results / "penalties_real", decide("contradicted", "cifar10"), "cifar10")
    assert "**They disagree.**" in pages.filled(BY_NAME["p_norms"])


def test_a_study_on_real_images_leads_and_says_where_it_alone_decides(results):
    changed("penalties", results / "penalties", decide("supported", "quick"), "shapes")
    changed("penalties", results / "penalties_real", decide("undecided", "cifar10"), "cifar10")
    real, drawn = evidence.of_study("penalties")
    assert (real.images, drawn.images) == ("CIFAR-10", "drawn shapes")
    text = pages.filled(BY_NAME["p_norms"])
    assert f"Undecided on {real.data}; supported on {drawn.data}" in text
    assert "**One alone decides it.**" in text
    assert "L1 is not seen to make the weights sparser" in text
    assert "penalties.yaml --profile cifar10" in text
    answer = BY_NAME["p_norms"].lines[-1].answer()
    assert answer == "CIFAR-10: 3 undecided; drawn shapes: 3 supported"


MEANING = "supported: Yes.\nundecided: Perhaps.\ncontradicted: No."


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (f"gap: dropout - baseline\n{MEANING}", "expected one of the claims"),
        ("sparseness: l1 - l2\nsupported: Yes.", "expected a line for each of"),
    ],
)
def test_a_page_that_asks_for_what_is_not_there_is_refused(body, expected):
    with pytest.raises(BookError, match=expected):
        pages.verdict("penalties", body)


def test_a_study_or_a_variant_that_is_not_shipped_is_named():
    with pytest.raises(BookError, match="expected results of a study nothing"):
        pages.mean("nothing gap baseline")
    with pytest.raises(BookError, match="expected one of the variants baseline, l1"):
        pages.mean("penalties gap l3")


def test_results_with_the_full_network_stand_between_and_are_called_that(results):
    changed("penalties", results / "penalties", decide("supported", "quick"), "shapes")
    real = "penalties-cifar10"
    changed(real, results / "penalties-full", decide("supported", "full"))
    changed(real, results / real, decide("undecided", "cifar10"))
    found = evidence.of_study("penalties")
    names = ["CIFAR-10", "CIFAR-10 with the full network", "drawn shapes"]
    assert [each.images for each in found] == names
    assert "**Not all decide it.**" in pages.filled(BY_NAME["p_norms"])
