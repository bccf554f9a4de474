"""Download progress for a terminal or a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


class DownloadBar:
    """Bytes and time left: a bar on a terminal; when piped, a line at every tenth."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._bar: Progress | None = None
        self._tenths = 0

    def show(self, done: int, total: int) -> None:
        if self.console.is_terminal:
            self._draw(done, total)
        elif total and done * 10 // total > self._tenths:
            self._tenths = done * 10 // total
            self.console.print(f"downloaded {self._tenths}0% of {total / 1e6:.0f} MB")

    def _draw(self, done: int, total: int) -> None:
        from rich import progress

        if self._bar is None:
            self._bar = progress.Progress(
                "downloading",
                progress.BarColumn(),
                progress.DownloadColumn(),
                progress.TransferSpeedColumn(),
                progress.TimeRemainingColumn(),
                console=self.console,
                transient=True,
            )
            self._bar.add_task("", total=total)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=done, total=total)

    def end(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
