"""Finished runs as one object, which stands for its frame in a notebook."""

import copy
import pickle

import pandas
import pytest

import regbench
from regbench import config
from regbench.analysis.compare import compare
from regbench.runs import Results, results_of
from tests import made_up_runs


@pytest.fixture
def results(tmp_path):
    experiments = [config.load(f"configs/{name}.yaml") for name in ("baseline", "dropout")]
    made_up_runs.write(tmp_path, experiments, epochs=2, probed=False)
    return regbench.load(tmp_path)


def test_runs_are_those_of_the_folders_and_tell_their_summary(results):
    assert len(results) == len(results.runs) == results.frame["run"].nunique()
    for run in results:
        assert (run.folder / "summary.json").is_file()
        assert (run.summary.name, run.summary.seed) == (run.name, run.seed)


def test_the_results_stand_for_their_frame(results):
    assert results[["name", "epoch"]].equals(results.frame[["name", "epoch"]])
    assert list(results.columns) == list(results.frame.columns)
    assert set(results.groupby("name").groups) == {run.name for run in results}
    with pytest.raises(AttributeError):
        results.no_such_column  # noqa: B018


def test_the_results_can_be_copied_and_pickled(results):
    for other in (copy.copy(results), pickle.loads(pickle.dumps(results))):
        pandas.testing.assert_frame_equal(other.frame, results.frame)
        assert other.configs == results.configs


def test_a_part_of_the_results_knows_its_configs_and_a_frame_does_not(results):
    part = results.only(results["seed"] == results["seed"].min())
    assert len(part) == 2
    assert compare(part)[1].changes
    assert compare(part.frame)[1].changes is None


def test_a_frame_and_results_are_taken_for_each_other(results):
    assert results_of(results) is results
    wrapped = results_of(results.frame)
    assert isinstance(wrapped, Results)
    assert wrapped.runs == results.runs
    assert wrapped.configs == {}
