"""What a run's probes leave on disk, and reading it from folders that can't be trusted."""

import json
import os

import numpy as np
import pytest

from regbench.runs import probe_results
from regbench.runs.files import LIMITS
from regbench.runs.probe_results import (
    Bin,
    Details,
    Findings,
    Histogram,
    Kernel,
    Mistake,
    Numbers,
    Pixels,
    Predictions,
)


def example():
    pixels = Pixels.of(np.zeros((1, 4, 4, 3), np.uint8))
    return Findings(
        numbers=Numbers(
            ledger=None,
            weights=[Kernel(layer="a", weights=4, one_norm=2.0, two_norm=1.0, sparsity=0.0)],
            dropout=None,
            batch_norm=None,
            predictions=Predictions(calibration_error=0.1, train_margin=0.9, test_margin=0.2),
        ),
        details=Details(
            classes=["cat", "dog"],
            histograms={"a": Histogram(low=-1.0, high=1.0, counts=[1, 3])},
            reliability=[Bin(confidence=0.7, accuracy=0.5, examples=9)],
            margins={"test": Histogram(low=-1.0, high=1.0, counts=[4, 5])},
            confusion=[[3, 1], [2, 3]],
            mistakes=[Mistake(truth=0, predicted=1, confidence=0.99)],
            mistake_images=pixels,
            filters=None,
        ),
    )


@pytest.fixture
def folder(tmp_path):
    found = example()
    (tmp_path / "summary.json").write_text(json.dumps({"probes": found.for_summary()}))
    found.save_details(tmp_path / probe_results.DETAILS)
    return tmp_path


def test_what_is_written_is_what_is_read(folder):
    assert probe_results.read(folder) == example()


def test_details_are_a_line_for_each_key(folder):
    lines = (folder / probe_results.DETAILS).read_text().splitlines()
    assert len(lines) == 2 + len(Details.model_fields)


def test_a_run_without_probes_has_none(tmp_path):
    (tmp_path / "summary.json").write_text('{"name": "old"}')
    assert probe_results.read(tmp_path) is None


def test_a_lost_details_file_is_no_probes(folder):
    (folder / probe_results.DETAILS).unlink()
    assert probe_results.read(folder) is None


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("confusion", [[1]], "confusion: expected 2 rows"),
        ("confusion", [[-1, 0], [0, 0]], "greater than or equal to 0"),
        ("mistakes", [], "mistake_images: expected 0, received 1"),
        ("mistakes", [{"truth": 7, "predicted": 0, "confidence": 1}], "classes below 2"),
        ("filters", {"shape": [1, 9, 9, 3], "uint8": "AAAA"}, "expected 243 bytes"),
        ("filters", {"shape": [1, 99999, 99999, 3], "uint8": ""}, "expected images"),
        ("filters", {"shape": [0, 1, 1, 3], "uint8": ""}, "expected images"),
        ("classes", None, "classes: Input should be a valid array"),
        ("classes", ["cat", "\x1b[2J"], "expected printable characters"),
    ],
)
def test_damaged_details_are_refused_with_their_place(folder, key, value, expected):
    path = folder / probe_results.DETAILS
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(ValueError, match=expected):
        probe_results.read(folder)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("weights", [], "at least 1 item"),
        ("weights", [{"layer": "a", "weights": 0, "one_norm": 0.0, "two_norm": 0.0,
                      "sparsity": 0.0}], "greater than or equal to 1"),
        ("weights", [{"layer": "\x1b", "weights": 1, "one_norm": 0.0, "two_norm": 0.0,
                      "sparsity": 0.0}], "expected printable characters"),
        ("dropout", {"layers": [], "examples": 1, "weight_scaling": {"accuracy": 1.0, "loss": 0.0},
                     "passes": [1, 2], "ensemble": []}, "ensemble: expected 2"),
    ],
)  # fmt: skip
def test_damaged_numbers_are_refused_with_their_place(folder, key, value, expected):
    path = folder / "summary.json"
    summary = json.loads(path.read_text())
    summary["probes"][key] = value
    path.write_text(json.dumps(summary))
    with pytest.raises(ValueError, match=expected):
        probe_results.numbers(folder)


@pytest.mark.parametrize("content", ["{", "[]", "[" * 100_000])
def test_a_file_that_is_no_mapping_is_refused(folder, content):
    (folder / probe_results.DETAILS).write_text(content)
    with pytest.raises(ValueError):
        probe_results.read(folder)


@pytest.mark.parametrize(
    "value", ["NaN", "Infinity", "1e999", '"0.1"', "null", "true", "-0.1", "1.1", "[]", "9" * 5000]
)
def test_a_share_that_cannot_be_is_refused(folder, value):
    path = folder / "summary.json"
    text = path.read_text().replace('"calibration_error": 0.1', f'"calibration_error": {value}')
    assert value in text
    path.write_text(text)
    with pytest.raises(ValueError, match="the probes are damaged"):
        probe_results.read(folder)
    with pytest.raises(ValueError, match="the probes are damaged"):
        probe_results.numbers(folder)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999", "1e41"])
def test_a_margin_that_is_not_finite_is_refused(folder, value):
    path = folder / "summary.json"
    path.write_text(path.read_text().replace('"train_margin": 0.9', f'"train_margin": {value}'))
    with pytest.raises(ValueError, match="the probes are damaged"):
        probe_results.numbers(folder)


@pytest.mark.parametrize("file", ["summary.json", probe_results.DETAILS])
def test_a_file_that_is_too_large_is_refused_before_it_is_parsed(folder, file):
    with (folder / file).open("r+b") as opened:
        opened.truncate(LIMITS[file] + 1)
    with pytest.raises(ValueError, match=f"expected at most {LIMITS[file]} bytes"):
        probe_results.read(folder)


def test_probes_of_very_many_classes_are_read_though_their_confusion_is_left_out(folder):
    path = folder / probe_results.DETAILS
    details = json.loads(path.read_text())
    details |= {"classes": [f"class {number}" for number in range(3000)], "confusion": []}
    path.write_text(json.dumps(details))
    assert len(probe_results.read(folder).details.classes) == 3000
    details["classes"] = details["classes"][:200]
    path.write_text(json.dumps(details))
    os.utime(folder / "summary.json", (1, 1))  # or what was read before would be remembered
    with pytest.raises(ValueError, match="confusion: expected 200 rows"):
        probe_results.read(folder)
