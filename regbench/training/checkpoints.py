"""Checkpoints: all that a run needs to resume exactly where it was, written atomically.

Keras' own checkpoints lose the state of dropout's random numbers, and `BackupAndRestore` writes
over the only copy that it has. Here a checkpoint is a folder `<epoch>-<step>` of

- `arrays.npz`: every variable of the model (weights, moving statistics, states of random numbers)
  and of its optimizer, in Keras' order;
- `state.json`: how far the run is, and what it computes with, which must still be so;
- `SHA256SUMS`: the checksums of both, as sha256sum writes them.

The order of the data needs no state: it depends on the seed and the epoch alone.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regbench import files
from regbench.errors import RunFailed
from regbench.runs.folder import HISTORY
from regbench.text import one_line

# A save that takes long is not repeated before so many times its own time has passed.
COSTLY_SECONDS, PAUSE = 1.0, 20
KEPT = 2  # should the last one turn out to be damaged, there is one more
CONTENT = ("arrays.npz", "state.json")
MAX_STATE_BYTES = 64 * 2**20
# The names, sizes and shapes of a few hundred arrays in an .npz.
MAX_OVERHEAD_BYTES = 2**20


# What reading a damaged checkpoint raises; that a disk fails is another matter.
DAMAGED = (
    *(FileNotFoundError, IsADirectoryError, NotADirectoryError, files.NotRegular),
    *(ValueError, KeyError, TypeError, RecursionError, OverflowError),
)


class CheckpointRefused(RunFailed):
    """The checkpoint is whole, but going on from it would not give the same run."""


@dataclass
class Position:
    """How far a run is: the history of its finished epochs, and the sums of the one under way.

    `rows` begins with epoch 0, before training, so its length is the number of the epoch under
    way. Of that epoch, `step` updates are done; `loss` is the sum of what Keras reported over all
    examples so far in nats, `correct` their count of correct predictions, `seconds` the time.
    `wall_seconds` are those of all sessions before this one, measuring and starting included.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    step: int = 0
    loss: float = 0.0
    correct: int = 0
    seconds: float = 0.0
    wall_seconds: float = 0.0

    @property
    def epoch(self) -> int:
        """The number of the epoch under way."""
        return len(self.rows)

    @property
    def is_finite(self) -> bool:
        """Whether every number so far is: once one is not, no later epoch brings them back."""
        last = self.rows[-1].values() if self.rows else ()
        return all(math.isfinite(value) for value in (self.loss, *last) if value is not None)

    def end_epoch(self, row: dict[str, Any]) -> None:
        """Add the finished epoch's row; the next one has no steps yet."""
        self.rows.append(row)
        self.step, self.loss, self.correct, self.seconds = 0, 0.0, 0, 0.0

    def __str__(self) -> str:
        return f"step {self.step} of epoch {self.epoch}" if self.step else f"epoch {self.epoch}"


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was read and is whole."""

    path: Path
    identity: dict[str, Any]
    position: Position

    def check(self, epochs: int, steps: int) -> None:
        """Raise CheckpointRefused where a run of so many epochs and steps can't have come there."""
        position = self.position
        if position.epoch > epochs or position.step > steps:
            raise CheckpointRefused(
                f"{self.path}: expected at most step {steps} of epoch {epochs}, received "
                f"step {position.step} of epoch {position.epoch}; start over with --force"
            )

    def restore(self, model: Any) -> None:
        """Give the compiled model the variables of the checkpoint. Raises CheckpointRefused."""
        try:
            arrays = self._arrays(_variables(model))
        except (OSError, ValueError, KeyError, zipfile.BadZipFile, MemoryError) as error:
            raise CheckpointRefused(
                f"{self.path}: the checkpoint does not match this model "
                f"({one_line(str(error))}); start over with --force"
            ) from error
        for key, variable in _variables(model).items():
            variable.assign(arrays[key])

    def _arrays(self, variables: dict[str, Any]) -> dict[str, NDArray[Any]]:
        """Return an array for every variable. Raises ValueError where they don't fit."""
        path = self.path / "arrays.npz"
        expected = sum(_array(variable).nbytes for variable in variables.values())
        with files.open_regular(path) as file, zipfile.ZipFile(file) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > expected + MAX_OVERHEAD_BYTES:
            raise ValueError(f"{size} bytes for {expected}")
        with files.open_regular(path) as file, np.load(file, allow_pickle=False) as content:
            if set(content.files) != set(variables):
                raise ValueError(f"{len(content.files)} arrays for {len(variables)}")
            arrays = {key: content[key] for key in variables}
        for key, variable in variables.items():
            own, array = _array(variable), arrays[key]
            if (own.shape, own.dtype) != (array.shape, array.dtype):
                raise ValueError(f"{key}: {array.dtype}{array.shape} for {own.dtype}{own.shape}")
        return arrays


