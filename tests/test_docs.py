"""Every command that README and the guide show is run as it stands there, training with --smoke."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from docs import techniques
from regbench.analysis.rows import ConfigRow, Difference
from regbench.datasets.inventory import Item
from regbench.doctor.check import Check
from regbench.inspection.inspect import Inspection, Size
from regbench.models.cost import Layer
from regbench.regularizers import REGULARIZERS, Toggle
from regbench.runs import files
from regbench.runs.gap_ledger import Ledger
from regbench.runs.probe_results import Numbers
from regbench.runs.summary import Stopped, Summary
from regbench.studies.verdicts import Verdict
from regbench.sweeps.plan import Plan, PlannedRun

README = Path("README.md")
PAGES = [README, *sorted(Path("docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)

# One seed decides nothing, so that no claim is contradicted by runs as tiny as these.
TINY = "--seeds 0 --set train.epochs=1 --set data.train_examples=100 --set data.test_examples=100"


def blocks(page: Path, language: str) -> list[str]:
    """Return what the page shows in blocks of a language."""
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [body for name, body in found if name == language]


def with_blocks(language: str) -> list[object]:
    """Return the pages that have some; those of the guide take minutes, and have a mark."""
    pages = [page for page in PAGES if blocks(page, language)]
    return [pytest.param(page, marks=pytest.mark.guide) for page in pages]


@pytest.fixture
def home(tmp_path):
    """A folder as a reader has it: the configs, and `regbench` on the PATH."""
    shutil.copytree("configs", tmp_path / "configs")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, arguments in (("regbench", "-m regbench"), ("python", "")):
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
        program.chmod(0o755)
    return tmp_path


def run_in(home, *command):
    environment = os.environ | {
        "PATH": f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(Path.cwd()),
    }
    done = subprocess.run(
        command, cwd=home, env=environment, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr


def as_tested(block):
    """Return the block with tiny runs, and without entering a virtual environment."""
    lines = block.replace("\\\n", " ").splitlines()
    trains = [line.startswith("regbench run ") and "--smoke" not in line for line in lines]
    lines = [f"{line} --smoke" if each else line for line, each in zip(lines, trains, strict=True)]
    judges = [line.startswith("regbench study ") for line in lines]
    lines = [f"{line} {TINY}" if each else line for line, each in zip(lines, judges, strict=True)]
    # Of a tiny run, which otherwise has results of its own, that the next command reads.
    lines = [
        f"{line} --results results" if "--smoke" in line and "--results" not in line else line
        for line in lines
    ]
    return "\n".join(line for line in lines if not line.startswith(". .venv/"))


@pytest.mark.parametrize("page", with_blocks("sh"), ids=str)
def test_every_command_of_a_page_runs(page, home):
    study = [body for body in blocks(page, "yaml") if body.startswith("question:")]
    if page.name == "tutorial.md":  # which has its reader save the study that it shows
        (home / "first.yaml").write_text(study[0])
    if page.name == "plugins.md":
        (home / "mine.yaml").write_text(blocks(page, "yaml")[0])
    commands = "\n".join(map(as_tested, blocks(page, "sh")))
    run_in(home, "bash", "-euo", "pipefail", "-c", commands)


@pytest.mark.parametrize("page", with_blocks("python"), ids=str)
def test_every_python_example_of_a_page_runs(page, home):
    for body in blocks(page, "python"):
        script = home / "example.py"
        script.write_text(body)
        run_in(home, "python", "example.py")


def test_the_pages_show_what_a_reader_needs_first():
    shown = "\n".join(body for page in PAGES for body in blocks(page, "sh"))
    for command in ("run", "compare", "report", "study", "inspect", "data"):
        assert f"regbench {command}" in shown


def test_every_config_is_in_the_guide():
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES) + techniques.markdown()
    names = [path.stem for path in Path("configs").glob("*.yaml")]
    assert [name for name in names if f"`{name}`" not in text] == []


def section(toggle):
    """Return what the page of techniques says of one, as Sphinx reads it."""
    source = [Path("docs/techniques.md").read_text(encoding="utf-8")]
    techniques.fill(None, "techniques", source)
    return re.search(rf"^### `{toggle}`\n(.*?)(?=^##)", source[0], re.MULTILINE | re.DOTALL)[1]


@pytest.mark.parametrize("toggle", REGULARIZERS)
def test_the_guide_has_the_keys_source_and_config_of_every_technique(toggle):
    text, technique = section(toggle), REGULARIZERS[toggle]
    assert technique.__doc__.splitlines()[0].split("*")[0] in text
    for key in set(technique.model_fields) - {"root"}:
        assert f"| `{key}` |" in text
    assert "- Source: " in text
    assert f"`{toggle}: " in text.split("- Config")[1]


def test_the_guide_says_what_a_technique_takes_changes_and_needs():
    assert "| `momentum` | number, at least 0, below 1 | `0.99` |" in section("batch_norm")
    assert "| `stride` | whole number, at least 1, at most 64, or `null` | `null` |" in section(
        "pooling"
    )
    assert "- Value: number, at least 0, below 1,000,000." in section("l2")
    assert "of each training batch: targets." in section("label_smoothing")
    assert "of each training batch: images and targets." in section("mixup")
    assert "of each training batch: images." in section("flip")
    assert "Needs `data.validation_examples`" in section("early_stopping")


def test_techniques_are_grouped_by_their_hooks():
    kinds = {
        name: kind
        for kind, names in {
            "Penalties and constraints": "l1 l2 lp max_norm",
            "Noise and dropout": "dropout dropblock gaussian_noise stochastic_depth",
            "Normalization": "batch_norm layer_norm group_norm",
            "Pooling": "pooling",
            "Batches and targets": "flip label_smoothing cutmix",
            "Optimizer": "weight_decay gradient_clipping",
            "Averaging and stopping": "ema swa early_stopping",
        }.items()
        for name in names.split()
    }
    assert {name: techniques.kind_of(REGULARIZERS[name]) for name in kinds} == kinds


def test_a_new_technique_is_in_the_guide_without_an_edit(monkeypatch):
    class Jitter(Toggle):
        """Moves *each* unit by <rate>, as [others] do.

        Source: nobody, "Nothing", 1900.
        """

        rate: float = 0.5

        def after_activation(self, name):
            return []

    monkeypatch.setitem(REGULARIZERS, "jitter", Jitter)
    text = section("jitter")
    assert r"Moves \*each\* unit by \<rate\>, as \[others\] do." in text
    assert "| `rate` | number | `0.5` |" in text
    assert '- Source: nobody, "Nothing", 1900.' in text
    assert techniques.kind_of(Jitter) == "Noise and dropout"


def unnamed(page, names):
    text = Path(page).read_text(encoding="utf-8")
    return [name for name in names if not re.search(rf"[`{{ ]{re.escape(name)}[`}},]", text)]


def test_the_guide_names_every_file_column_and_key_of_a_run_folder():
    written = [*files.MADE, files.CONFIG, files.ENVIRONMENT, *files.COLUMNS]
    keys = [key for each in (Summary, Stopped, Numbers, Ledger) for key in each.model_fields]
    assert unnamed("docs/run_folder.md", written + keys) == []


@pytest.mark.parametrize(
    "form",
    [ConfigRow, Difference, Verdict, Plan, PlannedRun, Inspection, Size, Layer, Item, Check],
    ids=lambda each: each.__name__,
)
def test_the_guide_names_every_key_of_the_json(form):
    keys = [field.name for field in dataclasses.fields(form)]
    assert unnamed("docs/json.md", keys) == []


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_file_that_a_page_links_to_is_there(page):
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_option_of_the_pages_exists():
    from regbench.cli import cli

    known = {
        name
        for command in cli.commands.values()
        for parameter in command.params
        for name in parameter.opts
    }
    shown = "\n".join(body for page in PAGES for body in blocks(page, "sh"))
    used = set(re.findall(r"(?<=\s)--[a-z-]+", shown))
    assert used
    assert used - known == set()


def test_the_picture_of_the_architecture_names_every_package():
    picture = Path("docs/architecture.svg").read_text(encoding="utf-8")
    packages = [path.parent.name for path in Path("regbench").glob("*/__init__.py")]
    assert [name for name in packages if f">{name}<" not in picture] == []
