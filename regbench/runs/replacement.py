"""A finished run that is trained again: kept until the new one is complete, then replaced at once.

The new run is written to a hidden folder beside the finished one, `.<run>.new`, where readers do
not look. An interrupted one resumes there. A mark in it tells the two apart whichever name they
have, so that a crash at any moment leaves one of them complete at the run's name, and the next
start finishes what the crash cut short. Where the system can't swap two folders (neither Linux nor
macOS, or some network file systems), there is a moment between two renames at which the new run
is complete beside a name that is free.
"""

from __future__ import annotations

from pathlib import Path

from regbench import files
from regbench.runs.files import SUMMARY

MARK = ".replaces"


def beside(path: Path) -> Path:
    """Return where the new run is trained that will replace the one at `path`."""
    return path.with_name(f".{path.name}.new")


def is_under_way(path: Path) -> bool:
    """Return whether a new run for the finished one at `path` has begun and is not complete."""
    finished, replaced = path / SUMMARY, path / MARK
    return finished.is_file() and (beside(path) / MARK).exists() and not replaced.exists()


def is_cut_short(path: Path) -> bool:
    """Return whether the new run is complete, but the old one not yet gone."""
    new = beside(path)
    complete = (new / MARK).exists() and (new / SUMMARY).is_file()
    return (path / MARK).exists() or complete


def begin(path: Path) -> None:
    """Make the folder of the new run, or keep the one that is there."""
    files.make_folder(beside(path))
    files.write(beside(path) / MARK, "")


def finish(path: Path) -> None:
    """Put the complete new run in the place of the old one, and remove that; may be repeated."""
    if not (path / MARK).exists():
        files.swap_folders(path, beside(path))
    discard(path)  # the old one now
    (path / MARK).unlink()


def discard(path: Path) -> None:
    """Remove what is beside a run, if anything is."""
    for each in path.parent.glob(f"{beside(path).name}*"):
        files.remove(each)