class Checkpoints:
    """Writes a run's checkpoints into a folder and keeps the last two; finds where to resume."""

    def __init__(self, folder: Path, identity: Mapping[str, Any], minutes: float) -> None:
        self.folder = folder
        self._identity = dict(identity)
        self._seconds = minutes * 60
        self._last = time.monotonic()
        self._pause_ends = 0.0

    @property
    def is_affordable(self) -> bool:
        """Whether the next one leaves most of the time to training, however long the history."""
        return time.monotonic() >= self._pause_ends

    @property
    def is_due(self) -> bool:
        """Whether the last checkpoint is as old as they may get."""
        return time.monotonic() - self._last >= self._seconds

    def save(self, model: Any, position: Position) -> None:
        """Write a checkpoint; where losses or weights are not finite, keep the earlier ones."""
        self._last = time.monotonic()
        arrays: dict[str, Any] = {
            key: _array(variable) for key, variable in _variables(model).items()
        }
        if not (position.is_finite and all(map(_finite, _weights(arrays)))):
            return
        state = {"identity": self._identity, "position": asdict(position)}

        def write(folder: Path) -> None:
            np.savez(folder / "arrays.npz", **arrays)
            (folder / "state.json").write_text(json.dumps(state, allow_nan=False), "utf-8")
            (folder / "SHA256SUMS").write_text(_checksums(folder), "utf-8")

        files.replace_folder(self.folder / f"{position.epoch:06}-{position.step:09}", write)
        for old in _newest_first(self.folder)[KEPT:]:
            files.remove(old)
        now = time.monotonic()
        took = now - self._last
        self._pause_ends = now + PAUSE * took if took > COSTLY_SECONDS else 0.0

    def latest(self) -> Checkpoint | None:
        """Return the newest checkpoint that is whole, None where there is none.

        Raises:
            CheckpointRefused: it is that of another run, or was computed with something else.
        """
        found = _latest(self.folder)
        if found is None:
            return None
        for key, expected in self._identity.items():
            received = found.identity.get(key)
            if received != expected:
                reason = _other_data if key == "data" else _other
                raise CheckpointRefused(f"{found.path}: {reason(key, expected, received)}")
        return found


def _other(key: str, expected: Any, received: Any) -> str:
    return (
        f"expected a checkpoint with {key} {expected}, "
        f"received one with {received!a:.60}; resume with that, or start over with --force"
    )


def _other_data(key: str, expected: Any, received: Any) -> str:
    if received is None:  # a version wrote it that did not record the data
        return "the checkpoint does not say which data it was trained on; start over with --force"
    return (
        f"the data has changed: expected a checkpoint trained on examples {expected:.12}..., "
        f"received one trained on {str(received)[:12]!a}...; "
        "bring the former data back, or start over with --force"
    )


