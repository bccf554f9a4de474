"""`regbench completion`."""

from __future__ import annotations

import os
from pathlib import Path

import click

# Where each shell looks for the completions of a user: a variable, its default below the home
# folder, and the file in there.
PLACES = {
    "bash": ("XDG_DATA_HOME", ".local/share", "bash-completion/completions/regbench"),
    "zsh": ("ZDOTDIR", "", ".zfunc/_regbench"),
    "fish": ("XDG_CONFIG_HOME", ".config", "fish/completions/regbench.fish"),
}
VARIABLE = "_REGBENCH_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice([*PLACES]))
@click.option("--install", is_flag=True, help="Write it to where the shell looks for it.")
@click.pass_context
def completion(context: click.Context, shell: str, install: bool) -> None:
    """Print the script that lets a SHELL complete commands and options, or install it.

    \b
    Examples:
      regbench completion bash --install
      regbench completion fish | source
    """
    from click import shell_completion

    from regbench import files

    kind = shell_completion.get_completion_class(shell)
    assert kind is not None  # click ships all three
    script = kind(context.find_root().command, {}, "regbench", VARIABLE).source()
    if not install:
        click.echo(script)
        return
    path = _place(shell)
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write(path, script + "\n")
    click.echo(f"The completion is in {path}; it works in shells that start from now on", err=True)
    if shell == "zsh":
        click.echo(
            f"if {path.parent} is not in fpath yet, add to ~/.zshrc: "
            f"fpath+=({path.parent}); autoload -Uz compinit && compinit",
            err=True,
        )


def _place(shell: str) -> Path:
    variable, default, file = PLACES[shell]
    return Path(os.environ.get(variable) or Path.home() / default) / file
