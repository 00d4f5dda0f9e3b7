"""What is done to a good file to make a bad one.

Bytes are turned, cut off and moved; words, numbers and lines of text are changed; JSON and arrays
are taken apart, changed in one place and put together again, so that what lies behind their outer
shell is reached, too.
"""

from __future__ import annotations

import gzip
import io
import json
import random
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

Files = Mapping[str, bytes | None]
"""Files of a seed by their names relative to its folder; None: a folder stands there."""

NUMBERS = (
    "0", "-1", "1", "2", "-0", "nan", "inf", "-inf", "1e999", "-1e999", "1e-320", "1e30", "0.5",
    "255", "256", "65535", "65536", "16777216", "2147483647", "2147483648", "-2147483648",
    "4294967295", "4294967296", "9223372036854775807", "9223372036854775808", "1" * 400,
    "1" * 5000, "1_000", "0x10", "٣", "²", "1.5", "-7", "1e", "--1", "",
)  # fmt: skip
STRAY = (
    b"\0", b"\xff", b"\xc3\x28", b"\xed\xa0\x80", "\ufeff".encode(), "\u2028".encode(), b"\x85",
    b"\x0b", b"\x0c", b"\r", b"\r\n", b"\n", b"\t", b" ", "\u00a0".encode(), "ß".encode(),
    "\U0001f600".encode(), "e\u0301".encode(), b"\\", b'"', b"'", b"#", b"<eps>", b"<s>", b"</s>",
    b"(", b")", b"[", b"]", b"{", b"}", b"<", b">", b"|", b";", b"*", b"=", b":", b",", b"/", b"%s",
    b"&a", b"*a", b"!!python/object:os.system", b"../../etc/passwd", b"/etc/passwd", b"~", b"null",
)  # fmt: skip
WORDS = (
    0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF,
    0x7FFFFFFFFFFFFFFF, 0x8000000000000000, 0xFFFFFFFFFFFFFFFF, 0x7F800000, 0xFF800000,
    0x7FC00000, 0x7FF0000000000000, 0x100000000,
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 1.5, -0.5, 1e300, float("nan"), float("inf"), 2**31, 2**63,
    2**70, -(2**40), "", "a", "../x", "/etc/passwd", "\0", "nan", [], {}, [[]], [None], {"": None},
    ["a", "b"], [1e300, -1], {"a": {"b": []}}, "x" * 5000, list(range(300)),
)  # fmt: skip
DTYPES = ("<i4", "<i8", "<f4", "<f8", "|u1", "|b1", "<U3", "<c8", "|S4", "<M8[s]", ">i4", ">f4")
EDGES = (0.0, -1.0, 1.0, 2.0, -2.0, 1e9, -1e9, 2.0**31, 1e30, -1e30, np.nan, np.inf, -np.inf, 1e-40)

_NUMBER = re.compile(rb"[-+]?\d{1,1000}(?:\.\d+)?(?:[eE][-+]?\d+)?")
_WORD = re.compile(rb"[^\s]+")
MAX_BYTES = 1 << 17  # no case is longer, but for twice its seed


def mutate(data: bytes, rng: random.Random, name: str = "") -> bytes:
    """One to four changes of one file, of kinds that suit it."""
    longest = max(MAX_BYTES, 2 * len(data))
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4))):
        data = _change_of(data, name, rng)(data, rng)[:longest]
    return data


def _change_of(data: bytes, name: str, rng: random.Random) -> Callable:
    if data[:2] == b"\x1f\x8b" and rng.random() < 0.7:
        return inside_gzip
    if name.endswith(".npy") and rng.random() < 0.7:
        return array_change
    if data[:2] == b"PK" and rng.random() < 0.8:
        return inside_zip
    if name.endswith(".json") and rng.random() < 0.7:
        return json_change
    if b"\0" not in data[:4096] and rng.random() < 0.8:
        return rng.choice(TEXT)
    return rng.choice(BINARY)


