"""The sections of a paper's file: source, settings, rows, printed numbers, differences."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from regbench.config.experiment import Section, Text
from regbench.studies.sections import Number

# How a setting relates to the paper's: as printed; not printed, and chosen here; known to be
# another one; smaller than printed, so that a profile takes minutes.
Status = Literal["exact", "assumed", "different", "scaled down"]
# How a column is printed: a share of right or of wrong answers in percent, or the number itself.
Unit = Literal["percent", "error percent", "number"]
Key = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


class Source(Section):
    """Where the numbers are printed, and where they were read for this file."""

    authors: Text
    year: Annotated[int, Field(ge=1900, le=2100)]
    title: Text
    published: Text
    table: Text
    page: Annotated[
        Text, Field(description="the page of the table; say so if it was not looked up")
    ]
    url: Text
    read: Annotated[Text, Field(description="where the numbers were read, and how sure that is")]


class Setting(Section):
    """A value of a config, and how it relates to the paper."""

    value: object
    status: Status
    note: Annotated[str, Field(description="what the paper says, or why the value is another")] = ""


Settings = Annotated[
    dict[str, Setting], Field(max_length=100, description="settings by dotted key")
]


class Deviation(Section):
    """A difference from the paper that no key of a config expresses."""

    text: Text
    status: Status = "different"


class Column(Section):
    """A printed column: a metric in a unit.

    `margin` is how far the measured mean may be from a printed number and still reproduce it, in
    the unit that is printed. `examples` is the size of the paper's test set, from which follows
    how far a printed accuracy may be off by chance.
    """

    heading: Text
    metric: Text
    unit: Unit
    margin: Annotated[float, Field(ge=0, le=1e12)] = 0.0
    examples: Annotated[int, Field(ge=1, le=10**9)] | None = None


class Row(Section):
    """A printed row: a variant, unless `left_out` says why it is not rebuilt."""

    label: Text
    settings: Settings = Field(default_factory=dict)
    printed: dict[str, Number] = Field(default_factory=dict)
    deviations: tuple[Deviation, ...] = Field(default=(), strict=False)
    left_out: Annotated[str, Field(description="why the row is not rebuilt")] = ""


class Difference(Section):
    """A row's number minus another row's, in a column; its printed sign is what is to be seen.

    `expect` is the sign where the numbers are not printed, such as in a figure.
    """

    text: Text
    column: Text
    row: Text
    against: Text
    expect: Literal["lower", "higher"] | None = None


class Profile(Section):
    """How much of the paper to run: seeds, changed settings, and what that costs.

    `rows` are those that it has; by default all.
    """

    seeds: Annotated[int | str, Field(description="seeds such as 0-4 or 0,3,7")]
    cost: Annotated[Text, Field(description="how long it takes, and on what")]
    settings: Settings = Field(default_factory=dict)
    rows: Annotated[tuple[Text, ...], Field(strict=False, min_length=1)] | None = None


class PaperFile(Section):
    """A paper as written in its file; the first profile is the default."""

    title: Text
    source: Source
    base: Annotated[Text, Field(description="the config that the settings change, a file's name")]
    settings: Settings = Field(default_factory=dict)
    deviations: tuple[Deviation, ...] = Field(default=(), strict=False)
    columns: Annotated[dict[Key, Column], Field(min_length=1, max_length=20)]
    rows: Annotated[dict[Key, Row], Field(min_length=1, max_length=100)]
    differences: Annotated[tuple[Difference, ...], Field(strict=False, min_length=1, max_length=99)]
    profiles: Annotated[dict[Key, Profile], Field(min_length=1, max_length=20)]

    def rebuilt(self, profile: str) -> list[str]:
        """Return the names of the rows that a profile rebuilds."""
        asked = self.profiles[profile].rows
        return [
            name
            for name, row in self.rows.items()
            if not row.left_out and (asked is None or name in asked)
        ]

    def settings_of(self, profile: str, row: str) -> dict[str, Setting]:
        """Return the settings of a row in a profile, by dotted key."""
        return {**self.settings, **self.profiles[profile].settings, **self.rows[row].settings}
