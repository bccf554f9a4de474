"""Numeric proofs, for one technique at a time: does it do what it claims, by the hooks' rules?

A check is a function that returns what was measured and what was expected. `examine` runs those
that concern a technique, in a worker process as a run has it.
"""

from __future__ import annotations

from regbench.doctor.check import Check
from regbench.doctor.examination import examine

__all__ = ["Check", "examine"]
