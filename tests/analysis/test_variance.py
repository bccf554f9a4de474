"""Where variance comes from: decompositions of made-up runs, their figure, their tables."""

import io
import json

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from regbench import report, runs
from regbench.analysis import variance
from regbench.config import ConfigError
from regbench.figures import sources
from regbench.studies import file as study_file
from regbench.studies import markdown
from regbench.studies import run as studies
from regbench.terminal import study as tables
from tests import made_up_runs
from tests.analysis.test_compare import BASE, frame

STUDY = """question: Where from?
base: base.yaml
profiles: {quick: {seeds: 1-4}}
variants:
  baseline: {vary: [data, init]}
  dropout: {set: {dropout.dense: 0.5}, vary: [technique]}
claims:
  - {text: It is, metric: gap, variant: dropout, against: baseline, expect: lower}
"""


def varied(accuracies):
    """Return results of a config whose sources have these accuracies; None for all of them."""
    finished, configs = [], {}
    for source, values in accuracies.items():
        name = f"baseline-{source}" if source else "baseline"
        configs[name] = BASE | ({"vary": [source], "base_seed": 0} if source else {})
        finished += [(name, name, seed, value) for seed, value in enumerate(values)]
    return frame(*finished, configs=configs)


def test_each_source_has_the_variance_of_its_runs_and_their_sum_is_told():
    rng = np.random.default_rng(0)
    values = {
        "order": rng.normal(0.5, 0.01, 6),
        "data": rng.normal(0.5, 0.03, 8),
        None: rng.normal(0.5, 0.03, 10),
    }
    (found,) = variance.decompose(varied(values))
    assert [each.source for each in found.rows] == ["data", "order", "sum", "all together"]
    data, order, total, together = found.rows
    assert data.variance == pytest.approx(values["data"].var(ddof=1))
    assert order.runs == 6
    assert total.variance == pytest.approx(data.variance + order.variance)
    assert together.variance == pytest.approx(values[None].var(ddof=1))
    low, high = (7 * data.variance / stats.chi2.ppf(each, 7) for each in (0.975, 0.025))
    assert (data.low, data.high) == pytest.approx((low, high))
    # The degrees of the sum lie between those of its largest part and of all parts.
    assert total.high / total.variance < data.high / data.variance
    assert json.dumps(found.as_dict())


def test_a_source_without_effect_has_no_variance_and_no_interval():
    (found,) = variance.decompose(varied({"technique": [0.5] * 4, "init": [0.5, 0.6, 0.4]}))
    init, technique = found.sources
    assert (technique.variance, technique.low, technique.high) == (0, None, None)
    assert found.total is None
    assert found.sum.variance == init.variance
    assert found.name == "baseline"


def test_runs_in_which_nothing_is_held_are_not_decomposed():
    assert variance.decompose(varied({None: [0.5, 0.6]})) == []
    assert variance.decompose(varied({"init": [0.5], None: [0.5, 0.6]})) == []
    assert sources(varied({"init": [0.5, 0.6]})) is None  # no total to compare it with


@pytest.fixture
def study(write):
    write("data: {name: shapes}\n", "base.yaml")
    return study_file.read(write(STUDY, "vary.yaml"))


@pytest.fixture
def results(study, tmp_path):
    folder = tmp_path / "results"
    for number, experiment in enumerate(study.experiments):
        made_up_runs.write_run(folder, experiment, number % 7, 3, probed=False)
    return folder


def test_a_variant_of_a_study_is_trained_with_each_source_alone(study):
    assert list(study.variants) == [
        "baseline", "baseline-data", "baseline-init", "dropout", "dropout-technique",
    ]  # fmt: skip
    held = study.variants["dropout-technique"]
    assert (held.vary, held.seed_of("technique"), held.seed_of("data")) == (("technique",), 0, 0)
    assert held.with_seed(3).seed_of("technique") == 3
    assert held.regularizers == study.variants["dropout"].regularizers


def test_a_study_says_where_variance_comes_from(study, results):
    found = studies.judge(study, results)
    assert [(each.name, each.metric) for each in found.variances] == [
        ("baseline", "test_accuracy"), ("dropout", "test_accuracy"),
        ("baseline", "gap"), ("dropout", "gap"),
    ]  # fmt: skip
    assert found.as_dict()["variances"][0]["total"]["runs"] == 4
    text = markdown.markdown(found)
    assert "| dropout, gap | technique |" in text
    console = Console(file=io.StringIO(), width=80, color_system=None)
    console.print(tables.terminal(found))
    printed = console.file.getvalue()
    assert "all together" in printed
    assert max(map(len, printed.splitlines())) <= 80


def test_the_figure_and_the_report_show_every_source(results):
    loaded = runs.load(results)
    chart = sources(loaded).to_dict()
    rows = [row for data in chart["datasets"].values() for row in data]
    assert {row["source"] for row in rows} == {"data", "init", "technique", "sum", "all together"}
    assert {row["variant"] for row in rows} == {"baseline", "dropout"}
    assert all(row["low"] < row["deviation"] < row["high"] for row in rows)
    page = report.render(loaded)
    assert 'data-figure="sources"' in page
    assert "Where variance comes from" in page
    assert "dropout, gap, technique" in page


def test_what_is_wrong_with_vary_in_a_study_is_one_line(write):
    write("data: {name: shapes}\n", "base.yaml")
    long = STUDY.replace("dropout:", f"{'d' * 60}:").replace(
        "variant: dropout", "variant: baseline"
    )
    for text, expected in [
        (STUDY.replace("[technique]", "[noise]"), "expected data, init, order or technique"),
        (long, "expected a name of at most 64 characters"),
        (STUDY.replace("0.5}", "0.5, vary: [init]}"), "dropout sets vary itself"),
    ]:
        with pytest.raises(ConfigError) as error:
            study_file.read(write(text, "vary.yaml"))
        (line,) = str(error.value).splitlines()
        assert expected in line
