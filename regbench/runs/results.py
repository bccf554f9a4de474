"""Finished runs as one object: a table of their epochs, the runs themselves, and their configs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regbench.runs import summary as summaries
from regbench.runs.environments import Environment
from regbench.runs.summary import Summary

if TYPE_CHECKING:
    import pandas

# What the frame has in front of the history's columns. `data_pool` and `data_examples` are the
# SHA-256 of the data set that the run read and of the examples that it chose, `wall_seconds` is the
# time of the whole run; missing where a run recorded none.
RUN = (
    "results", "run", "name", "config_hash", "seed", "status", "parameters",
    "data_pool", "data_examples", "wall_seconds",
)  # fmt: skip

# Each config by its hash, as `Experiment.brief` gives it.
Configs = Mapping[str, Mapping[str, object]]
# What the runs were computed with, by results folder and run.
Environments = Mapping[tuple[str, str], Environment]


@dataclass(frozen=True)
class Run:
    """A finished run: where it is, and what tells it from others."""

    folder: Path
    name: str
    config_hash: str
    seed: int
    status: str
    parameters: int

    @property
    def label(self) -> str:
        """The run as people read it: "dropout s0"."""
        return f"{self.name} s{self.seed}"

    @property
    def summary(self) -> Summary:
        """What the run says of itself: its `summary.json`, read when it is asked for.

        Raises:
            OSError: the run is no longer there.
            ValueError: the file has been damaged since the run was loaded.
        """
        return summaries.read(self.folder)


@dataclass(frozen=True, eq=False)
class Results:
    """Finished runs, as `regbench.load` returns them.

    `frame` is a tidy pandas frame, a row per run and epoch, `configs` maps the hash of a config to
    its values, and `environments` holds what the runs were computed with, where that is known.
    `len(results)` is the number of runs, and a loop goes over them. For a notebook's sake the
    columns and methods of the frame are those of the results too: `results["name"]` and
    `results.groupby("name")` are `results.frame["name"]` and `results.frame.groupby("name")`. Type
    checkers know `results.frame` alone, where pandas' types are.
    """

    frame: pandas.DataFrame
    configs: Configs = field(default_factory=dict)
    environments: Environments = field(default_factory=dict, repr=False)

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
        """Return the results of some rows of the frame alone, chosen as pandas chooses them.

        `results.only(results["seed"] < 5)` keeps the configs, which a part of the frame lacks.
        """
        return Results(self.frame[rows], self.configs, self.environments)

    def __len__(self) -> int:
        return len(self.runs)

    def __iter__(self) -> Iterator[Run]:
        return iter(self.runs)

    def __getitem__(self, key: object) -> Any:
        """Return a column of the frame, or a frame of several, as pandas does."""
        return self.frame[key]

    def _repr_html_(self) -> str:
        """Return the frame as a notebook shows it."""
        return self.frame._repr_html_()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            # Not the private ones: pandas would take the results for a frame by some of them, and
            # pickle asks for others before there is a frame.
            if name.startswith("_") or name == "frame":
                raise AttributeError(f"Results has no attribute {name!r}")
            return getattr(self.frame, name)


def results_of(runs: Results | pandas.DataFrame) -> Results:
    """Return the results themselves, or those of a frame with their columns, without configs."""
    return runs if isinstance(runs, Results) else Results(runs)
