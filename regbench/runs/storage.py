"""Storage of finished runs: reads files from a run folder, or from a bundle as if it were one.

`results/runs.zip/baseline-44136fa3-s0/summary.json` is a file of a run in the bundle
`results/runs.zip`. Code that reads a run's files with `read`, `text` and `exists` handles both.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from regbench import files
from regbench.runs.archive import Archive, open_archive
from regbench.runs.files import BEGUN, LIMITS, SUMMARY

# The bundle that belongs to its results folder. Others are read only if they are named: they may be
# copies of the same runs.
BUNDLE = "runs.zip"
# The suffixes of tables of runs that other tools made.
TABLES = (".csv", ".parquet")
# And those of files in which they keep runs themselves.
TRACKED = (".db", ".wandb")


def read(path: Path, limit: int) -> str:
    """Return a UTF-8 text file of at most `limit` bytes. Raises OSError or ValueError."""
    return _text(path.parent, path.name, limit)


def text(folder: Path, name: str) -> str:
    """Return the text of one of a run's files, no larger than its limit in `LIMITS`.

    Raises:
        OSError: it is missing or can't be read.
        ValueError: it is too large, or not UTF-8.
    """
    return _text(folder, name, LIMITS[name])


def _text(folder: Path, name: str, limit: int) -> str:
    archive = _archive(folder)
    if archive is None:
        return files.read(folder / name, limit)
    return archive.read(folder.name, name, limit).decode("utf-8")


def exists(path: Path) -> bool:
    """True if a run has this file."""
    archive = _archive(path.parent)
    if archive is None:
        return path.exists()
    run = archive.runs.get(path.parent.name)
    return run is not None and path.name in run.files


def changed(path: Path) -> int:
    """Return the time when a file of a run, or its bundle, was last written. Raises OSError."""
    return (path if _archive(path.parent) is None else path.parent.parent).stat().st_mtime_ns


def is_bundle(path: Path) -> bool:
    """True if the path is a file, but not another tool's: in the place of a folder, a bundle."""
    # Asked for each file of each run: pathlib's own takes three times as long.
    is_file = os.path.isfile(path)  # noqa: PTH113
    return is_file and path.suffix.lower() not in (*TABLES, *TRACKED)


def is_bundled(run: Path) -> bool:
    """True if this is a run in a bundle. Raises RegbenchError if the file is not a bundle."""
    archive = _archive(run)
    return archive is not None and run.name in archive.runs


def runs(results: Path) -> list[Path]:
    """Return the runs in a bundle, or in the one that belongs to a results folder, by name.

    A run that was started in the folder itself takes precedence: it is newer.

    Raises:
        RegbenchError: it is not a bundle.
    """
    bundle = results if is_bundle(results) else results / BUNDLE
    if not is_bundle(bundle):
        return []
    found = sorted(bundle / run for run in open_archive(bundle).runs)
    return found if bundle == results else [run for run in found if not _begun(results / run.name)]


def find(results: Path, run: str) -> Path | None:
    """Return the path of a finished run in a results folder, its bundle, or a bundle; else None.

    Raises:
        RegbenchError: it is not a bundle.
    """
    if _begun(results / run):
        return results / run if (results / run / SUMMARY).is_file() else None
    bundle = results if is_bundle(results) else results / BUNDLE
    if is_bundle(bundle) and run in open_archive(bundle).runs:
        return bundle / run
    return None


def contents(run: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each file of a run, in the order of the names.

    Hidden files are skipped: locks, and leftovers of a crash.

    Raises:
        OSError: a file can't be read, or is a link, which may point outside the run.
        ValueError: a file in a bundle is damaged.
    """
    archive = _archive(run)
    for name in names(run):
        if archive:
            yield name, archive.read(run.name, name, archive.runs[run.name].files[name].bytes)
        else:
            yield name, (run / name).read_bytes()


def names(run: Path) -> list[str]:
    """Return the names of a run's files, those in its folders as `folder/file`, sorted."""
    archive = _archive(run)
    if archive:
        return sorted(archive.runs[run.name].files)
    return sorted(path.relative_to(run).as_posix() for path in _walk(run))


def left_out(run: Path) -> list[str]:
    """Return the files that the run's bundle records as left out; none for a folder."""
    archive = _archive(run)
    return archive.index.left_out if archive else []


def _walk(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise ValueError(f"{path.name}: expected a file or a folder, received a link or device")
        if path.is_dir():
            yield from _walk(path)
        else:
            yield path


def _begun(folder: Path) -> bool:
    return any((folder / name).exists() for name in BEGUN)


def _archive(run: Path) -> Archive | None:
    """Return the bundle that contains a run, None for a folder."""
    return open_archive(run.parent) if is_bundle(run.parent) else None
