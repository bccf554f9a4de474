"""Checkpoints: everything a run needs to resume exactly where it was, written atomically.

A resumed run must end with the same bits as one that was never interrupted. That takes more than
the weights: the optimizer's moment estimates and step count (Adam without them takes steps of
another size), the moving averages of batch normalization, the state of every dropout layer's random
generator, and the position in the data. Keras' own checkpoints lose the generators' state, and
`BackupAndRestore` overwrites the only copy it has. Here a checkpoint is a folder `<epoch>-<step>`
with

- `arrays.npz`: every variable of the model (weights, moving averages, states of random generators)
  and of its optimizer, in Keras' order, and of what else a run keeps (averages, the best weights);
- `state.json`: the position of the run, and the backend, versions, threads and data it uses,
  which must not change;
- `SHA256SUMS`: the checksums of both files, in the format of sha256sum.

The order of the data needs no state: it depends only on the seed and the epoch.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from regbench import files
from regbench.errors import RunFailed
from regbench.runs.files import HISTORY, VALIDATION, Row
from regbench.text import one_line

if TYPE_CHECKING:
    import keras

# Of whatever type a variable has.
Array: TypeAlias = "NDArray[np.generic[object]]"

# After a save that took long, no other is made until this many times its duration has passed.
COSTLY_SECONDS, PAUSE = 1.0, 20
KEPT = 2  # a spare, in case the last one turns out to be damaged
CONTENT = ("arrays.npz", "state.json")
MAX_STATE_BYTES = 64 * 2**20
# Read for a checksum before the model's own size is known; a file with holes can claim any.
MAX_ARRAYS_BYTES = 2**36
LIMITS = dict(zip(CONTENT, (MAX_ARRAYS_BYTES, MAX_STATE_BYTES), strict=True))
# The names, sizes and shapes of a few hundred arrays in an .npz.
MAX_OVERHEAD_BYTES = 2**20


# Errors raised by reading a damaged checkpoint. A failing disk (other OSErrors) is not among them:
# it must be reported, not skipped.
DAMAGED = (
    *(FileNotFoundError, IsADirectoryError, NotADirectoryError, files.NotRegular),
    *(ValueError, KeyError, TypeError, RecursionError, OverflowError),
)


class CheckpointRefused(RunFailed):
    """The checkpoint is intact, but resuming from it would not give the same run."""


@dataclass
class Position:
    """The progress of a run: the history of finished epochs, and the sums of the current one.

    `rows` starts with epoch 0, before training, so its length is the number of the current epoch.
    `step` updates of that epoch are done; over the examples seen so far, `loss` is the sum of the
    losses that Keras reported (in nats), `correct` the number of correct predictions, and `seconds`
    the training time. `wall_seconds` covers all earlier sessions, including start and measurements.
    """

    rows: list[Row] = field(default_factory=list)
    step: int = 0
    loss: float = 0.0
    correct: int = 0
    seconds: float = 0.0
    wall_seconds: float = 0.0

    @property
    def epoch(self) -> int:
        """The number of the current epoch."""
        return len(self.rows)

    @property
    def is_finite(self) -> bool:
        """True if every number so far is finite: a run does not recover once one is not."""
        last = self.rows[-1].values() if self.rows else ()
        return all(math.isfinite(value) for value in (self.loss, *last) if value is not None)

    def end_epoch(self, row: Row) -> None:
        """Add the finished epoch's row and start counting the next epoch."""
        self.rows.append(row)
        self.step, self.loss, self.correct, self.seconds = 0, 0.0, 0, 0.0

    def __str__(self) -> str:
        return f"step {self.step} of epoch {self.epoch}" if self.step else f"epoch {self.epoch}"


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was read and found intact."""

    path: Path
    identity: dict[str, object]
    position: Position

    def check(self, epochs: int, steps: int) -> None:
        """Raise CheckpointRefused if a run of this length can't have this position."""
        position = self.position
        if position.epoch > epochs or position.step > steps:
            raise CheckpointRefused(
                f"{self.path}: expected at most step {steps} of epoch {epochs}, received "
                f"step {position.step} of epoch {position.epoch}; start over with --force"
            )

    def restore(self, model: keras.Model, further: Sequence[keras.Variable] = ()) -> None:
        """Assign the checkpoint's variables to the compiled model, and to further variables.

        Raises:
            CheckpointRefused: they do not match.
        """
        variables = _variables(model, further)
        # All arrays are read and checked before the first is assigned: a mismatch must not leave a
        # model that is half of one run and half of another.
        try:
            arrays = self._arrays(variables)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile, MemoryError) as error:
            raise CheckpointRefused(
                f"{self.path}: the checkpoint does not match this model "
                f"({one_line(str(error))}); start over with --force"
            ) from error
        for key, variable in variables.items():
            variable.assign(arrays[key])

    def _arrays(self, variables: dict[str, keras.Variable]) -> dict[str, Array]:
        """Return an array for every variable. Raises ValueError if they don't fit the model."""
        path = self.path / "arrays.npz"
        expected = sum(_array(variable).nbytes for variable in variables.values())
        # A zip states its uncompressed size; refuse a bomb before unpacking anything.
        with files.open_regular(path) as file, zipfile.ZipFile(file) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > expected + MAX_OVERHEAD_BYTES:
            raise ValueError(f"{size} bytes for {expected}")
        # Plain arrays only: a pickle from a stranger could run code.
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
    """Writes a run's checkpoints to a folder, keeps the last two, and finds where to resume."""

    def __init__(self, folder: Path, identity: Mapping[str, object], minutes: float) -> None:
        self.folder = folder
        self._identity = dict(identity)
        self._seconds = minutes * 60
        self._last = time.monotonic()
        self._pause_ends = 0.0

    @property
    def is_affordable(self) -> bool:
        """True if the next one leaves most of the time to training, however long the history."""
        return time.monotonic() >= self._pause_ends

    @property
    def is_due(self) -> bool:
        """True if the last checkpoint is old enough for another one."""
        return time.monotonic() - self._last >= self._seconds

    def save(
        self, model: keras.Model, position: Position, further: Sequence[keras.Variable] = ()
    ) -> None:
        """Write a checkpoint, unless losses or weights are not finite; then keep the earlier ones.

        `further` are variables beyond those of the model and its optimizer. A run that resumed from
        NaN could only end as diverged again.
        """
        self._last = time.monotonic()
        # Copies, taken before the next update changes the variables in place.
        arrays: dict[str, Any] = {
            key: _array(variable) for key, variable in _variables(model, further).items()
        }
        if not (position.is_finite and all(map(_finite, _weights(arrays)))):
            return
        state = {"identity": self._identity, "position": asdict(position)}

        def write(folder: Path) -> None:
            np.savez(folder / "arrays.npz", **arrays)
            (folder / "state.json").write_text(json.dumps(state, allow_nan=False), "utf-8")
            (folder / "SHA256SUMS").write_text(_checksums(folder), "utf-8")

        # Written under a temporary name, synced, then renamed: a crash at any moment leaves the
        # earlier checkpoint, which is removed only once the new one is on the disk. Zero-padded
        # names sort in the order of training.
        files.replace_folder(self.folder / f"{position.epoch:06}-{position.step:09}", write)
        for old in _newest_first(self.folder)[KEPT:]:
            files.remove(old)
        now = time.monotonic()
        took = now - self._last
        self._pause_ends = now + PAUSE * took if took > COSTLY_SECONDS else 0.0

    def latest(self) -> Checkpoint | None:
        """Return the newest intact checkpoint, or None.

        Raises:
            CheckpointRefused: it belongs to another run, or another backend, version, number of
                threads or data set produced it.
        """
        found = _latest(self.folder)
        if found is None:
            return None
        # Same weights on other software would train on, and end with numbers that no single
        # command could ever repeat. Refusing is better than a result of unknown origin.
        for key, expected in self._identity.items():
            received = found.identity.get(key)
            if received != expected:
                reason = _other_data if key == "data" else _other
                raise CheckpointRefused(f"{found.path}: {reason(key, expected, received)}")
        return found


