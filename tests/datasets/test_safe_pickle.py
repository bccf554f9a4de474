"""Pickles of unknown origin: arrays, lists and bytes come out, and nothing else is run."""

from __future__ import annotations

import hashlib
import os
import pickle
import struct

import numpy as np
import pytest

from regbench.datasets import safe_pickle
from regbench.datasets.safe_pickle import UnsafePickle

PIXELS = np.arange(24, dtype=np.uint8).reshape(4, 6)


def string(text: bytes) -> bytes:
    """Return a string as Python 2 pickles it."""
    return b"U" + bytes([len(text)]) + text


def official_meta() -> bytes:
    """Return batches.meta of the official archive, byte for byte."""
    names = b"airplane automobile bird cat deer dog frog horse ship truck".split()
    listed = b"".join(string(name) + b"q" + bytes([5 + n]) for n, name in enumerate(names))
    return (
        b"\x80\x02}q\x01(" + string(b"num_cases_per_batch") + b"q\x02M\x10'"
        + string(b"label_names") + b"q\x03]q\x04(" + listed
        + b"e" + string(b"num_vis") + b"q\x0fM\x00\x0cu."
    )  # fmt: skip


def python2_array(raw: bytes, code: bytes = b"u1", shape: bytes = b"K\x04K\x06\x86") -> bytes:
    """Return {"data": array} as Python 2 and its NumPy pickle it with protocol 2."""
    return (
        b"\x80\x02}q\x01" + string(b"data")
        + b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + string(b"b")
        + b"\x87R(K\x01" + shape + b"cnumpy\ndtype\n" + string(code)
        + b"K\x00K\x01\x87R(K\x03" + string(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        + b"\x89T" + struct.pack("<I", len(raw)) + raw + b"tbs."
    )  # fmt: skip


def test_the_official_meta_file_is_read():
    content = official_meta()
    # Of the official file; other loaders pin it, too.
    assert hashlib.md5(content).hexdigest() == "5ff9c542aee3614f3951f8cda6e48888"
    meta = safe_pickle.dictionary(content)
    assert meta["num_vis"] == 3072
    assert meta["label_names"][::9] == [b"airplane", b"truck"]


def test_an_array_of_python_2_is_read():
    assert np.array_equal(safe_pickle.dictionary(python2_array(PIXELS.tobytes()))["data"], PIXELS)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("array", [PIXELS, np.asfortranarray(PIXELS)], ids=["C", "Fortran"])
def test_what_python_3_pickles_comes_back(protocol, array):
    value = {b"data": array, b"labels": [0, 9], "name": b"batch \xff"}
    read = safe_pickle.dictionary(pickle.dumps(value, protocol))
    assert np.array_equal(read.pop("data"), PIXELS)
    assert read == {"labels": [0, 9], "name": b"batch \xff"}


class Calls:
    """Pickled, it calls a function when it is read."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def test_a_pickle_that_would_run_a_command_is_refused_before_it_does(tmp_path):
    witness = tmp_path / "executed"
    evil = pickle.dumps({b"data": Calls(os.mkdir, str(witness))})
    with pytest.raises(UnsafePickle, match=r"asks for (posix|nt)\.mkdir"):
        safe_pickle.dictionary(evil)
    assert not witness.exists()
    pickle.loads(evil)  # it was no dud
    assert witness.exists()


@pytest.mark.parametrize(
    ("value", "received"),
    [
        (Calls(eval, "1"), "builtins.eval"),
        (Calls(getattr, "", "join"), "builtins.getattr"),
        (Calls(np.load, "x"), "numpy.load"),
        (np.array([None, 1]), "an array of"),
        (np.zeros(3), "an array of 'f8'"),
        (np.zeros(3, [("a", "u1")]), "an array of 'V1'"),
    ],
    ids=["eval", "getattr", "load", "objects", "floats", "records"],
)
def test_anything_else_is_refused(value, received):
    with pytest.raises(UnsafePickle, match=received):
        safe_pickle.dictionary(pickle.dumps({b"data": value}, 4))


SIZE = "size is not that of its content"
RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n"


@pytest.mark.parametrize(
    ("content", "received"),
    [
        (python2_array(b"x", shape=b"\x8a\x06" + b"\xff" * 5 + b"\x00\x85"), SIZE),
        (python2_array(b"", shape=b"K\x00\x85"), SIZE),
        (python2_array(b"xx", shape=b"J\xfe\xff\xff\xffJ\xff\xff\xff\xff\x86"), SIZE),
        (python2_array(b"x", shape=b")"), SIZE),
        (b"\x80\x02}" + string(b"a") + RECONSTRUCT + b")Rs.", "array without content"),
        (b"\x80\x02}" + string(b"a") + b"\x82\x01s.", "instruction EXT1"),
        (b"}" + string(b"a") + b"Pos.system\ns.", "instruction PERSID"),
        (b"\x80\x05\x96" + struct.pack("<Q", 2**62) + b".", "damaged"),
        (b"\x80\x05\x96" + struct.pack("<Q", 1) + b"x.", "instruction BYTEARRAY8"),
        (b"\x80\x02}r" + struct.pack("<I", 2**31) + b".", "memo of 2147483648"),
        (b"\x80\x02]q\x00.", "a pickled list"),
        (b"\x80\x02}K\x01K\x01s.", "key of type int"),
        (pickle.dumps({"a": 1})[:-4], "damaged"),
        (b"", "damaged"),
        (b"<html>", "damaged"),
    ],
)  # fmt: skip
def test_a_pickle_out_of_order_is_refused(content, received):
    with pytest.raises(UnsafePickle, match=received):
        safe_pickle.dictionary(content)


@pytest.mark.parametrize("name", ["numpy\nndarray", "numpy\ndtype", "_codecs\nencode"])
@pytest.mark.parametrize("attribute", [b"__init__", b"__new__"])
def test_no_pickle_changes_what_the_next_one_finds(name, attribute):
    # As if to set an attribute of the class; the name in Unicode, since bytes can't be one.
    state = b"N}X" + struct.pack("<I", len(attribute)) + attribute + b"Ns\x86"
    for stated in (b"}" + string(b"x") + b"Ns", state):
        with pytest.raises(UnsafePickle):
            safe_pickle.dictionary(b"\x80\x02c" + name.encode() + b"\n" + stated + b"b.")
    read = safe_pickle.dictionary(pickle.dumps({"a": PIXELS, "b": b"\xff"}, 2))
    assert np.array_equal(read["a"], PIXELS)
    assert read["b"] == b"\xff"
