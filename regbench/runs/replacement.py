"""Replacement of a finished run: it is kept until the new one is complete, then swapped.

The new run is written to a hidden folder beside the finished one, `.<run>.new`, where readers do
not look. An interrupted one resumes there. A mark in it tells the two apart whatever their names,
so that a crash at any moment leaves one of them complete at the run's name, and the next start
completes the swap. If the system can't swap two folders (neither Linux nor macOS, or some network
file systems), two renames follow each other; between them the new run is complete but nothing has
the run's name.
"""

from __future__ import annotations

from pathlib import Path

from regbench import files
from regbench.runs.files import SUMMARY

MARK = ".replaces"


def beside(path: Path) -> Path:
    """Return the folder of the new run that will replace the one at `path`."""
    return path.with_name(f".{path.name}.new")


def is_under_way(path: Path) -> bool:
    """Return whether a replacement of the run at `path` has started but is not complete."""
    finished, replaced = path / SUMMARY, path / MARK
    return finished.is_file() and (beside(path) / MARK).exists() and not replaced.exists()


def is_cut_short(path: Path) -> bool:
    """Return whether the new run is complete but the old one still exists."""
    new = beside(path)
    complete = (new / MARK).exists() and (new / SUMMARY).is_file()
    return (path / MARK).exists() or complete


def begin(path: Path) -> None:
    """Make the folder of the new run, or keep an existing one."""
    files.make_folder(beside(path))
    files.write(beside(path) / MARK, "")


def finish(path: Path) -> None:
    """Replace the old run with the complete new one; safe to repeat."""
    if not (path / MARK).exists():
        files.swap_folders(path, beside(path))
    discard(path)  # this is the old one now
    (path / MARK).unlink()


def discard(path: Path) -> None:
    """Remove the folder beside a run, if there is one."""
    for each in path.parent.glob(f"{beside(path).name}*"):
        files.remove(each)
