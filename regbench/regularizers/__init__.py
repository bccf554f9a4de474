"""The techniques that a config can switch on: one file each, and one line in `REGULARIZERS`.

A class holds everything there is to know about its technique: the keys of its toggle and their
limits (pydantic), what they mean and where they come from (docstring), and what it does to the
network (the hooks of `Regularizer`, called by `regbench.models.build` while it stacks the layers).
"""

from __future__ import annotations

from regbench.regularizers.hooks import Regularizer, Toggle
from regbench.regularizers.registry import REGULARIZERS

__all__ = ["REGULARIZERS", "Regularizer", "Toggle"]
