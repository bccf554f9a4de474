"""Numeric proofs, for one technique at a time: does it do what it claims?

A check is a function that returns what was measured and what was expected. `examine_against_numpy`
runs those of the techniques that ship, on each backend; `examine` the rules of the hooks, for any
technique. Both work in a worker process, as a run does.
"""

from __future__ import annotations

from regbench.doctor.check import Check
from regbench.doctor.examination import backends, examine, examine_against_numpy

__all__ = ["Check", "backends", "examine", "examine_against_numpy"]