def spoil(files: Files, rng: random.Random) -> dict[str, bytes | None]:
    """A seed with one file changed, or now and then missing, empty, or a folder."""
    spoilt = dict(files)
    name = rng.choice(sorted(spoilt))
    fate = rng.random()
    data = spoilt[name]
    if fate < 0.01:
        del spoilt[name]
    elif fate < 0.02 or data is None:
        spoilt[name] = None
    elif fate < 0.03:
        spoilt[name] = b""
    else:
        spoilt[name] = mutate(data, rng, name)
        if len(spoilt) > 1 and rng.random() < 0.1:
            other = rng.choice(sorted(spoilt))
            spoilt[other] = mutate(spoilt[other] or b"", rng, other)
    return spoilt


# --- bytes ------------------------------------------------------------------


def place(data: bytes, rng: random.Random) -> int:
    """Somewhere in the data; half of the time near the front, or the end."""
    nearness = rng.random()
    if nearness < 0.4:
        return rng.randrange(min(len(data), 128) or 1)
    if nearness < 0.5:
        return len(data) - 1 - rng.randrange(min(len(data), 256)) if data else 0
    return rng.randrange(len(data) or 1)


def flip(data: bytes, rng: random.Random) -> bytes:
    """Turn some bits."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        if out:
            out[place(data, rng)] ^= 1 << rng.randrange(8)
    return bytes(out)


def overwrite(data: bytes, rng: random.Random) -> bytes:
    """Put a number from the edge of its range into some field."""
    width = rng.choice((1, 2, 4, 4, 8))
    at = place(data, rng)
    at -= at % rng.choice((1, width))
    number = rng.choice((*WORDS, rng.getrandbits(64), rng.randrange(64))) & ((1 << 8 * width) - 1)
    return data[:at] + number.to_bytes(width, rng.choice(("little", "big"))) + data[at + width :]


def cut(data: bytes, rng: random.Random) -> bytes:
    """Cut off the end, or the front."""
    at = place(data, rng)
    return data[:at] if rng.random() < 0.9 else data[at:]


def remove(data: bytes, rng: random.Random) -> bytes:
    """Take a stretch out."""
    at = place(data, rng)
    return data[:at] + data[at + rng.choice((1, 2, 4, 16, 256)) :]


def repeat(data: bytes, rng: random.Random) -> bytes:
    """Say a stretch again."""
    at = place(data, rng)
    stretch = data[at : at + rng.choice((1, 4, 16, 64, 1024))]
    return data[:at] + stretch * rng.choice((2, 2, 3, 50)) + data[at + len(stretch) :]


def insert(data: bytes, rng: random.Random) -> bytes:
    """Put bytes in that do not belong."""
    at = place(data, rng)
    stray = rng.choice((*STRAY, rng.randbytes(rng.choice((1, 4, 100)))))
    return data[:at] + stray + data[at:]


def append(data: bytes, rng: random.Random) -> bytes:
    """Go on after the end."""
    return data + rng.choice((b"\0", b"\n", rng.randbytes(7), data))


def noise(data: bytes, rng: random.Random) -> bytes:
    """Keep a few bytes of the front, and nothing of the rest."""
    return data[: rng.choice((0, 1, 4, 12, 40))] + rng.randbytes(rng.choice((1, 20, 500)))


# --- text -------------------------------------------------------------------


def _replaced(data: bytes, match: re.Match[bytes], new: bytes) -> bytes:
    return data[: match.start()] + new + data[match.end() :]


def _some(pattern: re.Pattern[bytes], data: bytes, rng: random.Random) -> re.Match[bytes] | None:
    """A match, found from a random place on, so that long files cost no more than short ones."""
    at = place(data, rng) if rng.random() < 0.7 else rng.randrange(len(data) or 1)
    return pattern.search(data, max(0, at - 8)) or pattern.search(data)


def change_number(data: bytes, rng: random.Random) -> bytes:
    """Put another number in the place of one."""
    match = _some(_NUMBER, data, rng)
    if match is None:
        return insert(data, rng)
    near = str(int(match[0]) + rng.choice((-1, 1))) if match[0].isdigit() else "-1"
    return _replaced(data, match, rng.choice((*NUMBERS, near, near, near)).encode())


def change_word(data: bytes, rng: random.Random) -> bytes:
    """Put another word of the file, a number, nothing or far too much in the place of one."""
    match, other = _some(_WORD, data, rng), _some(_WORD, data, rng)
    if match is None or other is None:
        return insert(data, rng)
    new = rng.choice((other[0], b"", match[0] * 2, match[0] + b" " + match[0], match[0] * 500,
                      (match[0] + b" ") * 500, rng.choice(NUMBERS).encode(), rng.choice(STRAY)))
    return _replaced(data, match, new)


def change_lines(data: bytes, rng: random.Random) -> bytes:
    """Take a line out, say one again, or change two about."""
    lines = data.split(b"\n")
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    kind = rng.randrange(5)
    if kind == 0:
        del lines[i]
    elif kind == 1:
        lines.insert(j, lines[i])
    elif kind == 2:
        lines[i], lines[j] = lines[j], lines[i]
    elif kind == 3:
        lines[i] = lines[i][: rng.randrange(len(lines[i]) + 1)]
    else:
        lines[i:j] = lines[i:j] * 3
    return b"\n".join(lines)


def change_blanks(data: bytes, rng: random.Random) -> bytes:
    """Blanks, tabs and ends of lines in each other's place."""
    old, new = rng.sample((b" ", b"\t", b"\n", b"\r\n", b"  ", b""), 2)
    return data.replace(old, new, rng.choice((1, 1, -1))) if old else insert(data, rng)


