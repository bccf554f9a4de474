"""The networks that a config can name: one file each, and one line in `BUILDERS`.

A class holds everything about its network: its keys and their limits (pydantic), its source
(docstring), and its construction from the parts of a `Kit`, which asks every technique for its
layers.
"""

from __future__ import annotations

from regbench.builders.builder import Builder
from regbench.builders.kit import Kit, chain
from regbench.builders.own import register
from regbench.builders.registry import BUILDERS, DEFAULT

__all__ = ["BUILDERS", "DEFAULT", "Builder", "Kit", "chain", "register"]
