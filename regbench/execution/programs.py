"""Finds the programs that regbench starts, never in the current folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def find(name: str) -> str | None:
    """Return the path of a program in `PATH`; None without one.

    Skips relative entries, an empty one among them, which stands for the current folder: a file
    `git` beside a config from a stranger would run. Windows would even look there first.
    """
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        if Path(folder).is_absolute() and (found := shutil.which(str(Path(folder) / name))):
            return found
    return None
