"""The report as one web page that works offline, fetches nothing and sends nothing.

A Content-Security-Policy in the page itself enforces that: only the page's own two scripts run,
identified by their SHA-256, and no address is ever opened.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from regbench import files, text
from regbench.analysis import answers, compare, origins, run_time
from regbench.analysis.rows import ConfigRow
from regbench.errors import Warn
from regbench.figures import variants
from regbench.report import bounds, charts, measures, model_cards, provenance
from regbench.report.policy import policy
from regbench.runs.results import Results, results_of

if TYPE_CHECKING:
    import pandas
    from markupsafe import Markup

# With more variants than this, the page first shows the baseline and the best ones.
SHOWN_AT_FIRST = 8
MOST_MEGABYTES = bounds.MOST_BYTES // 1_000_000


def write(
    frame: pandas.DataFrame,
    path: Path | str,
    baseline: str | None = None,
    warn: Warn | None = None,
    separate: Mapping[str, Results] | None = None,
) -> None:
    """Write the report of finished runs to an HTML file.

    Args:
        frame: the result of `regbench.runs.load`; the folders of its runs are read.
        baseline: the name of the config that the others are compared with.
        warn: called with a line for each run whose probes or environment can't be read, and for
            everything that makes runs less comparable, as in `compare`.
        separate: the same runs by their origin, by its label, to be shown side by side too.

    Raises:
        RegbenchError: there is no run, or none with the baseline's name.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write(path, render(frame, baseline, warn, separate))


def render(
    frame: pandas.DataFrame,
    baseline: str | None = None,
    warn: Warn | None = None,
    separate: Mapping[str, Results] | None = None,
) -> str:
    """Return the report of finished runs as HTML; the arguments are those of `write`."""
    import jinja2

    # By origin, runs of the same config and seed are expected: the page itself says what counts.
    results = results_of(frame)
    rows = compare.compare(
        frame, baseline, results.measures, warn=None if separate else warn, examples=False
    )
    labeled = variants.labeled(frame)
    looks = {style.variant: style for style in variants.looks(labeled)}
    headline = _headline(rows, labeled)
    contents = bounds.fit(results, rows, [line.variant for line in headline], warn)
    if contents.notes and warn:
        warn(f"the page is kept below {MOST_MEGABYTES} MB: it shows {'; '.join(contents.notes)}")
    figures = charts.figures(contents.results, contents.shared)
    scripts = [_vega(), _asset("page.js")]
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {
        "number": text.number,
        "themed": charts.themed,
        "breakable": _breakable,
    }
    return environment.from_string(_asset("page.html")).render(
        policy=policy(scripts, "img-src data:"),
        scripts=[_safe(script) for script in scripts],
        style=_safe(charts.theme() + _asset("page.css")),
        data=_safe(
            charts.themed(json.dumps(_data(figures), separators=(",", ":"))).replace("<", "\\u003c")
        ),
        lines=headline,
        looks=looks,
        figures=figures,
        **_bounded(contents, headline, results.measures),
        time_note=run_time.note([line.row for line in headline]),
        runs=len(labeled.drop_duplicates(["variant", "seed"])),
        epochs=int(frame["epoch"].max()),
        origins=provenance.of(results.own.frame, warn),
        elsewhere=[text.one_line(each) for each in results.elsewhere],
        side_by_side=_SideBySide.of(separate, baseline, warn) if separate else None,
    )


def _bounded(
    contents: bounds.Contents, headline: Sequence[Line], names: Sequence[str]
) -> dict[str, object]:
    """Return what the page shows of some variants alone, where there are very many."""
    drawn = [line for line in headline if line.variant in contents.drawn]
    listed = [line for line in headline if line.variant in contents.listed]
    rows, labels = [line.row for line in listed], [line.variant for line in listed]
    return {
        "listed": listed,
        "drawn": drawn,
        "left_out": contents.notes,
        "most_megabytes": MOST_MEGABYTES,
        "most_classes": model_cards.MOST_CLASSES,
        "answers": answers.sentences(rows, labels),
        "answers_legend": answers.LEGEND,
        "most_answers": answers.MOST,
        "shown": _shown_at_first(drawn),
        "models": contents.models,
        "probed": len(contents.shared.found),
        "measures": measures.tables(rows, labels, names),
        "measure_headings": measures.HEADINGS,
    }