def identity(run_name: str, environment: Mapping[str, Any]) -> dict[str, Any]:
    """Return what must not change for a run to resume exactly.

    Args:
        run_name: the run's name, config hash and seed.
        environment: what goes into `environment.json`.
    """
    backend, packages = environment["backend"], environment["packages"]
    return {
        "run": run_name,
        "backend": backend,
        "device": " and ".join(sorted({name.partition(":")[0] for name in environment["devices"]})),
        "threads": environment["threads"],
        "data": environment["data"]["examples"],
        **{package: packages.get(package) for package in ("regbench", "keras", "numpy", backend)},
    }


def peek(folder: Path) -> Checkpoint | None:
    """Return the newest checkpoint whose state is whole, without reading its arrays.

    Cheap, whatever the size of the model. Only `Checkpoints.latest` finds out whether the arrays
    are whole too.
    """
    return _latest(folder, ("state.json",))


def threads(folder: Path) -> int | None:
    """Return how many threads the run with these checkpoints computes with, None without any."""
    found = peek(folder)
    count = found.identity.get("threads") if found else None
    return count if type(count) is int and 0 < count < 2**16 else None


def _latest(folder: Path, verified: Sequence[str] = CONTENT) -> Checkpoint | None:
    for path in _newest_first(folder):
        try:
            return _read(path, verified)
        except DAMAGED:
            continue  # damaged: the one before is as good, and costs some time
    return None


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]*-[0-9]*"), reverse=True)


def _refuse_links(path: Path) -> None:
    # In a folder from a stranger they could lead anywhere.
    for each in (path.parent, path, *(path / name for name in CONTENT)):
        if each.is_symlink():
            raise ValueError(f"{each.name} is a link")


def _read(path: Path, verified: Sequence[str]) -> Checkpoint:
    """Return a checkpoint. Raises one of the errors above where a `verified` file is damaged."""
    _refuse_links(path)
    recorded = files.read(path / "SHA256SUMS", MAX_OVERHEAD_BYTES).splitlines(keepends=True)
    if len(recorded) != len(CONTENT):
        raise ValueError("other files")
    for name, line in zip(CONTENT, recorded, strict=True):
        if name in verified and line != _checksum(path / name):
            raise ValueError("another checksum")
    state = json.loads(files.read(path / "state.json", MAX_STATE_BYTES))
    return Checkpoint(path, dict(state["identity"]), _position(**state["position"]))


def _position(
    rows: Any, step: Any, loss: Any, correct: Any, seconds: Any, wall_seconds: Any = 0.0
) -> Position:
    """Return the position if that is what it can be. Raises ValueError or TypeError."""
    for number, row in enumerate(rows):
        if tuple(row) != HISTORY or row["epoch"] != number:
            raise ValueError(f"expected the row of epoch {number}")
        if not all(value is None or type(value) in (int, float) for value in row.values()):
            raise ValueError("expected numbers")
    if not rows or type(step) is not int or type(correct) is not int or min(step, correct) < 0:
        raise ValueError("expected counts")
    return Position(rows, step, float(loss), correct, float(seconds), float(wall_seconds))


def _checksums(folder: Path) -> str:
    return "".join(_checksum(folder / name) for name in CONTENT)


def _checksum(path: Path) -> str:
    """Return a file's line in SHA256SUMS."""
    with files.open_regular(path) as file:
        return f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {path.name}\n"


def _variables(model: Any) -> dict[str, Any]:
    """Return every variable that training changes, under a name that tells its place."""
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    return {
        f"{owner}-{index:04}": variable
        for owner, variables in (
            ("model", model.variables),
            ("optimizer", model.optimizer.variables),
        )
        for index, variable in enumerate(variables)
    }


def _array(variable: Any) -> NDArray[Any]:
    import keras

    return keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(variable))


def _weights(arrays: Mapping[str, NDArray[Any]]) -> Iterator[NDArray[Any]]:
    # An optimizer whose sums overflow can train on: it is not what divergence means.
    return (array for key, array in arrays.items() if key.startswith("model"))


def _finite(array: NDArray[Any]) -> bool:
    return bool(np.isfinite(array).all())
