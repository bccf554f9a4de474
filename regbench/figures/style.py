"""Colors, dashes and the look that all figures share.

Colors are those of Okabe and Ito, which color-blind readers tell apart; lines differ in their
dashes too. Source: Okabe and Ito, "Color Universal Design", 2008.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import contextlib

    import altair

BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY = "#E69F00", "#56B4E9"
INK, LABEL, FRAME, GRID, SHADE = "#222222", "#444444", "#DDDDDD", "#EEEEEE", "#BBBBBB"

TRAIN, TEST, GAP = VERMILION, BLUE, SHADE
SOLID, DASHED = [1, 0], [5, 2]
COLORS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
DASHES = (SOLID, [6, 3], [2, 2], [8, 2, 2, 2])
FONT = "system-ui, sans-serif"


@dataclass(frozen=True)
class Style:
    """The look of a variant's line in every figure."""

    variant: str
    color: str
    dash: list[int]


def styles(variants: Sequence[str], baselines: Sequence[str]) -> list[Style]:
    """Return a style for each variant: ink for the first baseline, 24 others before any repeats."""
    found, index = [], 0
    for variant in variants:
        if variant in baselines[:1]:
            found.append(Style(variant, INK, SOLID))
        else:
            color = COLORS[index % len(COLORS)]
            found.append(Style(variant, color, DASHES[index // len(COLORS) % len(DASHES)]))
            index += 1
    return found


def color(alt: ModuleType, styles: Sequence[Style], **options: object) -> altair.Color:
    """Return the color channel of the variants."""
    domain = [style.variant for style in styles]
    scale = alt.Scale(domain=domain, range=[style.color for style in styles])
    return alt.Color("variant:N", scale=scale, title=None, **options)


def dash(alt: ModuleType, styles: Sequence[Style], **options: object) -> altair.StrokeDash:
    """Return the dash channel of the variants."""
    domain = [style.variant for style in styles]
    scale = alt.Scale(domain=domain, range=[style.dash for style in styles])
    return alt.StrokeDash("variant:N", scale=scale, title=None, **options)


def styled(chart: altair.typing.ChartType, width: int) -> altair.typing.ChartType:
    """Return the top-level chart in the common style; `width` is for the legend."""
    text = {"labelColor": LABEL, "titleColor": LABEL}
    return (
        chart.configure(font=FONT)
        .configure_legend(
            orient="top",
            columns=max(1, width // 150),
            symbolLimit=0,
            symbolType="stroke",
            symbolStrokeWidth=3,
            symbolOpacity=1,
            **text,
        )
        .configure_view(stroke=FRAME)
        .configure_axis(
            gridColor=GRID, domainColor=SHADE, tickColor=SHADE, titleFontWeight="normal", **text
        )
        .configure_header(labelColor=INK, labelFontSize=11, labelFontWeight="bold", title=None)
        .configure_text(color=LABEL)
        .configure_rule(color=LABEL)
    )


def unbounded() -> contextlib.AbstractContextManager[object]:
    """Return a context in which charts of any number of rows can be written.

    Altair refuses more than 5,000 rows, which 25 variants of 200 epochs have.
    """
    import altair

    return altair.data_transformers.enable("default", max_rows=None)


def facet(
    chart: altair.typing.ChartType,
    alt: ModuleType,
    field: str,
    order: Sequence[str],
    columns: int,
    margin: int = 70,
) -> altair.typing.ChartType:
    """Return panels in the given order, their titles above them.

    `margin` is the part of the width that axes take; a page that fits the figure into a window
    reads it from the chart.
    """
    # A comma in a panel's title begins a new line: names are long, and panels narrow.
    lines = {"labelExpr": "split(datum.label, ', ')"} if field == "panel" else {}
    header = alt.Header(title=None, labelAnchor="start", labelLimit=0, **lines)
    panels = alt.Facet(f"{field}:N", sort=list(order), header=header)
    faceted = chart.facet(facet=panels, columns=columns)
    if len(order) > columns and len(order) % columns:
        # A shared axis would also be drawn below panels that the last row lacks.
        faceted = faceted.resolve_axis(x="independent")
    return faceted.properties(usermeta={"margin": margin})


def columns_for(panels: int, width: int, most: int = 4, narrowest: int = 150) -> int:
    """Return the number of panels side by side, none narrower than a phone if possible."""
    return max(1, min(panels, 2 if panels == 4 else most, width // narrowest))


def panel_width(width: int, columns: int, margin: int = 70) -> int:
    """Return the width of a panel where `columns` of them fill `width` pixels with their axes."""
    return (width - margin - 20 * (columns - 1)) // columns
