"""A study with factors: from its file to effects and verdicts on them."""

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from regbench import figures, runs
from regbench.config import ConfigError
from regbench.report import page
from regbench.studies import file as study_file
from regbench.studies import markdown
from regbench.studies import run as study
from regbench.terminal import study as tables
from tests.made_up_runs import write_run

BASE = Path("configs/baseline.yaml").resolve()
FACTORS = "{dropout.dense: [0, 0.5], batch_norm: [false, true], l2: [0, 5e-4]}"
OPTIMIZERS = (
    "{optimizer: {sgd: {train.optimizer: sgd, train.learning_rate: 0.1}, adam: {}}, "
    "penalty: {none: {}, l2: {l2: 5e-4}, decay: {weight_decay: 1e-3}}}"
)
EFFECT = "metric: gap, effect: dropout.dense, expect: lower"
TINY = (
    "data.name: shapes, data.train_examples: 50, data.test_examples: 50, "
    "model.blocks: [2], model.dense: [4], train.epochs: 1, train.batch_size: 50"
)


@pytest.fixture
def write(tmp_path):
    def write(factors=FACTORS, claim=EFFECT, more="", profile="seeds: 0-4"):
        path = tmp_path / "mine.yaml"
        path.write_text(
            f"question: Is it so?\nbase: {BASE}\nprofiles: {{quick: {{{profile}}}}}\n"
            f"factors: {factors}\n{more}claims:\n  - {{text: Claim, {claim}}}\n"
        )
        return path

    return write


def messages(path, *overrides):
    with pytest.raises(ConfigError) as error:
        study_file.read(path, overrides=overrides)
    return "\n".join(error.value.messages)


def test_each_combination_is_a_variant_with_a_readable_name(write):
    variants = study_file.read(write()).variants
    assert len(variants) == 8
    last = variants["cell-dense_0.5-batch_norm_true-l2_0.0005"]
    assert last.brief()["batch_norm"]


def test_factors_stand_beside_variants(write):
    variants = study_file.read(write(more="variants: {baseline: {set: {l1: 1e-4}}}\n")).variants
    assert len(variants) == 9


def test_a_named_level_sets_as_many_keys_as_it_needs(write):
    read = study_file.read(
        write(OPTIMIZERS, "metric: gap, effect: [optimizer, penalty=l2], expect: same, margin: 1")
    )
    assert list(read.factors.levels) == ["optimizer", "penalty"]
    assert read.factors.levels["optimizer"] == ("sgd", "adam")
    assert len(read.variants) == 6
    last = read.variants["cell-optimizer_sgd-penalty_decay"]
    assert (last.train.optimizer, last.train.learning_rate) == ("sgd", 0.1)
    assert last.brief()["weight_decay"]
    adam = read.variants["cell-optimizer_adam-penalty_none"]
    assert (adam.train.optimizer, adam.train.learning_rate) == ("adam", 1e-3)
    effect = read.factors.of_claim(["optimizer", "penalty=l2"])
    assert read.factors.text(effect) == "optimizer x penalty l2"


@pytest.mark.parametrize(
    ("factors", "claim", "more", "expected"),
    [
        ("{l2: [0]}", EFFECT, "", "factors.l2"),
        ("{l2: [0, 0]}", EFFECT, "", "factors.l2: 0 is a duplicate"),
        ("{l2: 5}", EFFECT, "", "factors.l2: expected a list of values or named levels"),
        ("{norm: {none: {}}}", EFFECT, "", "factors.norm: expected at least two levels"),
        ("{norm: {none: {}, batch: true}}", EFFECT, "", "factors.norm.batch: expected what it se"),
        ("{norm: {none: {}, batch: {batchnorm: true}}}", EFFECT, "", "batchnorm: unknown key"),
        ("{l2: [0, 1], penalty: {no: {}, yes: {l2: 1}}}", EFFECT, "", "l2: penalty sets l2 too"),
        ("{dropout.dnse: [0, 0.5]}", EFFECT, "", "dropout.dnse"),
        (FACTORS, EFFECT.replace("dense", "conv"), "", "no factor 'dropout.conv'; expected one of"),
        (FACTORS, EFFECT + ", variant: x", "", "variant: a claim about an effect has none"),
        ("{l2: [0, 1e-3], l1: [0, 1e-3]}", EFFECT, "fraction: 1/2\n", "at least 3 factors"),
        (FACTORS, EFFECT, "fraction: 1/3\n", "fraction: expected"),
    ],
)  # fmt: skip
def test_invalid_factors_are_errors_with_their_place(write, factors, claim, more, expected):
    assert expected in messages(write(factors, claim, more))


