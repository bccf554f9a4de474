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


def shared(times: int) -> bytes:
    """Return a dict whose key is a tuple of two equal tuples of two equal tuples, and so on."""
    doubled = b"".join(b"q" + bytes([n]) + b"h" + bytes([n]) + b"\x86" for n in range(times))
    return b"\x80\x02})" + doubled + b"Ns."


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02})" + b"\x85" * 101 + b"Ns.",
        shared(90),  # its hash would take longer than the universe has existed
        b"\x80\x02})" + b"\x85" * 200_000 + b"Ns.",  # its hash would exhaust the stack
        b"\x80\x02}(" + b"N" * 101 + b"tNs.",
    ],
    ids=["nested", "shared", "deep", "wide"],
)
def test_tuples_that_cannot_be_hashed_are_refused_before_they_are(content):
    with pytest.raises(UnsafePickle, match="tuple of more than 100 items"):
        safe_pickle.dictionary(content)


def test_lists_may_be_shared_and_nested():
    inner: list[object] = []
    for _ in range(100):
        inner = [inner, inner]
    assert safe_pickle.dictionary(pickle.dumps({"a": inner}, 2))["a"][0][1]


@pytest.mark.parametrize(
    ("before", "after", "received"),
    [
        (b"cnumpy\ndtype\n", b"\x85R", "an array of a list"),
        (b"c_codecs\nencode\nX\x01\x00\x00\x00a", b"\x86R", "bytes encoded as a list"),
    ],
)
def test_what_is_refused_is_not_spelled_out(before, after, received):
    """Lists that share theirs are short in the file, and have no end as text."""
    doubled = b"".join(b"0](" + b"h%c" % n * 2 + b"eq%c" % (n + 1) for n in range(90))
    with pytest.raises(UnsafePickle, match=received):
        safe_pickle.dictionary(b"\x80\x02}N" + before + b"]q\x00" + doubled + after + b"s.")


def test_a_text_that_is_copied_again_and_again_is_refused():
    text = b"X\xe8\x03\x00\x00" + b"a" * 1000 + b"q\x00"
    once = b"c_codecs\nencode\nh\x00X\x06\x00\x00\x00latin1\x86R"
    content = b"\x80\x02}N" + text + b"0](" + once * 100 + b"es."
    with pytest.raises(UnsafePickle, match="copies its texts"):
        safe_pickle.dictionary(content)


def test_an_array_is_of_whole_numbers_of_pixels():
    content = python2_array(b"x", shape=b"J\xff\xff\xff\x7f]K\x00a\x86")
    with pytest.raises(UnsafePickle, match="no tuple of integers"):
        safe_pickle.dictionary(content)
