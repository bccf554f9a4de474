"""The command line: options and printing, and one call of the Python interface per command.

Heavy imports stay inside the commands, so that `regbench --help` is instant.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

import click

from regbench.cli import (
    bundle,
    compare,
    completion,
    data,
    demo,
    doctor,
    export,
    init,
    inspect,
    plugins,
    report,
    reproduce,
    run,
    schema,
    study,
    tune,
    watch,
)
from regbench.cli.groups import GroupedCommands
from regbench.cli.printing import complain
from regbench.errors import RegbenchError
from regbench.execution import failures, signals

# In the order in which a newcomer needs them.
COMMANDS = (
    demo.demo,
    init.init,
    run.run,
    compare.compare,
    report.report,
    watch.watch,
    study.study,
    reproduce.reproduce,
    tune.tune,
    bundle.bundle,
    export.export,
    inspect.inspect,
    data.data,
    schema.schema,
    plugins.plugins,
    doctor.doctor,
    completion.completion,
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit; an error that the user can fix is one line on stderr."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # tables have characters that some encodings lack
            stream.reconfigure(errors="replace")
    stdout = sys.stdout
    try:
        code = cli.main(arguments, prog_name="regbench", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        code = signals.INTERRUPTED
    except RegbenchError as error:
        complain(str(error))
        code = error.exit_code
    except SystemExit as end:
        # Of a closed pipe (regbench compare | head) rich and click make 1; click changes stdout.
        if sys.stdout is stdout and not isinstance(end.__context__, BrokenPipeError):
            raise
        code = 0
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except (OSError, MemoryError) as error:
        complain(failures.message(error))
        code = 1
    sys.exit(code)


@click.group(cls=GroupedCommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="regbench")
def cli() -> None:
    """Does this regularizer help, by how much, and can I trust it?

    \b
    Start here:
      regbench demo
      regbench run baseline dropout
      regbench compare results/
    """


for command in COMMANDS:
    cli.add_command(command)
