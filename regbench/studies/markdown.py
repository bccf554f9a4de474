"""The result of a study as Markdown, and each part of it as text."""

from __future__ import annotations

from regbench import text
from regbench.analysis import metrics
from regbench.analysis.evidence import FRESH
from regbench.analysis.statistics import ALPHA, Interval
from regbench.studies import effects
from regbench.studies.file import Claim
from regbench.studies.result import StudyResult, VariantResult
from regbench.studies.verdicts import Verdict
from regbench.text import changes, markdown_table, one_line, plain_markdown

HEADINGS = ("difference", "p", "pairs")
NORMAL = (
    "the chance of any wrong verdict is below 5% for differences that are nearly normal; at five "
    "seeds and nine claims it is 28% for exponential and 47% for lognormal ones"
)
# Shown for every variant; other metrics only if a claim is about them.
SHOWN = {"train_accuracy": "train", "test_accuracy": "test", "gap": "gap"}


def markdown(result: StudyResult) -> str:
    """Return a study's result as Markdown: the question and two tables."""
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
    parts = [
        f"# {plain(one_line(result.study.question))}\n",
        f"Study `{result.study.name}`, profile `{result.study.profile}`.\n",
        markdown_table(variants),
        markdown_table(verdicts),
        *effects.markdown(result.study, result.effects),
        plain(legend(result)).replace("\n", "  \n") + "\n",
    ]
    return "\n".join(parts)


def said(verdict: Verdict, result: StudyResult) -> str:
    """Return a claim in symbols, with means: `gap: dropout 0.124 - baseline 0.263 < -0.02`."""
    claim = verdict.claim
    if claim.effect is not None and result.study.factors:
        factors = result.study.factors
        effect = factors.text(factors.of_claim(claim.effect))
        return f"{claim.metric}: {effect} {limits(claim, 0.0)}"
    means = {each.name: each.metrics[claim.metric].mean for each in result.variants}

    def side(name: str) -> str:
        mean = means[name]
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
        return f"= {zero:g} ± {claim.margin:g}" if claim.margin else f"= {zero:g}"
    if claim.expect == "lower":
        return f"< {zero - claim.margin:g}"
    return f"> {zero + claim.margin:g}"


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
    remarks = [verdict.reason] if verdict.reason else []
    if verdict.lost and verdict.pairs:
        remarks.append(f"{verdict.lost} seeds gave no pair")
    if verdict.diverged:
        remarks.append(f"runs of {verdict.diverged} seeds diverged")
    if verdict.censored:
        remarks.append(f"censored: {verdict.censored} runs never reached the level")
    remarks += verdict.cautions
    return "; ".join(remarks)


def legend(result: StudyResult) -> str:
    lines = [
        f"difference: the first variant minus the second (or the number), paired by seed; "
        f"±: half of the {1 - ALPHA:.0%} interval "
        "over seeds, and of test accuracy and gap never less than these test examples allow",
        "p: of a paired t test against the claim's limit (of a sign test where runs are censored), "
        "adjusted for the number of claims (Holm)",
        NORMAL,
    ]
    if any(each.needed_low for each in result.verdicts):
        lines.append(f"seeds that would decide: for 80% power if the mean is as seen; {FRESH}")
    if any(each.exact for each in result.verdicts):
        lines.append("by arithmetic: counted, the same for every seed; no evidence from runs")
    claimed = dict.fromkeys(["gap", *(each.claim.metric for each in result.verdicts)])
    lines += [f"{name}: {metrics.metric(name).text}" for name in claimed]
    return "\n".join(lines)
