"""A rebuilt paper as Markdown, and each part of it as text."""

from __future__ import annotations

import json

from regbench import text
from regbench.analysis import metrics
from regbench.analysis.statistics import ALPHA, Interval
from regbench.papers import claims
from regbench.papers.result import Cell, DifferenceResult, PaperResult, RowResult
from regbench.papers.sections import Column, Setting
from regbench.text import markdown_table, one_line, plain_markdown

HEADINGS = ("printed", "measured", "p", "pairs")
NO_NUMBER = "-"


def markdown(result: PaperResult) -> str:
    """Return a paper's result as Markdown: source, rows, differences, settings."""
    file, plain = result.paper.file, plain_markdown
    source = file.source
    rows = [
        ["row", "runs", *row_headings(result)],
        ["---", "---:", *["---:", "---:", "---"] * len(file.columns)],
    ]
    for row in result.rows:
        rows.append([plain(row.label), runs(row), *(plain(each) for each in cells(row, result))])
    differences = [
        ["difference", "verdict", *HEADINGS, ""],
        ["---", "---", "---:", "---:", "---:", "---:", "---"],
    ]
    for each in result.differences:
        said = f"{plain(one_line(each.text))} ({plain(compared(each, result))})"
        numbers = [plain(number) for number in numbers_of(each, result)]
        differences.append([said, f"**{each.verdict}**", *numbers, plain("; ".join(each.remarks))])
    parts = [
        f"# {plain(one_line(file.title))}\n",
        f"{plain(cited(result))}, [{source.url}]({source.url}). Profile `{result.paper.profile}`, "
        f"{len(result.paper.study.seeds)} seeds. {plain(one_line(source.read.strip()))}\n",
        markdown_table(rows),
        markdown_table(differences),
        plain(legend(result)).replace("\n", "  \n") + "\n",
        "## Settings\n",
        markdown_table(_settings(result)),
        *_deviations(result),
        f"Printed again from these files by:\n\n    {again(result)}\n",
    ]
    return "\n".join(parts)


def cited(result: PaperResult) -> str:
    """Return the source in a line: authors, year, title, table."""
    source = result.paper.file.source
    return one_line(
        f"{source.authors} ({source.year}), {source.title}, {source.published}, {source.table}"
    )


def row_headings(result: PaperResult) -> list[str]:
    """Return three headings for each column: printed, measured, verdict."""
    columns = result.paper.file.columns.values()
    return [each for column in columns for each in (column.heading, "measured", "verdict")]


def runs(row: RowResult) -> str:
    """Return the number of a row's runs, and of those that diverged."""
    return f"{row.runs}, {row.diverged} diverged" if row.diverged else str(row.runs)


def cells(row: RowResult, result: PaperResult) -> list[str]:
    """Return the texts of a row: printed, measured and verdict of each column."""
    columns = result.paper.file.columns
    if row.left_out:
        printed = result.paper.file.rows[row.name].printed
        found = []
        for name, column in columns.items():
            found += [printed_text(column, printed.get(name)), NO_NUMBER, "left out"]
        return found
    return [each for cell in row.cells for each in cell_texts(cell, columns[cell.column])]


def cell_texts(cell: Cell, column: Column) -> list[str]:
    """Return a cell's printed number, its mean with half of its interval, and its verdict."""
    return [printed_text(column, cell.printed), measured_text(column, cell.measured), cell.verdict]


def printed_text(column: Column, value: float | None, sign: str = "") -> str:
    """Return a number in the form in which the paper prints its column."""
    return NO_NUMBER if value is None else f"{value:{sign}{_form(column)}}"


def measured_text(column: Column, value: Interval, sign: str = "") -> str:
    """Return a mean and half of its interval, alone if that is not known or nothing."""
    if value.mean is None:
        return NO_NUMBER
    mean = printed_text(column, value.mean, sign)
    if value.low is None or value.high is None or value.low == value.high:
        return mean
    return f"{mean} ±{(value.high - value.low) / 2:{_form(column)}}"


