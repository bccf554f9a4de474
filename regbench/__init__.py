"""regbench: does this regularizer help, by how much, and can I trust it?

The calls behind the commands, for scripts and notebooks:

    import regbench

    results = regbench.run(["baseline", "dropout"], seeds="0-4")  # train what is missing
    results = regbench.load("results")  # .frame, .runs, .configs
    rows = regbench.compare(results)  # intervals, and differences from the baseline
    regbench.figures.curves(results)  # an Altair chart
    regbench.report.write(results, "report.html")
    outcome = regbench.study("configs/studies/overfitting.yaml")  # .verdicts
    paper = regbench.reproduce("srivastava2014-table9")  # .rows, .differences
    regbench.bundle.write("results", "runs.zip")
    model = regbench.Run("results/dropout-c554be80-s0").model()  # as regbench.load_model
    model.predict_folder("photos", resize=True)  # a frame; .predict(images) takes pixels

Functions: `compare`, `load`, `load_model`, `reproduce`, `run`, `study`; a class: `Run`. Modules,
each with a docstring of its own: `bundle`, `config`, `datasets`, `figures`, `inspection`,
`plugins`, `regularizers`, `report`, `runs`, `sweep`. In a plugin, a file of one's own: the
decorators `dataset`, `executor`, `figure`, `metric`, `model` and `regularizer`, with `Toggle` and
`Splits`. Mistakes of a caller, such as a path that does not exist, raise `RegbenchError`. Runs are
trained in worker processes, which import the script that starts them: call `run`, `study` and
`reproduce` under `if __name__ == "__main__":`. A notebook's cell needs no such guard.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from regbench import config, datasets, figures, plugins, regularizers, report, runs
    from regbench.analysis.compare import compare
    from regbench.datasets import Splits
    from regbench.errors import RegbenchError
    from regbench.inspection import inspect as inspection
    from regbench.models.run import Run
    from regbench.models.saving import load_model
    from regbench.papers.reproduce import run as reproduce
    from regbench.plugins import dataset, executor, figure, metric, model, regularizer
    from regbench.regularizers import Regularizer, Toggle
    from regbench.runs import Results, bundle, load
    from regbench.sweeps import sweep
    from regbench.terminal.interactive import run, study

    __version__: str

__all__ = [
    "RegbenchError", "Regularizer", "Results", "Run", "Splits", "Toggle", "__version__", "bundle",
    "compare", "config", "dataset", "datasets", "executor", "figure", "figures", "inspection",
    "load", "load_model", "metric", "model", "plugins", "regularizer", "regularizers", "report",
    "reproduce", "run", "runs", "study", "sweep",
]  # fmt: skip

# Imported when first used, so that `import regbench` costs nothing: names of modules, and modules.
_NAMES = {
    "RegbenchError": ("regbench.errors", "RegbenchError"),
    "Regularizer": ("regbench.regularizers", "Regularizer"),
    "Results": ("regbench.runs", "Results"),
    "Splits": ("regbench.datasets", "Splits"),
    "Toggle": ("regbench.regularizers", "Toggle"),
    "compare": ("regbench.analysis.compare", "compare"),
    "load": ("regbench.runs", "load"),
    "load_model": ("regbench.models.saving", "load_model"),
    "reproduce": ("regbench.papers.reproduce", "run"),
    "Run": ("regbench.models.run", "Run"),
    "run": ("regbench.terminal.interactive", "run"),
    "study": ("regbench.terminal.interactive", "study"),
    # Decorators for plugins.
    "dataset": ("regbench.plugins", "dataset"),
    "executor": ("regbench.plugins", "executor"),
    "figure": ("regbench.plugins", "figure"),
    "metric": ("regbench.plugins", "metric"),
    "model": ("regbench.plugins", "model"),
    "regularizer": ("regbench.plugins", "regularizer"),
}
_MODULES = {
    "bundle": "regbench.runs.bundle",
    "config": "regbench.config",
    "datasets": "regbench.datasets",
    "figures": "regbench.figures",
    "inspection": "regbench.inspection.inspect",
    "plugins": "regbench.plugins",
    "regularizers": "regbench.regularizers",
    "report": "regbench.report",
    "runs": "regbench.runs",
    "sweep": "regbench.sweeps.sweep",
}
# Functions that used to be modules: `regbench.compare.compare` and `regbench.study.run` still work.
_FORMER_MODULES = {"compare": "compare", "study": "run"}

if not TYPE_CHECKING:  # or a type checker would take every misspelt name for one of these

    def __getattr__(name: str) -> object:
        from importlib import import_module, metadata

        if name == "__version__":
            return metadata.version("regbench")
        if name in _MODULES:
            return import_module(_MODULES[name])
        if name not in _NAMES:
            raise AttributeError(f"module 'regbench' has no attribute {name!r}")
        module, attribute = _NAMES[name]
        found = getattr(import_module(module), attribute)
        if name in _FORMER_MODULES:
            setattr(found, _FORMER_MODULES[name], found)
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if "keras" in sys.modules:
    # So that `keras.saving.load_model` finds the layers that Keras does not have. Where Keras comes
    # later, `regbench.load_model` registers them, or importing this module does.
    import regbench.regularizers.keras_layers  # noqa: F401
