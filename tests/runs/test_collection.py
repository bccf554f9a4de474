"""The garbage collector is paused while runs are read and compared, and never longer."""

import gc

import pytest

from regbench import RegbenchError, runs
from regbench.analysis.compare import compare
from regbench.runs import copies
from tests.runs.test_loading import written


def test_the_collector_is_paused_and_on_again_after_a_result_and_after_an_error(
    tmp_path, monkeypatch
):
    written(tmp_path)
    states, usual = [], copies.distinct

    def noted(*given):
        states.append(gc.isenabled())
        return usual(*given)

    monkeypatch.setattr(copies, "distinct", noted)
    compare(runs.load(tmp_path))
    assert gc.isenabled()
    with pytest.raises(RegbenchError, match="--baseline"):
        compare(runs.load(tmp_path), "none")
    assert gc.isenabled()
    assert states == [False, False]


def test_a_collector_that_is_off_stays_off(tmp_path):
    written(tmp_path)
    gc.disable()
    try:
        runs.load(tmp_path)
        assert not gc.isenabled()
    finally:
        gc.enable()
