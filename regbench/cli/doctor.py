"""`regbench doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from regbench.cli import options
from regbench.cli.printing import busy, print_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from regbench.config import Experiment
    from regbench.doctor import Check


@click.command()
@click.argument("techniques", nargs=-1, metavar="[TECHNIQUE]...")
@options.overrides
@options.backend
@options.plugins
@options.as_json
def doctor(
    techniques: tuple[str, ...], overrides: tuple[str, ...], backend: str | None, as_json: bool
) -> int:
    """Check that techniques do what they claim, with the Keras and the backends installed here.

    Those that ship are checked against plain NumPy: penalties and gradients, updates, dropout's
    rate and scale, normalization's statistics, pooling, targets, averages; the same initial weights
    and order as the baseline's; repeated and resumed updates. On each backend that is installed,
    unless one is given.

    Those of plugins, and one with values of its own (--set), are checked by the rules of their
    hooks: a batch's draws depend on rng alone, its targets sum to one, its shapes are kept, its
    inputs are not changed in place; evaluation draws nothing; an interrupted run resumes exactly.

    \b
    Examples:
      regbench doctor
      regbench doctor dropout batch_norm
      regbench doctor --plugin my_plugin.py
      regbench doctor --plugin my_plugin.py soft_targets --set soft_targets.strength=0.5
    """
    from regbench.doctor import examine, examine_against_numpy

    own, shipped = _chosen(techniques, bool(overrides))
    experiments = [_experiment(name, overrides) for name in own]
    with busy("Checking: some seconds to start, and about one for each technique"):
        checks = examine(experiments, backend) if own else []
        checks += examine_against_numpy(shipped, backend) if shipped else []
    if as_json:
        print_json([check.as_dict() for check in checks])
    else:
        _print(checks)
    return 0 if all(check.passed for check in checks) else 1


def _print(checks: Sequence[Check]) -> None:
    from regbench.text import one_line

    for check in checks:
        verdict = "ok    " if check.passed else "FAILED"
        what = f"{check.technique}: {check.rule}: {check.measured} (expected {check.expected})"
        click.echo(f"{verdict} {check.backend}: {one_line(what)}")
    _print_summary(checks)


def _print_summary(checks: Sequence[Check]) -> None:
    """Say on stderr how many checks failed on which backend, and which backends are left out."""
    from regbench.execution.environment import BACKENDS

    for backend in BACKENDS:
        passed = [check.passed for check in checks if check.backend == backend]
        done = f"{len(passed)} checks, {passed.count(False)} failed" if passed else "not checked"
        click.echo(f"{backend}: {done}", err=True)


def _chosen(techniques: tuple[str, ...], changed: bool) -> tuple[list[str], list[str]]:
    """Return whom to check by the rules of their hooks, and whom against NumPy."""
    from regbench import plugins
    from regbench.doctor import techniques as numeric
    from regbench.regularizers import REGULARIZERS

    own = plugins.names("regularizer")
    if not techniques:
        return (own, []) if own else ([], numeric.names())
    for name in techniques:
        if name not in REGULARIZERS and name != numeric.BASELINE:
            raise click.UsageError(f"TECHNIQUE: {plugins.unknown(name, REGULARIZERS)}")
    by_rules = [name for name in techniques if name in own or (changed and name in REGULARIZERS)]
    return by_rules, [name for name in techniques if name not in by_rules]


def _experiment(name: str, overrides: tuple[str, ...]) -> Experiment:
    """Return the tiny experiment in which a technique is checked, at its defaults or as set."""
    from regbench.doctor.examination import tiny

    experiment = tiny(name, overrides)
    if name not in experiment.regularizers:
        raise click.UsageError(
            f"{name}: has no effect at its defaults; give values with --set {name}.KEY=VALUE"
        )
    return experiment
