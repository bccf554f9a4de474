"""The outcome of a contest as text: winners, the best of k, what matters, warnings, the cost.

The same cells are shown in a terminal and written to `verdicts.md`.
"""

from __future__ import annotations

from collections.abc import Sequence

from regbench.analysis.statistics import CONFIDENCE
from regbench.analysis.tuning import BestOf, Importance
from regbench.studies.trials import ContestResult
from regbench.text import changes, clock, markdown_table, plain_markdown

WINNERS = ("variant", "trials", "winner", "metric", "seconds")
KEYS = ("variant", "key", "tried", "trend", "explained")
# The numbers of trials whose expected best is shown: each twice the one before.
DOUBLE = 2

Cells = list[str]


def markdown(found: ContestResult) -> str:
    """Return a contest's outcome as Markdown: winners, budgets, keys, warnings and legend."""
    plain = plain_markdown
    parts = [
        "## Tuning\n",
        _table([headings(found), *winners(found)], [1, 3, 4]),
        _table(budget(found), range(1, 1 + len(budgets(found)))),
        _table([list(KEYS), *keys(found)], [3, 4]),
        "".join(f"- {plain(each)}\n" for each in warnings(found)),
        plain(legend(found)).replace("\n", "  \n") + "\n",
    ]
    return "\n".join(part for part in parts if part)


def headings(found: ContestResult) -> Cells:
    """Return the headings of `winners`: those of `WINNERS`, with the metric's name."""
    return [found.tuning.metric if name == "metric" else name for name in WINNERS]


def winners(found: ContestResult) -> list[Cells]:
    """Return a line for each variant."""
    return [
        [
            each.variant,
            str(len(each.trials)),
            changes(each.best.values) or "as written",
            _number(each.best.metric),
            clock(each.seconds),
        ]
        for each in found.searches
    ]


def budgets(found: ContestResult) -> list[int]:
    """Return the numbers of trials that are shown: 1, 2, 4, ... and the last."""
    most = max(len(each.trials) for each in found.searches)
    shown = [DOUBLE**power for power in range(most.bit_length()) if DOUBLE**power < most]
    return [*shown, most]


def budget(found: ContestResult) -> list[Cells]:
    """Return the expected best of k trials, a line for each variant that has several."""
    shown = budgets(found)
    lines = [["expected best of", *map(str, shown)]]
    for each in found.searches:
        if len(each.trials) > 1:
            best = {one.trials: one for one in each.expected_best}
            lines.append([each.variant, *(_best(best.get(count)) for count in shown)])
    return lines


def keys(found: ContestResult) -> list[Cells]:
    """Return a line for each variant and key, for the headings of `KEYS`."""
    return [
        [each.variant, one.key, each.space[one.key], *_importance(one)]
        for each in found.searches
        for one in each.importance
    ]


def warnings(found: ContestResult) -> list[str]:
    """Return every warning, with the variant that it is about."""
    own = [f"{each.variant}: {text}" for each in found.searches for text in each.warnings]
    return [*own, *found.warnings]


def legend(found: ContestResult) -> str:
    """Return what the tables show, and what the trials cost."""
    tuning = found.tuning
    kept = {
        "back": "in the finals they are training examples too",
        "out": "in the finals they stay out of the training set",
    }[tuning.validation]
    trials = sum(len(each.trials) for each in found.searches)
    return "\n".join(
        [
            f"winner: the trial with the best {tuning.metric} at its end ({_seeds(tuning.seeds)}); "
            "trained again with the study's seeds, which no trial had, and only then tested",
            f"validation examples: chosen by; {kept}",
            f"expected best of k trials drawn from these, with the range of {CONFIDENCE:.0%} of "
            "such draws (Dodge et al. 2019)",
            "trend: rank correlation of value and metric; explained: share of the metric's "
            "variance, in ranks, that the key accounts for alone",
            f"cost: {trials} trials, {clock(found.seconds)} in all",
        ]
    )


def _table(lines: Sequence[Sequence[str]], right: Sequence[int]) -> str:
    if len(lines) < 2:
        return ""
    rule = ["---:" if place in right else "---" for place in range(len(lines[0]))]
    escaped = [[plain_markdown(cell) for cell in line] for line in lines]
    return markdown_table([escaped[0], rule, *escaped[1:]])


def _importance(one: Importance) -> Cells:
    trend = "" if one.trend is None else f"{one.trend:+.2f}"
    return [trend, "" if one.explained is None else f"{one.explained:.0%}"]


def _best(one: BestOf | None) -> str:
    return "" if one is None else f"{one.mean:.3f} ({one.low:.3f} to {one.high:.3f})"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _seeds(count: int) -> str:
    return "one seed" if count == 1 else f"the mean of {count} seeds"
