"""The result of a study as Markdown, and each part of it as text."""

from __future__ import annotations

from regbench import text
from regbench.analysis import metrics
from regbench.analysis.effects import Effects
from regbench.analysis.evidence import FRESH
from regbench.analysis.statistics import ALPHA, Interval
from regbench.studies import (
    contest_markdown,
    data_sets,
    factor_effects,
    looks,
    sentences,
    variances,
)
from regbench.studies.result import StudyResult, VariantResult
from regbench.studies.sections import Claim
from regbench.studies.verdicts import Verdict
from regbench.text import changes, listed, markdown_table, one_line, plain_markdown

HEADINGS = ("difference", "p", "pairs")
NORMAL = (
    "the chance of any wrong verdict is below 5% for differences that are nearly normal; at five "
    "seeds and nine claims it is 28% for exponential and 47% for lognormal ones"
)
# Simulated in the tests: nine claims, looks at 5, 10, 20 and 40 seeds.
LOOKS = {
    "obrien_fleming": "the chance of any wrong verdict, at any look, is about 5% for differences "
    "that are nearly normal; at nine claims it is 13% for exponential ones",
    "pocock": "the chance of any wrong verdict, at any look, is about 5% for differences that are "
    "nearly normal; at nine claims it is 29% for exponential ones",
}
EFFECTS = (
    "g: mean over standard deviation of the paired differences, with Hedges' correction; "
    "chance: that a run of the first is lower or higher than one of the second, over all pairs of "
    "runs; 80% power from: the smallest distance from the limit (for same, the smallest margin) "
    "that this design decides in four of five cases, if the spread is as seen"
)
# Shown for every variant; other metrics only if a claim is about them.
SHOWN = {"train_accuracy": "train", "test_accuracy": "test", "gap": "gap"}


def markdown(result: StudyResult) -> str:
    """Return a study's result as Markdown: the question, its answers, and three tables."""
    plain = plain_markdown
    variants = [
        ["variant", "runs", *SHOWN.values(), "changes"],
        ["---", *["---:"] * (len(SHOWN) + 1), "---"],
    ]
    for each in result.variants:
        means = [number(each.metrics[name]) for name in SHOWN]
        variants.append([each.name, runs(each), *means, plain(changes(each.changes))])
    verdicts = [["claim", "verdict", *HEADINGS, ""], ["---", "---", "---:", "---:", "---:", "---"]]
    for verdict in result.verdicts:
        claim = f"{plain(one_line(verdict.claim.text))} (`{said(verdict, result)}`)"
        cells = [difference(verdict), p(verdict), str(verdict.pairs), remark(verdict)]
        verdicts.append([claim, f"**{verdict.decision}**{by_arithmetic(verdict)}", *cells])
    source = [f"`{result.study.name}`", f"profile `{result.study.profile}`"]
    if seeds := looked(result):
        source.append(seeds)
    parts = [
        f"# {plain(one_line(result.study.question))}\n",
        f"Study {', '.join(source)}.\n",
        "".join(
            f"- **{each.decision}**: {plain(sentences.sentence(each))}.\n"
            for each in result.verdicts
        ),
        markdown_table(variants),
        markdown_table(verdicts),
        *_effects(result),
        *factor_effects.markdown(result.study, result.effects),
        *_further(result),
        plain(legend(result)).replace("\n", "  \n") + "\n",
    ]
    if result.contest:
        parts.append(contest_markdown.markdown(result.contest))
    return "\n".join(parts)


def _effects(result: StudyResult) -> list[str]:
    """Return the table of effects, if any claim has a number that was sampled."""
    rows = [["claim", "g", "chance", "80% power from"], ["---", "---:", "---:", "---:"]]
    for each in result.verdicts:
        if each.effects:
            sizes = (size(each.effects.standardized), chance(each.effects),
                     seen_from(each.effects))  # fmt: skip
            rows.append([f"`{said(each, result)}`", *sizes])
    return [markdown_table(rows)] if len(rows) > 2 else []


def looked(result: StudyResult) -> str:
    """Return how many seeds a study with looks was judged with: "10 of at most 40 seeds"."""
    declared = looks.as_json(result.study, result.verdicts)
    if not declared:
        return ""
    return f"{declared['judged']} of at most {declared['looks'][-1]} seeds"


def size(value: float | None) -> str:
    """Return a standardized effect, with its sign and two decimals; "" if it is unknown."""
    return "" if value is None else f"{value:+.2f}"


def chance(effects: Effects) -> str:
    """Return the probability of improvement with its direction: "96% lower"."""
    return "" if effects.improvement is None else f"{effects.improvement:.0%} {effects.better}"


def seen_from(effects: Effects) -> str:
    """Return the smallest difference that the design could have seen."""
    return "" if effects.smallest is None else f"{effects.smallest:,.2g}"


def _further(result: StudyResult) -> list[str]:
    """Return the tables of variances and of interquartile means, if there are any."""
    tables = [
        (["variant", "what varies", *variances.HEADINGS], 2, variances.rows(result.variances)),
        ([*data_sets.HEADINGS], 1, data_sets.rows(result.interquartile)),
    ]
    return [
        markdown_table([headings, [*["---"] * words, *["---:"] * (len(headings) - words)], *rows])
        for headings, words, rows in tables
        if rows
    ]


