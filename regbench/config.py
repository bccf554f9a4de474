"""From YAML to one frozen, validated `Experiment`: defaults < `extends` < file < `--set`.

The keys of the toggles are those of `REGULARIZERS`; everything else that a config can say is here.

How a file and the file that it extends are merged: a mapping changes only the keys that it names,
anything else replaces what was there, and `name` is not inherited. For a toggle that means: a bare
value is the whole toggle, so `pooling: average` is average pooling with the default window
whatever the base has, and `pooling: {kind: average}` keeps the base's window. A shorthand in the
base is not lost: `pooling: {size: 3}` on top of `pooling: average` is average pooling.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    ValidationInfo,
    create_model,
    field_validator,
)

from regbench.regularizers import REGULARIZERS, Regularizer

Count = Annotated[int, Field(ge=1, le=10**9)]
CountOrAll = Annotated[Count | Literal["all"], Field()]
Size = Annotated[int, Field(ge=1, le=10**6)]
Sizes = Annotated[tuple[Size, ...], Strict(False), Field(max_length=100)]
