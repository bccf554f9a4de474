"""The shipped results are of the data that the code draws now."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from regbench import config, datasets
from regbench.datasets import fingerprint
from regbench.runs import probe_results
from regbench.studies import markdown
from regbench.studies import run as studies
from tests.evidence import data_sets, shipped
from tests.evidence.shipped import Study

SHIPPED = [study for study in shipped.STUDIES if study.bundle.exists()]
# Those whose data is drawn; other data may not be on this machine.
# The variants of the contest, by the names that its table has for readers.
CONTEST = {
    "baseline": "baseline",
    "batch normalization": "batch_norm",
    "label smoothing": "label_smoothing",
    "flip and crop": "flip_crop",
    "decoupled weight decay": "weight_decay",
    "L2": "l2",
    "dropout": "dropout",
}
DRAWN = [study for study in SHIPPED if study.is_drawn]


@pytest.fixture(scope="module")
def extracted(tmp_path_factory):
    """Return a study's runs, extracted once."""
    known = {}

    def runs(study: Study) -> list[Path]:
        if study.name not in known:
            folder = tmp_path_factory.mktemp(study.name)
            shipped.extract(study.bundle, folder)
            known[study.name] = sorted(path.parent for path in folder.glob("*/summary.json"))
        return known[study.name]

    return runs


def test_results_are_shipped():
    assert len(SHIPPED) == len(shipped.STUDIES) >= 12
    assert all(study.name == study.read().label for study in SHIPPED)
    folders = {path.name for path in shipped.RESULTS.iterdir()}
    assert folders == {study.name for study in SHIPPED}


def test_the_page_of_results_counts_the_verdicts_of_every_study():
    page = (shipped.RESULTS.parent / "README.md").read_text(encoding="utf-8")
    row = r"^\| \[`(\w+)`\]\(studies/([\w-]+)/verdicts.md\) \| (\d+) \| (\d+) \| (\d+) \|"
    rows = re.findall(row, page, re.MULTILINE)
    studies_alone = {study.name for study in SHIPPED} - {"contest-full"}
    assert {folder for _, folder, *_ in rows} == studies_alone
    for name, folder, *counts in rows:
        found = json.loads((shipped.RESULTS / folder / "verdicts.json").read_text())["counts"]
        kinds = ("supported", "contradicted", "undecided")
        assert name == folder.removesuffix("-cifar10").removesuffix("-full")
        assert (*map(int, counts),) == tuple(found[kind] for kind in kinds)


def test_the_page_of_both_data_sets_is_that_of_the_verdicts():
    assert data_sets.PAGE.read_text(encoding="utf-8") == data_sets.page()


@pytest.mark.parametrize("page", ["README.md", "results/README.md"])
@pytest.mark.parametrize(("label", "name"), CONTEST.items())
def test_the_table_of_the_contest_is_that_of_its_verdicts(page, label, name):
    told = (shipped.RESULTS / "contest-full/verdicts.md").read_text(encoding="utf-8")
    numbers = [
        re.search(rf"^\| {each} \| \d+ runs \| [^|]+ \| ([^|]+) \|", told, re.MULTILINE)[1]
        for each in (name, f"{name}_tuned")
    ]
    if name == "baseline":
        numbers += ["", ""]
    else:
        claim = rf"`test_accuracy: {name}_tuned [^`]+`\) \| \*\*(\w+)\*\* \| ([^|]+) \|"
        verdict, difference = re.search(claim, told).groups()
        numbers += [re.sub(r"^[+-](?=0\.000)", "", difference), verdict]
    row = f"| {label} | {' | '.join(numbers)} |".replace(" |  |", " | |").replace("|  |", "| |")
    assert row in Path(page).read_text(encoding="utf-8")


@pytest.mark.parametrize("study", SHIPPED, ids=lambda study: study.name)
def test_the_shipped_table_is_that_of_the_shipped_runs(study):
    warnings = []
    found = studies.judge(study.read(), study.folder, warn=warnings.append)
    assert [each for each in warnings if "commit" not in each] == []
    assert markdown.markdown(found) == (study.folder / "verdicts.md").read_text(encoding="utf-8")
    stored = json.loads((study.folder / "verdicts.json").read_text())
    assert rounded(json.loads(json.dumps(found.as_dict()))) == rounded(stored)


def rounded(value):
    """Return numbers to ten digits: processors differ in the last of sixteen."""
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, list):
        return [rounded(each) for each in value]
    return float(f"{value:.10g}") if isinstance(value, float) else value


@pytest.mark.parametrize("study", DRAWN, ids=lambda study: study.name)
def test_every_run_read_the_data_that_the_code_gives_now(study, extracted):
    digests = {}
    for run in extracted(study):
        recorded = json.loads((run / "summary.json").read_text())["data"]
        experiment = config.load(run / "config.yaml")
        key = (experiment.data, experiment.seed_of("data"))
        if key not in digests:
            splits = datasets.load(*key)
            digests[key] = fingerprint.record(splits)
        assert recorded == digests[key], run.name


@pytest.mark.parametrize("study", DRAWN, ids=lambda study: study.name)
def test_every_stored_mistake_is_an_image_of_the_data(study, extracted):
    known = {}
    seen = 0
    for run in extracted(study):
        experiment = config.load(run / "config.yaml")
        whole = datasets.open_dataset(experiment.data)
        if experiment.data.name not in known:
            known[experiment.data.name] = {image.tobytes() for image in whole.test_images}
        for image in mistakes(run):
            seen += 1
            assert image.tobytes() in known[experiment.data.name], run.name
    assert seen


def mistakes(run: Path) -> list[np.ndarray]:
    """Return the images of a run's most confident mistakes, (height, width, channels) each."""
    details = probe_results.read(run).details
    return list(details.mistake_images.array()) if details else []
