"""The looks of a sequential study, as its `verdicts.json` beside the run folders has them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, ValidationError

from regbench import files
from regbench.runs.limits import Count, Share

# Written by `regbench study` beside the run folders; comparisons read only those.
VERDICTS = "verdicts.json"
MOST_BYTES = 2**23

Text = Annotated[str, Field(max_length=1000)]


class Passed(BaseModel):
    """A claim at a look: see `regbench.analysis.sequential.Passed`."""

    seeds: Count
    p_value: Share | None
    alone: Share
    all_open: Share


class Look(BaseModel):
    """All looks at a claim so far; older versions recorded none."""

    passed: tuple[Passed, ...] = ()


class Claim(BaseModel):
    """What is claimed: a metric of a variant, against another one or a number."""

    text: Text
    metric: Text
    variant: Text | None = None
    against: Text | float | None = None


class Judged(BaseModel):
    """A claim with its verdict and its looks."""

    claim: Claim
    decision: Literal["supported", "contradicted", "undecided"]
    look: Look | None = None

    @property
    def passed(self) -> tuple[Passed, ...]:
        """Its looks so far; none in a study that has no looks."""
        return self.look.passed if self.look else ()


class Verdicts(BaseModel):
    """The part of a study's verdicts that tells its looks; other keys are left alone."""

    verdicts: tuple[Judged, ...]


def read(results: Path) -> list[Judged]:
    """Return the claims that were judged at looks; none if no file tells, or a damaged one.

    Args:
        results: a results folder, or a bundle, which has the file beside it.
    """
    folder = results if results.is_dir() else results.parent
    try:
        content = files.read(folder / VERDICTS, MOST_BYTES)
        found = Verdicts.model_validate_json(content)
    except (OSError, ValueError, ValidationError):
        return []
    return [each for each in found.verdicts if each.passed]
