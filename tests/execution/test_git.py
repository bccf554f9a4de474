"""The commit is recorded, and nothing that a repository names is executed for it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from regbench.execution import environment, git
from regbench.execution.environment import Runtime


def run_git(folder: Path, *arguments: str) -> str:
    author = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    done = subprocess.run(
        ["git", *author, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository with one commit."""
    folder = tmp_path / "repository"
    folder.mkdir()
    run_git(folder, "init", "-q")
    (folder / "mine.yaml").write_text("name: mine\n")
    (folder / ".gitattributes").write_text("*.yaml filter=x\n")
    run_git(folder, "add", ".")
    run_git(folder, "commit", "-q", "-m", "first")
    return folder


@pytest.fixture
def trap(tmp_path: Path) -> tuple[Path, Path]:
    """Return a program, and the file that is there once it has been executed."""
    program, sprung = tmp_path / "trap.sh", tmp_path / "sprung"
    program.write_text(f"#!/bin/sh\ntouch '{sprung}'\ncat\n")
    program.chmod(0o755)
    return program, sprung


def describe(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict:
    """Return what a run that is started in the folder records."""
    monkeypatch.chdir(folder)
    return environment.describe(Runtime("tensorflow", "cpu", 1), ["regbench", "run"])


@pytest.mark.parametrize("key", ["core.fsmonitor", "filter.x.clean", "filter.x.process"])
def test_programs_of_a_repository_are_not_executed(repository, trap, key, monkeypatch):
    program, sprung = trap
    run_git(repository, "config", key, str(program))
    (repository / "mine.yaml").write_text("name: more\n")  # of another size than the index has
    found = describe(repository, monkeypatch)["folder_commit"]
    assert not sprung.exists()
    assert found == run_git(repository, "rev-parse", "HEAD")
    subprocess.run(["git", "status"], cwd=repository, capture_output=True, timeout=10)
    assert sprung.exists(), "the trap is set"


def test_a_folder_laid_out_like_a_repository_is_none(repository, trap, tmp_path, monkeypatch):
    program, sprung = trap
    configs = tmp_path / "configs"
    (repository / ".git").rename(configs)
    commit = run_git(configs, "--git-dir=.", "rev-parse", "HEAD")
    (configs / "config").write_text(
        "[core]\nrepositoryformatversion = 0\nbare = false\n"
        f"worktree = {configs}\nfsmonitor = {program}\n"
    )
    assert describe(configs, monkeypatch)["folder_commit"] is None
    assert not sprung.exists()
    assert run_git(configs, "rev-parse", "HEAD") == commit
    subprocess.run(["git", "status"], cwd=configs, capture_output=True, timeout=10)
    assert sprung.exists(), "the trap is set"


def test_variables_do_not_lead_to_another_repository(repository, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(repository / ".git"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert git.commit(elsewhere) is None


def test_without_git_or_a_repository_there_is_no_commit(tmp_path, monkeypatch):
    assert git.commit(tmp_path) is None
    assert git.commit(tmp_path / "missing") is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git.commit(Path.cwd()) is None


def test_the_commit_is_that_of_regbench_wherever_it_is_started(repository, monkeypatch):
    described = describe(repository, monkeypatch)
    root = Path(git.__file__).parents[2]
    expected = run_git(root, "rev-parse", "HEAD") if (root / ".git").exists() else None
    assert described["git_commit"] == expected
    assert described["folder_commit"] == run_git(repository, "rev-parse", "HEAD")


def test_a_checkout_around_site_packages_is_not_taken_for_regbenchs(repository, monkeypatch):
    installed = repository / "venv" / "site-packages" / "regbench" / "execution" / "git.py"
    monkeypatch.setattr(git, "__file__", os.fspath(installed))
    assert git.source_commit() is None
    monkeypatch.setattr(git, "__file__", str(repository / "regbench" / "execution" / "git.py"))
    assert git.source_commit() == run_git(repository, "rev-parse", "HEAD")
