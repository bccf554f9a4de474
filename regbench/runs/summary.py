"""`summary.json`: a run's identity and results, written when the run is finished.

The file is open: a key that this version does not know is kept, and one that an older version did
not write is None. Known keys are validated, since a folder may come from anywhere.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from regbench import config
from regbench.runs import storage
from regbench.runs.files import SUMMARY
from regbench.runs.limits import Count, Number

Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
# JSON has no number for NaN: null stands for it.
Measured = Annotated[float, BeforeValidator(lambda value: math.nan if value is None else value)]


class DataDigests(BaseModel):
    """SHA-256 of the whole data set (`pool`) and of the `examples` that the run chose from it."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow")

    pool: Digest | None = None
    examples: Digest | None = None


class Stopped(BaseModel):
    """The end of a run that a technique may stop: after which epoch, and why.

    The model is that of `kept_epoch`, and so is the last row of the history.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="allow")

    epoch: Count
    reason: str
    kept_epoch: Count


class Summary(BaseModel):
    """The summary of a finished run; the fields are the keys of `summary.json`, in its order.

    Accuracies, losses and the gap are those after the last epoch, on `train_evaluated` and
    `test_evaluated` examples; NaN where the run diverged. Those on validation examples, and
    `stopped`, exist only if the config has such examples, and a technique that may stop. `seconds`
    is training alone, without the measurements, which `wall_seconds` includes. `probes_failed` maps
    each probe that failed to its error; `probes` is checked by `regbench.runs.probe_results`.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="allow")

    name: Annotated[str, Field(pattern=f"^{config.NAME}$")]
    config_hash: Annotated[str, Field(pattern="^[0-9a-f]{8}$")]
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    status: Literal["completed", "diverged"]
    epochs: Annotated[int, Field(ge=0, lt=2**63)]
    parameters: Annotated[int, Field(ge=0, lt=2**63)]
    train_accuracy: Measured = math.nan
    test_accuracy: Measured = math.nan
    train_loss: Measured = math.nan
    test_loss: Measured = math.nan
    gap: Measured = math.nan
    train_examples: Count | None = None
    test_examples: Count | None = None
    train_evaluated: Count | None = None
    test_evaluated: Count | None = None
    validation_loss: Measured | None = None
    validation_accuracy: Measured | None = None
    validation_evaluated: Count | None = None
    stopped: Stopped | None = None
    seconds: Number | None = None
    images_per_second: Number | None = None
    data: DataDigests | None = None
    probes_failed: dict[str, str] | None = None
    probes: object = None
    wall_seconds: Number | None = None

    @classmethod
    def of(cls, content: object) -> Summary:
        """Return the summary in the content of a file or of a worker's message.

        Raises:
            ValueError: a key is missing or damaged; the line says which.
        """
        if not isinstance(content, Mapping):
            raise ValueError("expected a mapping")
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            key = str(error.errors(include_url=False, include_context=False)[0]["loc"][0])
            raise ValueError(f"{key}: unexpected value {_shown(content.get(key))}") from error

    @property
    def diverged(self) -> bool:
        """True if a loss was no longer finite, which ended the run."""
        return self.status == "diverged"

    @property
    def run_name(self) -> str:
        """The name of the run's folder."""
        return config.run_name(self.name, self.config_hash, self.seed)

    @property
    def label(self) -> str:
        """The run as people read it: "dropout s0"."""
        return f"{self.name} s{self.seed}"

    def with_keys(self, **keys: object) -> Summary:
        """Return the summary with these fields set."""
        return Summary.of(self.as_dict() | keys)

    def as_dict(self) -> dict[str, object]:
        """Return the keys of `summary.json` that are set, those of other versions last."""
        return self.model_dump(exclude_unset=True)


def read(folder: Path) -> Summary:
    """Return the summary of a finished run.

    Raises:
        OSError: the file is missing or can't be read.
        ValueError: it is damaged; the line says where.
    """
    return Summary.of(_content(folder))


def probes(folder: Path) -> Mapping[str, object] | None:
    """Return the `probes` of a run's summary, not yet validated; None without probes.

    Raises:
        OSError: the file is missing or can't be read.
        ValueError: it is damaged.
    """
    content = _content(folder)
    found = content.get("probes") if isinstance(content, dict) else None
    return found if isinstance(found, dict) else None


def _shown(value: object) -> str:
    """Return the start of a value's JSON."""
    try:
        return f"{json.dumps(value):.60}"
    except (TypeError, ValueError, RecursionError):  # from a worker, or nested too deeply
        return f"of type {type(value).__name__}"


def _content(folder: Path) -> object:
    try:
        return json.loads(storage.text(folder, SUMMARY))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
