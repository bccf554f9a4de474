"""Limits for values read from run folders; a file that exceeds them is damaged."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

# Above any 32-bit float, with which a network computes, and sums of a few of them.
MOST = 1e40
# An epoch of more than 30 years is a damaged file; adding it up could give infinity.
MOST_SECONDS = 1e9


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("expected printable characters")
    return text


Count = Annotated[int, Field(ge=0, lt=2**53)]
Share = Annotated[float, Field(ge=0, le=1)]
Number = Annotated[float, Field(ge=-MOST, le=MOST)]
# The name of a layer, or of a class, which in an image folder is a folder's name.
Name = Annotated[str, Field(max_length=255), AfterValidator(_printable)]
