"""Sequential studies: train the seeds of a look, judge, and go on with the claims still open.

A look is judged once every run of its open claims has finished, and then nothing changes what it
decided: the verdicts follow from the runs alone, a look at a time, so that an interrupted study
resumes where it stopped. See `regbench.analysis.sequential` for what keeps the error rate.

A variant trains no more once all claims about it are decided; one that no claim names has the seeds
of the first look. There is no early end for claims that look hopeless: they are undecided after the
last look, with the differences that are ruled out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

from regbench.analysis import evidence, statistics
from regbench.analysis.sequential import Design, Look, Passed, Spending
from regbench.analysis.statistics import ALPHA
from regbench.config import Experiment
from regbench.errors import Warn
from regbench.runs.judged import VERDICTS
from regbench.studies import effects, verdicts
from regbench.studies.differences import Runs
from regbench.studies.file import Study
from regbench.studies.pairs import Pairs
from regbench.studies.sections import Claim
from regbench.studies.verdicts import Evidence, Verdict
from regbench.sweeps import sweep
from regbench.sweeps.options import Options
from regbench.sweeps.sweep import Outcome
from regbench.text import listed

if TYPE_CHECKING:
    import pandas


class Declared(TypedDict):
    """The looks of a study as JSON: the seeds of each, and after how many it was judged last."""

    looks: list[int]
    spending: Spending
    judged: int | None


def train(
    study: Study,
    results: Path,
    judged: Callable[[Study], Sequence[Verdict]],
    **options: Unpack[Options],
) -> Outcome:
    """Train the missing runs of a study; with looks, until every claim is decided.

    Args:
        study: what to train.
        results: the folder of its runs.
        judged: returns the verdicts on a study that ends with one of the looks.
        options: see `regbench.sweeps.sweep.run`.
    """
    if study.looks is None:
        return sweep.run(study.experiments, results, **options)
    outcome, trained, names = Outcome(), 0, set(study.variants)
    for count in study.looks.looks:
        until = replace(study, seeds=study.seeds[:count])
        added = replace(study, seeds=study.seeds[trained:count])
        wanted = [each for each in added.experiments if each.name in names]
        _add(outcome, sweep.run(wanted, results, **options))
        # A look that lacks runs is not judged, and so no later one.
        if outcome.failed or outcome.busy or outcome.left:
            break
        names = open_variants(judged(until))
        trained = count
        if not names:
            break
    return outcome


def open_variants(found: Iterable[Verdict]) -> set[str]:
    """Return the variants about which some claim is open; counted numbers need no more runs."""
    return {name for each in found if is_open(each) for _, name in each.claim.names()}


def is_open(verdict: Verdict) -> bool:
    """True if further seeds could decide a claim."""
    return verdict.decision == "undecided" and not verdict.exact


def judge(
    study: Study,
    table: pandas.DataFrame,
    warn: Warn | None = None,
    pairs: Pairs | None = None,
) -> list[Verdict]:
    """Return a verdict for every claim; the arguments are those of `verdicts.judge`.

    If the study's seeds end with an earlier look than the last one, so does the judgement.
    """
    design = study.looks
    assert design is not None
    runs = Runs(study, table, warn, pairs)
    found = [_preliminary(claim, design, runs.first(design.looks[0])) for claim in study.claims]
    for number, count in enumerate(design.looks):
        names, until = open_variants(found), runs.first(count)
        complete = all(until.finished(name) == count for name in names)
        if not names or not complete or count > len(study.seeds):
            break
        found = _look(found, design, number, until)
    return [replace(each, reason=_reason(each, design)) for each in found]


def _preliminary(claim: Claim, design: Design, runs: Runs) -> Verdict:
    """Return what is known of a claim before the first look; counted numbers decide at once."""
    weighed = verdicts.weigh(claim, runs)
    boundary = design.boundaries()[0]
    p_value = weighed.p_value if weighed.exact else None
    return verdicts.conclude(weighed, p_value, design.looks[0], ALPHA, 1 - boundary)


def _look(found: Sequence[Verdict], design: Design, number: int, runs: Runs) -> list[Verdict]:
    """Return the verdicts after a look; claims that were decided earlier keep theirs.

    Each claim's p-value becomes the level at which the looks so far would have decided it alone,
    and Holm's procedure corrects the levels of the claims that are open: decided ones hand on their
    share of alpha. The chance of any wrong verdict, at any look, then is at most alpha.
    Source: Ye, Li, Liu and Yao, "A Group Sequential Holm Procedure with Multiple Primary
    Endpoints", 2013.
    """
    weighed = [verdicts.weigh(each.claim, runs) if is_open(each) else None for each in found]
    levels = [None if each is None else _level(each, design, number) for each in weighed]
    alpha = ALPHA / sum(each is not None for each in weighed)
    return [
        before if each is None else _verdict(before, each, level, alpha, design, number, runs)
        for before, each, level in zip(found, weighed, statistics.holm(levels), strict=True)
    ]


def _level(weighed: Evidence, design: Design, number: int) -> float:
    # A claim without pairs still counts as one, or the others would be corrected for too few.
    return 1.0 if weighed.p_value is None else float(design.level(number, weighed.p_value))


def _verdict(
    before: Verdict,
    weighed: Evidence,
    level: float | None,
    alpha: float,
    design: Design,
    number: int,
    runs: Runs,
) -> Verdict:
    seeds, boundary = design.looks[number], design.boundaries()[number]
    verdict = verdicts.conclude(weighed, level, seeds, alpha, 1 - boundary)
    passed = before.look.passed if before.look else ()
    with_all_open = design.boundaries(alpha)
    now = Passed(seeds, weighed.p_value, boundary, with_all_open[number])
    # What the whole design can see: nearly all of its power is that of the last look.
    strictest, most = with_all_open[-1], design.looks[-1]
    claim, differences = weighed.claim, weighed.differences
    return replace(
        verdict,
        needed=None,
        needed_low=None,
        needed_high=None,
        effects=effects.of_claim(claim, runs, differences, strictest, most),
        look=Look(number + 1, len(design.looks), seeds, boundary, (*passed, now)),
    )


def _reason(verdict: Verdict, design: Design) -> str | None:
    """Return why a claim is open, or was when the last look had passed: futility by its name."""
    if not is_open(verdict) or (verdict.pairs < 2 and verdict.look):
        return verdict.reason
    if verdict.look is None:
        first = design.looks[0]
        return (
            f"look 1 of {len(design.looks)} needs {first} seeds of every variant; some are missing"
        )
    seeds = f"{verdict.look.seeds} seeds"
    if verdict.look.number < verdict.look.looks:
        more = design.looks[verdict.look.number]
        return f"open after {seeds}; the next look is at {more}"
    if verdict.low is None or verdict.high is None:
        return f"not decided with {seeds}"
    most = max(abs(verdict.low), abs(verdict.high))
    return f"not decided with {seeds}; a difference above {_up(most)} is ruled out"


def _up(value: float) -> str:
    """Return a number with two digits that is not smaller: what is said of it stays true."""
    if not value:
        return "0"
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    return f"{math.ceil(value / step - 1e-9) * step:.2g}"


def planned(study: Study, found: Sequence[Verdict]) -> tuple[list[Experiment], list[Experiment]]:
    """Return the fewest and the most runs that a study can come to, given its verdicts so far."""
    assert study.looks is not None
    looks = study.looks.looks
    done = max((each.look.number for each in found if each.look), default=0)
    seeds = dict.fromkeys(study.variants, looks[0])
    for verdict in found:
        for _, name in verdict.claim.names():
            seeds[name] = max(seeds[name], verdict.look.seeds if verdict.look else 0)
    names = open_variants(found)
    soon = looks[min(done, len(looks) - 1)]
    least = seeds | {name: max(soon, seeds[name]) for name in names}
    most = seeds | dict.fromkeys(names, looks[-1])
    least_runs, most_runs = (
        [each for each in study.experiments if each.seed in study.seeds[: ends[each.name]]]
        for ends in (least, most)
    )
    return least_runs, most_runs


def judged_before(study: Study, results: Path) -> tuple[int, ...]:
    """Return with how many seeds a study was judged before seeds were added by hand.

    The verdicts in the folder of the runs say so. Looks that the study declares do not count.
    """
    try:
        stored = json.loads((results / VERDICTS).read_text(encoding="utf-8"))
        earlier = {int(each) for each in stored.get("judged_before", ())}
        hashes = {each["config_hash"] for each in stored["variants"]}
        seen = any(each["pairs"] > 1 for each in stored["verdicts"])
        looks, seeds = stored.get("looks"), stored["seeds"]
        seeds = seeds[: looks["judged"]] if looks else seeds
        same = _declared(study.looks) == (looks and looks | {"judged": None})
        if hashes != {each.hash for each in study.variants.values()} or not seen:
            return ()
        if not set(seeds) <= set(study.seeds):
            return ()
        if not same or (study.looks is None and len(seeds) < len(study.seeds)):
            earlier.add(len(seeds))
        return tuple(sorted(earlier))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ()  # no verdicts, or a damaged file, which is about to be replaced


def added(earlier: Sequence[int]) -> str:
    """Return a line about seeds that were added after verdicts with so many seeds."""
    counts, most = listed([f"{each:,}" for each in earlier]), max(40, 4 * earlier[0])
    return (
        f"seeds were added after verdicts with {counts} seeds: {evidence.WRONG}, not 5%; "
        f"declare looks beforehand instead: seeds: {{first: {earlier[0]}, most: {most}}}"
    )


def as_json(study: Study, found: Sequence[Verdict]) -> Declared | None:
    """Return the looks that a study declares, and after how many seeds it was judged last."""
    judged = max((each.look.seeds for each in found if each.look), default=0)
    declared = _declared(study.looks)
    return declared and declared | {"judged": judged}


def _declared(design: Design | None) -> Declared | None:
    if design is None:
        return None
    return {"looks": list(design.looks), "spending": design.spending, "judged": None}


def _add(outcome: Outcome, other: Outcome) -> None:
    """Add the outcome of a look to that of the looks before it."""
    for field in fields(Outcome):
        mine, theirs = getattr(outcome, field.name), getattr(other, field.name)
        if field.name == "other_backends":
            for backend, labels in theirs.items():
                mine.setdefault(backend, []).extend(labels)
        else:
            mine.extend(theirs)
