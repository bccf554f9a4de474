"""Exports of runs to other tools, one file each, and the list of them.

Whole tables (`csv`, `parquet`, `latex`, `markdown`) are made of finished runs. Trackers
(`tensorboard`, `mlflow`, `wandb`, `trackio`) take a run epoch by epoch, also while it goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from regbench.errors import RegbenchError

if TYPE_CHECKING:
    from regbench.exports.tracking import Tracker

TABLES = ("csv", "parquet", "latex", "markdown")
# The modules are imported when used: each needs a library that is not always installed.
TRACKERS = {
    "tensorboard": "tensorboard",
    "mlflow": "mlflow",
    "wandb": "wandb_style",
    "trackio": "wandb_style",
}
FORMATS = (*TABLES, *TRACKERS)


def tracker(name: str) -> Callable[[str], Tracker]:
    """Return what opens a tracker, given where to write.

    Raises:
        RegbenchError: its library is not installed.
    """
    module = import_module(f"regbench.exports.{TRACKERS[name]}")
    opened: Callable[[str], Tracker] = getattr(module, name)
    return opened


def missing(format_name: str, library: str) -> RegbenchError:
    """Return the error for a format whose library is not installed."""
    return RegbenchError(
        f"--to {format_name}: expected the library {library}, which is not installed; install it "
        f"with: pip install 'regbench[{format_name}]'"
    )