def said(verdict: Verdict, result: StudyResult) -> str:
    """Return a claim in symbols, with means: `gap: dropout 0.124 - baseline 0.263 < -0.02`."""
    claim = verdict.claim
    if claim.effect is not None and result.study.factors:
        factors = result.study.factors
        effect = factors.text(factors.of_claim(claim.effect))
        return f"{claim.metric}: {effect} {limits(claim, 0.0)}"
    means = {each.name: each.metrics[claim.metric].mean for each in result.variants}

    def side(name: str) -> str:
        mean = means.get(name)  # over all data sets, there is none
        if mean is None:
            return name
        return f"{name} {mean:,.0f}" if abs(mean) >= 1000 else f"{name} {mean:.3g}"

    left = side(claim.variant)
    zero = 0.0 if isinstance(claim.against, str) else claim.against
    if isinstance(claim.against, str):
        left += f" - {side(claim.against)}"
    if claim.beyond:
        left = f"({left}) - ({side(claim.beyond.variant)} - {side(claim.beyond.against)})"
    return f"{claim.metric}: {left} {limits(claim, zero)}"


def limits(claim: Claim, zero: float) -> str:
    """Return the region that a claim names, around `zero`: `< -0.02`."""
    if claim.expect == "same":
        right = f"= {zero:g} ± {claim.margin:g}" if claim.margin else f"= {zero:g}"
    elif claim.expect == "lower":
        right = f"< {zero - claim.margin:g}"
    else:
        right = f"> {zero + claim.margin:g}"
    return right + (", over images" if claim.over == "images" else "")


def runs(variant: VariantResult) -> str:
    runs = f"{variant.runs} runs" if variant.runs != 1 else "1 run"
    return f"{runs}, {variant.diverged} diverged" if variant.diverged else runs


def difference(verdict: Verdict) -> str:
    sign = "+" if verdict.claim.paired else ""
    return number(Interval(verdict.mean) if verdict.exact else verdict, sign)


def number(value: text.Interval, sign: str = "") -> str:
    """Return a mean and half its interval; a large mean as a count, alone if all values agree."""
    counted = value.mean is not None and abs(value.mean) >= 1000 and value.low == value.high
    return text.number(Interval(value.mean) if counted else value, sign, large=True)


def by_arithmetic(verdict: Verdict) -> str:
    return " by arithmetic" if verdict.exact and verdict.decision != "undecided" else ""


def p(verdict: Verdict) -> str:
    if verdict.exact:
        return "exact"
    return text.p_value(verdict.adjusted, ".3f")


def remark(verdict: Verdict) -> str:
    remarks = [verdict.across.text()] if verdict.across else []
    remarks += [verdict.reason] if verdict.reason else []
    if verdict.lost and verdict.pairs:
        remarks.append(f"{verdict.lost} seeds gave no pair")
    if verdict.diverged:
        remarks.append(f"runs of {verdict.diverged} seeds diverged")
    if verdict.censored:
        remarks.append(f"censored: {verdict.censored} runs never reached the level")
    remarks += verdict.cautions
    return "; ".join(remarks)


def legend(result: StudyResult) -> str:
    design = result.study.looks
    several = "looks and claims (group-sequential Holm)" if design else "number of claims (Holm)"
    lines = [
        f"difference: the first variant minus the second (or the number), paired by seed; "
        f"±: half of the {1 - ALPHA:.0%} interval "
        "over seeds, and of test accuracy and gap never less than these test examples allow",
        "p: of a paired t test against the claim's limit (of a sign test where runs are censored), "
        f"adjusted for the {several}",
        LOOKS[design.spending] if design else NORMAL,
    ]
    if design:
        counts = listed([str(each) for each in design.looks], most=20)
        lines.append(
            f"looks at {counts} seeds: intervals are repeated ones, which hold 95% over all looks "
            "together; the mean of a claim that was decided early leans away from its limit"
        )
    if result.judged_before:
        lines.append(looks.added(result.judged_before))
    if any(each.effects for each in result.verdicts):
        lines.append(EFFECTS)
    if any(each.needed_low for each in result.verdicts):
        lines.append(f"seeds that would decide: for 80% power if the mean is as seen; {FRESH}")
    if any(each.exact for each in result.verdicts):
        lines.append("by arithmetic: counted, the same for every seed; no evidence from runs")
    if any(each.claim.over == "images" for each in result.verdicts):
        lines.append(
            "over images: the interval and p cover new test images as well as new seeds "
            "(analysis of variance of seeds and images)"
        )
    lines += [variances.LEGEND] if result.variances else []
    lines += [data_sets.LEGEND] if result.study.data_sets else []
    claimed = dict.fromkeys(["gap", *(each.claim.metric for each in result.verdicts)])
    lines += [f"{name}: {metrics.metric(name).text}" for name in claimed]
    return "\n".join(lines)
