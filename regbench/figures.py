"""Figures of finished runs, one function each: (frame) -> Altair chart.

Colors are those of Okabe and Ito, which color-blind readers tell apart; lines differ in their
dashes too. Source: Okabe and Ito, "Color Universal Design", 2008.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regbench import files
from regbench.errors import RegbenchError

if TYPE_CHECKING:
    import pandas

TRAIN, TEST, GAP = "#D55E00", "#0072B2", "#BBBBBB"
AXES = {"accuracy": "accuracy", "loss": "cross-entropy (nats)"}
FORMATS = (".svg", ".png", ".html")


def curves(frame: pandas.DataFrame, metric: str = "accuracy") -> Any:
    """Return train and test curves of every config, a panel each, the gap between them shaded.

    Args:
        frame: what `regbench.runs.load` returns. Curves are means over seeds; with several, a
            band goes from the lowest to the highest.
        metric: "accuracy", or "loss" for cross-entropy in nats.
    """
    import altair as alt

    data = _panels(frame, metric)
    panels = len(set(data["panel"]))
    columns = panels if panels <= 3 else 2 if panels == 4 else 4
    width, height = (360, 240) if panels == 1 else (260, 180) if panels <= 4 else (190, 140)

    axis = alt.Axis(title=AXES[metric], format=".1f", tickCount=5)
    scale = alt.Scale(domain=[0, 1]) if metric == "accuracy" else alt.Scale(zero=True)
    epoch = alt.X("epoch:Q", title="epoch", axis=alt.Axis(format="d", tickMinStep=1, grid=False))

    def area(opacity: float, color: str, y: str, y2: str) -> Any:
        ends = {"y": alt.Y(f"{y}:Q", axis=axis, scale=scale), "y2": f"{y2}:Q"}
        return base.mark_area(opacity=opacity).encode(color=alt.datum(color), **ends)

    base = alt.Chart(data).encode(x=epoch)
    colors = alt.Scale(domain=["train", "test", "gap"], range=[TRAIN, TEST, GAP])
    dashes = alt.Scale(domain=["train", "test", "gap"], range=[[5, 2], [1, 0], [1, 0]])
    lines = base.transform_fold(["train", "test"], as_=["set", "value"]).mark_line(strokeWidth=2)
    layers = [
        area(0.4, "gap", "train", "test"),
        area(0.25, "train", "train_low", "train_high"),
        area(0.25, "test", "test_low", "test_high"),
        lines.encode(
            y=alt.Y("value:Q", axis=axis, scale=scale),
            color=alt.Color("set:N", scale=colors, title=None),
            strokeDash=alt.StrokeDash("set:N", scale=dashes, title=None),
            tooltip=["panel:N", "set:N", "epoch:Q", alt.Tooltip("value:Q", format=".3f")],
        ),
    ]
    return (
        alt.layer(*layers)
        .properties(width=width, height=height)
        .facet(facet=_header(alt, data), columns=columns)
        .configure_legend(orient="top", symbolStrokeWidth=3, symbolOpacity=1)
        .configure_view(stroke="#DDDDDD")
        .configure_axis(gridColor="#EEEEEE", labelColor="#444444", titleColor="#444444")
    )


FIGURES: dict[str, Callable[..., Any]] = {"curves": curves}


def save(chart: Any, path: Path | str) -> None:
    """Write a chart to a file, in the format that its suffix names; HTML works offline.

    Raises:
        RegbenchError: the suffix is not .svg, .png or .html.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise RegbenchError(
            f"{path}: expected a name that ends in {', '.join(FORMATS)}, received {path.suffix!r}"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    options: dict[str, Any] = {".html": {"inline": True}, ".png": {"scale_factor": 2}}
    files.replace(path, lambda name: chart.save(str(name), **options.get(path.suffix.lower(), {})))


def _panels(frame: pandas.DataFrame, metric: str) -> pandas.DataFrame:
    """Return a row per panel and epoch: mean, lowest and highest of train and test."""
    frame = frame.drop_duplicates(["name", "config_hash", "seed", "epoch"])
    sides = {"train": f"train_{metric}", "test": f"test_{metric}"}
    statistics = {
        f"{side}{suffix}": (column, how)
        for side, column in sides.items()
        for suffix, how in (("", "mean"), ("_low", "min"), ("_high", "max"))
    }
    keys = ["name", "config_hash", "epoch"]
    data = frame.groupby(keys, as_index=False).agg(**statistics)
    data = data.dropna()
    return data.assign(panel=_titles(data))


def _titles(data: pandas.DataFrame) -> list[str]:
    """Return each row's panel title: name, hash where the name is shared, and the final gap."""
    shared = data.groupby("name")["config_hash"].nunique()
    last = data.groupby(["name", "config_hash"])[["train", "test"]].last()
    gaps = (last["train"] - last["test"]).abs()
    return [
        f"{name}{f' {config_hash}' if shared[name] > 1 else ''}, gap {gaps[name, config_hash]:.2f}"
        for name, config_hash in zip(data["name"], data["config_hash"], strict=True)
    ]


def _header(alt: Any, data: pandas.DataFrame) -> Any:
    """Return the facet: panels in order, the baseline first, titles above them."""
    panels = sorted(set(data["panel"]), key=lambda panel: (not panel.startswith("baseline"), panel))
    header = alt.Header(title=None, labelFontSize=12, labelFontWeight="bold", labelAnchor="start")
    return alt.Facet("panel:N", sort=panels, header=header)
