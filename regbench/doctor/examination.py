"""Examines techniques, each with a network of its own, in a worker process as a run has it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from regbench import config
from regbench.config import ConfigError, Experiment, inheritance, yaml12
from regbench.config.yaml12 import Problem, YamlError
from regbench.doctor import batches, runs
from regbench.doctor.check import Check
from regbench.errors import RegbenchError
from regbench.execution import environment
from regbench.execution.environment import Runtime
from regbench.execution.local import local
from regbench.training.train import Emit

# As small as a run can be that has several batches and epochs: the last batch is a smaller one.
TINY = """
data: {name: shapes, train_examples: 36, test_examples: 20}
model: {blocks: [2], convolutions: 1, dense: [4]}
train: {epochs: 2, batch_size: 16}
"""


@dataclass(frozen=True)
class Patient:
    """A technique, switched on in a tiny experiment."""

    technique: str
    experiment: Experiment
    runtime: Runtime


def tiny(technique: str, overrides: Sequence[str] = ()) -> Experiment:
    """Return a tiny experiment with a technique at its defaults, changed by overrides.

    Raises:
        ConfigError: the technique has no defaults, or a value is wrong.
    """
    problems: list[Problem] = []
    tree = yaml12.parse(f"name: {technique}{TINY}{technique}: {{}}", "regbench doctor").root
    try:
        for text in overrides:
            tree = inheritance.merge(tree, inheritance.override(text, problems))
        experiments = config.of_tree(tree, problems)
    except YamlError as error:
        raise ConfigError([error.problem]) from error
    if problems:
        raise ConfigError([*problems, f"{technique}: give values with --set {technique}=VALUE"])
    return experiments[0]


def examine(experiments: Sequence[Experiment], backend: str | None = None) -> list[Check]:
    """Check every technique that the experiments switch on against the rules of its hooks.

    Raises:
        RegbenchError: one could not be checked at all.
    """
    runtime = Runtime(environment.choose_backend(backend), "cpu", 1)
    patients = [
        Patient(name, experiment, runtime)
        for experiment in experiments
        for name, technique in experiment.regularizers.items()
        if technique.optional
    ]
    checks: dict[int, list[Check]] = {}
    with contextlib.closing(local(answer, patients, 1, runtime.variables())) as events:
        for event in events:
            if event.failure:
                raise RegbenchError(f"{patients[event.job].technique}: {event.failure.message}")
            if event.kind == "done":
                checks[event.job] = event.result
    return [check for job in sorted(checks) for check in checks[job]]


def answer(patient: Patient, emit: Emit) -> list[Check]:
    """Check one technique in this process."""
    name, experiment = patient.technique, patient.experiment
    environment.settle(patient.runtime)
    found = list(batches.check(name, experiment.regularizers[name]))
    return found + [rule(name, experiment, patient.runtime) for rule in runs.CHECKS.values()]
