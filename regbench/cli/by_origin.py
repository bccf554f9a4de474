"""Runs of several bundles, for several commands: each bundle by itself, or all together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from regbench.cli import reading
from regbench.cli.printing import busy, console, print_json, warn

if TYPE_CHECKING:
    from regbench.analysis.origins import OriginRow
    from regbench.runs import Results

option = click.option(
    "--by-origin/--together",
    "apart",
    default=None,
    help="Keep the runs of each path apart, or count all as one.  [default: several bundles apart]",
)


def wanted(paths: Sequence[Path], asked: bool | None) -> bool:
    """Return whether each path is an origin of its own: as asked, else for several bundles."""
    from regbench.runs import storage

    if asked is None:
        return len(paths) > 1 and all(storage.is_bundle(path) for path in paths)
    return asked


def load(paths: Sequence[Path]) -> dict[str, Results]:
    """Return the runs of each path by its label, without the paths that have none."""
    from regbench.analysis import origins

    found: dict[str, Results] = {}
    for label, path in zip(origins.labels(paths), paths, strict=True):
        results = reading.load([path])
        if results.frame.empty:
            warn(f"{label}: left out: no finished runs")
        else:
            found[label] = results
    return found


def _ordered(rows: Sequence[OriginRow], sort: str) -> list[OriginRow]:
    """Return the rows of each origin sorted, the origins in their order."""
    from regbench.analysis import evidence

    labels = dict.fromkeys(row.origin for row in rows)
    same = ([row for row in rows if row.origin == label] for label in labels)
    return [row for group in same for row in evidence.ordered(group, sort)]


def compare(
    paths: Sequence[Path],
    baseline: str | None,
    form: str | None,
    metrics: Sequence[str],
    sort: str | None,
) -> None:
    """Print the comparison of each path's runs, the spread over all, and who changed what."""
    from regbench.analysis import evidence, origins
    from regbench.terminal import origins as tables

    with busy("Reading the runs"):
        loaded = load(paths)
    shown = list(evidence.spelled_out(metrics, ()))
    by = evidence.sort_key(sort or "name", ())
    shown += [] if by == "name" or by in shown else [by]
    examples = form is not None
    with busy("Comparing the runs"):
        rows = origins.by_origin(loaded, baseline, shown, warn=warn, examples=examples)
        changed = origins.changed(loaded)
    if sort:
        rows = _ordered(rows, sort)
    if form == "json":
        print_json(origins.as_json(rows))
    elif form == "csv":
        click.echo(tables.comma_separated(rows), nl=False)
    elif form == "markdown":
        click.echo(tables.markdown(rows, changed), nl=False)
    else:
        screen = console(stderr=False)
        screen.print(tables.terminal(rows, changed, screen.width))
