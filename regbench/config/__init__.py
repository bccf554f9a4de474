"""Config files to frozen, validated experiments: a file, `extends`, `--set`, a matrix."""

from __future__ import annotations

from regbench.config.experiment import NAME, Data, Evaluation, Experiment, Model, Train, run_name
from regbench.config.inheritance import ConfigError
from regbench.config.loading import dump, load, load_all, of_tree, schema

__all__ = [
    "NAME", "ConfigError", "Data", "Evaluation", "Experiment", "Model", "Train", "dump", "load",
    "load_all", "of_tree", "run_name", "schema",
]  # fmt: skip
