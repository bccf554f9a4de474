"""Formats text, numbers, durations and p-values the same way everywhere."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

# Smaller p-values are shown as "less than this".
SMALLEST_P = 0.001


class Interval(Protocol):
    """A mean and the ends of its interval, as in `regbench.analysis.statistics`."""

    @property
    def mean(self) -> float | None: ...
    @property
    def low(self) -> float | None: ...
    @property
    def high(self) -> float | None: ...


def one_line(text: str) -> str:
    """Return the text with line breaks and other unprintable characters escaped."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def number(value: Interval | None, sign: str = "", large: bool = False, small: bool = False) -> str:
    """Return "0.541 ±0.012", "0.541" without an interval, "" without a value.

    Three decimals suit an accuracy. Of metrics of any size, `large` ones (from 1,000 on) are shown
    as whole numbers, and `small` ones (below 0.001) with two digits.
    """
    if value is None or value.mean is None:
        return ""
    form = ".3f"
    if large and abs(value.mean) >= 1000:
        form = ",.0f"
    elif small and 0 < abs(value.mean) < 0.001:
        form = ".2g"
    mean = f"{value.mean:{sign}{form}}"
    if value.low is None or value.high is None:
        return mean
    return f"{mean} ±{(value.high - value.low) / 2:{form}}"


def decimals(*values: float) -> int:
    """Return how many decimals numbers that stand together need: three for a share."""
    largest = max((abs(each) for each in values), default=0.0)
    limits = ((1000, 0), (100, 1), (1, 2), (0.01, 3), (0.001, 4))
    return next((each for limit, each in limits if largest >= limit), 6 if largest else 3)


def raised(error: BaseException) -> str:
    """Return an error's type and the first line of its message."""
    message = str(error).strip().splitlines()
    return f"{type(error).__name__}: {message[0] if message else 'no message'}"


def clock(seconds: float | None) -> str:
    """Return a duration as "2:05" or "1:02:05"; a dash if it is not known yet."""
    if seconds is None:
        return "-"
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def p_value(value: float | None, form: str = ".3g") -> str:
    """Return a p-value with three digits, "" for none."""
    if value is None:
        return ""
    return f"<{SMALLEST_P}" if value < SMALLEST_P else f"{value:{form}}"


def changes(changed: Mapping[str, object] | None) -> str:
    """Return a config's changes to the baseline, as "l2=0.001, batch_norm=true"."""
    if changed is None:
        return ""
    return ", ".join(f"{key}={_value(value)}" for key, value in changed.items())


def _value(value: object) -> str:
    # Escapes control characters, which could rewrite what a terminal shows.
    return json.dumps(value).strip('"')


def plain_markdown(text: str) -> str:
    """Escape any text so that Markdown shows it literally."""
    escaped = re.sub(r"([\\`*_{}\[\]|~])", r"\\\1", text)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def markdown_table(lines: Iterable[Sequence[str]]) -> str:
    """Return lines of cells as the rows of a Markdown table."""
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def html_table(headings: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return lines of cells as an HTML table, everything in it escaped, as a notebook shows it."""
    rows = [_html_row("th", headings), *(_html_row("td", line) for line in lines)]
    return f"<table>{''.join(rows)}</table>"


def _html_row(tag: str, cells: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{html.escape(cell)}</{tag}>' for cell in cells)}</tr>"


def listed(names: Sequence[str], most: int = 6) -> str:
    """Return "a, b, c"; beyond `most` names, the first ones and the number of others."""
    more = len(names) - most
    return ", ".join(names) if more <= 0 else f"{', '.join(names[:most])} and {more:,} more"


def seeds(numbers: Iterable[int]) -> str:
    """Return "s0, s1, s4-s9": each seed once, with three or more in a row as a range."""
    rows: list[list[int]] = []
    for number in sorted({int(each) for each in numbers}):
        if rows and number == rows[-1][-1] + 1:
            rows[-1].append(number)
        else:
            rows.append([number])
    parts = [
        f"s{row[0]}-s{row[-1]}" if len(row) > 2 else ", ".join(f"s{each}" for each in row)
        for row in rows
    ]
    return listed(parts, 10)
