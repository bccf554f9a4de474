"""W&B's files: a run for each `run-<id>.wandb`, as `wandb.init(mode="offline")` writes it.

The file is a log in the format of LevelDB, in blocks of 32 kB, of records that are protocol
buffers. A last record that is cut off belongs to a run that goes on.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path

from regbench import files
from regbench.runs.trackers import places
from regbench.runs.trackers.protobuf import Message
from regbench.runs.trackers.tracked_run import TrackedRun

MOST_BYTES = 2**30
MAGIC = b":W&B"
HEADER, BLOCK, RECORD_HEADER = 7, 2**15, 7
WHOLE, FIRST, MIDDLE, LAST = 1, 2, 3, 4
# Fields of Record, HistoryRecord, Run and items.
HISTORY, SUMMARY, CONFIG, RUN, EXIT = 2, 3, 5, 17, 18
ITEM, STEP = 1, 2
KEY, NESTED_KEY, VALUE = 1, 2, 16
ID, RUN_CONFIG, GROUP, DISPLAY_NAME = 1, 4, 6, 8


def runs(path: Path) -> list[TrackedRun]:
    """Return the runs of a file or a folder. Raises OSError or ValueError."""
    found = sorted(places.wandb_files(path), key=lambda file: (file.parent.name, file.name))
    return [_run(file) for file in found]


def _run(file: Path) -> TrackedRun:
    run = TrackedRun(file.stem, file.stem.removeprefix("run-"), "unfinished")
    for data in _records(files.read_bytes(file, MOST_BYTES), file.name):
        _note(run, Message(data))
    if run.settings.get("state") == "diverged":  # as `regbench export` says it
        run.state = "diverged"
    return run


def _note(run: TrackedRun, record: Message) -> None:
    for history in record.messages(HISTORY):
        items = dict(_items(history, ITEM))
        step = items.get("_step", history.message(STEP).number(1))
        for key, value in items.items():
            if not key.startswith("_"):
                run.log(int(str(step)), key, value)
    for config in record.messages(CONFIG):
        run.settings |= dict(_items(config, ITEM))
    for told in record.messages(RUN):
        run.key, run.label = told.text(ID) or run.key, told.text(DISPLAY_NAME) or run.label
        run.group = told.text(GROUP) or run.group
        run.settings |= dict(_items(told.message(RUN_CONFIG), ITEM))
    for ended in record.messages(EXIT):
        run.state = "unfinished" if ended.number(1) else "completed"


def _items(message: Message, field: int) -> Iterator[tuple[str, object]]:
    for item in message.messages(field):
        nested = [each.decode("utf-8") for each in item.all_bytes(NESTED_KEY)]
        yield item.text(KEY) or ".".join(nested), json.loads(item.text(VALUE) or "null")


def _records(data: bytes, name: str) -> Iterator[bytes]:
    if data[:4] != MAGIC:
        raise ValueError(f"{name}: not one of W&B's files")
    parts: list[bytes] = []
    place = HEADER
    while place + RECORD_HEADER <= len(data):
        left = BLOCK - place % BLOCK
        if left < RECORD_HEADER:  # too little room for a record: zeros
            place += left
            continue
        length, kind = struct.unpack_from("<HB", data, place + 4)
        content = data[place + RECORD_HEADER : place + RECORD_HEADER + length]
        if len(content) < length or kind not in (WHOLE, FIRST, MIDDLE, LAST):
            return
        place += RECORD_HEADER + length
        parts = [content] if kind in (WHOLE, FIRST) else [*parts, content]
        if kind in (WHOLE, LAST):
            yield b"".join(parts)
