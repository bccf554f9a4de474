"""Programs come from the folders of PATH, never from the current one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from regbench.execution import git, programs


@pytest.mark.parametrize("first", ["", ".", "bin"])
def test_a_git_beside_the_configs_is_not_executed(first, tmp_path, monkeypatch):
    """An empty entry of PATH, as a stray colon leaves it, stands for the current folder."""
    sprung = tmp_path / "sprung"
    program = tmp_path / first / "git"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\ntouch '{sprung}'\necho 0123\n")
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", first + os.pathsep + os.environ["PATH"])
    assert git.commit(Path()) is None
    assert not sprung.exists()
    os.system("git")
    assert sprung.exists(), "the trap is set"


def test_the_first_folder_that_has_the_program_counts(tmp_path, monkeypatch):
    for name in ("empty", "one", "two"):
        (tmp_path / name).mkdir()
    for name in ("one", "two"):
        (tmp_path / name / "tool").touch(mode=0o755)
    monkeypatch.setenv("PATH", os.pathsep.join(str(tmp_path / each) for each in ("empty", "one")))
    assert programs.find("tool") == str(tmp_path / "one" / "tool")
    assert programs.find("other") is None
    monkeypatch.delenv("PATH")
    assert programs.find("tool") is None
