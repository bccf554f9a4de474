"""A table of short lines, which rich would take seconds to draw for thousands of configs.

It looks as a `rich.table.Table` without a box does. Where that would have to fold or cut a column,
rich draws it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.segment import Segment
    from rich.style import Style
    from rich.table import Table
    from rich.text import Text

# The lines of a cell: each its text, one character a column, and its style.
Cell = Sequence[tuple[str, str]]
# A column of spaces between two columns.
BETWEEN = " "


def cell(text: str, style: str = "") -> Cell:
    """Return a cell of one style."""
    return [(line, style) for line in text.split("\n")]


@dataclass
class StackedTable:
    """Columns of text for rich to print; the first is cut at `most`, the others align right.

    `further` is the heading of a last column of longer texts that may fold, or None.
    """

    headings: Sequence[str]
    most: int
    title: str | None = None
    further: str | None = None
    rows: list[Sequence[Cell]] = field(default_factory=list)

    def add(self, cells: Iterable[Cell]) -> None:
        """Add a row, with a cell for each column."""
        self.rows.append(list(cells))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        widths = [] if self.further is not None else self._widths()
        if not widths or sum(widths) + len(widths) - 1 > options.max_width:
            yield self._drawn_by_rich()
            return
        yield self._head(widths)
        styles = {style: console.get_style(style or "none") for style in self._styles()}
        for row in self.rows:
            yield from self._lines(row, widths, styles)

    def _styles(self) -> set[str]:
        """Return the styles of all cells; a line of nothing but empty cells has none."""
        return {"", *(style for row in self.rows for lines in row for _, style in lines)}

    def _widths(self) -> list[int]:
        """Return the width of each column."""
        longest = [max(map(len, heading.split("\n"))) for heading in self.headings]
        for row in self.rows:
            for column, lines in enumerate(row):
                for text, _ in lines:
                    if len(text) > longest[column]:
                        longest[column] = len(text)
        return [min(longest[0], self.most), *longest[1:]]

    def _head(self, widths: Sequence[int] | None = None) -> Table:
        """Return a rich table of title and headings, in these widths if they are known."""
        from rich.table import Table

        table = Table(
            title=self.title,
            title_justify="left",
            box=None,
            pad_edge=False,
            padding=(0, 1, 0, 0),
            header_style="bold" if self.title is None else "table.header",
        )
        fixed: list[int | None] = [*widths] if widths else [None] * len(self.headings)
        first, *others = zip(self.headings, fixed, strict=True)
        table.add_column(
            first[0], width=first[1], max_width=self.most, overflow="ellipsis", no_wrap=True
        )
        for heading, width in others:
            table.add_column(heading, width=width, justify="right", no_wrap=True)
        return table

    def _drawn_by_rich(self) -> Table:
        table = self._head()
        if self.further is not None:
            table.add_column(self.further, overflow="fold")
        for row in self.rows:
            table.add_row(*map(_text, row))
        return table

    def _lines(
        self, row: Sequence[Cell], widths: Sequence[int], styles: Mapping[str, Style]
    ) -> Iterable[Segment]:
        """Yield the segments of a row, one for each stretch of a style."""
        from rich.segment import Segment

        for number in range(max(map(len, row))):
            text, style = "", ""
            for column, (lines, width) in enumerate(zip(row, widths, strict=True)):
                own, own_style = lines[number] if number < len(lines) else ("", style)
                if own_style != style:
                    if text:
                        yield Segment(text, styles[style])
                    text, style = "", own_style
                text += BETWEEN * bool(column) + _fitted(own, width, right=column > 0)
            yield Segment(text, styles[style])
            yield Segment.line()


def _fitted(text: str, width: int, right: bool) -> str:
    if len(text) > width:
        return text[: width - 1] + "…"
    return text.rjust(width) if right else text.ljust(width)


def _text(lines: Cell) -> RenderableType:
    from rich.text import Text

    text: Text = Text("\n").join(Text(line, style) for line, style in lines)
    return text
