"""Protocol buffers read field by field, which TensorBoard and W&B write, without their libraries.

Of both formats only a handful of fields matters, whose numbers never change.
Source: the encoding's specification, https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class Message:
    """The fields of a message by number, each with all its values in order."""

    def __init__(self, data: bytes) -> None:
        """Read the fields. Raises ValueError for data that is no message."""
        self._fields: dict[int, list[int | bytes]] = {}
        for number, value in _fields(data):
            self._fields.setdefault(number, []).append(value)

    def numbers(self, number: int) -> list[int]:
        """Return the whole numbers of a field."""
        return [each for each in self._fields.get(number, []) if isinstance(each, int)]

    def number(self, number: int) -> int:
        """Return the last whole number of a field, signed; 0 if it is not there."""
        found = (self.numbers(number) or [0])[-1]
        return found - 2**64 if found >= 2**63 else found

    def all_bytes(self, number: int) -> list[bytes]:
        """Return the values of a field of bytes."""
        return [each for each in self._fields.get(number, []) if isinstance(each, bytes)]

    def bytes(self, number: int) -> bytes:
        """Return the last value of a field of bytes; empty if it is not there."""
        return (self.all_bytes(number) or [b""])[-1]

    def text(self, number: int) -> str:
        """Return a field of text. Raises ValueError if it is not UTF-8."""
        return self.bytes(number).decode("utf-8")

    def message(self, number: int) -> Message:
        """Return the message in a field; one without fields if it is not there."""
        return Message(self.bytes(number))

    def messages(self, number: int) -> list[Message]:
        """Return the messages in a repeated field."""
        return [Message(each) for each in self.all_bytes(number)]

    def floating(self, number: int, form: str = "<f") -> float | None:
        """Return a floating-point number, `<f` or `<d`; None if it is not there."""
        found = [each for each in self.all_bytes(number) if len(each) == struct.calcsize(form)]
        return float(struct.unpack(form, found[-1])[0]) if found else None


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            whole, place = _varint(data, place)
            yield number, whole
            continue
        if kind == BYTES:
            length, place = _varint(data, place)
        elif kind in (FIXED32, FIXED64):
            length = 4 if kind == FIXED32 else 8
        else:
            raise ValueError("damaged: a field of an unknown kind")
        if place + length > len(data):
            raise ValueError("damaged: a field is cut off")
        yield number, data[place : place + length]
        place += length


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            raise ValueError("damaged: a number is cut off")
        value |= (data[place] & 0x7F) << shift
        place += 1
        if data[place - 1] < 0x80:
            return value, place
    raise ValueError("damaged: a number is too long")
