"""The time of a run as tables show it: how long a person waits.

A run records the seconds from its start in a worker to its finished folder. Older versions recorded
only the training; tables then show that and say so.
"""

from __future__ import annotations

from collections.abc import Sequence

from regbench.analysis.rows import ConfigRow
from regbench.text import clock

# Marks a config that recorded only its training while others recorded the whole run.
MARK = "*"
WHOLE = "of a whole run, with start, measurements and probes"
TRAINING = "training alone"


def times(rows: Sequence[ConfigRow]) -> list[str]:
    """Return the time of each row, such as "4:48"; "4:48*" for one that `note` explains."""
    mixed = any(row.wall_seconds is not None for row in rows)
    return [
        clock(row.seconds or None) + MARK * mixed
        if row.wall_seconds is None
        else clock(row.wall_seconds)
        for row in rows
    ]


def note(rows: Sequence[ConfigRow]) -> str:
    """Return a description of the times of `times`."""
    recorded = [row.wall_seconds is not None for row in rows]
    if all(recorded):
        return WHOLE
    if not any(recorded):
        return TRAINING
    return f"of a whole run; {MARK}: {TRAINING}, older runs recorded no more"
