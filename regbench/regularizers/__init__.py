"""The techniques that a config can switch on: one file each, and one line in `REGULARIZERS`.

A class holds everything about its technique: the keys of its toggle and their limits (pydantic),
their meaning and source (docstring), and its effect on the network (the hooks of `Regularizer`,
which `regbench.models.build` calls while it stacks the layers).
"""

from __future__ import annotations

from regbench.regularizers.hooks import Regularizer, Toggle
from regbench.regularizers.registry import REGULARIZERS

__all__ = ["REGULARIZERS", "Regularizer", "Toggle"]
