"""Bundles: writes finished runs to one file, and extracts their folders from it.

    regbench.bundle.write("results", "runs.zip")
    regbench.load("runs.zip")
    regbench.bundle.extract("runs.zip", "results")

The same runs give the same bytes, whenever and wherever they are bundled (with the same zlib).
"""

from __future__ import annotations

import functools
import hashlib
import os
import stat
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from regbench import files
from regbench.errors import RegbenchError, Warn
from regbench.runs import archive, storage
from regbench.runs.archive import BundledFile, BundledRun, Index
from regbench.runs.files import SUMMARY, WEIGHTS
from regbench.runs.folder import RunFolder
from regbench.runs.loading import load
from regbench.runs.results import Results, Run
from regbench.text import one_line

# The same for every member: nothing that differs between machines belongs in a bundle.
WRITTEN = (1980, 1, 1, 0, 0, 0)
UNIX, MODE, LEVEL = 3, stat.S_IFREG | 0o644, 9


@dataclass(frozen=True)
class Bundled:
    """The number of runs, files and bytes (before compression) in a bundle."""

    runs: int
    files: int
    bytes: int


@dataclass(frozen=True)
class Extracted:
    """The folders that a bundle's runs were written to, and those that existed already."""

    written: list[Path]
    unchanged: list[Path]


def write(
    paths: str | Path | Iterable[str | Path],
    output: str | Path,
    *,
    models: bool = True,
    warn: Warn | None = None,
) -> Bundled:
    """Write every finished run to one zip file, which is replaced if it exists.

    Args:
        paths: results folders, run folders or bundles, as for `regbench.load`.
        output: the file to write.
        models: whether to keep trained models and checkpoints; the index records what is left out.
        warn: called with a line for each folder that is broken, unfinished or not a run.

    Raises:
        RegbenchError: there is no finished run, or two different ones have the same name.
    """
    runs = _distinct(load(paths, warn, with_tables=False))
    asked = () if models else WEIGHTS
    left_out = sorted({*asked, *(name for run in runs for name in storage.left_out(run.folder))})
    output = Path(output)
    made: list[BundledRun] = []

    def fill(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as file:
            made.extend(_add(file, run, asked) for run in runs)
            index = Index(left_out=left_out, runs=made)
            _add_member(file, archive.INDEX, index.dump().encode())
        archive.Archive(path)  # an unreadable bundle must not get the final name

    files.make_folder(output.parent)
    files.replace(output, fill)
    sizes = [file.bytes for run in made for file in run.files.values()]
    return Bundled(len(made), len(sizes), sum(sizes))


def extract(path: str | Path, folder: str | Path) -> Extracted:
    """Write the runs of a bundle to folders in `folder`, byte for byte as they were.

    Everything is checked before anything is written. Each folder is written atomically; an existing
    one gets the files that it lacks.

    Raises:
        RegbenchError: the file is not a bundle or is damaged, its content differs from an existing
            file, or a link is in the way.
    """
    path, folder = Path(path), Path(folder)
    lacking = {run: _lacking(run, folder / run.name) for run in storage.runs(_bundle(path))}
    for run, names in lacking.items():
        if names:
            _restore(run, folder / run.name, names)
    return Extracted(
        [folder / run.name for run, names in lacking.items() if names],
        [folder / run.name for run, names in lacking.items() if not names],
    )


def _bundle(path: Path) -> Path:
    if path.is_dir():
        raise RegbenchError(
            f"{one_line(str(path))}: expected a file that regbench bundle wrote, received a folder"
        )
    return archive.open_archive(path).path


def _distinct(results: Results) -> list[Run]:
    """Return every run by the name of its folder, without duplicates."""
    found: dict[str, Run] = {}
    for run in sorted(results.runs, key=lambda run: run.folder.name):
        here, there = found.setdefault(run.folder.name, run).folder, run.folder
        if here != there and list(storage.contents(here)) != list(storage.contents(there)):
            raise RegbenchError(
                f"{one_line(str(there))}: expected another name than that of "
                f"{one_line(str(here))}, from which it differs; bundle one of them"
            )
    if not found:
        raise RegbenchError(
            "expected finished runs, received none; make some with: "
            "regbench run configs/baseline.yaml configs/dropout.yaml"
        )
    return list(found.values())


def _add(file: zipfile.ZipFile, run: Run, left_out: Sequence[str]) -> BundledRun:
    """Add a run's files; return its part of the index."""
    added = {}
    try:
        for name, content in storage.contents(run.folder):
            if name.split("/")[0] not in left_out:
                _add_member(file, archive.member_name(run.folder.name, name), content)
                digest = hashlib.sha256(content).hexdigest()
                added[name] = BundledFile(bytes=len(content), sha256=digest)
    except ValueError as error:
        reason = one_line(str(error))
        raise RegbenchError(f"{one_line(str(run.folder))}: can't be bundled: {reason}") from error
    return BundledRun(
        run=run.folder.name, name=run.name, config_hash=run.config_hash, seed=run.seed, files=added
    )


def _add_member(file: zipfile.ZipFile, name: str, content: bytes) -> None:
    info = zipfile.ZipInfo(name, WRITTEN)
    info.create_system, info.external_attr = UNIX, MODE << 16
    file.writestr(info, content, zipfile.ZIP_DEFLATED, compresslevel=LEVEL)


def _lacking(run: Path, folder: Path) -> list[str]:
    """Return the files of a run that a folder lacks, with the sign of completion last.

    Raises:
        RegbenchError: an existing file differs, is damaged in the bundle, or is not a file.
    """
    lacking = []
    try:
        for name, content in storage.contents(run):
            path = folder / name
            _check_folders(folder, name)
            if not os.path.lexists(path):
                lacking.append(name)
            elif path.is_symlink() or not path.is_file() or path.read_bytes() != content:
                raise _in_the_way(path)
    except ValueError as error:
        raise RegbenchError(f"{one_line(str(run))}: damaged: {one_line(str(error))}") from error
    return sorted(lacking, key=lambda name: (name == SUMMARY, name))


def _check_folders(folder: Path, name: str) -> None:
    """Refuse anything but a folder, such as a link, in the place of a run's folder or one in it."""
    for inner in PurePosixPath(name).parents:
        path = folder / inner
        if os.path.lexists(path) and (path.is_symlink() or not path.is_dir()):
            raise _in_the_way(path)


def _in_the_way(path: Path) -> RegbenchError:
    return RegbenchError(
        f"{one_line(str(path))}: expected nothing, or what the bundle holds, received another file "
        "or a link; nothing was written; extract into another folder"
    )


def _restore(run: Path, folder: Path, names: Sequence[str]) -> None:
    """Write the named files of a run: a new folder at once, an existing one file by file."""
    contents = dict(storage.contents(run))

    def fill(path: Path) -> None:
        for name in names:
            files.make_folder((path / name).parent)
            files.replace(path / name, functools.partial(_write_bytes, contents[name]))

    if folder.exists():
        with RunFolder(folder).lock():
            fill(folder)
    else:
        files.add_folder(folder, fill)


def _write_bytes(content: bytes, path: Path) -> None:
    path.write_bytes(content)
