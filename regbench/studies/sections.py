"""The sections of a study file: its profiles, variants and claims, as they are written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, Strict

from regbench.config.experiment import Section, Text
from regbench.config.sources import Sources
from regbench.studies.contest import Dimensions, Tuning, TuningChanges

Number = Annotated[float, Field(ge=-1e12, le=1e12)]
Settings = dict[str, object]


class Profile(Section):
    """The size of a study: its seeds, its own base if it has one, and changes to every variant."""

    base: Text | None = None
    seeds: Annotated[
        int | str | list[int] | Settings, Field(description="seeds such as 0-4 or 0,3,7")
    ]
    set: Settings = Field(default_factory=dict)
    tune: TuningChanges | None = None


class Variant(Section):
    """A config to train: the base, or one of its own, and changes to it.

    `tune` has the values that a contest tries, by key. With `vary`, it is also trained with each of
    these sources of variance alone getting the seed, under its name and that of the source.
    """

    config: Text | None = None
    set: Settings = Field(default_factory=dict)
    matrix: Settings | None = None
    tune: Annotated[Dimensions, Field(min_length=1, max_length=20)] | None = None
    vary: Sources | None = None


class Difference(Section):
    """A variant's metric minus that of another variant."""

    variant: Text
    against: Text


class Claim(Section):
    """A statement about a metric: a variant against another one, or against a number.

    `lower` and `higher` mean by more than `margin`, `same` means within it. With `beyond`, the
    claim is about the difference minus another difference, seed by seed. `over` says what its
    interval covers: other seeds on this test set, or other test images as well. With `effect`, it
    is about the effect of a factor, or the interaction of two.
    """

    text: Text
    metric: Text
    variant: Text = ""
    against: Text | Number = 0.0
    beyond: Difference | None = None
    effect: Annotated[
        Text | Annotated[list[Text], Field(min_length=2, max_length=2)] | None,
        Field(description="a factor, or a list of two for their interaction"),
    ] = None
    expect: Literal["lower", "higher", "same"]
    margin: Annotated[float, Field(ge=0, le=1e12)] = 0.0
    over: Literal["seeds", "images"] = "seeds"

    @property
    def paired(self) -> bool:
        """True if the claim is about a difference of runs, not about a number of each."""
        return self.effect is not None or isinstance(self.against, str)

    def as_dict(self) -> dict[str, object]:
        """Return the claim as JSON: with an effect, or with variants."""
        left_out = {"effect"} if self.effect is None else {"variant", "against", "beyond"}
        if self.over == "seeds":  # shipped verdicts are older than `over`, whose default they have
            left_out.add("over")
        return self.model_dump(mode="json", exclude=left_out)

    def names(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yield each variant that is named, with its place in the claim."""
        if self.effect is not None:
            return
        yield ("variant",), self.variant
        if isinstance(self.against, str):
            yield ("against",), self.against
        if self.beyond:
            yield ("beyond", "variant"), self.beyond.variant
            yield ("beyond", "against"), self.beyond.against


class StudyFile(Section):
    """A study as written in its file."""

    question: Text
    base: Annotated[Text, Field(description="the config that the variants change, a file's name")]
    set: Settings = Field(default_factory=dict)
    tune: Tuning | None = None
    profiles: Annotated[dict[str, Profile], Field(min_length=1, max_length=20)]
    data_sets: Annotated[
        dict[str, Settings],
        Field(max_length=20, description="changes by name: every variant with each of them"),
    ] = Field(default_factory=dict)
    variants: Annotated[dict[str, Variant], Field(min_length=1, max_length=100)] = Field(
        default_factory=dict
    )
    factors: Annotated[
        Settings | None,
        Field(description="levels by factor: a variant for every combination"),
    ] = None
    fraction: Annotated[
        Literal["1/2", "1/4"] | None, Field(description="the share of the combinations to train")
    ] = None
    claims: Annotated[tuple[Claim, ...], Strict(False), Field(min_length=1, max_length=100)]
