"""Keras models of experiments: layers, weights, predictions and cost.

`BUILDERS` are the networks by name, `register` adds your own, and `Kit` makes their parts.
"""

from __future__ import annotations

from regbench.builders import BUILDERS, Builder, Kit, chain, register

__all__ = ["BUILDERS", "Builder", "Kit", "chain", "register"]
