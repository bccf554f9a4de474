"""Reads a pickle of unknown origin if it is nothing but a dict of arrays, lists and bytes.

A pickle is a program: it names functions and calls them. Here it may only name the five that NumPy
writes into the pickle of an array, each replaced by a harmless class of this module.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# The opcodes of Python 2 and 3 for dicts, lists, numbers, strings and arrays, up to protocol 4.
# Excluded are persistent ids and the extension registry, which reach objects past `find_class`, and
# BYTEARRAY8, which takes as much memory as the file claims that it needs.
_OPCODES = """
    PROTO FRAME STOP MARK POP POP_MARK NONE NEWTRUE NEWFALSE
    INT LONG BININT BININT1 BININT2 LONG1 FLOAT BINFLOAT
    STRING BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES BINBYTES8
    UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8
    EMPTY_DICT DICT SETITEM SETITEMS EMPTY_LIST LIST APPEND APPENDS
    EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3
    GLOBAL STACK_GLOBAL REDUCE BUILD
    GET BINGET LONG_BINGET PUT BINPUT LONG_BINPUT MEMOIZE
"""
OPCODES = frozenset(_OPCODES.split())
MEMO_WRITES = frozenset(("PUT", "BINPUT", "LONG_BINPUT"))
MEMO_READS = frozenset(("GET", "BINGET", "LONG_BINGET"))
TUPLES = frozenset(("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"))
# An array has tuples of at most eight, two deep.
MAX_ITEMS = 100
# The unpickler allocates its memo up to the largest index, however large.
MAX_MEMO = 1_000_000


class UnsafePickle(ValueError):
    """A pickle that is damaged, or that asks for anything but arrays, lists and bytes."""


def dictionary(content: bytes) -> dict[str, object]:
    """Return the dict of a pickle: keys as str, uint8 arrays as such, other values as they are.

    Strings of Python 2 come out as bytes.

    Raises:
        UnsafePickle: the pickle is damaged, is not a dict, or asks for anything else; nothing was
            run.
    """
    try:
        _check_opcodes(content)
        value = _Unpickler(io.BytesIO(content), encoding="bytes").load()
    except UnsafePickle:
        raise
    # A damaged pickle can raise any error of its instructions.
    except Exception as error:
        raise UnsafePickle(f"a damaged pickle ({type(error).__name__}: {error})") from error
    if type(value) is not dict:
        raise UnsafePickle(f"a pickled {type(value).__name__}")
    return {_text(key): _plain(item) for key, item in value.items()}


def _check_opcodes(content: bytes) -> None:
    """Refuse instructions that no array needs, and tuples whose hash would take forever."""
    stack = _Stack()
    copied = 0
    for opcode, argument, _ in pickletools.genops(content):
        if opcode.name not in OPCODES:
            raise UnsafePickle(f"a pickle with the instruction {opcode.name}")
        if opcode.name in MEMO_WRITES and not 0 <= (argument or 0) <= MAX_MEMO:
            raise UnsafePickle(f"a pickle with a memo of {argument}")
        taken = stack.follow(opcode, argument)
        if opcode.name in TUPLES and stack.values[-1].items > MAX_ITEMS:
            raise UnsafePickle(f"a pickle with a tuple of more than {MAX_ITEMS} items")
        if opcode.name == "REDUCE":  # what encodes a text copies it
            copied += sum(value.size for value in taken)
        if copied > 2 * len(content):
            raise UnsafePickle("a pickle that copies its texts again and again")


class _Value(NamedTuple):
    """The relevant part of a value: its items if it is a tuple, including nested ones.

    Tuples that share items can exceed any memory, and nest deeper than C's stack.
    `size` counts the characters in all of them.
    """

    items: int = 0
    size: int = 0


_MARK = _Value(-1, -1)


class _Stack:
    """The unpickler's stack and memo, as far as `_Value` models their content."""

    def __init__(self) -> None:
        self.values: list[_Value] = []
        self.memo: dict[object, _Value] = {}

    def follow(self, opcode: pickletools.OpcodeInfo, argument: object) -> list[_Value]:
        """Execute an instruction. Return the values that it takes from the stack.

        Raises IndexError, KeyError or ValueError if the unpickler would fail.
        """
        name = opcode.name
        if name in MEMO_WRITES or name == "MEMOIZE":
            self.memo[len(self.memo) if argument is None else argument] = self.values[-1]
            return []
        taken = self._take(opcode)
        if name in MEMO_READS:
            self.values.append(self.memo[argument])
        elif name == "MARK":
            self.values.append(_MARK)
        elif name in TUPLES:
            items = len(taken) + sum(max(0, each.items) for each in taken)
            self.values.append(_Value(items, sum(each.size for each in taken)))
        else:
            size = len(argument) if isinstance(argument, str | bytes) else 0
            self.values += [_Value(0, size)] * len(opcode.stack_after)
        return taken

    def _take(self, opcode: pickletools.OpcodeInfo) -> list[_Value]:
        before = opcode.stack_before
        if opcode.name == "POP" and self.values[-1:] == [_MARK]:
            return [self.values.pop()]
        taken: list[_Value] = []
        if pickletools.markobject in before:
            while (value := self.values.pop()) != _MARK:
                taken.append(value)
            before = before[: before.index(pickletools.markobject)]
        for _ in before:
            value = self.values.pop()
            if value == _MARK:
                raise ValueError("a mark where a value is expected")
            taken.append(value)
        return taken


