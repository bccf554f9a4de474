"""What every test shares: a quiet TensorFlow, and data set caches of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

# Read once, when TensorFlow is imported: so set before any test module is.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

# The first example of a property often pays for an import; its time says nothing.
hypothesis.settings.register_profile("regbench", deadline=None)
hypothesis.settings.load_profile("regbench")


@pytest.fixture(scope="session", autouse=True)
def caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield the folder in which regbench and Keras cache data sets during the tests.

    No test depends on what the developer has downloaded, or writes where the developer keeps it.
    """
    folder = tmp_path_factory.mktemp("caches")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REGBENCH_DATA", str(folder / "regbench"))
        patch.setenv("KERAS_HOME", str(folder / "keras"))
        yield folder


@pytest.fixture(autouse=True)
def nothing_compiled() -> None:
    """Let each test train as a fresh process does: with no model of an earlier run."""
    if models := sys.modules.get("regbench.training.compiled_models"):
        models._kept.clear()


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a file of YAML into a folder of its own; return its path."""

    def write(text: str, name: str = "mine.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write
