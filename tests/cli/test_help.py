"""The list of commands, in groups, and completion in a shell."""

import os
import shutil
import subprocess

import pytest
from click.testing import CliRunner

from regbench.cli import cli, groups


def regbench(*arguments, **environment):
    done = CliRunner().invoke(cli, [*map(str, arguments)], standalone_mode=False, env=environment)
    assert done.exception is None, done.output
    return done


def test_every_command_is_in_one_group_and_listed_once():
    grouped = [name for names in groups.GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(cli.commands)
    shown = regbench("--help").stdout
    for title, names in groups.GROUPS.items():
        section = shown.split(f"{title}:\n")[1].split("\n\n")[0]
        assert tuple(line.split()[0] for line in section.splitlines()) == tuple(names)
    assert "Other:" not in shown


def test_a_command_in_no_group_is_listed_last(monkeypatch):
    monkeypatch.delitem(groups.GROUPS["Begin"], "completion")
    last = regbench("--help").stdout.partition("Other:\n")[2]
    assert last.split()[0] == "completion"


def test_no_line_of_the_list_is_cut_off_in_80_columns():
    commands = regbench("--help").stdout.partition("Begin:")[2]
    assert "..." not in commands
    assert max(map(len, commands.splitlines())) < 80


@pytest.mark.parametrize(
    ("shell", "place"),
    [
        ("bash", "share/bash-completion/completions/regbench"),
        ("zsh", "zsh/.zfunc/_regbench"),
        ("fish", "config/fish/completions/regbench.fish"),
    ],
)
def test_one_command_installs_the_completion(shell, place, tmp_path):
    homes = {"XDG_DATA_HOME": "share", "ZDOTDIR": "zsh", "XDG_CONFIG_HOME": "config"}
    homes = {name: str(tmp_path / folder) for name, folder in homes.items()}
    done = regbench("completion", shell, "--install", **homes)
    assert str(tmp_path / place) in done.stderr
    text = (tmp_path / place).read_text(encoding="utf-8")
    assert text.strip() == regbench("completion", shell).stdout.strip()
    assert "_REGBENCH_COMPLETE" in text
    assert ("fpath+=" in done.stderr) == (shell == "zsh")


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_reads_the_script():
    script = regbench("completion", "bash").stdout
    asked = f"{script}\ncomplete -p regbench"
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, timeout=20)
    assert "regbench" in done.stdout, done.stderr


@pytest.mark.parametrize(("typed", "expected"), [("com", "compare"), ("study --bud", "--budget")])
def test_commands_and_options_are_completed(typed, expected, tmp_path):
    import sys

    words = f"regbench {typed}"
    environment = os.environ | {
        "_REGBENCH_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-m", "regbench"],
        capture_output=True, text=True, env=environment, timeout=60,
    )  # fmt: skip
    assert f"plain,{expected}" in done.stdout, done.stderr
