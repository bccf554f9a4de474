"""Contests: every variant of a study is tuned with the same number of trials, and then compared.

    tune: {trials: 16, metric: validation_loss, seeds: 1, validation: back}
    variants:
      baseline: {tune: {train.learning_rate: {log: [1e-4, 1e-2]}}}
      dropout:
        tune: {train.learning_rate: {log: [1e-4, 1e-2]}, dropout.dense: {uniform: [0.1, 0.7]}}

A trial is a run whose config has the values of one point and does not measure the test set. The
trial with the best metric on validation examples wins, and the winner is trained again with the
study's seeds, of which no trial has any. Only these finals read the test set.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from regbench import config, seeding
from regbench.config import ConfigError, Experiment, inheritance, shipped
from regbench.config.experiment import Section
from regbench.config.yaml12 import Node, Place, Problem, YamlError
from regbench.datasets import validation_examples
from regbench.errors import RegbenchError
from regbench.studies.search_space import Dimension, Space, axes, parse

# Seeds from here on belong to trials: nobody counts his finals' seeds that far.
FIRST_SEED = 1_000_000
# Points in a row that were all tried before: the space has no others.
MOST_REPEATS = 1_000
# The name of a winner, where the variant as written keeps its own.
TUNED = "_tuned"
EXAMPLE = "tune: {train.learning_rate: {log: [1e-4, 1e-2]}}"

Metric = Literal["validation_loss", "validation_accuracy"]
Trials = Annotated[int, Field(ge=2, le=1000)]
Seeds = Annotated[int, Field(ge=1, le=100)]
Validation = Literal["back", "out"]
Dimensions = dict[str, Dimension]


class Tuning(Section):
    """How a study tunes its variants.

    `trials` for each variant, each with `seeds` seeds, are judged by the mean of `metric` at their
    end. In the finals, validation examples go `back` into the training set, or stay `out` of it.
    With `defaults`, each variant is trained as written too, and its winner is NAME_tuned.
    """

    trials: Trials = 16
    metric: Metric = "validation_loss"
    seeds: Seeds = 1
    validation: Validation = "back"
    defaults: bool = False

    @property
    def better(self) -> Literal["lower", "higher"]:
        """Which values of the metric are better."""
        return "lower" if self.metric == "validation_loss" else "higher"

    @property
    def trial_seeds(self) -> range:
        """The seeds of each trial."""
        return range(FIRST_SEED, FIRST_SEED + self.seeds)


class TuningChanges(Section):
    """What a profile changes about the study's tuning."""

    trials: Trials | None = None
    metric: Metric | None = None
    seeds: Seeds | None = None
    validation: Validation | None = None
    defaults: bool | None = None


@dataclass(frozen=True)
class Trial:
    """One point of a variant's space: its number from 1, its values, and a run for each seed."""

    variant: str
    number: int
    values: dict[str, object]
    runs: tuple[Experiment, ...]


@dataclass(frozen=True)
class Contest:
    """The tuning of some variants by name; the contest's name determines the points."""

    name: str
    tuning: Tuning
    spaces: Mapping[str, Space]

    @cached_property
    def trials(self) -> dict[str, list[Trial]]:
        """Each variant's trials: as many distinct ones as asked, or all that its space has."""
        return {name: self._trials(name, space) for name, space in self.spaces.items()}

    @property
    def runs(self) -> list[Experiment]:
        """Every trial's runs: first trials of all variants first, so that none is ahead."""
        turns = itertools.zip_longest(*self.trials.values())
        return [run for turn in turns for trial in turn if trial for run in trial.runs]

    def finals(self, winners: Mapping[str, Mapping[str, object]]) -> dict[str, Experiment]:
        """Return what is compared in the end, by name: winners, and defaults if asked for."""
        found: dict[str, Experiment] = {}
        for name, space in self.spaces.items():
            if self.tuning.defaults or not space.axes:
                found[name] = self._final(space, name, {})
            if space.axes:
                own = f"{name}{TUNED}" if self.tuning.defaults else name
                found[own] = self._final(space, own, winners[name])
        return found

    def written(self) -> dict[str, Experiment]:
        """Return the finals' names with the configs as written, before anything is chosen."""
        return self.finals({name: {} for name in self.spaces})

    def check_seeds(self, seeds: tuple[int, ...]) -> None:
        """Raise RegbenchError if a final would have the seed of a trial."""
        shared = sorted(set(seeds) & set(self.tuning.trial_seeds))
        if shared:
            raise RegbenchError(
                f"seeds: expected seeds below {FIRST_SEED:,} for the finals, received {shared[0]}, "
                "which trials have; a winner is trained again with fresh seeds"
            )

    def _trials(self, name: str, space: Space) -> list[Trial]:
        found: dict[str, Trial] = {}
        repeats = 0
        for values in space.points(_seed(self.name)):
            experiment = space.experiment(values, {"evaluation.test": False})
            if experiment.hash in found:
                repeats += 1
            else:
                repeats = 0
                runs = tuple(experiment.with_seed(seed) for seed in self.tuning.trial_seeds)
                found[experiment.hash] = Trial(name, len(found) + 1, values, runs)
            if len(found) == self.tuning.trials or repeats == MOST_REPEATS:
                break
        return list(found.values())

    def _final(self, space: Space, name: str, values: Mapping[str, object]) -> Experiment:
        experiment = space.experiment(values)
        data, further = experiment.data, dict[str, object]()
        if self.tuning.validation == "back":
            further["data.validation_examples"] = None
            if isinstance(data.train_examples, int):
                # They were taken from the rest of the pool, and not from the training examples.
                count = validation_examples.count(data, data.train_examples)
                further["data.train_examples"] = data.train_examples + count
            experiment = space.experiment(values, further)
        return experiment.model_copy(update={"name": name})