@pytest.mark.parametrize(
    ("more", "profile", "expected"),
    [
        ("data_sets: {a: {}, b: {}}\n", "seeds: 0-4", "data_sets: cannot be combined with factors"),
        ("", "seeds: {first: 5, most: 10}", "factors: cannot be combined with looks"),
        (
            "tune: {trials: 4}\n",
            "seeds: 0-4, set: {data.validation_examples: 50}",
            "tune: cannot be combined with factors",
        ),
    ],
)
def test_sections_that_would_not_fit_together_are_an_error(write, more, profile, expected):
    assert f"{expected}; make two studies of it" in messages(write(more=more, profile=profile))


def test_an_override_of_a_factor_is_an_error(write):
    assert "the matrix sets l2" in messages(write(), "l2=0.1")
    claim = "metric: gap, effect: optimizer, expect: lower"
    text = messages(write(OPTIMIZERS, claim), "train.learning_rate=3")
    assert "the matrix sets train.learning_rate" in text


def test_a_claim_on_an_effect_is_judged_from_all_runs(write, tmp_path):
    read = study_file.read(write())
    for experiment in read.experiments:
        # The made-up gap falls as the number grows.
        write_run(tmp_path / "runs", experiment, 14 * ("dense_0.5" in experiment.name), 12, False)
    found = study.judge(read, tmp_path / "runs")
    (verdict,) = found.verdicts
    assert (verdict.decision, verdict.pairs) == ("supported", 5)
    effects = {each.text: each for each in found.effects if each.metric == "gap"}
    assert effects["dropout.dense 0 -> 0.5"].mean == pytest.approx(verdict.mean)
    assert len(effects) == 6
    table = markdown.markdown(found)
    assert "full factorial design, 8 combinations" in table
    assert "dropout.dense x batch" in table


def test_the_figure_has_a_panel_for_each_two_factors(write, tmp_path):
    for experiment in study_file.read(write(profile="seeds: 0-1")).experiments:
        write_run(tmp_path / "runs", experiment, 3, 2, False)
    drawn = figures.interactions(runs.load(tmp_path / "runs")).to_dict()
    (rows,) = drawn["datasets"].values()
    assert len(rows) == 3 * 4
    assert len({row["panel"] for row in rows}) == 3


def test_keys_that_change_together_are_one_factor_of_the_figure(write, tmp_path):
    level = "{sgd: {train.optimizer: sgd, train.learning_rate: 0.1}, adam: {}}"
    path = write(f"{{optimizer: {level}, dropout.dense: [0, 0.5]}}")
    for experiment in study_file.read(path, seeds=[0, 1]).experiments:
        write_run(tmp_path / "runs", experiment, 3, 2, False)
    drawn = figures.interactions(runs.load(tmp_path / "runs")).to_dict()
    (rows,) = drawn["datasets"].values()
    assert {row["panel"] for row in rows} == {"train.optimizer, dropout.dense"}


def test_a_terminal_of_80_columns_keeps_the_names_of_factors_whole(write, tmp_path):
    read = study_file.read(write())
    for experiment in read.experiments:
        write_run(tmp_path / "runs", experiment, 3, 12, False)
    found = study.judge(read, tmp_path / "runs")
    console = Console(width=80, file=io.StringIO())
    console.print(tables.terminal(found))
    shown = console.file.getvalue()
    assert re.search(r"^dropout\.dense x", shown, re.MULTILINE)


def test_the_report_draws_how_factors_work_together(write, tmp_path):
    for experiment in study_file.read(write(profile="seeds: 0-1")).experiments:
        write_run(tmp_path / "runs", experiment, 3, 2, False)
    html = page.render(runs.load(tmp_path / "runs"))
    assert 'data-figure="interactions"' in html
    assert '<th scope="col">level of the first</th>' in html


def test_a_half_fraction_says_what_it_cannot_tell_apart(write, tmp_path):
    read = study_file.read(write(more="fraction: 1/2\n"))
    for experiment in read.experiments:
        write_run(tmp_path / "runs", experiment, 3, 12, False)
    found = study.judge(read, tmp_path / "runs")
    assert "4 of 8 combinations, resolution III" in str(read.factors)
    assert found.verdicts[0].cautions[0] == "aliased with batch_norm x l2"


def test_a_tiny_design_is_trained_and_its_effects_are_written(write, tmp_path):
    path = write("{l2: [0, 5e-4], flip: [false, true]}", EFFECT.replace("dropout.dense", "l2"),
                 profile=f"seeds: 0-1, set: {{{TINY}}}")  # fmt: skip
    study.run(path, results=tmp_path / "runs", jobs=1)
    written = json.loads((tmp_path / "runs" / "verdicts.json").read_text())
    assert written["design"] == "full factorial design, 4 combinations"
    assert {each["seeds"] for each in written["effects"]} == {2}
