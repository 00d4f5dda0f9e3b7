"""OpenFst's binary files (vector and const, tropical) as arrays, without OpenFst."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np

from factored_asr.errors import FormatError
from factored_asr.storage.cursor import Cursor

ARC = np.dtype([("label", "<i4"), ("word", "<i4"), ("cost", "<f4"), ("target", "<i4")])
"""One arc: input label (0 = epsilon), output word (0 = none), cost, target state."""

_MAGIC = 2125659606
_SIZE, _KEY = struct.Struct("<i"), struct.Struct("<q")
_CONST_STATE = np.dtype(
    [("final", "<f4"), ("pos", "<u4"), ("n_arcs", "<u4"), ("n_in_eps", "<u4"), ("n_out_eps", "<u4")]
)
_VECTOR_STATE = np.dtype([("final", "<f4"), ("n_arcs", "<i8")])
_HEADER = np.dtype(
    [("version", "<i4"), ("flags", "<i4"), ("properties", "<u8"), ("start", "<i8"),
     ("n_states", "<i8"), ("n_arcs", "<i8")]
)  # fmt: skip
_HAS_SYMBOLS, _ALIGNED = 0x3, 0x4


class Arcs(NamedTuple):
    """A transducer: the arcs of state s are ``arcs[first_arc[s]:first_arc[s + 1]]``."""

    start: int
    first_arc: np.ndarray
    arcs: np.ndarray
    final: np.ndarray


class Header(NamedTuple):
    """What an FST begins with."""

    kind: str
    is_aligned: bool
    n_tables: int
    """Symbol tables that follow."""
    start: int
    n_states: int
    n_arcs: int


def read_openfst(path: Path) -> Arcs:
    """Read a file; the arcs of a const file are mapped into memory. Targets are not checked.

    Raises FormatError if it is no such file, or cut short.
    """
    try:
        data = np.memmap(path, np.uint8, mode="r")
    except (OSError, ValueError) as error:
        raise FormatError(f"cannot read graph: {error}", path) from error
    return parse_openfst(data, path)


def parse_openfst(data: bytes | np.ndarray, path: Path) -> Arcs:
    """Read the bytes of a file, whose name is `path` in errors; see `read_openfst`."""
    return read_states(Cursor(data, path))


def read_states(cursor: Cursor) -> Arcs:
    """Read a vector or const FST, its header first, from where a cursor stands."""
    header = read_header(cursor)
    if header.kind not in ("vector", "const"):
        cursor.fail(f"the FST must be vector or const of standard arcs, got {header.kind!r}")
    for _ in range(header.n_tables):
        read_symbols(cursor)
    if header.kind == "vector":
        return Arcs(header.start, *_read_vector_states(cursor, header.n_states))
    padding = 16 if header.is_aligned else 1
    cursor.at += -cursor.at % padding
    states = cursor.take(_CONST_STATE, header.n_states, "state table")
    cursor.at += -cursor.at % padding
    arcs = cursor.take(ARC, header.n_arcs, "arc table")
    first_arc = np.append(states["pos"].astype(np.int64), header.n_arcs)
    if np.any(np.diff(first_arc) != states["n_arcs"]):
        cursor.fail("states' arcs are not stored one after the other")
    return Arcs(header.start, first_arc, arcs, states["final"])


def read_header(cursor: Cursor) -> Header:
    """Read what every FST begins with; FormatError if it is none of standard arcs."""
    if cursor.number("<i4", "magic number") != _MAGIC:
        cursor.fail("not an OpenFst binary file: wrong magic number")
    kind, arc_type = cursor.text("FST type"), cursor.text("arc type")
    if arc_type != "standard":
        cursor.fail(f"the FST must have standard arcs, got {kind!r} of {arc_type!r}")
    _, flags, _, start, n_states, n_arcs = cursor.take(_HEADER, 1, "FST header")[0].tolist()
    tables = (flags & _HAS_SYMBOLS).bit_count()
    return Header(kind, bool(flags & _ALIGNED), tables, start, n_states, n_arcs)


def write_openfst(path: str | Path, graph: Arcs) -> None:
    """Write a const file without symbol tables; epsilon-input arcs stand first in each state."""
    with open(path, "wb") as file:
        for part in openfst_parts(graph):
            file.write(part)


def openfst_parts(graph: Arcs) -> tuple[bytes, ...]:
    """Return the bytes of a const file in parts; see `write_openfst`."""
    first_arc, arcs = graph.first_arc, graph.arcs
    states = np.zeros(len(graph.final), _CONST_STATE)
    states["final"], states["pos"] = graph.final, first_arc[:-1]
    states["n_arcs"] = np.diff(first_arc)
    for column, symbol in (("n_in_eps", "label"), ("n_out_eps", "word")):
        states[column] = count_by_state(first_arc, arcs[symbol] == 0)
    header = np.array((2, 0, 3, graph.start, len(states), len(arcs)), _HEADER)
    head = _int32(_MAGIC) + _text(b"const") + _text(b"standard") + header.tobytes()
    return head, states.tobytes(), arcs.tobytes()


def sorted_arcs(
    source: np.ndarray, arcs: np.ndarray, n_states: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return offsets of arcs by state, and arcs in the order of their sources."""
    if np.any(source[1:] < source[:-1]):
        order = np.argsort(source, kind="stable")
        source, arcs = source[order], arcs[order]
    counts = np.bincount(source, minlength=n_states)
    return np.concatenate([[0], np.cumsum(counts)]), arcs


def count_by_state(first_arc: np.ndarray, marked: np.ndarray) -> np.ndarray:
    """Return how many arcs of each state are marked; `marked` is (n_arcs,) bool."""
    total = np.concatenate([[0], np.cumsum(marked)])
    return total[first_arc[1:]] - total[first_arc[:-1]]


def _text(value: bytes) -> bytes:
    return _int32(len(value)) + value


def _int32(value: int) -> bytes:
    return value.to_bytes(4, "little")


def read_symbols(cursor: Cursor) -> dict[int, str]:
    """Read an embedded symbol table (magic, name, next key, size, then pairs): number → symbol."""
    cursor.take("<i4", 1, "symbol table")
    cursor.text("symbol table name")
    n_symbols = cursor.take("<i8", 2, "symbol table size")[1]
    at, end = cursor.at, len(cursor.data)
    data: Any = memoryview(cast(Any, cursor.data))
    found = {}
    for _ in range(n_symbols):
        if at + 4 > end:
            cursor.fail("the symbol table ends too soon")
        (n,) = _SIZE.unpack_from(data, at)
        if not 0 <= n <= end - at - 12:
            cursor.fail(f"a symbol of {n} bytes cannot be in the {end - at} bytes left")
        at += 4 + n
        symbol = bytes(data[at - n : at]).decode("utf-8", "replace")
        found[_KEY.unpack_from(data, at)[0]] = symbol
        at += 8
    cursor.at = at
    return found


def _read_vector_states(
    cursor: Cursor, n_states: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vector files interleave: per state its final cost, arc count, arcs."""
    if not 0 <= n_states * _VECTOR_STATE.itemsize <= cursor.left:
        cursor.fail(f"{n_states} states do not fit into the file")
    final, counts, parts = np.empty(n_states, np.float32), np.zeros(n_states + 1, np.int64), []
    for state in range(n_states):
        final[state], counts[state + 1] = cursor.take(_VECTOR_STATE, 1, f"state {state}")[0]
        parts.append(cursor.take(ARC, int(counts[state + 1]), f"arcs of state {state}"))
    return np.cumsum(counts), np.concatenate([np.zeros(0, ARC), *parts]), final