def _other(key: str, expected: object, received: object) -> str:
    return (
        f"expected a checkpoint with {key} {expected}, "
        f"received one with {received!a:.60}; resume with that, or start over with --force"
    )


def _other_data(key: str, expected: object, received: object) -> str:
    if received is None:  # written by a version that did not record the data
        return "the checkpoint does not say which data it was trained on; start over with --force"
    return (
        f"the data has changed: expected a checkpoint trained on examples {expected:.12}..., "
        f"received one trained on {str(received)[:12]!a}...; "
        "restore the earlier data, or start over with --force"
    )


def identity(run_name: str, environment: Mapping[str, Any]) -> dict[str, object]:
    """Return everything that must stay the same for a run to resume exactly.

    Args:
        run_name: the run's name, config hash and seed.
        environment: the contents of `environment.json`.
    """
    # The number of threads is part of it: it decides the order in which floats are added, and
    # float addition is not associative. So is the kind of device, and every package that computes.
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
    """Return the newest checkpoint with an intact state, without reading its arrays.

    Cheap, however large the model is. Only `Checkpoints.latest` also verifies the arrays.
    """
    return _latest(folder, ("state.json",))


def threads(folder: Path) -> int | None:
    """Return how many threads the run with these checkpoints uses; None without a checkpoint."""
    found = peek(folder)
    count = found.identity.get("threads") if found else None
    return count if type(count) is int and 0 < count < 2**16 else None