class _Array:
    """Stands for `numpy.ndarray` and for the function that makes an empty one.

    A pickle can call only this and the two classes below, which take no state but their own:
    no instruction can change what the next pickle finds.
    """

    __slots__ = ("values",)

    def __init__(self, *ignored: object) -> None:
        self.values: NDArray[np.uint8] | None = None

    def __setstate__(self, state: tuple[object, ...]) -> None:
        _, shape, dtype, fortran, raw = state
        if type(dtype) is not _Dtype:
            raise UnsafePickle("an array without a dtype")
        if type(shape) is not tuple or any(type(side) is not int for side in shape):
            raise UnsafePickle("an array whose shape is no tuple of integers")
        if type(raw) is not bytes or len(raw) != math.prod(shape) or min(shape, default=0) < 1:
            raise UnsafePickle("an array whose size is not that of its content")
        flat = np.frombuffer(raw, np.uint8)
        self.values = flat.reshape(shape, order="F" if fortran else "C")


class _Dtype:
    """Stands for `numpy.dtype`; only uint8 is allowed."""

    __slots__ = ()

    def __init__(self, code: str | bytes, *ignored: object) -> None:
        if code not in ("u1", b"u1"):
            raise UnsafePickle(f"an array of {_short(code)}")

    def __setstate__(self, state: object) -> None:
        """Ignore byte order and alignment, which a byte does not have."""


class _Encoded:
    """Stands for `_codecs.encode`, as which Python 3 writes bytes for Python 2 to read."""

    __slots__ = ()

    def __new__(cls, text: str, encoding: str | bytes) -> bytes:  # type: ignore[misc]
        if encoding not in ("latin1", b"latin1"):
            raise UnsafePickle(f"bytes encoded as {_short(encoding)}")
        return text.encode("latin1")

    def __setstate__(self, state: object) -> None:
        raise UnsafePickle("bytes with a state")


GLOBALS: dict[tuple[str, str], type] = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _Encoded,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type:
        if (module, name) not in GLOBALS:
            raise UnsafePickle(f"a pickle that asks for {module}.{name}"[:200])
        return GLOBALS[module, name]


def _short(value: object) -> str:
    """Return a text unchanged, and only the type of anything else, which may be endless."""
    return ascii(value)[:60] if type(value) in (str, bytes) else f"a {type(value).__name__}"


def _text(key: object) -> str:
    if type(key) is bytes:
        return key.decode("latin1")
    if type(key) is str:
        return key
    raise UnsafePickle(f"a dict with a key of type {type(key).__name__}")


def _plain(value: object) -> object:
    if type(value) is not _Array:
        return value
    if value.values is None:
        raise UnsafePickle("an array without content")
    return value.values
