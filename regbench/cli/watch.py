"""`regbench watch`."""

from __future__ import annotations

from pathlib import Path

import click

from regbench.cli import options
from regbench.errors import RegbenchError


@click.command()
@options.results_to_read
@options.baseline
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="N",
    help="The port on this machine.  [default: any that is free]",
)
@click.option("--open/--no-open", "opens", default=True, help="Open the page in the browser.")
@options.plugins
def watch(results: tuple[Path, ...], baseline: str | None, port: int, opens: bool) -> None:
    """Show runs live in the browser: progress, curves, the table so far.

    The page is served on this machine alone and reads the run folders, nothing else: start it
    before, during or after the runs, and end it with Ctrl-C at any time.

    \b
    Examples:
      regbench watch results/
      regbench watch results/studies/overfitting --no-open --port 8765
    """
    from regbench.report.watch import server
    from regbench.report.watch.state import Watcher

    def ready(address: str) -> None:
        click.echo(f"Watching {', '.join(map(str, results))}; end with Ctrl-C\n{address}", err=True)
        if opens:
            click.launch(address)

    try:
        server.serve(Watcher(results, baseline), port, ready)
    except OSError as error:
        raise RegbenchError(
            f"--port: {port} is taken or not allowed ({error.strerror}); choose another, or 0 for "
            "any that is free"
        ) from error
