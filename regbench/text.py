"""How text, numbers, durations and p-values are shown, wherever they are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def one_line(text: str) -> str:
    """Return the text with line breaks and other unprintable characters escaped."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def number(value: dict[str, Any] | None, sign: str = "") -> str:
    """Return "0.541 ±0.012", "0.541" without an interval, "" without a value."""
    if value is None or value["mean"] is None:
        return ""
    mean = f"{value['mean']:{sign}.3f}"
    if value["low"] is None:
        return mean
    return f"{mean} ±{(value['high'] - value['low']) / 2:.3f}"


def minutes(seconds: float) -> str:
    """Return a duration in minutes and seconds, "4:48"."""
    whole, seconds = divmod(round(seconds), 60)
    return f"{whole}:{seconds:02}"


def p_value(value: float | None) -> str:
    """Return a p-value with three digits, "" for none."""
    return "" if value is None else ("<0.001" if value < 0.001 else f"{value:.3g}")


def changes(changed: Mapping[str, Any] | None) -> str:
    """Return what a config changes of the baseline, "l2=0.001, batch_norm=true"."""
    if changed is None:
        return ""
    return ", ".join(f"{key}={_value(value)}" for key, value in changed.items())


def _value(value: Any) -> str:
    # Escapes control characters, which could rewrite what a terminal shows.
    return json.dumps(value).strip('"')


def plain_markdown(text: str) -> str:
    """Return any text so that Markdown shows it as it is."""
    escaped = re.sub(r"([\\`*_{}\[\]|~])", r"\\\1", text)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def markdown_table(lines: Iterable[Sequence[str]]) -> str:
    """Return lines of cells as the rows of a Markdown table."""
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def listed(names: Sequence[str], most: int = 6) -> str:
    """Return "a, b, c", of more than `most` names the first ones and how many more there are."""
    more = len(names) - most
    return ", ".join(names) if more <= 0 else f"{', '.join(names[:most])} and {more:,} more"


def seeds(numbers: Iterable[int]) -> str:
    """Return "s0, s1, s4-s9": each seed once, three or more in a row as a range."""
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
