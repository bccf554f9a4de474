"""The code stays easy to look through: short functions and modules, few layers, plain English."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

MODULES = sorted(Path("regbench").rglob("*.py"))
PAGES = [
    Path("README.md"),
    *(each for each in sorted(Path("docs").rglob("*.md")) if "_build" not in each.parts),
]
MOST_LINES, MOST_LINES_OF_A_FUNCTION, MOST_LAYERS = 400, 60, 24
# What reads like a translation.
STUMBLES = re.compile(
    "anew|goes? on from|to go on|belongs into|got nothing|percent points|there whole", re.I
)

# Where a library forces `Any` (the reasons are in pyproject.toml), and in how many lines.
FORCED = {
    "regbench.builders.own": 1,
    "regbench.cli.clusters": 2,
    "regbench.cli.json_schemas": 6,
    "regbench.cli.options": 0,  # the input of click's own types
    "regbench.config.experiment": 2,
    "regbench.doctor.network": 1,
    "regbench.execution.ray": 5,
    "regbench.figures": 1,
    "regbench.runs.sqlite": 1,
    "regbench.runs.trackers.mlflow_server": 3,
    "regbench.training.checkpoints": 2,
    "regbench.training.steps": 2,
}


def test_modules_and_their_functions_are_short() -> None:
    long = []
    for path in MODULES:
        text = path.read_text(encoding="utf-8")
        count = len(text.splitlines())
        long += [f"{path}: {count} lines"] if count > MOST_LINES else []
        for each in ast.walk(ast.parse(text)):
            if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
                count = (each.end_lineno or 0) - each.lineno + 1
                if count > MOST_LINES_OF_A_FUNCTION:
                    long.append(f"{path}: {each.name}: {count} lines")
    assert long == []


def test_the_layers_are_few() -> None:
    (contract,) = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["tool"][
        "importlinter"
    ]["contracts"]
    assert len(contract["layers"]) <= MOST_LAYERS


def test_no_sentence_reads_like_a_translation() -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in (*MODULES, *PAGES)}
    assert [
        (str(path), found) for path, text in texts.items() if (found := STUMBLES.findall(text))
    ] == []


def test_any_is_used_only_where_a_library_forces_it() -> None:
    settings = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]
    assert settings["disallow_any_explicit"]
    exempt = [each for each in settings["overrides"] if "disallow_any_explicit" in each]
    assert [name for each in exempt for name in sorted(each["module"])] == sorted(FORCED)
    found = {_dotted(path): _lines_with_any(path) for path in MODULES}
    assert {name: lines for name, lines in found.items() if lines or name in FORCED} == FORCED


def _dotted(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def _lines_with_any(path: Path) -> int:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = [each for each in ast.walk(tree) if isinstance(each, ast.Name) and each.id == "Any"]
    return len({each.lineno for each in names})
