"""What a study found as tables: for a terminal, and as Markdown.

Names of variants are harmless by construction; the question and the claims are any text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from regbench import metrics, tables
from regbench.study_result import StudyResult, VariantResult
from regbench.verdicts import ALPHA, Verdict
from regbench.yaml12 import one_line

if TYPE_CHECKING:
    from rich.console import Group

COLORS = {"supported": "green", "contradicted": "red", "undecided": "yellow"}
HEADINGS = ("difference", "p", "pairs")
SMALLEST_P = 0.001
# Of every variant; other metrics are shown where a claim is about them.
SHOWN = {"train_accuracy": "train", "test_accuracy": "test", "gap": "gap"}


def terminal(result: StudyResult) -> Group:
    """Return the variants and the verdicts for a terminal, for rich to print."""
    from rich.console import Group
    from rich.text import Text

    question = Text(one_line(result.study.question), style="bold")
    return Group(
        question, Text(), _variants(result), Text(), _verdicts(result), Text(),
        Text(_legend(result), style="dim"),
    )  # fmt: skip


def markdown(result: StudyResult) -> str:
    """Return the same as Markdown: the question, and two tables."""
    plain = tables.plain_markdown
    variants = [
        ["variant", "runs", *SHOWN.values(), "changes"],
        ["---", *["---:"] * (len(SHOWN) + 1), "---"],
    ]
    for each in result.variants:
        means = [_number(each.metrics[name]) for name in SHOWN]
        variants.append([each.name, _runs(each), *means, plain(tables.changed(vars(each)))])
    verdicts = [["claim", "verdict", *HEADINGS, ""], ["---", "---", "---:", "---:", "---:", "---"]]
    for verdict in result.verdicts:
        claim = f"{plain(one_line(verdict.claim.text))} (`{said(verdict, result)}`)"
        cells = [_difference(verdict), _p(verdict), str(verdict.pairs), _remark(verdict)]
        verdicts.append([claim, f"**{verdict.decision}**", *cells])
    parts = [
        f"# {plain(one_line(result.study.question))}\n",
        f"Study `{result.study.name}`, profile `{result.study.profile}`.\n",
        _rows(variants),
        _rows(verdicts),
        plain(_legend(result)).replace("\n", "  \n") + "\n",
    ]
    return "\n".join(parts)


def said(verdict: Verdict, result: StudyResult) -> str:
    """Return a claim in symbols, with means: `gap: dropout 0.124 - baseline 0.263 < -0.02`."""
    claim = verdict.claim
    means = {each.name: each.metrics[claim.metric]["mean"] for each in result.variants}

    def side(name: str) -> str:
        mean = means[name]
        if mean is None:
            return name
        return f"{name} {mean:,.0f}" if abs(mean) >= 1000 else f"{name} {mean:.3g}"

    left, limit = side(claim.variant), claim.margin
    zero = 0.0 if isinstance(claim.against, str) else claim.against
    if isinstance(claim.against, str):
        left += f" - {side(claim.against)}"
    if claim.beyond:
        left = f"({left}) - ({side(claim.beyond.variant)} - {side(claim.beyond.against)})"
    if claim.expect == "same":
        right = f"= {zero:g} ± {limit:g}" if limit else f"= {zero:g}"
    elif claim.expect == "lower":
        right = f"< {zero - limit:g}"
    else:
        right = f"> {zero + limit:g}"
    return f"{claim.metric}: {left} {right}"


def _variants(result: StudyResult) -> Any:
    from rich.text import Text

    table = _table()
    table.add_column("variant", overflow="fold", min_width=10)
    for heading in SHOWN.values():
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("changes", overflow="fold")
    for each in result.variants:
        name_cell = Text(each.name)
        name_cell.append(f"\n{_runs(each)}", style="dim")
        means = [Text(_number(each.metrics[name])) for name in SHOWN]
        table.add_row(name_cell, *means, Text(tables.changed(vars(each))))
    return table


def _verdicts(result: StudyResult) -> Any:
    from rich.text import Text

    table = _table()
    table.add_column("claim", overflow="fold")
    table.add_column("verdict", no_wrap=True)
    for heading in HEADINGS:
        table.add_column(heading, justify="right")
    for verdict in result.verdicts:
        claim = Text(one_line(verdict.claim.text))
        claim.append(f"\n{said(verdict, result)}", style="dim")
        if _remark(verdict):
            claim.append(f"\n{_remark(verdict)}", style="yellow")
        decision = Text(verdict.decision, style=COLORS[verdict.decision])
        cells = [_difference(verdict), _p(verdict), str(verdict.pairs)]
        table.add_row(claim, decision, *(Text(cell) for cell in cells))
    return table


def _table() -> Any:
    from rich.table import Table

    return Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")


def _runs(variant: VariantResult) -> str:
    runs = f"{variant.runs} runs" if variant.runs != 1 else "1 run"
    return f"{runs}, {variant.diverged} diverged" if variant.diverged else runs


def _difference(verdict: Verdict) -> str:
    sign = "+" if isinstance(verdict.claim.against, str) else ""
    ends = {"low": None, "high": None} if verdict.exact else vars(verdict)
    return _number({"mean": verdict.mean, "low": ends["low"], "high": ends["high"]}, sign)


def _number(value: dict[str, float | None], sign: str = "") -> str:
    """Return a mean and half of its interval, as counts where it is a large one."""
    mean, low, high = value["mean"], value["low"], value["high"]
    if mean is None or abs(mean) < 1000:
        return tables.number(value, sign)
    if low is None or high is None or low == high:
        return f"{mean:{sign},.0f}"
    return f"{mean:{sign},.0f} ±{(high - low) / 2:,.0f}"


def _p(verdict: Verdict) -> str:
    if verdict.exact:
        return "exact"
    if verdict.adjusted is None:
        return ""
    return f"{verdict.adjusted:.3f}" if verdict.adjusted >= SMALLEST_P else f"<{SMALLEST_P}"


def _remark(verdict: Verdict) -> str:
    remarks = [verdict.reason] if verdict.reason else []
    if verdict.lost and verdict.pairs:
        remarks.append(f"{verdict.lost} seeds gave no pair")
    if verdict.diverged:
        remarks.append(f"runs of {verdict.diverged} seeds diverged")
    return "; ".join(remarks)


def _legend(result: StudyResult) -> str:
    lines = [
        f"difference: the first variant minus the second (or the number), paired by seed; "
        f"±: half of the {1 - ALPHA:.0%} interval over seeds",
        "p: of a paired t test against the claim's limit, adjusted for the number of claims (Holm)",
    ]
    claimed = dict.fromkeys(["gap", *(each.claim.metric for each in result.verdicts)])
    lines += [f"{name}: {metrics.metric(name).text}" for name in claimed]
    return "\n".join(lines)


def _rows(lines: list[list[str]]) -> str:
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
