"""The next step of a study that has been judged: train, look again, start afresh, or stop.

A fixed number of seeds is judged once: seeds that are added because the verdict is open would
raise the chance of a wrong one. What is proposed then is fresh seeds, judged by themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from regbench.runs import elsewhere, storage
from regbench.studies import looks
from regbench.studies.result import StudyResult

State = Literal["train", "look", "fresh seeds", "decided", "undecided"]
# Of a command that judges or starts over; what trains has none of them.
NOT_TRAINING = ("--no-run", "--json", "--markdown", "--dry-run", "--force")
# Beyond this, fresh seeds are no plan.
MOST_SEEDS = 1000
DECIDED = "every claim is decided, by evidence or by arithmetic"


@dataclass(frozen=True)
class NextStep:
    """What to do after a judgement, and why; `command` is its argument list, None if nothing is."""

    state: State
    reason: str
    command: list[str] | None = None


def after(result: StudyResult, results: Path, command: Sequence[str]) -> NextStep:
    """Return the next step after a judgement.

    Args:
        result: the judgement.
        results: the folder of the runs, or a bundle.
        command: the one that asked for the judgement, its options kept in what is proposed.
    """
    study, training = result.study, [part for part in command if part not in NOT_TRAINING]
    if elsewhere.is_elsewhere(results):
        return _of_elsewhere(result)
    wanted = looks.planned(study, result.verdicts)[0] if study.looks else study.experiments
    missing = [each for each in wanted if storage.find(results, each.run_name) is None]
    still_open = [each for each in result.verdicts if looks.is_open(each)]
    if missing and results.is_file():
        return NextStep("undecided", "a bundle is judged as it is: runs that it lacks stay missing")
    if missing and (still_open or not study.looks):
        judged = max((each.look.seeds for each in result.verdicts if each.look), default=0)
        reason = f"{len(missing)} of {len(wanted)} runs are missing"
        if judged:
            return NextStep("look", f"{reason} for the look after {judged} seeds", training)
        return NextStep("train", reason, training)
    if not still_open:
        return NextStep("decided", DECIDED)
    needed = [each.needed for each in still_open]
    known = [each for each in needed if each is not None]
    if study.looks or result.contest or len(known) < len(needed) or max(known) > MOST_SEEDS:
        return NextStep("undecided", "no number of seeds can be named that would decide the rest")
    first = max(study.seeds) + 1
    last = first + max(known) - 1
    fresh = _without(_without(training, "--seeds"), "--results")
    own = results.with_name(f"{results.name.removesuffix('.zip')}-s{first}-{last}")
    more = ["--seeds", f"{first}-{last}", "--results", str(own)]
    reason = f"{max(known)} fresh seeds, judged by themselves, would decide it with 80% power"
    return NextStep("fresh seeds", reason, [*fresh, *more])


def _of_elsewhere(result: StudyResult) -> NextStep:
    if any(looks.is_open(each) for each in result.verdicts):
        return NextStep("undecided", "runs made elsewhere are judged as they are")
    return NextStep("decided", DECIDED)


def _without(command: Sequence[str], option: str) -> list[str]:
    """Return a command without an option and its value."""
    kept: list[str] = []
    skipping = False
    for part in command:
        if skipping:
            skipping = False
        elif part == option:
            skipping = True
        elif not part.startswith(f"{option}="):
            kept.append(part)
    return kept
