"""Detects scripts that call regbench without `if __name__ == "__main__":`, for a one-line error.

A worker process imports the script that started it. Without the guard the import calls regbench
again, inside a process that can't start others: multiprocessing then prints a traceback for each
worker, and every job looks like one whose worker died.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from pathlib import Path

# The exit code of a worker that reached the call again; Python itself never exits with it.
MET_AGAIN = 95
USAGE = 2


def end_if_imported_by_worker() -> None:
    """End this process if it is a worker that is still importing the script that started it."""
    # The flag by which multiprocessing itself refuses to start a process at this point.
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        os._exit(MET_AGAIN)


def end_if_met_again(exit_code: int | None) -> None:
    """End this script if a worker exited because it reached the call again.

    A RegbenchError would not do: in a script, its traceback would bury the message.
    """
    if exit_code == MET_AGAIN:
        script = Path(sys.argv[0]).name
        print(
            f'Error: {script}: call regbench under if __name__ == "__main__":, since its worker '
            "processes import the script that starts them",
            file=sys.stderr,
        )
        raise SystemExit(USAGE)
