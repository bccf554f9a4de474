"""The table for a paper goes through LaTeX, where that is installed."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from regbench import config, runs
from regbench.exports import paper
from tests import made_up_runs

# As wide as both columns of a paper; the text of a plain article is too narrow for the table.
DOCUMENT = r"""\documentclass{article}
\usepackage{booktabs}
\setlength{\textwidth}{17cm}
\begin{document}
%s
\end{document}
"""


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_pdflatex_sets_the_table_without_a_warning(tmp_path):
    experiments = [config.load("configs/baseline.yaml"), config.load("configs/batch_norm.yaml")]
    made_up_runs.write(tmp_path / "results", experiments, seeds=8, epochs=3)
    table = paper.latex(runs.load(tmp_path / "results"))
    assert r"batch\_norm" in table
    assert r"\textbf{" in table
    (tmp_path / "paper.tex").write_text(DOCUMENT % table, encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "paper.pdf").read_bytes().startswith(b"%PDF")
    assert "Overfull" not in done.stdout
    assert "Warning" not in done.stdout
