"""Finds the commit of a folder without executing anything that its repository specifies."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

# A repository's configuration can name programs. `status` and `diff` run a file system monitor and
# filters; so nothing but the commit is asked for, and whether files differ from it stays unknown.
# A folder laid out like a bare repository, as a clone can hold one, is no repository to us.
QUESTION = ("-c", "safe.bareRepository=explicit", "-c", "core.fsmonitor=false", "rev-parse", "HEAD")
# All that git needs of our own environment, which could name another repository or program.
KEPT = ("PATH", "HOME", "SYSTEMROOT", "USERPROFILE")
FIXED = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}


def commit(folder: Path) -> str | None:
    """Return the commit that is checked out in a folder, or in one around it; None without one."""
    environment = {key: os.environ[key] for key in KEPT if key in os.environ} | FIXED
    try:
        done = subprocess.run(
            ["git", *QUESTION],
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
    """Return the commit of regbench's own source; None where it was installed from a package.

    An environment's site-packages often lies inside another checkout, whose commit says nothing
    about regbench: so it counts only if regbench lies at the top of the checkout.
    """
    root = Path(__file__).resolve().parents[2]
    return commit(root) if (root / ".git").exists() else None
