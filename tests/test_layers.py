"""What an import may load. Which module may import which is an import-linter contract."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

FRAMEWORKS = {"tensorflow", "keras", "jax", "torch"}
HEAVY = FRAMEWORKS | {"altair", "vl_convert", "pandas", "scipy"}


def loaded_by(module: str) -> set[str]:
    """Return the top-level names that a fresh interpreter has loaded after importing `module`."""
    code = f"import json, sys, {module}; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


def test_the_command_line_loads_no_heavy_library() -> None:
    assert not loaded_by("regbench.cli") & HEAVY


@pytest.mark.parametrize(
    "module", ["runs", "analysis.compare", "figures", "runs.probe_results", "report"]
)
def test_reading_results_loads_no_framework(module: str) -> None:
    assert not loaded_by(f"regbench.{module}") & FRAMEWORKS


def test_a_library_that_is_loaded_is_seen() -> None:
    assert "pandas" in loaded_by("pandas")
