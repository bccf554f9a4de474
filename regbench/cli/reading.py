"""Reading results, for several commands: the runs, and the error if there are none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from regbench.cli.printing import warn
from regbench.errors import RegbenchError
from regbench.text import one_line

if TYPE_CHECKING:
    from regbench.runs import Results

MOST_NAMED = 5


def load(paths: Sequence[Path], with_tables: bool = False, ends: bool = False) -> Results:
    """Return the finished runs, with those in tables if wanted; warn of those that are left out.

    With `ends`, only their last epochs.

    Raises:
        RegbenchError: there are none here, but folders further down, which it names, have some.
    """
    from regbench import runs

    results = runs.load(paths, warn, with_tables, ends)
    if results.frame.empty:  # `results.runs` makes an object of each
        below = [folder for path in paths for folder in _results_below(path)]
        if below:
            named = ", ".join(one_line(str(folder)) for folder in below[:MOST_NAMED])
            more = f" and {len(below) - MOST_NAMED} more" if len(below) > MOST_NAMED else ""
            where = ", ".join(one_line(str(path)) for path in paths)
            raise RegbenchError(
                f"{where}: no finished runs here, but in {named}{more}; name one of these"
            )
    return results


def _results_below(path: Path) -> list[Path]:
    """Return the folders with finished runs, at most two levels below a folder."""
    from regbench.runs.files import SUMMARY
    from regbench.runs.storage import BUNDLE

    below = (each for depth in ("*", "*/*") for each in path.glob(depth) if each.is_dir())
    held = (each for each in below if (each / BUNDLE).is_file() or any(each.glob(f"*/{SUMMARY}")))
    return sorted(held)
