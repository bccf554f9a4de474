"""`vary:` of a study's variant: the same config with each source of variance alone varying.

    variants:
      baseline: {vary: [data, init, order]}

trains `baseline`, in which all sources get the run's seed, and `baseline-data`, `baseline-init` and
`baseline-order`, in which one does and the others are held.
`regbench.analysis.variance` compares their variances.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from regbench.config import Experiment
from regbench.config.matrix import LONGEST_NAME
from regbench.config.yaml12 import Node, Problem


def each(
    experiments: Sequence[Experiment], variant: Node, problems: list[Problem]
) -> Iterator[Experiment]:
    """Yield each experiment of a variant, and those with a single source that varies.

    Errors are added to `problems`.
    """
    asked = variant.child("vary")
    listed = asked.content if asked and isinstance(asked.content, list) else []
    sources = [each.plain() for each in listed]
    place = asked.place if asked else variant.place
    for experiment in experiments:
        yield experiment
        if sources and experiment.vary:
            text = f"vary: {experiment.name} sets vary itself; leave one of the two out"
            problems.append(Problem(place, text))
            continue
        for source in sources:
            name = f"{experiment.name}-{source}"
            if len(name) > LONGEST_NAME:
                text = (
                    f"vary: expected a name of at most {LONGEST_NAME} characters, received {name}"
                )
                problems.append(Problem(place, text))
                continue
            changed = {"name": name, "vary": [source]}
            yield Experiment.model_validate(experiment.values() | changed)
