"""Every command that the README shows is run as it stands there, `regbench run` with --smoke."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

README = Path("README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
SHELL = [body for language, body in BLOCKS if language == "sh"]
PYTHON = [body for language, body in BLOCKS if language == "python"]

# One seed decides nothing, so that no claim is contradicted by runs as tiny as these.
TINY = "--seeds 0 --set train.epochs=1 --set data.train_examples=100 --set data.test_examples=100"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder as a reader has it: the configs, and `regbench` on the PATH."""
    folder = tmp_path_factory.mktemp("readme")
    shutil.copytree("configs", folder / "configs")
    programs = folder / "bin"
    programs.mkdir()
    for name, arguments in (("regbench", "-m regbench"), ("python", "")):
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
        program.chmod(0o755)
    return folder


def run_in(home, *command):
    environment = os.environ | {
        "PATH": f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(Path.cwd()),
    }
    done = subprocess.run(
        command, cwd=home, env=environment, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr


def as_tested(block):
    """Return the block with tiny runs, and without entering a virtual environment."""
    lines = block.replace("\\\n", " ").splitlines()
    lines = [f"{line} --smoke" if line.startswith("regbench run ") else line for line in lines]
    # Of a tiny run, which otherwise has results of its own, that the next command reads.
    lines = [
        f"{line} --results results" if "--smoke" in line and "--results" not in line else line
        for line in lines
    ]
    lines = [f"{line} {TINY}" if line.startswith("regbench study ") else line for line in lines]
    return "\n".join(line for line in lines if not line.startswith(". .venv/"))


def test_every_command_of_the_readme_runs(home):
    commands = "\n".join(map(as_tested, SHELL))
    assert commands.count("regbench run") >= 3
    assert commands.count("regbench compare") >= 2
    assert "regbench study" in commands
    run_in(home, "bash", "-euo", "pipefail", "-c", commands)
    assert (home / "curves.svg").exists()


def test_every_python_example_of_the_readme_runs(home):
    assert PYTHON
    for body in PYTHON:
        script = home / "example.py"
        script.write_text(body)
        run_in(home, "python", "example.py")


def test_every_config_is_in_the_readme():
    names = [path.stem for path in Path("configs").glob("*.yaml")]
    assert [name for name in names if f"`{name}`" not in README] == []


def test_every_file_that_the_readme_links_to_is_there():
    links = re.findall(r"\]\((?!https?:|#)([^)]+)\)", README)
    assert links
    assert [link for link in links if not Path(link).exists()] == []


def test_every_option_of_the_readme_exists():
    from regbench.cli import cli

    known = {
        name
        for command in cli.commands.values()
        for parameter in command.params
        for name in parameter.opts
    }
    used = set(re.findall(r"(?<=\s)--[a-z-]+", "\n".join(SHELL)))
    assert used
    assert used - known == set()
