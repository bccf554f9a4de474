"""The list of commands in `regbench --help`, in groups by what one wants to do."""

from __future__ import annotations

import click

# Each group in the order of a first day, with what fits into a line of 80 columns; a command that
# is in none is listed last, with the first sentence of its help.
GROUPS = {
    "Begin": {
        "demo": "Train a baseline and three regularizers; see the answer.",
        "init": "Write starter configs and studies, to be edited.",
        "doctor": "Check that techniques do what they claim.",
        "completion": "Let a shell complete commands and options.",
    },
    "Look before training": {
        "inspect": "Show a config's layers, their cost, and advice.",
        "data": "Show which data sets are here, or fetch one.",
        "plugins": "List the loaded plugins and what they register.",
        "schema": "Print the JSON Schema of a file, or of --json.",
    },
    "Train": {
        "run": "Train configs with seeds; finished runs are skipped.",
        "tune": "Search good values, judged on validation examples.",
        "study": "Train what a study lacks, and judge its claims.",
        "reproduce": "Rebuild a published table, and judge it.",
        "watch": "Show runs live in the browser.",
    },
    "Compare and judge": {
        "compare": "Compare runs: means, intervals, paired differences.",
        "report": "Write a web page about finished runs.",
    },
    "Hand on": {
        "bundle": "Put finished runs into one file.",
        "export": "Export runs to another tool, or as tables.",
    },
}


class GroupedCommands(click.Group):
    """A group whose help lists its commands in `GROUPS`."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands with a line of help each, a section for each group."""
        shown = {
            name: command
            for name in self.list_commands(ctx)
            if (command := self.get_command(ctx, name)) and not command.hidden
        }
        grouped = {name for texts in GROUPS.values() for name in texts}
        others = {
            name: command.get_short_help_str(formatter.width)
            for name, command in shown.items()
            if name not in grouped
        }
        width = max(map(len, shown))
        for title, texts in {**GROUPS, "Other": others}.items():
            rows = [(name.ljust(width), text) for name, text in texts.items() if name in shown]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)
