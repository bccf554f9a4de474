"""Calls for notebooks and scripts: `regbench.run` and what a cell shows."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

import regbench
from regbench import config
from regbench.errors import RegbenchError
from regbench.execution import local
from regbench.execution.failures import Failure
from regbench.studies import file as study_file
from regbench.studies import run as studies
from regbench.terminal import cell_progress, interactive
from tests import made_up_runs


def test_experiments_are_named_as_in_the_shell_or_given(tmp_path):
    made = interactive._experiments(["baseline", "dropout"], ["train.epochs=2"], "0-1")
    assert [(each.name, each.seed) for each in made] == [
        ("baseline", 0), ("baseline", 1), ("dropout", 0), ("dropout", 1)
    ]  # fmt: skip
    own = config.load("configs/smoke.yaml")
    assert [each.seed for each in interactive._experiments(own, [], range(3))] == [0, 1, 2]
    with pytest.raises(RegbenchError, match="overrides: expected configs by file or name"):
        interactive._experiments([own], ["train.epochs=2"], None)


def test_what_is_finished_is_not_trained_again_and_the_runs_come_back(tmp_path):
    experiments = [config.load("configs/baseline.yaml"), config.load("configs/l2.yaml")]
    made_up_runs.write(tmp_path, experiments, seeds=3)
    runs = regbench.run(["configs/baseline.yaml"], tmp_path, seeds=[0, 1], progress=False)
    assert [run.label for run in runs] == ["baseline s0", "baseline s1"]


def test_a_cell_gets_a_bar_and_a_terminal_does_not(monkeypatch):
    assert not interactive.in_a_notebook()
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert isinstance(interactive.observer(), cell_progress.CellProgress)


def test_the_bar_is_replaced_in_place_and_escapes_names(monkeypatch):
    shown = []
    handle = SimpleNamespace(update=shown.append)

    def display(content, display_id):
        shown.append(content)
        return handle

    module = SimpleNamespace(HTML=str, display=display)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    bar = cell_progress.CellProgress()
    experiment = config.load("configs/smoke.yaml")
    bar.reading("<b>mine</b>")
    bar.begin([experiment, experiment.with_seed(1)], [], 1)
    bar.see(experiment, local.Event(0, "started"))
    bar.see(experiment, local.Event(0, "failed", failure=Failure("OSError", "<no> space", "")))
    bar.end()
    assert shown[0] == "<div>Reading &lt;b&gt;mine&lt;/b&gt;</div>"
    assert 'value="0.500"' in shown[-1]
    assert "0 of 2 runs done, 1 failed, 1 waiting" in shown[-1]
    assert "&lt;no&gt; space" in shown[-1]


def test_comparisons_and_verdicts_are_tables_in_a_notebook(tmp_path):
    asked = study_file.read("configs/studies/demo.yaml", seeds=[0, 1, 2])
    made_up_runs.write(tmp_path, list(asked.variants.values()), seeds=3)
    result = studies.judge(asked, tmp_path)
    assert "<th>verdict</th>" in result._repr_html_()
    assert result.verdicts[0].decision in result.verdicts[0]._repr_html_()
    table = regbench.compare(regbench.load(tmp_path))._repr_html_()
    assert "<td>baseline</td><td>3</td>" in table
