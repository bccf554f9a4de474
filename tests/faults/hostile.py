"""What strangers put where a file is expected: other kinds of files, and hostile contents."""

from __future__ import annotations

import io
import json
import os
import random
import socket
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

ESCAPE, MARKUP, BIDI = "\x1b[2J", "</script><b>x", "\u202e"
TERABYTE = 2**40


def kinds() -> dict[str, Callable[[Path], object]]:
    """Return functions that put something else in place of a file that is gone."""
    return {
        "pipe": os.mkfifo,
        "socket": _socket,
        "endless device": lambda path: path.symlink_to("/dev/zero"),
        "random device": lambda path: path.symlink_to("/dev/urandom"),
        "terminal": lambda path: path.symlink_to("/dev/tty"),
        "memory of this process": lambda path: path.symlink_to("/proc/self/mem"),
        "link to itself": lambda path: path.symlink_to(path.name),
        "circle of links": _circle,
        "link to nowhere": lambda path: path.symlink_to("nowhere"),
        "link to its folder": lambda path: path.symlink_to("."),
        "link to the root": lambda path: path.symlink_to("/"),
        "folder": Path.mkdir,
        "terabyte of zeros": _sparse,
        "nothing": lambda path: None,
    }


def _socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the path of a socket has at most 107 bytes
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(here)


def _circle(path: Path) -> None:
    other = path.with_name("other-of-a-circle")
    other.unlink(missing_ok=True)
    other.symlink_to(path.name)
    path.symlink_to(other.name)


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(TERABYTE)


def contents() -> dict[str, bytes]:
    """Return hostile contents by name: texts, JSON, tables, arrays, archives and images."""
    return _texts() | _json() | _arrays() | _archives() | _images()


def _texts() -> dict[str, bytes]:
    plain = "name: mine\nl2: 1e-3\n"
    noise = random.Random(0).randbytes
    return {
        "nothing at all": b"",
        "a zero": b"\0",
        "zeros": bytes(100_000),
        "UTF-16": plain.encode("utf-16"),
        "UTF-32": plain.encode("utf-32"),
        "a byte order mark": b"\xef\xbb\xbf" + plain.encode(),
        "CRLF": plain.replace("\n", "\r\n").encode(),
        "CR": plain.replace("\n", "\r").encode(),
        "Latin-1": "name: caf\u00e9\n".encode("latin-1"),
        "surrogates": b"name: \xed\xa0\x80\n",
        "overlong": b"name: \xc0\xaf\n",
        "an escape": f"name: {ESCAPE}\n".encode(),
        "text that turns around": f"name: {BIDI}x\n".encode(),
        "markup": f"name: {MARKUP}\n".encode(),
        "one line of 3 MB": b"x" * 3_000_000,
        "a million lines": b"a: 1\n" * 1_000_000,
        "commas": b"," * 100_000,
        "quotes": b'"' * 99_999,
        "a number of 400 digits": b"l2: " + b"9" * 400,
        "a number of 5000 digits": b"9" * 5000,
        "an exponent": b"1e999999999",
        "noise": noise(5000),
        "noise of 1 MB": noise(1_000_000),
        "a script": b"#!/bin/sh\ntouch hacked\n",
        "a pickle": b"cos\nsystem\n(S'touch hacked'\ntR.",
        "an alias a billion times": b"a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n",
        "a tag that runs": b"!!python/object/apply:os.system ['touch hacked']\n",
        "a path up": b"extends: ../../../../etc/passwd\nname: ../up\n",
    }