def nest(data: bytes, rng: random.Random) -> bytes:
    """Brackets within brackets."""
    depth, (opening, closing) = rng.choice((3, 70, 2000)), rng.choice(("()", "[]", "{}", "<>"))
    at = place(data, rng)
    inner = data[at : at + rng.randrange(20)]
    return (
        data[:at] + opening.encode() * depth + inner
        + closing.encode() * rng.choice((depth, depth - 1)) + data[at + len(inner) :]
    )  # fmt: skip


# --- shells -----------------------------------------------------------------


@lru_cache
def bomb(byte: int) -> bytes:
    """128 MB of one byte, in as few as gzip can make of them."""
    return gzip.compress(bytes([byte]) * (1 << 27))


def inside_gzip(data: bytes, rng: random.Random) -> bytes:
    """Change what is packed, or pack far more of it."""
    try:
        inner = gzip.decompress(data)
    except (OSError, EOFError, zlib.error):
        return flip(data, rng)
    if len(inner) > MAX_BYTES:
        return flip(data, rng)
    if rng.random() < 0.02:
        return data + bomb(rng.choice(b"\0\n "))
    return gzip.compress(mutate(inner, rng), 1)


def json_change(data: bytes, rng: random.Random) -> bytes:
    """Change one value of a JSON text, or take one out."""
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        return flip(data, rng)
    if rng.random() < 0.02:
        return b"[" * 100_000
    places = list(_places(tree))
    if not places:
        return json.dumps(rng.choice(VALUES)).encode()
    owner, key = rng.choice(places)
    old = owner[key]
    kind = rng.randrange(4)
    if kind == 0 and isinstance(owner, dict):
        del owner[key]
    elif kind == 1 and isinstance(old, int | float):
        owner[key] = rng.choice((-old, old + 1, old - 1, old * 1e6, str(old), [old]))
    elif kind == 2 and isinstance(old, list) and old:
        owner[key] = rng.choice((old[:-1], old * 2, old[::-1], [old], {"0": old}))
    else:
        owner[key] = rng.choice((*VALUES, rng.choice(places)[0]))
    try:
        return json.dumps(tree).encode()
    except (ValueError, RecursionError):  # it holds itself now
        return data