def of_study(
    name: str,
    tree: Node,
    changes: TuningChanges | None,
    written: Tuning,
    entrants: Sequence[tuple[Node, Node | None]],
    problems: list[Problem],
) -> Contest | None:
    """Return the contest of a study's profile; None if there are problems, which are added.

    Args:
        name: the study's.
        tree: the study's file.
        changes: the `tune` of the profile.
        written: that of the study.
        entrants: the mapping of each variant's config, with its name, and the variant's `tune`.
        problems: receives what is wrong.

    Raises:
        YamlError: a key of a variant's `tune` can't be one.
    """
    changed = changes.model_dump(exclude_none=True) if changes else {}
    section = tree.child("tune") or tree
    spaces = {str(each.at("name").plain()): _space(each, tuned) for each, tuned in entrants}
    place = section.key or section.place
    if not any(space.axes for space in spaces.values()):
        text = f"tune: expected a variant with values to try, such as {EXAMPLE}"
        problems.append(Problem(place, text))
        return None
    contest = Contest(name, Tuning.model_validate(written.model_dump() | changed), spaces)
    before = len(problems)
    for variant, space in spaces.items():
        _check(contest, variant, space, place, problems)
    return contest if len(problems) == before else None


def _space(tree: Node, section: Node | None) -> Space:
    if section is None:
        return Space(tree)
    dimensions = {key: Dimension.model_validate(each.plain()) for key, each in section.items()}
    return Space(tree, axes(section, dimensions, "tune"))


def of_config(
    path: str | Path, overrides: Sequence[str], dimensions: Sequence[str], tuning: Tuning
) -> Contest:
    """Return the contest of a single config, as `regbench tune` holds it.

    Args:
        path: the config's file, or the name of a shipped one.
        overrides: changes to it, such as "train.epochs=5".
        dimensions: the values to try, such as "train.learning_rate=log:1e-4:1e-2".
        tuning: the number of trials and so on.

    Raises:
        ConfigError: a value is invalid, or there are no validation examples.
    """
    problems = list[Problem]()
    try:
        tree = inheritance.read(shipped.find(path, "config"), problems)
        options = [inheritance.override(each, problems) for each in overrides]
        for change in inheritance.models_first(options):
            tree = inheritance.merge(tree, change)
        space = Space(tree, tuple(parse(each, problems) for each in dimensions))
        found = config.of_tree(tree, problems)
        if len(found) > 1:
            problems.append(Problem(tree.place, f"expected one config, received {len(found)}"))
        if not problems:
            contest = Contest(found[0].name, tuning, {found[0].name: space})
            _check(contest, found[0].name, space, tree.place, problems)
    except YamlError as error:
        raise ConfigError([*problems, error.problem]) from error
    if problems:
        raise ConfigError(dict.fromkeys(map(str, problems)))
    return contest


def _check(
    contest: Contest, variant: str, space: Space, place: Place, problems: list[Problem]
) -> None:
    """Add problems of a variant: values that are invalid, and validation examples it lacks."""
    found = list[Problem]()
    space.check(found)
    if not found:
        try:
            experiment = space.experiment({})
        except ConfigError:  # reported where the variant is read
            return
        if experiment.data.validation_examples is None:
            text = (
                f"tune: expected data.validation_examples in {variant}, by which trials are "
                "judged, received none; set it, such as data.validation_examples: 500"
            )
            found.append(Problem(place, text))
        elif contest.tuning.validation == "back":
            found += _without_validation(contest, variant, space, place)
    problems += found


def _without_validation(
    contest: Contest, variant: str, space: Space, place: Place
) -> list[Problem]:
    """Return the problem of a variant that can't be trained without validation examples."""
    try:
        contest._final(space, variant, {})
    except ConfigError as error:
        reason = error.messages[0].partition(": ")[2].removeprefix("the config: ")
        text = f"tune.validation: {variant} needs them ({reason}); expected out, received back"
        return [Problem(place, text)]
    return []


def _seed(name: str) -> int:
    return seeding.derive(0, "contest", name)
