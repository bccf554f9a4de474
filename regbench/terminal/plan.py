"""A plan as a table: a row for each run, and a line for the whole."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from regbench.sweeps.plan import Plan, PlannedRun
from regbench.text import clock

if TYPE_CHECKING:
    from rich.console import RenderableType


def terminal(plan: Plan) -> RenderableType:
    """Return the table of `regbench run --dry-run`."""
    from rich.console import Group
    from rich.markup import escape
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("run", no_wrap=True, overflow="ellipsis")
    table.add_column("state", no_wrap=True)
    table.add_column("epochs", justify="right", no_wrap=True)
    table.add_column("time", justify="right", no_wrap=True)
    for run in plan.runs:
        time = f"about {clock(run.seconds)}" if run.seconds is not None else ""
        table.add_row(escape(f"{run.name} s{run.seed}"), _state(run), str(run.epochs), time)
    return Group(table, Text(summary(plan)))


def summary(plan: Plan) -> str:
    """Return "12 runs: 3 finished, 9 to do; about 4:05 with 2 jobs of 1 thread"."""
    states = Counter(run.state for run in plan.runs)
    count = ", ".join(f"{number} {state}" for state, number in states.items())
    line = f"{len(plan.runs)} run{'s' * (len(plan.runs) > 1)}: {count}"
    threads = sorted({run.threads for run in plan.runs if run.threads})
    if not threads:
        return f"{line}; nothing to do"
    jobs = f"{plan.jobs} job{'s' * (plan.jobs > 1)}"
    of = f"{' or '.join(map(str, threads))} thread{'s' * (threads != [1])}"
    time = "no estimate" if plan.seconds is None else f"about {clock(plan.seconds)}"
    where = f" on {plan.machines}" if plan.machines else ""
    return f"{line}; {time} with {jobs} of {of}{where}"


def _state(run: PlannedRun) -> str:
    if run.state not in ("interrupted", "failed") or not run.epoch:
        return run.state
    return f"{run.state}, resumes from {f'step {run.step} of ' * (run.step > 0)}epoch {run.epoch}"
