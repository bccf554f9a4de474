"""Shipped configs and studies: found by name, and written out for editing.

A local file always wins. `regbench:dropout` names the shipped config in any case:

    extends: regbench:baseline
"""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from regbench.config import yaml12
from regbench.config.yaml12 import Place, YamlError
from regbench.errors import RegbenchError

PREFIX = "regbench:"
STUDIES = "studies"
PAPERS = "papers"

Kind = Literal["config", "study", "paper"]
# The command for a file of each kind, and the folder, inside of that of the configs.
COMMANDS: dict[Kind, str] = {
    "config": "regbench run", "study": "regbench study", "paper": "regbench reproduce",
}  # fmt: skip
FOLDERS: dict[Kind, str] = {"config": "", "study": STUDIES, "paper": PAPERS}
# No separator, no drive, no suffix: a name, not a path.
NAME = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class WrittenOut:
    """The shipped files in a folder: those `written` now, and those that existed, `unchanged`.

    Paths are relative to the folder.
    """

    folder: Path
    written: list[Path] = field(default_factory=list)
    unchanged: list[Path] = field(default_factory=list)


def folder() -> Path:
    """Return the folder of the shipped configs.

    In an installed wheel it is inside the package. In a clone, and so in an editable installation,
    it is beside the package.
    """
    package = Path(__file__).resolve().parents[1]
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def names(kind: Kind) -> dict[str, Path]:
    """Return the file of each shipped config, study or paper, by name."""
    # A name is looked up here and never becomes a path, so none can escape the folder.
    where = folder() / FOLDERS[kind]
    files = sorted(path for path in where.glob("*.yaml") if _is_own(path))
    return {path.stem: path for path in files}


def find(asked: str | Path, kind: Kind) -> Path:
    """Return the path of a config, study or paper, given a path or the name of a shipped one.

    A path that exists is returned unchanged, as is anything that can't be a name.

    Raises:
        YamlError: no shipped file has this name.
    """
    text, path = str(asked), Path(asked)
    if text.startswith(PREFIX):
        return named(text, kind, Place(text))
    if not NAME.fullmatch(text):
        _check_reachable(path, kind)
        return path
    if os.path.lexists(path):
        return path
    found = names(kind).get(text)
    if found is None:
        beside = [path.with_name(text + suffix) for suffix in yaml12.SUFFIXES]
        own = next((each for each in beside if each.is_file()), None)
        reason = f'did you mean "{own}"?' if own else f"and {_unknown(text, kind)}"
        raise YamlError(Place(text), f"no such file{'; ' if own else ', '}{reason}")
    return found


def named(text: str, kind: Kind, place: Place) -> Path:
    """Return the file of `regbench:NAME`. Raises YamlError, which cites `place`."""
    name = text.removeprefix(PREFIX)
    found = names(kind).get(name)
    if found is None:
        raise YamlError(place, _unknown(name, kind, PREFIX))
    return found


def write_out(target: Path) -> WrittenOut:
    """Write the shipped configs, studies and schemas into a folder. Existing files never change.

    Raises:
        RegbenchError: an existing file differs from the shipped one; nothing is written.
    """
    result = WrittenOut(target)
    missing, changed = [], []
    for path in _all():
        there = target / path
        if not os.path.lexists(there):
            missing.append(path)
        elif there.is_file() and there.read_bytes() == (folder() / path).read_bytes():
            result.unchanged.append(path)
        else:
            changed.append(path)
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise RegbenchError(
            f"{target / changed[0]}{more}: expected no file or the shipped one, received another; "
            "nothing was written, and no file is ever overwritten; choose another folder: "
            "regbench init DIR"
        )
    for path in missing:
        there = target / path
        there.parent.mkdir(parents=True, exist_ok=True)
        with there.open("xb") as file:  # fails instead of following a link or replacing a file
            file.write((folder() / path).read_bytes())
        result.written.append(path)
    return result


def _all() -> list[Path]:
    """Return the shipped files, relative to their folder."""
    where = folder()
    found = [
        path.relative_to(where)
        for inside in FOLDERS.values()
        for pattern in ("*.yaml", "*.json")
        for path in sorted((where / inside).glob(pattern))
        if _is_own(path)
    ]
    if not found:
        raise RegbenchError(
            f"{where}: the configs that come with regbench are missing; install regbench again"
        )
    return found


def _is_own(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _unknown(name: str, kind: Kind, prefix: str = "") -> str:
    """Return the error for a name that no shipped file has, with the closest name."""
    for other, command in COMMANDS.items():
        if other != kind and name in names(other):
            return f"{name} is a {other}; give it to: {command} {name}"
    near = difflib.get_close_matches(name, names(kind), n=1)
    hint = f'; did you mean "{prefix}{near[0]}"?' if near else f"; there are {_listed(kind)}"
    return f"no shipped {kind} has the name {name!r:.60}{hint}"


def _listed(kind: Kind) -> str:
    return ", ".join(names(kind)) or "none"


def _check_reachable(path: Path, kind: Kind) -> None:
    """Suggest the shipped config by its name for a missing `configs/dropout.yaml`."""
    if path.suffix not in yaml12.SUFFIXES or path.stem not in names(kind):
        return
    try:
        missing = not os.path.lexists(path)
    except ValueError:  # the name contains NUL; reading the file will report it
        return
    if missing and yaml12.no_such_file(path) == "no such file":
        raise YamlError(
            Place(str(path)),
            f'no such file; the shipped {kind} is found as "{path.stem}", '
            "and regbench init writes all of them out",
        )