def _json() -> dict[str, bytes]:
    found = {
        "a list": b"[]", "a mapping": b"{}", "null": b"null", "true": b"true", "a text": b'"x"',
        "NaN": b'{"train_accuracy": NaN}', "an infinity": b'{"seed": Infinity, "epochs": 1e400}',
        "400 digits": b'{"seed": %s, "epochs": -%s}' % (b"9" * 400, b"9" * 400),
        "5000 digits": b'{"seed": %s}' % (b"9" * 5000),
        "deep lists": b"[" * 200_000, "deep mappings": b'{"a":' * 200_000,
        "deep and closed": b"[" * 50_000 + b"]" * 50_000,
        "two of a key": b'{"name": "a", "name": "b"}',
        "half a text": b'{"name": "\\ud800"}', "a zero in a text": b'{"name": "\\u0000"}',
        "an empty key": b'{"": {"": ""}}',
        "a large list": b"[" + b"0," * 400_000 + b"0]",
        "a long text": json.dumps({"name": "x" * 900_000}).encode(),
    }  # fmt: skip
    for key in ("__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "__class__"):
        found[f"the key {key}"] = json.dumps({key: {key: [1, None]}, "name": key}).encode()
    return found


def npy(header: str, data: bytes = b"", version: int = 1) -> bytes:
    """Return an .npy file with this header, whatever it says."""
    form = "<H" if version == 1 else "<I"
    return (
        b"\x93NUMPY" + bytes([version, 0]) + struct.pack(form, len(header) + 1)
        + header.encode("latin-1") + b"\n" + data
    )  # fmt: skip


def _headers() -> dict[str, bytes]:
    def header(descr: str, shape: str, fortran: object = False) -> str:
        return f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}"

    return {
        "objects": npy(header("'|O'", "(1,)"), b"cos\nsystem\n(S'touch hacked'\ntR."),
        "a terabyte": npy(header("'<f4'", f"({2**38},)")),
        "an exabyte": npy(header("'<f8'", f"({2**57},)")),
        "overflow": npy(header("'<f8'", f"({2**62}, {2**62})")),
        "400 digits": npy(header("'<f8'", f"({'9' * 400},)")),
        "a negative shape": npy(header("'<f4'", "(-1, 4)"), bytes(16)),
        "no shape": npy(header("'<f4'", "()"), bytes(4)),
        "many axes": npy(header("'|u1'", f"({'1, ' * 200})"), b"x"),
        "a shape of text": npy(header("'|u1'", "('a',)")),
        "an expression": npy("__import__('os').system('touch hacked')"),
        "deep parentheses": npy("(" * 5000 + ")" * 5000),
        "a header of 100 kB": npy(" " * 100_000, version=2),
        "a header of gigabytes": b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1),
        "version 9": npy(header("'<f4'", "(1,)"), bytes(4), version=9),
        "records": npy(header("[('a', '<f4'), ('b', '|O')]", "(1,)"), bytes(12)),
        "dates": npy(header("'<M8[s]'", "(1,)"), bytes(8)),
        "texts of a gigabyte": npy(header("'<U268435456'", "(9,)")),
        "nothing of size": npy(header("'|V0'", "(9,)")),
        "Fortran": npy(header("'<f4'", "(2, 2)", True), bytes(16)),
        "a truth": npy(header("'|b1'", "(3,)"), b"\x02\x03\x04"),
        "too short": npy(header("'<f4'", "(100,)"), bytes(8)),
    }


def _arrays() -> dict[str, bytes]:
    found = {f".npy: {name}": content for name, content in _headers().items()}
    for name, content in _headers().items():
        names = ("train_images", "train_labels", "test_images", "test_labels", "model-0000")
        found[f".npz: {name}"] = _zip({f"{each}.npy": content for each in names})
    return found


