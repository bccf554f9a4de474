"""`regbench doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from regbench.cli import options
from regbench.cli.printing import busy, print_json

if TYPE_CHECKING:
    from regbench.config import Experiment


@click.command()
@click.argument("techniques", nargs=-1, metavar="[TECHNIQUE]...")
@options.overrides
@options.backend
@options.plugins
@options.as_json
def doctor(
    techniques: tuple[str, ...], overrides: tuple[str, ...], backend: str | None, as_json: bool
) -> int:
    """Check techniques, those of the plugins unless some are named, by the rules of their hooks.

    A batch's draws depend on rng alone, its targets sum to one, its shapes are kept, its inputs are
    not changed in place; evaluation draws nothing; an interrupted run resumes exactly.

    \b
    Examples:
      regbench doctor --plugin my_plugin.py
      regbench doctor --plugin my_plugin.py soft_targets --set soft_targets.strength=0.5
    """
    from regbench.doctor import examine
    from regbench.text import one_line

    chosen = [_experiment(name, overrides) for name in _names(techniques)]
    with busy("Checking: some seconds to start, and some for each technique"):
        checks = examine(chosen, backend)
    if as_json:
        print_json([check.as_dict() for check in checks])
    for check in [] if as_json else checks:
        verdict = "ok    " if check.passed else "FAILED"
        expected = "" if check.passed else f" (expected {check.expected})"
        line = f"{check.technique}: {check.rule}: {check.measured}{expected}"
        click.echo(f"{verdict} {one_line(line)}")
    return 0 if all(check.passed for check in checks) else 1


def _names(techniques: tuple[str, ...]) -> list[str]:
    from regbench import plugins
    from regbench.regularizers import REGULARIZERS

    names = list(techniques) or plugins.names("regularizer")
    if not names:
        raise click.UsageError("expected a TECHNIQUE, or a plugin with one: --plugin FILE")
    for name in names:
        if name not in REGULARIZERS:
            raise click.UsageError(f"TECHNIQUE: {plugins.unknown(name, REGULARIZERS)}")
    return names


def _experiment(name: str, overrides: tuple[str, ...]) -> Experiment:
    """Return the tiny experiment in which a technique is checked, at its defaults or as set."""
    from regbench.doctor.examination import tiny

    experiment = tiny(name, overrides)
    if name not in experiment.regularizers:
        raise click.UsageError(
            f"{name}: has no effect at its defaults; give values with --set {name}.KEY=VALUE"
        )
    return experiment