def _data(figures: list[charts.Figure]) -> dict[str, object]:
    """Return the data for the page's script; figures that show the same data share it."""
    datasets: dict[str, object] = {}
    specs: dict[str, dict[str, object]] = {}
    for figure in figures:
        specs[figure.name] = {}
        for label, spec in figure.specs.items():
            held = spec["datasets"]
            assert isinstance(held, dict)
            datasets |= {name: _columns(rows) for name, rows in held.items()}
            specs[figure.name][label] = {k: v for k, v in spec.items() if k != "datasets"}
    return {"datasets": datasets, "figures": specs}


def _columns(rows: list[dict[str, object]]) -> dict[str, list[object]]:
    """Return rows as columns: a third of the size, since no key is repeated."""
    return {key: [row[key] for row in rows] for key in (rows[0] if rows else {})}


@dataclass(frozen=True)
class Line:
    """A line of the page's first table: a row with its label, its changes and its time."""

    variant: str
    changes: str
    time: str
    row: ConfigRow


@dataclass(frozen=True)
class _SideBySide:
    """The runs by origin: the cells of a table, and who changed what."""

    headings: Sequence[str]
    lines: Sequence[Sequence[str]]
    changed: Sequence[str]
    legend: str

    @classmethod
    def of(
        cls, separate: Mapping[str, Results], baseline: str | None, warn: Warn | None
    ) -> _SideBySide:
        rows = origins.by_origin(separate, baseline, warn=warn, examples=False)
        changed = [origins.said(each) for each in origins.changed(separate)]
        lines, legend = list(origins.lines(rows)), origins.LEGEND
        if more := len(lines[bounds.MOST_LINES :]):
            legend += f" {more:,} more lines: regbench compare --by-origin."
        return cls(origins.HEADINGS, lines[: bounds.MOST_LINES], changed, legend)


def _headline(rows: Sequence[ConfigRow], labeled: pandas.DataFrame) -> list[Line]:
    keys = labeled.drop_duplicates(["name", "config_hash"])
    labels = {(each.name, each.config_hash): each.variant for each in keys.itertuples(index=False)}
    return [
        Line(labels[row.name, row.config_hash], text.changes(row.changes), time, row)
        for row, time in zip(rows, run_time.times(rows), strict=True)
    ]


def _shown_at_first(lines: Sequence[Line]) -> set[str]:
    """Return the variants to show at first: all, or the baseline and those that test best."""
    first, *others = lines
    others.sort(key=lambda line: -(line.row.test_accuracy.mean or 0))
    return {line.variant for line in [first, *others[: SHOWN_AT_FIRST - 1]]}


def _vega() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script, about 900 kB."""
    import altair
    import vl_convert

    version = "_".join(altair.SCHEMA_VERSION.lstrip("v").split(".")[:2])
    bundle: str = vl_convert.javascript_bundle(None, version)  # type: ignore[arg-type]  # its stub is wrong
    # Inside a string or a regular expression, and it would end the script.
    return bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _asset(name: str) -> str:
    return resources.files("regbench.report").joinpath(name).read_text(encoding="utf-8")


def _breakable(name: str) -> Markup:
    """Return a name, escaped, that may break after its underscores."""
    import markupsafe

    return markupsafe.escape(name).replace("_", _safe("_<wbr>"))


def _safe(text: str) -> Markup:
    """Mark text that the template must not escape: it is regbench's own, or escaped already."""
    import markupsafe

    return markupsafe.Markup(text)
