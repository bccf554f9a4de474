"""The numeric checks of every technique that ships: a line for each in `CHECKS`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from regbench import plugins
from regbench.doctor import (
    augmentation,
    averaging,
    comparability,
    measuring,
    network,
    noise,
    normalization,
    penalties,
    pooling,
    stopping,
    updates,
)
from regbench.doctor.check import Check, Rule
from regbench.regularizers import REGULARIZERS
from regbench.regularizers.hooks import has_hook

FAMILIES = (
    augmentation, penalties, normalization, pooling, noise, updates, averaging, stopping,
)  # fmt: skip
# No technique, but what all are compared with.
BASELINE = "baseline"

# By technique: the checks of its family, and the values of its toggle with which every technique
# is checked for comparability.
CHECKS: dict[str, tuple[Rule, ...]] = {
    **measuring.CHECKS,
    **{name: rules for family in FAMILIES for name, rules in family.CHECKS.items()},
}
SETTINGS: dict[str, object] = {
    name: values for family in FAMILIES for name, values in family.SETTINGS.items()
}


def names() -> list[str]:
    """Return what can be checked: the baseline, and every technique that ships."""
    return [BASELINE, *(name for name in REGULARIZERS if name not in plugins.names("regularizer"))]


def check(name: str) -> Iterator[Check]:
    """Yield the checks of one technique, in this process; one without any fails for that."""
    if name not in CHECKS:
        yield Check(name, "numeric checks", "none", "some in regbench/doctor", passed=False)
        return
    yield from run(name, (*CHECKS[name], *common(name)))


def run(name: str, rules: Iterable[Rule]) -> Iterator[Check]:
    """Yield what some checks find of a technique; one that cannot be made says why, and fails."""
    for rule in rules:
        try:
            found = rule(name)
        except Exception as error:  # whatever a technique, Keras or its backend raises
            found = Check(name, _about(rule), plugins.blame(error), "no error", passed=False)
        yield from [found] if isinstance(found, Check) else found


def common(name: str) -> Iterator[Rule]:
    """Yield the checks that every technique has: of what it must leave as it is."""
    if name in SETTINGS:
        validated = REGULARIZERS[name].needs_validation
        needs = {"data": {"validation_examples": 8}} if validated else {}
        of = network.experiment(model=_model(name), **{name: SETTINGS[name]}, **needs)
        yield from (partial(rule, experiment=of) for rule in comparability.CHECKS)


def _model(name: str) -> dict[str, object]:
    """Return the smallest network that has places for the technique's layers."""
    technique = REGULARIZERS[name]
    if has_hook(technique, "around_block"):
        return network.RESNET
    return network.CNN if has_hook(technique, "after_block") else network.MLP


def _about(rule: Rule) -> str:
    """Return the first line of a check's docstring."""
    while isinstance(rule, partial):
        rule = rule.func
    return str(rule.__doc__ or rule.__name__).partition("\n")[0].rstrip(".")
