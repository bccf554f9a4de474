"""Stored test predictions: what is written is read, and nothing that is damaged."""

import numpy as np
import pytest

from regbench.runs import predictions
from regbench.runs.files import LIMITS


def test_what_is_written_is_read(tmp_path):
    labels, predicted = np.array([3, 0, 199]), np.array([3, 1, 0])
    predictions.write(tmp_path / "predictions.csv", labels, predicted)
    assert predictions.read(tmp_path).tolist() == [[3, 3], [0, 1], [199, 0]]


def test_a_run_without_predictions_has_none(tmp_path):
    assert predictions.read(tmp_path) is None


def test_a_file_that_lost_its_end_is_damaged_unless_it_lost_whole_rows(tmp_path):
    path = tmp_path / "predictions.csv"
    predictions.write(path, np.array([3, 10, 5]), np.array([3, 11, 2]))
    text = path.read_text()
    for end in range(len(text)):
        path.write_text(text[:end])
        if text[:end].endswith("\n"):  # compare checks the number of rows
            assert (
                predictions.read(tmp_path).tolist()
                == [[3, 3], [10, 11], [5, 2]][: text[:end].count("\n") - 1]
            )
        else:
            with pytest.raises(ValueError, match=r"predictions\.csv is damaged"):
                predictions.read(tmp_path)


def test_a_file_that_is_too_large_is_damage(tmp_path):
    with (tmp_path / "predictions.csv").open("wb") as file:
        file.truncate(LIMITS[predictions.PREDICTIONS] + 1)
    with pytest.raises(ValueError, match="expected at most 67108864 bytes"):
        predictions.read(tmp_path)


@pytest.mark.parametrize("row", ["1", "1,2,3", "1,-2", "1,x", "1,²", f"1,{2**63}", ",", "1\n2,3,4"])
def test_a_row_that_is_not_two_classes_is_damage(tmp_path, row):
    (tmp_path / "predictions.csv").write_text(f"label,predicted\n{row}\n")
    with pytest.raises(ValueError, match=r"predictions\.csv is damaged"):
        predictions.read(tmp_path)
