"""What the numbers and names in a run folder can be; a file that says otherwise is damaged."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

# Beyond what 32-bit floats hold, with which a network computes, and sums of a few of them.
MOST = 1e40
# Of summary.json: a hundred times what a run writes. Parsed, JSON can take thirty times its size.
SUMMARY_BYTES = 2**20


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("expected printable characters")
    return text


Count = Annotated[int, Field(ge=0, lt=2**53)]
Share = Annotated[float, Field(ge=0, le=1)]
Number = Annotated[float, Field(ge=-MOST, le=MOST)]
# Of a layer, or of a class, which an image folder names by a folder of its own.
Name = Annotated[str, Field(max_length=255), AfterValidator(_printable)]
