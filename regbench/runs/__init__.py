"""The run folder on disk: written while a run trains, read into one frame when it is finished."""

from __future__ import annotations

from regbench.runs.loading import Warn, load, profile

__all__ = ["Warn", "load", "profile"]
