"""Configs: reads files, `extends`, `--set` and matrices into frozen, validated experiments."""

from __future__ import annotations

from regbench.config.experiment import NAME, Data, Evaluation, Experiment, Train
from regbench.config.identity import run_name
from regbench.config.inheritance import ConfigError
from regbench.config.loading import dump, load, load_all, of_tree, parse, schema
from regbench.config.stored import parse as parse_stored
from regbench.config.yaml12 import MAX_BYTES

__all__ = [
    "MAX_BYTES", "NAME", "ConfigError", "Data", "Evaluation", "Experiment", "Train",
    "dump", "load", "load_all", "of_tree", "parse", "parse_stored", "run_name", "schema",
]  # fmt: skip
