"""What `import regbench` offers: names, their types, and what they were called before."""

import pydoc
import subprocess
import sys
import textwrap
from importlib import metadata

import pytest

import regbench

# Every public call of README and the guide, with the types that a checker must see.
SCRIPT = textwrap.dedent("""
    from pathlib import Path
    from typing import assert_type

    import regbench
    from regbench.config import Experiment
    from regbench.models.saving import LoadedModel
    from regbench.runs import Run, Summary
    from regbench.runs.bundle import Bundled
    from regbench.studies.result import StudyResult
    from regbench.studies.verdicts import Verdict
    from regbench.sweeps.sweep import Outcome

    experiment = regbench.config.load("configs/smoke.yaml", ["l2=1e-3"])
    assert_type(experiment, Experiment)
    outcome = regbench.sweep.run([experiment], "results/script")
    assert_type(outcome, Outcome)
    assert_type(outcome.done, list[Summary])
    results = regbench.load("results/script")
    assert_type(results, regbench.Results)
    assert_type(results.runs, tuple[Run, ...])
    assert_type(results.runs[0].folder, Path)
    assert_type(results.runs[0].summary, Summary)
    assert_type(results.runs[0].summary.test_accuracy, float)
    assert_type(results.runs[0].summary.test_examples, int | None)
    assert_type(len(results), int)
    reveal_type(regbench.compare(results, "baseline", metrics=["gap"]))
    study = regbench.study("configs/studies/overfitting.yaml", seeds=[0])
    assert_type(study, StudyResult)
    for verdict in study.verdicts:
        assert_type(verdict, Verdict)
        assert_type(verdict.claim.text, str)
    regbench.figures.curves(results)
    regbench.figures.curves(results.frame)
    assert_type(regbench.report.write(results, "report.html"), None)
    assert_type(regbench.bundle.write("results", "runs.zip"), Bundled)
    assert_type(regbench.load_model(results.runs[0].folder), LoadedModel)
    assert_type(regbench.run("baseline", seeds="0-4"), regbench.Results)
    assert_type(regbench.Run(results.runs[0].folder).model(), LoadedModel)
    assert_type(regbench.__version__, str)
    # Wrong options: were one of them accepted, its comment would be an error.
    regbench.run("baseline", jbos=2)  # type: ignore[call-arg]
    regbench.run("baseline", jobs="2")  # type: ignore[arg-type]
    regbench.study("overfitting", jbos=2)  # type: ignore[call-arg]
    regbench.reproduce("srivastava2014-table9", jobs="2")  # type: ignore[arg-type]
""")

# Reading these libraries takes minutes; the calls above return nothing of theirs.
MYPY = """
[mypy]
[mypy-altair.*,keras.*,pandas.*,PIL.*,scipy.*,tensorflow.*]
follow_imports = skip
"""


def test_every_public_name_is_there_and_another_is_not():
    for name in regbench.__all__:
        assert getattr(regbench, name) is not None
    assert set(regbench.__all__) <= set(dir(regbench))
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        regbench.lod  # noqa: B018


def test_the_version_is_that_of_the_package():
    assert regbench.__version__ == metadata.version("regbench")


def test_functions_are_called_as_before_by_the_names_of_their_modules():
    assert regbench.compare.compare is regbench.compare
    assert regbench.study.run is regbench.study


def test_help_shows_how_the_calls_go_together():
    text = pydoc.render_doc(regbench, renderer=pydoc.plaintext)
    for call in ("regbench.load(", "regbench.compare(", "regbench.study(", "load_model("):
        assert call in text


@pytest.mark.slow
def test_a_strict_type_checker_sees_the_type_of_every_call(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "mypy.ini").write_text(MYPY)
    # In a folder of one's own, as a user has it: regbench is an installed package there.
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "script.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"regbench.analysis.rows.Rows"' in done.stdout
    assert "Any" not in done.stdout
