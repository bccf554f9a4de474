"""regbench: does this regularizer help, by how much, and can I trust it?

The same calls as the commands make, for scripts and notebooks:

    import regbench

    experiments = [regbench.config.load("configs/dropout.yaml")]
    regbench.sweep.run(experiments, "results")
    runs = regbench.load("results")
    regbench.figures.curves(runs)
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

MODULES = (
    "compare",
    "config",
    "datasets",
    "figures",
    "inspection",
    "report",
    "runs",
    "study",
    "sweep",
)


def __getattr__(name: str) -> Any:
    # Modules load when they are first used, so that `import regbench` costs nothing.
    if name == "load":
        return import_module("regbench.runs").load
    if name in MODULES:
        return import_module(f"regbench.{name}")
    raise AttributeError(f"module 'regbench' has no attribute {name!r}")
