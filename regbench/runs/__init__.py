"""The run folder on disk: written while a run trains, read as one object once it is finished."""

from __future__ import annotations

from regbench.errors import Warn
from regbench.runs.loading import load, profile
from regbench.runs.results import Results, Run, results_of
from regbench.runs.summary import Summary

__all__ = ["Results", "Run", "Summary", "Warn", "load", "profile", "results_of"]
