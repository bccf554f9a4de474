"""Where the runs of a tool are, and which tool's they are, told by the names of the files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from regbench.runs import sqlite
from regbench.runs.files import CONFIG, SUMMARY

EVENTS = "tfevents"  # TensorBoard reads every file with this in its name
DATABASE = ".db"
WANDB = ".wandb"
# `logs/<experiment>/<run>/<version>/train` and the like; deeper folders are not searched.
MOST_DEPTH = 6


def kind(path: Path) -> str | None:
    """Return the key of a tool in `regbench.runs.trackers.NAMES`, or None."""
    if address(path):
        return "mlflow_server"
    if path.is_file():
        return _kind_of_file(path)
    if not path.is_dir() or _holds_regbench_runs(path):
        return None
    if any(_mlflow_runs(path)):
        return "mlflow"
    databases = {_kind_of_file(each) for each in path.glob(f"*{DATABASE}")} - {None}
    if len(databases) == 1:
        return databases.pop()
    if any(wandb_files(path)):
        return "wandb"
    return "tensorboard" if any(event_files(path)) else None


def address(path: Path) -> str | None:
    """Return the address of a server that a path was made of, or None."""
    found = re.fullmatch(r"(https?):/+(.+)", str(path))
    return f"{found[1]}://{found[2]}" if found else None


def mlflow_runs(path: Path) -> list[Path]:
    """Return the run folders of MLflow's file store, or of one experiment in it."""
    return sorted(_mlflow_runs(path))


def _mlflow_runs(path: Path) -> Iterator[Path]:
    # The artifacts of a run are its own affair, and `.trash` holds what was deleted.
    for pattern in ("*/meta.yaml", "*/*/meta.yaml"):
        for meta in path.glob(pattern):
            hidden = any(part.startswith(".") for part in meta.relative_to(path).parts)
            if not hidden and (meta.parent / "metrics").is_dir():
                yield meta.parent


def wandb_files(path: Path) -> Iterator[Path]:
    """Yield W&B's files: this one, or those of a folder as `wandb.init` makes it."""
    if path.is_file():
        yield path
        return
    for pattern in ("*.wandb", "*run-*/*.wandb", "wandb/*run-*/*.wandb"):
        yield from (each for each in path.glob(pattern) if not each.parent.is_symlink())


def event_files(path: Path) -> Iterator[Path]:
    """Yield TensorBoard's event files in a folder and those below it; links are not followed."""
    if path.is_file():
        yield path
        return
    for folder, folders, names in os.walk(path):
        depth = len(Path(folder).relative_to(path).parts)
        folders[:] = sorted(each for each in folders if each[0] != "." and depth < MOST_DEPTH)
        for name in sorted(names):
            if EVENTS in name and (Path(folder) / name).is_file():
                yield Path(folder) / name


def databases(path: Path) -> list[Path]:
    """Return the databases of a folder, or this one."""
    return [path] if path.is_file() else sorted(path.glob(f"*{DATABASE}"))


def _kind_of_file(path: Path) -> str | None:
    if EVENTS in path.name:
        return "tensorboard"
    if path.suffix == WANDB:
        return "wandb"
    if path.suffix != DATABASE:
        return None
    held = sqlite.tables(path)
    if {"runs", "metrics", "params"} <= held:
        return "mlflow"
    return "trackio" if {"metrics", "configs"} <= held else None


def _holds_regbench_runs(path: Path) -> bool:
    """True if regbench itself wrote this folder, or one in it."""
    own = (SUMMARY, CONFIG)
    patterns = [f"{above}{name}" for above in ("", "*/", "*/*/") for name in own]
    return any(True for pattern in patterns for _ in path.glob(pattern))
