"""Finished runs as one object: a table of their epochs, the runs themselves, and their configs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from regbench.runs import summary as summaries
from regbench.runs.environments import Environment
from regbench.runs.summary import Summary

if TYPE_CHECKING:
    import pandas

# The columns of the frame before those of the history. `data_pool` and `data_examples` are the
# SHA-256 of the data set that the run read and of the examples that it chose, `wall_seconds` is the
# time of the whole run; missing if a run recorded none.
RUN = (
    "results", "run", "name", "config_hash", "seed", "status", "parameters",
    "data_pool", "data_examples", "wall_seconds",
)  # fmt: skip

# Each config by its hash, as `Experiment.brief` gives it.
Configs = Mapping[str, Mapping[str, object]]
# The environment of each run, by results folder and run.
Environments = Mapping[tuple[str, str], Environment]


@dataclass(frozen=True)
class Run:
    """A finished run: its folder and its identity."""

    folder: Path
    name: str
    config_hash: str
    seed: int
    status: str
    parameters: int

    @property
    def label(self) -> str:
        """The run's name for people, as "dropout s0"."""
        return f"{self.name} s{self.seed}"

    @property
    def summary(self) -> Summary:
        """The run's `summary.json`, read on access.

        Raises:
            OSError: the run no longer exists.
            ValueError: the file has been damaged since the run was loaded.
        """
        return summaries.read(self.folder)


@dataclass(frozen=True, eq=False)
class Results:
    """Finished runs, as `regbench.load` returns them.

    `frame` is a tidy pandas frame, a row per run and epoch, `configs` maps the hash of a config to
    its values, and `environments` holds the environment of each run, if known. `measures` names the
    metrics of tables that other tools made; they are columns of the frame. `elsewhere` are those
    values of the column `results` whose runs regbench did not make, which have no folders. `labels`
    are the variants' names in figures by name and hash, where these runs are a part of those that
    the names were made for.
    `len(results)` is the number of runs, and iteration yields them. For convenience in notebooks,
    results also have the frame's columns and methods: `results["name"]` and
    `results.groupby("name")` are `results.frame["name"]` and `results.frame.groupby("name")`. Type
    checkers only know `results.frame`.
    """

    frame: pandas.DataFrame
    configs: Configs = field(default_factory=dict)
    environments: Environments = field(default_factory=dict, repr=False)
    measures: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    labels: Mapping[tuple[str, str], str] = field(default_factory=dict, repr=False)

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """The runs, each once, in the order of the frame."""
        rows = self.frame[list(RUN)].drop_duplicates(["results", "run"])
        return tuple(
            Run(
                Path(row.results) / row.run,
                row.name,
                row.config_hash,
                int(row.seed),
                row.status,
                int(row.parameters),
            )
            for row in rows.itertuples(index=False)
        )

    def only(self, rows: object) -> Results:
        """Return the results for some rows of the frame, selected as in pandas.

        `results.only(results["seed"] < 5)` keeps the configs, which a slice of the frame would
        lose.
        """
        return replace(self, frame=self.frame[rows])

    @property
    def own(self) -> Results:
        """Those runs that regbench made, whose folders can be read."""
        if not self.elsewhere:
            return self
        return self.only(~self.frame["results"].isin(self.elsewhere))

    def __len__(self) -> int:
        return len(self.runs)

    def __iter__(self) -> Iterator[Run]:
        return iter(self.runs)

    def __getitem__(self, key: object) -> pandas.DataFrame | pandas.Series:
        """Return a column of the frame, or a frame of several, as pandas does."""
        return self.frame[key]

    def _repr_html_(self) -> str:
        """Return the frame as a notebook shows it."""
        return self.frame._repr_html_()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            # Not the private ones: pandas would take the results for a frame by some of them, and
            # pickle asks for others before there is a frame.
            if name.startswith("_") or name == "frame":
                raise AttributeError(f"Results has no attribute {name!r}")
            return getattr(self.frame, name)


def results_of(runs: Results | pandas.DataFrame) -> Results:
    """Return the results themselves, or wrap a frame with their columns, without configs."""
    return runs if isinstance(runs, Results) else Results(runs)
