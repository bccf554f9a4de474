"""Export to W&B, or to trackio, which has the same interface: one path for both.

W&B writes offline files, which `wandb sync` uploads; trackio keeps a local database, which
`trackio show` opens. Neither sends anything to a server from here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from regbench.exports import missing
from regbench.runs.live import Snapshot

PROJECT = "regbench"


class WandbStyle:
    """A project of W&B or trackio; `library` is the imported package."""

    def __init__(self, library: ModuleType, options: Mapping[str, object]) -> None:
        self._library, self._options = library, options

    def begin(self, run: Snapshot, settings: Mapping[str, object]) -> WandbStyleRun:
        """Prepare a run; it is sent when it is complete, since only one can be open at a time."""
        return WandbStyleRun(self._library, self._options, run, settings)

    def close(self) -> None:
        """Do nothing: every run was closed."""


class WandbStyleRun:
    """One run; its epochs are collected until it is over."""

    def __init__(
        self,
        library: ModuleType,
        options: Mapping[str, object],
        run: Snapshot,
        settings: Mapping[str, object],
    ) -> None:
        self._library, self._options, self._run = library, options, run
        self._settings = dict(settings)
        self._rows: list[tuple[int, dict[str, float]]] = []

    def log(self, epoch: int, numbers: Mapping[str, float], at: float) -> None:
        """Keep the epoch's numbers."""
        self._rows.append((epoch, dict(numbers)))

    def finish(self, run: Snapshot) -> None:
        """Send the whole run."""
        opened = self._library.init(
            project=PROJECT,
            name=run.key,
            group=run.name,
            config=self._settings | {"state": run.state},
            **self._options,
        )
        for epoch, numbers in self._rows:
            opened.log(numbers, step=epoch)
        opened.finish()


def wandb(output: str) -> WandbStyle:
    """Open a folder for W&B's offline files.

    Raises:
        RegbenchError: W&B is not installed.
    """
    try:
        import wandb as library
    except ImportError as error:
        raise missing("wandb", "wandb") from error
    Path(output).mkdir(parents=True, exist_ok=True)
    quiet = library.Settings(silent=True, console="off", disable_git=True, disable_code=True)
    return WandbStyle(library, {"mode": "offline", "dir": output, "settings": quiet})


def trackio(output: str) -> WandbStyle:
    """Open a folder for trackio's database.

    Raises:
        RegbenchError: trackio is not installed.
    """
    os.environ["TRACKIO_DIR"] = str(Path(output).absolute())  # read when it is imported
    try:
        import trackio as library
    except ImportError as error:
        raise missing("trackio", "trackio") from error
    return WandbStyle(library, {"embed": False})
