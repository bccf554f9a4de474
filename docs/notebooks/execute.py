"""Executes the notebooks of this folder, and checks that cells show what they should.

    make notebook

Each runs in an empty folder, in a kernel of the Python that runs this file.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent
SECONDS = 900
# What some cell must show: a bar, tables of runs and verdicts, a drawing.
SHOWN = {
    "text/html": ("<progress", "<th>test_accuracy</th>", "<th>verdict</th>", "predicted"),
    "image/svg+xml": ("<svg",),
}


def main() -> None:
    # The kernel starts elsewhere, and must import the same code.
    paths = [str(FOLDER.parents[1]), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    os.environ["PYTHONPATH"] = os.pathsep.join(str(Path(each).absolute()) for each in paths if each)
    for path in sorted(FOLDER.glob("*.ipynb")):
        with tempfile.TemporaryDirectory(prefix="regbench-notebook-") as folder:
            print(f"Executing {path}", flush=True)
            problems = executed(path, folder)
        for problem in problems:
            print(f"Error: {path}: {problem}", file=sys.stderr)
        if problems:
            raise SystemExit(1)
        print(f"{path} runs")


def executed(path: Path, folder: str) -> list[str]:
    """Run a notebook in a folder; return what none of its cells shows. A cell's error is raised."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=SECONDS,
        startup_timeout=SECONDS,  # a kernel takes a minute on a busy machine
        resources={"metadata": {"path": folder}},
        kernel_name="python3",
    )
    client.execute()
    shown = [data for cell in notebook.cells for data in _data(cell)]
    return [
        f"expected a cell to show {kind} with {text!r}"
        for kind, texts in SHOWN.items()
        for text in texts
        if not any(text in str(each) for data in shown for each in _of_kind(data, kind))
    ]


def _data(cell: Any) -> list[dict[str, Any]]:
    return [each.data for each in cell.get("outputs", ()) if "data" in each]


def _of_kind(data: dict[str, Any], kind: str) -> list[Any]:
    return [value for key, value in data.items() if key.startswith(kind)]


if __name__ == "__main__":
    main()
