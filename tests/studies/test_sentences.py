"""The answer to each claim as a sentence: what it says of every kind of claim and verdict."""

import re

import pytest

from regbench.studies import sentences
from regbench.studies.sections import Claim
from regbench.studies.verdicts import Verdict
from tests.cli.test_cli import regbench


def said(decision, mean, low, high, expect="lower", metric="gap", against="baseline", **more):
    keys = {"margin": more.pop("margin", 0.0), "beyond": more.pop("beyond", None)}
    claim = Claim(
        text="A claim", metric=metric, variant="dropout", against=against, expect=expect, **keys
    )
    numbers = {
        "p_value": 0.2, "adjusted": 0.2, "pairs": 5, "lost": 0, "diverged": 0, "exact": False,
    }  # fmt: skip
    return sentences.sentence(Verdict(claim, decision, mean, low, high, **(numbers | more)))


def said_of_effect(effect, decision, mean, low, high):
    claim = Claim(text="A claim", metric="test_loss", effect=effect, expect="lower")
    return sentences.sentence(Verdict(claim, decision, mean, low, high, 0.01, 0.01, 5, 0, 0, False))


def test_a_claim_about_an_effect_names_the_factor_or_both():
    assert said_of_effect("l2", "supported", -0.12, -0.15, -0.09) == (
        "the effect of l2 on the test loss is below 0: -0.120 (-0.150 to -0.090; 5 seeds)"
    )
    assert said_of_effect(["l2", "batch_norm"], "contradicted", 0.12, 0.09, 0.15) == (
        "the interaction of l2 and batch_norm in the test loss is not below 0: "
        "0.120 (0.090 to 0.150; 5 seeds)"
    )


BEYOND = {"variant": "wide", "against": "narrow"}


# ruff: noqa: E501 -- a case is a line
@pytest.mark.parametrize(
    ("sentence", "arguments", "more"),
    [
        ("dropout narrows the gap against baseline by 0.124 (0.099 to 0.149; 5 seeds)",
         ("supported", -0.124, -0.149, -0.099), {}),
        ("dropout narrows the gap against baseline by 0.124 (0.099 to 0.149; 5 seeds), more than 0.02",
         ("supported", -0.124, -0.149, -0.099), {"margin": 0.02}),
        ("dropout raises the test accuracy against baseline by 0.124 (0.099 to 0.149; 5 seeds)",
         ("supported", 0.124, 0.099, 0.149, "higher", "test_accuracy"), {}),
        ("dropout widens the gap against baseline by 0.124 (0.099 to 0.149; 5 seeds)",
         ("contradicted", 0.124, 0.099, 0.149), {}),
        ("dropout does not narrow the gap against baseline by more than 0.02: difference -0.005 (-0.012 to +0.002; 5 seeds)",
         ("contradicted", -0.005, -0.012, 0.002), {"margin": 0.02}),
        ("whether dropout narrows the gap against baseline: neither shown nor ruled out; difference -0.041 (-0.104 to +0.022; 5 seeds)",
         ("undecided", -0.041, -0.104, 0.022), {}),
        ("whether dropout narrows the gap against baseline: neither shown nor ruled out once all claims are corrected for; difference -0.041 (-0.080 to -0.002; 5 seeds)",
         ("undecided", -0.041, -0.080, -0.002), {"p_value": 0.04}),
        ("dropout has the gap of baseline within 0.02: difference +0.0014 (-0.0017 to +0.0045; 5 seeds)",
         ("supported", 0.0014, -0.0017, 0.0045, "same"), {"margin": 0.02}),
        ("dropout does not have the gap of baseline within 0.02: difference +0.050 (+0.030 to +0.070; 5 seeds)",
         ("contradicted", 0.05, 0.03, 0.07, "same"), {"margin": 0.02}),
        ("the gap of dropout is above 0.1: 0.266 (0.246 to 0.286; 5 seeds)",
         ("supported", 0.166, 0.146, 0.186, "higher", "gap", 0.1), {}),
        ("the gap of dropout is not above 0.12: 0.066 (0.046 to 0.086; 5 seeds)",
         ("contradicted", -0.034, -0.054, -0.014, "higher", "gap", 0.1), {"margin": 0.02}),
        ("the change in gap from baseline to dropout is lower than that from narrow to wide by 0.124 (0.099 to 0.149; 5 seeds)",
         ("supported", -0.124, -0.149, -0.099), {"beyond": BEYOND}),
        ("dropout lowers the parameters against baseline by 29,491,200 (counted)",
         ("supported", -29491200.0, None, None, "lower", "parameters"), {"exact": True}),
        ("dropout raises the epochs to test accuracy of 0.5 against baseline by 2.40 (1.29 to 3.51; 5 seeds)",
         ("supported", 2.4, 1.29, 3.51, "higher", "epochs_to_test_accuracy(0.5)"), {}),
        ("whether dropout narrows the gap against baseline: no pairs with this metric",
         ("undecided", None, None, None), {"reason": "no pairs with this metric"}),
    ],
)  # fmt: skip
def test_a_claim_is_answered_in_a_sentence(sentence, arguments, more):
    assert said(*arguments, **more) == sentence


def test_the_terminal_and_markdown_open_with_the_sentences():
    arguments = ("study", "configs/studies/dropout_rate.yaml", "--no-run")
    sentence = (
        "rate-dense_0.2 lowers the test loss against baseline by 0.109 (0.050 to 0.168; 5 seeds)."
    )
    shown = regbench(*arguments)
    lines = shown.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    text = " ".join(shown.stdout.split())
    assert text.index(f"supported {sentence}") < text.index("variant train")
    assert "80% power from 0.13" in text
    written = regbench(*arguments, "--markdown").stdout
    assert re.search(r"^- \*\*supported\*\*: rate-dense\\_0.2 lowers the test loss", written, re.M)
