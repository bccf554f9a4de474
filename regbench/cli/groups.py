"""The list of commands in `regbench --help`, in groups by what one wants to do."""

from __future__ import annotations

import click

# Each group in the order of a first day; a command that is in none is listed last.
GROUPS = {
    "Begin": ("demo", "init", "doctor", "completion"),
    "Look before training": ("inspect", "data", "plugins", "schema"),
    "Train": ("run", "tune", "study", "reproduce", "watch"),
    "Compare and judge": ("compare", "report"),
    "Hand on": ("bundle", "export"),
}


class GroupedCommands(click.Group):
    """A group whose help lists its commands in `GROUPS`."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands with their short help, a section for each group."""
        shown = {
            name: command
            for name in self.list_commands(ctx)
            if (command := self.get_command(ctx, name)) and not command.hidden
        }
        grouped = {name for names in GROUPS.values() for name in names}
        others = tuple(name for name in shown if name not in grouped)
        width = max(map(len, shown))
        # As click does: what the names and the margins leave.
        limit = formatter.width - 6 - width
        for title, names in {**GROUPS, "Other": others}.items():
            rows = [
                (name.ljust(width), shown[name].get_short_help_str(limit))
                for name in names
                if name in shown
            ]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)
