"""Examines techniques in worker processes, as a run has them: one for each backend.

Techniques that ship are checked against NumPy (`techniques`); any other, and one with values of its
own, by the rules of its hooks, in a network of its own.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import os
from collections.abc import Sequence
from dataclasses import dataclass

from regbench import config
from regbench.config import ConfigError, Experiment, inheritance, yaml12
from regbench.config.yaml12 import Problem, YamlError
from regbench.doctor import batches, runs
from regbench.doctor.check import Check
from regbench.errors import RegbenchError
from regbench.execution import environment
from regbench.execution.environment import BACKENDS, Runtime
from regbench.execution.local import Emit, Function, local

# As small as a run can be that has several batches and epochs: the last batch is a smaller one.
TINY = """
data: {name: shapes, train_examples: 36, test_examples: 20}
model: {blocks: [2], convolutions: 1, dense: [4]}
train: {epochs: 2, batch_size: 16}
"""


@dataclass(frozen=True)
class Patient:
    """A technique to check; in a tiny experiment that switches it on, or against NumPy."""

    technique: str
    runtime: Runtime
    experiment: Experiment | None = None


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
        Patient(name, runtime, experiment)
        for experiment in experiments
        for name, technique in experiment.regularizers.items()
        if technique.optional
    ]
    return _answers(answer, patients)


def examine_against_numpy(
    names: Sequence[str] | None = None, backend: str | None = None
) -> list[Check]:
    """Check techniques that ship, all of them unless some are named, against plain NumPy.

    On the backend that is asked for, or that `KERAS_BACKEND` names; else on each that is installed.
    `baseline` is a name too: what every technique is compared with.
    Raises RegbenchError where one could not be checked at all.
    """
    from regbench.doctor import techniques

    checks = []
    for each in backends(backend):
        runtime = Runtime(each, "cpu", 1)
        chosen = techniques.names() if names is None else names
        checks += _answers(numeric, [Patient(name, runtime) for name in chosen])
    return checks


def backends(asked: str | None = None) -> list[str]:
    """Return the backend that is asked for, by argument or `KERAS_BACKEND`; else all installed."""
    if asked or os.environ.get("KERAS_BACKEND"):
        return [environment.choose_backend(asked)]
    return [name for name in BACKENDS if importlib.util.find_spec(name)]


def answer(patient: Patient, emit: Emit) -> list[Check]:
    """Check one technique by the rules of its hooks, in this process."""
    name, experiment = patient.technique, patient.experiment
    assert experiment
    environment.settle(patient.runtime)
    found = list(batches.check(name, experiment.regularizers[name]))
    return found + [rule(name, experiment, patient.runtime) for rule in runs.CHECKS.values()]


def numeric(patient: Patient, emit: Emit) -> list[Check]:
    """Check one technique against NumPy, in this process."""
    from regbench.doctor import techniques

    environment.settle(patient.runtime)
    return list(techniques.check(patient.technique))


def _answers(function: Function, patients: Sequence[Patient]) -> list[Check]:
    """Return the checks of patients with the same runtime, all by one worker."""
    checks: dict[int, list[Check]] = {}
    variables = patients[0].runtime.variables() if patients else {}
    with contextlib.closing(local(function, patients, 1, variables)) as events:
        for event in events:
            patient = patients[event.job]
            if event.failure:
                raise RegbenchError(f"{patient.technique}: {event.failure.message}")
            if event.kind == "done":
                assert isinstance(event.result, list)
                checks[event.job] = [
                    dataclasses.replace(check, backend=patient.runtime.backend)
                    for check in event.result
                ]
    return [check for job in sorted(checks) for check in checks[job]]
