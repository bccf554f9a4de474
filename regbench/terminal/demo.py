"""The text of `regbench demo`: how long it takes, and each verdict as a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from regbench.analysis.evidence import FRESH
from regbench.studies.result import StudyResult
from regbench.studies.verdicts import Verdict
from regbench.terminal.study import COLORS
from regbench.text import one_line

if TYPE_CHECKING:
    from rich.console import Group

NAMES = {
    "gap": "gap", "test_accuracy": "test accuracy", "train_accuracy": "train accuracy",
    "test_loss": "test loss",
}  # fmt: skip


def terminal(result: StudyResult) -> Group:
    """Return the verdict on each claim as a sentence, for rich to print and wrap."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for verdict in result.verdicts:
        said = Text(one_line(verdict.claim.text) + ".")
        said.append(f"\n{found(verdict)}", style="dim")
        table.add_row(Text(verdict.decision, style=COLORS[verdict.decision]), said)
    lines = ["A verdict is wrong in at most 5 of 100 such demos, if differences are nearly normal."]
    if any(verdict.needed_low for verdict in result.verdicts):
        lines.append(f"Undecided means that more seeds are needed; {FRESH}.")
    return Group(Text("Verdicts", style="bold"), table, Text("\n" + " ".join(lines), style="dim"))


def found(verdict: Verdict) -> str:
    """Return the evidence as a sentence: "The gap is 0.130 ±0.030 lower than that of baseline."."""
    claim, mean = verdict.claim, verdict.mean
    if mean is None:
        return f"No number: {verdict.reason or 'there are no finished runs'}."
    name = NAMES.get(claim.metric, claim.metric)
    half = ""
    if verdict.low is not None and verdict.high is not None:
        half = f" ±{(verdict.high - verdict.low) / 2:.3f}"
    if not isinstance(claim.against, str):
        return f"The {name} is {claim.against + mean:.3f}{half}."  # not its distance from zero
    way = "lower" if mean < 0 else "higher"
    return f"The {name} is {abs(mean):.3f}{half} {way} than that of {claim.against}."