def _latest(folder: Path, verified: Sequence[str] = CONTENT) -> Checkpoint | None:
    for path in _newest_first(folder):
        try:
            return _read(path, verified)
        except DAMAGED:
            continue  # the one before it is just as good; only some time is lost
    return None


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]*-[0-9]*"), reverse=True)


def _refuse_links(path: Path) -> None:
    # In a folder from a stranger, links could lead anywhere.
    for each in (path.parent, path, *(path / name for name in (*CONTENT, "SHA256SUMS"))):
        if each.is_symlink():
            raise ValueError(f"{each.name} is a link")


def _read(path: Path, verified: Sequence[str]) -> Checkpoint:
    """Return a checkpoint. Raises one of `DAMAGED` if a file in `verified` is damaged."""
    _refuse_links(path)
    # Checksums find a half-written or damaged file. They can't find a forged one: whoever can
    # write a checkpoint can also write its checksum.
    recorded = files.read(path / "SHA256SUMS", MAX_OVERHEAD_BYTES).splitlines(keepends=True)
    if len(recorded) != len(CONTENT):
        raise ValueError("other files")
    for name, line in zip(CONTENT, recorded, strict=True):
        if name in verified and line != _checksum(path / name):
            raise ValueError("another checksum")
    state = json.loads(files.read(path / "state.json", MAX_STATE_BYTES))
    return Checkpoint(path, dict(state["identity"]), _position(**state["position"]))


def _position(
    rows: list[Row],
    step: int,
    loss: float,
    correct: int,
    seconds: float,
    wall_seconds: float = 0.0,
) -> Position:
    """Return the position, if the values can be one. Raises ValueError or TypeError."""
    # The rows go into history.csv as they are, so each must be what training would have written.
    for number, row in enumerate(rows):
        if tuple(row) not in (HISTORY, HISTORY + VALIDATION) or row["epoch"] != number:
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
        if os.fstat(file.fileno()).st_size > LIMITS[path.name]:
            raise ValueError(f"{path.name} is too large")
        return f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {path.name}\n"


def _variables(model: keras.Model, further: Sequence[keras.Variable]) -> dict[str, keras.Variable]:
    """Return every variable that training changes, keyed by its owner and its place there."""
    # An optimizer creates its slots (Adam's moments, SGD's momentum) lazily, in its first update.
    # A model that has not trained yet must have them before they can be restored.
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    return {
        f"{owner}-{index:04}": variable
        for owner, variables in (
            # Not `weights` alone: `variables` also has the states of the seed generators, without
            # which dropout would draw other masks after a resume.
            ("model", model.variables),
            ("optimizer", model.optimizer.variables),
            ("further", further),
        )
        for index, variable in enumerate(variables)
    }


def _array(variable: keras.Variable) -> Array:
    import keras

    return keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(variable))


def _weights(arrays: Mapping[str, Array]) -> Iterator[Array]:
    # Only those of the model: an optimizer with an overflowed sum may still train well.
    return (array for key, array in arrays.items() if key.startswith("model"))


def _finite(array: Array) -> bool:
    return bool(np.isfinite(array).all())
