"""Where the files of finished runs are: in a run folder, or in a bundle as if it were a folder.

`results/runs.zip/baseline-44136fa3-s0/summary.json` is a file of a run in the bundle
`results/runs.zip`. Whoever reads a run's files by `read`, `text` and `exists` reads both.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from regbench import files
from regbench.runs.archive import Archive, open_archive
from regbench.runs.files import BEGUN, LIMITS, SUMMARY

# The bundle that is part of the results folder it lies in. Others are read where they are named:
# they may be copies of the same runs.
BUNDLE = "runs.zip"


def read(path: Path, limit: int) -> str:
    """Return a UTF-8 text file of at most `limit` bytes. Raises OSError or ValueError."""
    archive = _archive(path.parent)
    if archive is None:
        return files.read(path, limit)
    return archive.read(path.parent.name, path.name, limit).decode("utf-8")


def text(folder: Path, name: str) -> str:
    """Return the text of one of a run's files, no larger than its limit in `LIMITS`.

    Raises:
        OSError: it is missing or can't be read.
        ValueError: it is too large, or not UTF-8.
    """
    return read(folder / name, LIMITS[name])


def exists(path: Path) -> bool:
    """Whether a run has this file."""
    archive = _archive(path.parent)
    if archive is None:
        return path.exists()
    run = archive.runs.get(path.parent.name)
    return run is not None and path.name in run.files


def changed(path: Path) -> int:
    """Return when a file of a run, or its bundle, was last written. Raises OSError."""
    return (path if _archive(path.parent) is None else path.parent.parent).stat().st_mtime_ns


def is_bundle(path: Path) -> bool:
    """Whether there is a file, which then can only be a bundle, where a results folder may be."""
    return path.is_file()


def is_bundled(run: Path) -> bool:
    """Whether this is a run in a bundle. Raises RegbenchError for what is no bundle."""
    archive = _archive(run)
    return archive is not None and run.name in archive.runs


def runs(results: Path) -> list[Path]:
    """Return the runs in a bundle, or in the one that is part of a results folder, by name.

    A run that was begun in the folder itself is that one: it is newer.

    Raises:
        RegbenchError: it is not a bundle.
    """
    bundle = results if is_bundle(results) else results / BUNDLE
    if not is_bundle(bundle):
        return []
    found = sorted(bundle / run for run in open_archive(bundle).runs)
    return found if bundle == results else [run for run in found if not _begun(results / run.name)]


def find(results: Path, run: str) -> Path | None:
    """Return where a finished run is: in a results folder, its bundle, or a bundle; else None.

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

    Hidden ones are none of the run's: locks, and what a crash left.

    Raises:
        OSError: a file can't be read, or is a link, which may lead to a stranger's.
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
    """Return the files that the run's bundle says it was made without; none for a folder."""
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
    """Return the bundle that a run is in, None for a folder."""
    return open_archive(run.parent) if is_bundle(run.parent) else None
