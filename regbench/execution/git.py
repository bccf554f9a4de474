"""Finds the commit of a folder without executing anything that its repository specifies."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from regbench.execution import programs

# A repository's configuration can name programs: `status` and `diff` run a file system monitor and
# filters. So only the commit is read, and whether files differ from it stays unknown. Bare
# repositories are ignored: any folder of a clone can look like one.
QUESTION = ("-c", "safe.bareRepository=explicit", "-c", "core.fsmonitor=false", "rev-parse", "HEAD")
# The only variables passed to git: others could name another repository or program.
KEPT = ("PATH", "HOME", "SYSTEMROOT", "USERPROFILE")
FIXED = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}


def commit(folder: Path) -> str | None:
    """Return the commit that is checked out in a folder or a parent; None without one."""
    program = programs.find("git")
    if program is None:
        return None
    environment = {key: os.environ[key] for key in KEPT if key in os.environ} | FIXED
    try:
        done = subprocess.run(
            [program, *QUESTION],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def source_commit() -> str | None:
    """Return the commit of regbench's own source; None if it was installed from a package.

    An environment's site-packages is often inside another checkout, whose commit says nothing about
    regbench, so a commit counts only if regbench is at the top of the checkout.
    """
    root = Path(__file__).resolve().parents[2]
    return commit(root) if (root / ".git").exists() else None
