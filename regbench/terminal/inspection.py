"""An inspection as text for a terminal of 80 columns or more."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from regbench.inspection.inspect import Inspection, Timing
from regbench.models.cost import Layer, Totals

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.table import Table
    from rich.text import Text


def terminal(found: Inspection) -> Group:
    """Return the whole inspection, for rich to print."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = [_heading(found), _layers(found), Text(), _facts(found)]
    return Group(*parts, Text(), _advice(found)) if found.advice else Group(*parts)


def _heading(found: Inspection) -> Text:
    from rich.text import Text

    shape, size = "x".join(map(str, found.size.input_shape)), found.size
    heading = Text(found.name, style="bold")
    heading.append(
        f"  {shape} images, {size.classes} classes, {size.train_examples:,} training examples\n",
        style="not bold",
    )
    return heading


def _layers(found: Inspection) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("layer", max_width=32, overflow="ellipsis", no_wrap=True)
    for heading in ("output", "parameters", "mult-adds", "memory"):
        table.add_column(heading, justify="right", no_wrap=True)
    for layer in found.layers:
        table.add_row(*_cells(layer))
    total = found.totals
    table.add_section()
    table.add_row(
        "total",
        "",
        f"{total.parameters:,}",
        magnitude(total.multiply_adds),
        f"{magnitude(total.activation_bytes)}B",
        style="bold",
    )
    return table


def _cells(layer: Layer) -> list[str]:
    shape = "x".join(map(str, layer.output_shape))
    return [
        layer.name,
        shape,
        f"{layer.parameters:,}" if layer.parameters else "",
        magnitude(layer.multiply_adds) if layer.multiply_adds else "",
        f"{magnitude(layer.activation_bytes)}B" if layer.activation_bytes else "",
    ]


def _facts(found: Inspection) -> Table:
    """Return a line for each total, with the names in a column of their own."""
    batch = found.totals.activation_bytes * found.batch_size
    changes = ", ".join(f"{key}={_value(value)}" for key, value in found.changes.items())
    facts = _columns()
    facts.add_row("changes", changes or "nothing: this is the baseline")
    if found.changes:
        facts.add_row("than baseline", _difference(found.totals, found.versus_baseline))
    unpooled = _difference(found.totals, found.pooling) if found.pooling else "not known"
    facts.add_row("than unpooled", unpooled)
    for name, effect in found.batches.items():
        facts.add_row("batches", f"{name} {effect}")
    facts.add_row("memory", f"{magnitude(batch)}B of activations for a batch of {found.batch_size}")
    facts.add_row("time", _time(found.timing, found.epochs) if found.timing else "not measured")
    return facts


def _advice(found: Inspection) -> Table:
    from rich.text import Text

    advice = _columns()
    for number, each in enumerate(found.advice):
        text = Text(f"{each.advice}\n{each.reason}\n")
        last = number == len(found.advice) - 1
        advice.add_row("advice", text.append(each.source + ("" if last else "\n"), style="dim"))
    return advice


def _columns() -> Table:
    from rich.table import Table

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True, width=13)
    table.add_column()
    return table


def _time(timing: Timing, epochs: int) -> str:
    epoch = timing.training + timing.measuring
    run = epoch * epochs + 2 * timing.measuring_all - timing.measuring
    return (
        f"{duration(epoch)} an epoch ({duration(timing.training)} training, "
        f"{duration(timing.measuring)} measuring), {duration(run)} for {epochs} epochs; "
        f"from {timing.batches} of {timing.batches_per_epoch} batches in {timing.seconds:.1f} s "
        f"on {timing.threads} thread{'s' if timing.threads > 1 else ''}"
    )


def _difference(totals: Totals, difference: Totals) -> str:
    """Return the difference in parameters and multiply-adds, absolute and in percent."""
    parts = []
    for key, name in (("parameters", "parameters"), ("multiply_adds", "mult-adds")):
        more, total = getattr(difference, key), getattr(totals, key)
        other = total - more
        percent = f" ({more / other:+.1%})" if other and more else ""
        parts.append(f"{_signed(key, more)} {name}{percent}")
    return ", ".join(parts)


def _signed(key: str, number: int) -> str:
    if number == 0 or key == "parameters":
        return f"{number:+,}" if number else "same"
    return f"{'-' if number < 0 else '+'}{magnitude(abs(number))}".strip()


def magnitude(number: float) -> str:
    """Return a number with a metric prefix: 154.5 M, 23.4 k, 512."""
    for unit, factor in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= factor:
            return f"{number / factor:.1f} {unit}"
    return f"{number:.0f} "


def duration(seconds: float) -> str:
    """Return 0.42 s, 12 s, 3 min or 2 h 5 min."""
    if seconds < 10:
        return f"{seconds:.2g} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 100 else f"{minutes} min"


def _value(value: object) -> str:
    # Escapes control characters, which could rewrite what a terminal shows.
    return json.dumps(value).strip('"')
