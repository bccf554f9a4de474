"""Claims over new test images: their key, their verdicts, and what they need."""

import json

import numpy as np
import pytest

from regbench.config import ConfigError
from regbench.runs import predictions
from regbench.studies import differences, markdown
from regbench.studies import file as study_file
from regbench.studies.result import StudyResult, VariantResult
from tests.studies.test_differences import VARIANTS, claim, judge

STUDY = """question: Is it so?
base: {base}
profiles: {{quick: {{seeds: 0-4}}}}
variants: {{baseline: {{}}, dropout: {{set: {{dropout.dense: 0.5}}}}}}
claims:
  - text: It is
    metric: {metric}
    variant: dropout
    against: baseline
    expect: higher
    over: {over}
"""


def over(name, expect="higher"):
    return claim("test_accuracy", expect).model_copy(update={"over": name})


def runs(folder, seeds=8, examples=500, better=(60, 40), noise=0.08):
    """Write runs that share test examples: some that one config gets right, for nearly all seeds.

    Return the accuracies of both configs, by seed.
    """
    rng = np.random.default_rng(3)
    labels = np.arange(examples) % 10
    more, less = better
    found = {"baseline": [], "dropout": []}
    for seed in range(seeds):
        lead = rng.normal(0, noise)
        easy = rng.random(examples) < 0.7
        here, there = easy.copy(), easy.copy()
        here[:more] = rng.random(more) < 0.9 + lead
        there[:more] = rng.random(more) < 0.1
        here[more : more + less] = rng.random(less) < 0.1 + lead
        there[more : more + less] = rng.random(less) < 0.9
        for name, right in (("dropout", here), ("baseline", there)):
            path = folder / f"{name}-s{seed}"
            path.mkdir(parents=True)
            predictions.write(path / "predictions.csv", labels, np.where(right, labels, 99))
            found[name].append(float(right.mean()))
    return {"test_accuracy": found}


def test_new_images_can_leave_undecided_what_new_seeds_support(tmp_path):
    accuracy = runs(tmp_path)
    seeds = judge(over("seeds"), accuracy, folder=tmp_path)
    images = judge(over("images"), accuracy, folder=tmp_path)
    assert seeds.mean == images.mean
    assert images.high - images.low > seeds.high - seeds.low
    assert (seeds.decision, images.decision) == ("supported", "undecided")
    assert images.reason == "500 test examples are too few to decide it, at any seeds"
    assert "over" not in seeds.as_dict()["claim"]
    assert images.as_dict()["claim"]["over"] == "images"


def test_a_large_difference_is_supported_over_images_too(tmp_path):
    accuracy = runs(tmp_path, better=(150, 10))
    assert judge(over("images"), accuracy, folder=tmp_path).decision == "supported"
    assert judge(over("images", "lower"), accuracy, folder=tmp_path).decision == "contradicted"


def test_seeds_that_would_decide_over_images_are_more_than_over_seeds(tmp_path):
    accuracy = runs(tmp_path, seeds=4, examples=3000, better=(420, 300), noise=0.6)
    needed = [judge(over(name), accuracy, folder=tmp_path) for name in ("seeds", "images")]
    assert [each.decision for each in needed] == ["undecided", "undecided"]
    assert needed[0].needed < needed[1].needed


def test_without_predictions_the_images_part_is_an_upper_estimate(tmp_path):
    accuracy = {"test_accuracy": {"baseline": [0.5, 0.51, 0.5, 0.52], "dropout": [0.55] * 4}}
    seeds, images = (judge(over(name), accuracy, folder=tmp_path) for name in ("seeds", "images"))
    assert images.high - images.low > seeds.high - seeds.low
    assert differences.UPPER in images.cautions


def test_a_reader_sees_which_claims_are_over_images(tmp_path):
    verdict = judge(over("images"), runs(tmp_path), folder=tmp_path)
    study = study_file.Study("study", "?", "quick", (0,), VARIANTS, (verdict.claim,))
    shown = [
        VariantResult(name, each.hash, {}, 8, 0, dict.fromkeys(
            [*markdown.SHOWN, "test_accuracy"], differences.statistics.interval(np.ones(2))
        ))
        for name, each in VARIANTS.items()
    ]  # fmt: skip
    text = markdown.markdown(StudyResult(study, shown, [verdict]))
    assert "> 0, over images" in text
    assert "over images: the interval and p cover new test images" in text


def test_over_images_needs_a_metric_of_stored_predictions(write):
    base = "{data: {name: shapes}}"
    write(f"data: {{name: shapes}}\n# {base}\n", "base.yaml")
    path = write(STUDY.format(base="base.yaml", metric="test_loss", over="images"), "s.yaml")
    with pytest.raises(ConfigError) as error:
        study_file.read(path)
    (line,) = str(error.value).splitlines()
    assert "claims[0].over: expected test_accuracy or gap" in line
    fine = write(STUDY.format(base="base.yaml", metric="gap", over="images"), "t.yaml")
    assert study_file.read(fine).claims[0].over == "images"
    wrong = write(STUDY.format(base="base.yaml", metric="gap", over="runs"), "u.yaml")
    with pytest.raises(ConfigError, match="seeds"):
        study_file.read(wrong)
    assert "over" in json.dumps(study_file.schema())
