"""regbench: does this regularizer help, by how much, and can I trust it?

The same calls as the commands make, for scripts and notebooks too:

    import regbench

    experiments = [regbench.config.load("configs/dropout.yaml")]
    regbench.sweep.run(experiments, "results")
    runs = regbench.load("results")
    regbench.figures.curves(runs)
    regbench.load_model("results/dropout-c554be80-s0").predict(images)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from regbench import config, datasets, figures, report, runs
    from regbench.analysis import compare
    from regbench.inspection import inspect as inspection
    from regbench.models.saving import load_model
    from regbench.runs import bundle, load
    from regbench.studies import run as study
    from regbench.sweeps import sweep

__all__ = [
    "bundle", "compare", "config", "datasets", "figures", "inspection", "load", "load_model",
    "report", "runs", "study", "sweep",
]  # fmt: skip

# Loaded when first used, so that `import regbench` costs nothing: modules, and functions of them.
_FUNCTIONS = {"load": "regbench.runs", "load_model": "regbench.models.saving"}
_LAZY = {
    "bundle": "regbench.runs.bundle",
    "compare": "regbench.analysis.compare",
    "config": "regbench.config",
    "datasets": "regbench.datasets",
    "figures": "regbench.figures",
    "inspection": "regbench.inspection.inspect",
    "report": "regbench.report",
    "runs": "regbench.runs",
    "study": "regbench.studies.run",
    "sweep": "regbench.sweeps.sweep",
}


def __getattr__(name: str) -> object:
    if name in _FUNCTIONS:
        return getattr(import_module(_FUNCTIONS[name]), name)
    if name in _LAZY:
        return import_module(_LAZY[name])
    raise AttributeError(f"module 'regbench' has no attribute {name!r}")