def _zip(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def _archives() -> dict[str, bytes]:
    bomb = _zip({"train_images.npy": bytes(2**28)}, zipfile.ZIP_DEFLATED)
    lying = bytearray(_zip({"index.json": b"{}"}))
    lying[18:26] = struct.pack("<II", 2**31, 2**31)
    return {
        "an empty zip": _zip({}),
        "a zip bomb": bomb,
        "a zip whose sizes lie": bytes(lying),
        "a zip of a path up": _zip({"../up": b"x", "/etc/x": b"x", "a\\b": b"x", "C:x": b"x"}),
        "a zip of escapes": _zip({f"{ESCAPE}{BIDI}.json": b"{}"}),
        "a zip of many": _zip({f"{number}/summary.json": b"{}" for number in range(5000)}),
        "a cut zip": bomb[: len(bomb) // 2],
        "a tar of a link": _tar("train/a/1.png", tarfile.SYMTYPE),
        "a tar of a device": _tar("train/a/1.png", tarfile.CHRTYPE),
        "a tar of a pipe": _tar("train/a/1.png", tarfile.FIFOTYPE),
        "a tar of a path up": _tar("../../train/a/1.png", tarfile.REGTYPE),
        "a tar of an escape": _tar(f"train/{ESCAPE}{BIDI}/1.png", tarfile.REGTYPE),
        "a tar of terabytes": _tar("train/a/1.png", tarfile.REGTYPE, TERABYTE),
        "a bomb of zeros": zlib.compress(bytes(2**26), 9, 31),
    }


def _tar(name: str, kind: bytes, size: int = 0) -> bytes:
    member = tarfile.TarInfo(name)
    member.type, member.size, member.linkname = kind, size, "/etc/passwd"
    return member.tobuf(tarfile.GNU_FORMAT) + bytes(1024)


def _image(mode: str, kind: str, size: int = 4, frames: int = 1, **options: object) -> bytes:
    file = io.BytesIO()
    first, *more = [Image.new(mode, (size, size), each) for each in range(frames)]
    animated = {"save_all": True, "append_images": more} if more else {}
    first.save(file, kind, **animated, **options)
    return file.getvalue()


def png(width: int, height: int, depth: int = 8, color: int = 2, extra: bytes = b"") -> bytes:
    """Return a PNG that says it is of this size and holds next to nothing."""
    head = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    parts = _chunk(b"IHDR", head) + extra + _chunk(b"IDAT", zlib.compress(bytes(100)))
    return b"\x89PNG\r\n\x1a\n" + parts + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _images() -> dict[str, bytes]:
    whole = _image("RGB", "PNG", 16)
    array = np.arange(16, dtype=np.uint16).reshape(4, 4) * 4000
    sixteen, bomb = io.BytesIO(), zlib.compress(bytes(10**7))
    Image.fromarray(array).save(sixteen, "PNG")
    return {
        "a gray image": _image("L", "PNG"),
        "an image with a palette": _image("P", "PNG"),
        "an image of bits": _image("1", "PNG"),
        "a transparent image": _image("RGBA", "PNG"),
        "an image of 16 bits": sixteen.getvalue(),
        "a CMYK image": _image("CMYK", "JPEG"),
        "an animated PNG": _image("L", "PNG", frames=3),
        "an animated GIF": _image("L", "GIF", frames=3),
        "a BMP": _image("RGB", "BMP"),
        "a TIFF": _image("RGB", "TIFF"),
        "a WebP": _image("RGB", "WEBP"),
        "an SVG": b"<svg xmlns='http://www.w3.org/2000/svg'><image href='/etc/passwd'/></svg>",
        "an EPS that runs": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) run\n",
        "a cut PNG": whole[: len(whole) // 2],
        "a PNG without its end": whole[:-12],
        "an image bomb": png(60_000, 60_000),
        "an image of no pixels": png(0, 5),
        "an image of 2^31 pixels": png(2**31 - 1, 1),
        "an image with a text bomb": png(4, 4, extra=_chunk(b"zTXt", b"a\0\0" + bomb)),
        "an image with a profile bomb": png(4, 4, extra=_chunk(b"iCCP", b"a\0\0" + bomb)),
        "an unknown color type": png(4, 4, color=5),
        "a depth of 3": png(4, 4, depth=3),
        "a JPEG without end": _image("RGB", "JPEG", 16)[:-20],
    }  # fmt: skip


def names() -> list[str]:
    """Return names for files, folders, classes and configs."""
    unprintable = [f"a{each}b" for each in (ESCAPE, BIDI, *"\u2066\n\r\t\x07\x7f\x9b\u200b")]
    spelled = [
        *("a b", "a'b", 'a"b', "a`b", "a$(touch hacked)b", "a;b", "a|b", "a&b", "a<b>c", "a%sb"),
        *("a{b}", "a\\b", "[red]a", "=1+1", "@a", "-rf", "--help", "..a", ".a", "~", "a*", "a?"),
        *("caf\u00e9", "cafe\u0301", "\u0430", "\U0001f600", "\ufeffa", "\udcff", "a\udc80b"),
        *("__proto__", "constructor", "CON", "None", "nan", "0", "null", "{{7*7}}", "a" * 200),
        MARKUP.replace("/", ""),
    ]
    return unprintable + spelled