def _places(tree: Any) -> Any:
    """Every (container, key) of a JSON tree."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in list(items) if isinstance(tree, dict | list) else ():
        yield tree, key
        if isinstance(value, dict | list):
            yield from _places(value)


def array_change(data: bytes, rng: random.Random) -> bytes:
    """Another value, shape or type in a ``.npy``, or a header that does not fit."""
    try:
        array = np.load(io.BytesIO(data), allow_pickle=False).copy()
    except Exception:
        return flip(data, rng)
    kind = rng.randrange(6)
    if kind == 0:
        shape = rng.choice((
            (0,), (), (2**40,), (2**62, 4), array.shape + (1,), array.shape[::-1], (-1,),
            (array.size,), tuple(n + 1 for n in array.shape), ("a",), (1.5,), (1,) * 40,
        ))  # fmt: skip
        return _npy(array, shape=shape)
    if kind == 1:
        return _npy(array, descr=rng.choice((*DTYPES, "|O", "<f3", "", [("a", "<i4")], 3)))
    if kind == 2 and array.dtype.names is None and array.dtype.kind in "fiub":
        with np.errstate(all="ignore"):
            array = array.astype(rng.choice(DTYPES))
    elif kind == 3 and array.ndim:
        array = rng.choice((array[:-1], np.concatenate([array, array]), array[::-1], array[:0]))
    elif array.size:
        flat = array.reshape(-1)
        for _ in range(rng.choice((1, 1, 3))):
            _put(flat, rng)
    out = io.BytesIO()
    np.save(out, array, allow_pickle=False)
    return out.getvalue()


def _put(flat: np.ndarray, rng: random.Random) -> None:
    """Put a value from the edge into one element."""
    column = flat[rng.choice(flat.dtype.names)] if flat.dtype.names else flat
    at = rng.randrange(len(flat))
    if column.dtype.kind == "U":
        column[at] = rng.choice(("", "a", "\0", "zz"))
        return
    with np.errstate(all="ignore"):
        old = float(column[at].real) if column.dtype.kind in "fiubc" else 0.0
        new = np.float64(rng.choice((*EDGES, old + 1, old - 1, -old, rng.randrange(100))))
        column[at] = new.astype(column.dtype)


def _npy(array: np.ndarray, **changes: Any) -> bytes:
    """A ``.npy`` whose header may say anything."""
    head = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False,
            "shape": array.shape, **changes}
    text = repr(head).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + array.tobytes()


def inside_zip(data: bytes, rng: random.Random) -> bytes:
    """Change one member of a zip, leave one out, or give one another name."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            members = {name: packed.read(name) for name in packed.namelist()}
    except Exception:
        return flip(data, rng)
    if not members:
        return flip(data, rng)
    name = rng.choice(sorted(members))
    kind = rng.randrange(12)
    if kind == 0:
        del members[name]
    elif kind == 1:
        members[rng.choice(("../" + name, "/" + name, "a.npy", name[:-1]))] = members.pop(name)
    elif kind == 2 and name == "text.npy":
        pass
    else:
        members[name] = _member_change(name, members[name], rng)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as file:
        for member, content in members.items():
            file.writestr(member, content)
    return out.getvalue()


def _member_change(name: str, content: bytes, rng: random.Random) -> bytes:
    if name == "text.npy":  # a JSON text as an array of bytes
        text = np.load(io.BytesIO(content)).tobytes()
        out = io.BytesIO()
        np.save(out, np.frombuffer(json_change(text, rng), np.uint8))
        return out.getvalue()
    return mutate(content, rng, name)


BINARY = (flip, flip, overwrite, overwrite, overwrite, cut, remove, repeat, insert, append, noise)
TEXT = (change_number, change_number, change_number, change_word, change_word, change_lines,
        change_lines, change_blanks, nest, insert, cut, flip, remove)  # fmt: skip
