"""Scripts that call regbench without `if __name__ == "__main__":`, told in one line.

A worker process imports the script that started it. Without the guard the import calls regbench
again, inside of a process that can't start others: multiprocessing prints a traceback for each
worker, and every job counts as one whose worker died.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from pathlib import Path

# How a worker ends that met the call again: no other exit of Python's has this code.
MET_AGAIN = 95
USAGE = 2


def end_if_imported_by_worker() -> None:
    """End this process where it is a worker that is still importing the script that started it."""
    # Multiprocessing's own sign, by which it refuses to start a process in there.
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        os._exit(MET_AGAIN)


def end_if_met_again(exit_code: int | None) -> None:
    """End the script whose worker has ended with this code because it met the call again.

    Not with a RegbenchError, whose traceback in a script would bury the line.
    """
    if exit_code == MET_AGAIN:
        script = Path(sys.argv[0]).name
        print(
            f'Error: {script}: call regbench under if __name__ == "__main__":, since its worker '
            "processes import the script that starts them",
            file=sys.stderr,
        )
        raise SystemExit(USAGE)
