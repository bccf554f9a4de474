"""TensorBoard folders: a run for each folder with event files, `train` and `test` below it joined.

An event file is a sequence of records (length, checksum, data, checksum), each an `Event`. Tags
are scalars of either kind: of TensorFlow 1 and PyTorch (`simple_value`) or of TensorFlow 2
(a tensor). A last record that is cut off belongs to a run that goes on.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from regbench import files
from regbench.runs.trackers import places
from regbench.runs.trackers.protobuf import Message
from regbench.runs.trackers.tracked_run import CURVES, TrackedRun

MOST_BYTES = 2**30
# Fields of Event, Summary, Summary.Value, SummaryMetadata and TensorProto.
STEP, SUMMARY = 2, 5
VALUE = 1
TAG, SIMPLE, TENSOR, METADATA = 1, 2, 8, 9
PLUGIN, CONTENT = 1, 2
DTYPE, RAW, FLOATS, DOUBLES = 1, 4, 5, 6
FORMS = {1: "<f", 2: "<d"}  # DT_FLOAT, DT_DOUBLE
STARTED, HPARAMS = 3, 1  # of HParamsPluginData and SessionStartInfo
HPARAMS_TAG = "_hparams_/session_start_info"


def runs(path: Path) -> list[TrackedRun]:
    """Return the runs of a folder. Raises OSError or ValueError."""
    found: dict[str, TrackedRun] = {}
    root = path.parent if path.is_file() else path
    for file in places.event_files(path):
        where = file.parent.relative_to(root).as_posix()
        above, _, last = where.rpartition("/")
        curve = last if last in CURVES or last == "reported" else ""
        key = above if curve else where
        label = root.resolve().name if key in ("", ".") else key
        run = found.setdefault(key, TrackedRun(str(file.parent.resolve()), label))
        for data in _records(files.read_bytes(file, MOST_BYTES)):
            _note(run, Message(data), curve)
    return [run for run in found.values() if run.steps]


def _records(data: bytes) -> Iterator[bytes]:
    place = 0
    while place + 12 <= len(data):
        (length,) = struct.unpack_from("<Q", data, place)
        if place + 12 + length > len(data):
            if place == 0:
                raise ValueError("damaged: the first record is cut off")
            return
        yield data[place + 12 : place + 12 + length]
        place += 16 + length


def _note(run: TrackedRun, event: Message, curve: str) -> None:
    for value in event.message(SUMMARY).messages(VALUE):
        tag = value.text(TAG)
        if tag == HPARAMS_TAG:
            content = value.message(METADATA).message(PLUGIN).message(CONTENT)
            run.settings |= _hparams(content)
            continue
        run.log(event.number(STEP), tag, _scalar(value), curve)


def _scalar(value: Message) -> float | None:
    simple = value.floating(SIMPLE)
    if simple is not None:
        return simple
    tensor = value.message(TENSOR)
    form = FORMS.get(tensor.number(DTYPE))
    if form is None:
        return None
    known = tensor.floating(FLOATS if form == "<f" else DOUBLES, form)
    return known if known is not None else tensor.floating(RAW, form)


def _hparams(content: Message) -> dict[str, object]:
    """Return the settings: a map to numbers (2), texts (3) and truth values (4)."""
    found: dict[str, object] = {}
    for entry in content.message(STARTED).messages(HPARAMS):
        value = entry.message(2)
        number = value.floating(2, "<d")
        found[entry.text(1)] = number if number is not None else value.text(3)
    return found