def numbers_of(each: DifferenceResult, result: PaperResult) -> list[str]:
    """Return a difference's numbers, in the order of `HEADINGS`."""
    column = result.paper.file.columns[each.column]
    return [
        printed_text(column, each.printed, "+"),
        measured_text(column, each.measured, "+"),
        text.p_value(each.p_value, ".3f"),
        str(each.pairs),
    ]


def compared(each: DifferenceResult, result: PaperResult) -> str:
    """Return what a difference compares: "test error %: Dropout + L2 less L2"."""
    file = result.paper.file
    heading = file.columns[each.column].heading
    return f"{heading}: {file.rows[each.row].label} less {file.rows[each.against].label}"


def left_out(result: PaperResult) -> list[str]:
    """Return a line for each row that is not rebuilt."""
    return [f"{row.label} is left out: {row.left_out}" for row in result.rows if row.left_out]


def legend(result: PaperResult) -> str:
    """Return how to read the tables."""
    file = result.paper.file
    lines = [
        f"±: half of the {1 - ALPHA:.0%} interval over seeds; a difference is paired by seed",
        "p: of a paired t test, corrected for the number of differences and numbers judged (Holm)",
        "reproduced: the sign that is printed, p at most 0.05, and so an interval without 0; "
        "contradicted: the opposite sign, as certainly; undecided: neither",
    ]
    verdicts = {cell.verdict for row in result.rows for cell in row.cells}
    if "scaled down" in verdicts:
        lines.append("scaled down: smaller than printed, so that only differences are judged")
    margins = [
        f"{column.heading} within {column.margin:g}"
        for name, column in file.columns.items()
        if column.margin and _judged(result, name)
    ]
    if margins:
        lines.append(f"a number is reproduced if the interval is near: {', '.join(margins)}")
    counted = [
        column.heading
        for name, column in file.columns.items()
        if _judged(result, name) and metrics.metric(column.metric).exact
    ]
    lines += [f"{', '.join(counted)}: by arithmetic, no evidence from runs"] if counted else []
    return "\n".join([*lines, *left_out(result)])


def setting_lines(result: PaperResult) -> list[tuple[str, str, Setting]]:
    """Return each setting once: the rows that have it ("" for all), its key, and itself."""
    file, paper = result.paper.file, result.paper
    shared = {**file.settings, **file.profiles[paper.profile].settings}
    found = [("", key, each) for key, each in shared.items()]
    for row in paper.rows:
        found += [(row, key, each) for key, each in file.rows[row].settings.items()]
    return found


def again(result: PaperResult) -> str:
    """Return the command that prints the result from the folder of its table."""
    paper = result.paper
    options = [f"--set {each}" for each in paper.overrides]
    seeds = ",".join(map(str, paper.study.seeds))
    words = [
        f"regbench reproduce {paper.name} --profile {paper.profile} --seeds {seeds}", *options,
        f"--no-run --results results/papers/{paper.name}",
    ]  # fmt: skip
    return " ".join(words)


def _judged(result: PaperResult, column: str) -> bool:
    paper = result.paper
    return any(column in claims.judged(paper.file, paper.profile, row) for row in paper.rows)


def _settings(result: PaperResult) -> list[list[str]]:
    rows = [["rows", "setting", "status", ""], ["---"] * 4]
    for row, key, each in setting_lines(result):
        value = json.dumps(each.value)
        note = plain_markdown(one_line(each.note.strip()))
        rows.append([row or "all", f"`{key}: {value}`", each.status, note])
    return rows


def _deviations(result: PaperResult) -> list[str]:
    found = result.paper.deviations
    lines = [
        f"- {f'{row}: ' if row else ''}{plain_markdown(one_line(each.text))} ({each.status})\n"
        for row, each in found
    ]
    return ["Beyond these settings:\n", "".join(lines)] if lines else []


def _form(column: Column) -> str:
    if column.unit != "number":
        return ".2f"
    counted = metrics.metric(column.metric)
    return ",.0f" if counted.exact else ",.1f" if counted.counts == "epochs" else ",.3g"
