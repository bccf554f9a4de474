"""`run --watch` starts the live page's server, which imports nothing from the current folder."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

SCRIPT = """
    import sys
    from pathlib import Path
    from regbench.cli.training import watched

    with watched(Path("results"), True):
        sys.stdin.read()
"""
HOSTILE = "from pathlib import Path\nPath(__file__).with_name('hacked').touch()\n"


def test_the_live_page_of_a_run_imports_nothing_from_the_current_folder(tmp_path):
    """The script lies elsewhere, as the command `regbench` does."""
    script, stranger = tmp_path / "bin" / "script.py", tmp_path / "stranger"
    for folder in (script.parent, stranger):
        folder.mkdir()
    script.write_text(textwrap.dedent(SCRIPT))
    for module in ("regbench", "runpy", "click", "json"):
        (stranger / f"{module}.py").write_text(HOSTILE)
    said = tmp_path / "stderr"
    with said.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, str(script)],
            cwd=stranger,
            env=os.environ | {"PYTHONPATH": str(Path.cwd()), "BROWSER": "true"},
            stdin=subprocess.PIPE,
            stderr=stderr,
        )
        deadline = time.monotonic() + 60
        while not said.read_text() and not (stranger / "hacked").exists():
            assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.1)
        process.communicate()
    assert not (stranger / "hacked").exists()
    assert said.read_text().startswith("Watching results")
