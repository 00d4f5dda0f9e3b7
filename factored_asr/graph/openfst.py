"""OpenFst's binary files (vector and const, tropical) as arrays, without OpenFst."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np

from factored_asr.errors import FormatError

ARC = np.dtype([("label", "<i4"), ("word", "<i4"), ("cost", "<f4"), ("target", "<i4")])
"""One arc: input label (0 = epsilon), output word (0 = none), cost, target state."""

_MAGIC = 2125659606
_CONST_STATE = np.dtype(
    [("final", "<f4"), ("pos", "<u4"), ("n_arcs", "<u4"), ("n_in_eps", "<u4"), ("n_out_eps", "<u4")]
)
_INTEGER, _PAIR, _VECTOR_STATE = struct.Struct("<i"), struct.Struct("<qq"), struct.Struct("<fq")
_HEADER_NUMBERS = struct.Struct("<iiQqqq")  # version, flags, properties, start, n_states, n_arcs
_HAS_SYMBOLS, _ALIGNED = 0x3, 0x4


class Arcs(NamedTuple):
    """A transducer: the arcs of state s are ``arcs[first_arc[s]:first_arc[s + 1]]``."""

    start: int
    first_arc: np.ndarray
    arcs: np.ndarray
    final: np.ndarray


def read_openfst(path: Path) -> Arcs:
    """Read a file; the arcs of a const file are mapped into memory. Targets are not checked.

    Raises
    ------
    FormatError
        It is no such file, or cut short.
    """
    try:
        data = np.memmap(path, np.uint8, mode="r")
    except (OSError, ValueError) as error:
        raise FormatError(f"cannot read graph: {error}", path) from error
    cursor = _Cursor(data, path)
    if cursor.numbers(_INTEGER, "magic number")[0] != _MAGIC:
        raise FormatError("not an OpenFst binary file: wrong magic number", path)
    kind, arc_type = cursor.text("FST type"), cursor.text("arc type")
    if kind not in ("vector", "const") or arc_type != "standard":
        raise FormatError(
            f"the FST must be vector or const of standard arcs, got {kind!r} of {arc_type!r}", path
        )
    _, flags, _, start, n_states, n_arcs = cursor.numbers(_HEADER_NUMBERS, "FST header")
    for _ in range((flags & _HAS_SYMBOLS).bit_count()):
        cursor.skip_symbols()
    if kind == "vector":
        return Arcs(start, *_read_vector_states(cursor, n_states))
    if flags & _ALIGNED:
        cursor.align()
    states = cursor.take(n_states * _CONST_STATE.itemsize, "state table").view(_CONST_STATE)
    if flags & _ALIGNED:
        cursor.align()
    arcs = cursor.take(n_arcs * ARC.itemsize, "arc table").view(ARC)
    first_arc = np.append(states["pos"].astype(np.int64), n_arcs)
    if np.any(np.diff(first_arc) != states["n_arcs"]):
        raise FormatError("states' arcs are not stored one after the other", path)
    return Arcs(start, first_arc, arcs, states["final"])


def write_openfst(path: str | Path, graph: Arcs) -> None:
    """Write a const file without symbol tables; epsilon-input arcs stand first in each state."""
    first_arc, arcs = graph.first_arc, graph.arcs
    states = np.zeros(len(graph.final), _CONST_STATE)
    states["final"], states["pos"] = graph.final, first_arc[:-1]
    states["n_arcs"] = np.diff(first_arc)
    for column, symbol in (("n_in_eps", "label"), ("n_out_eps", "word")):
        states[column] = count_by_state(first_arc, arcs[symbol] == 0)
    numbers = _HEADER_NUMBERS.pack(2, 0, 3, graph.start, len(states), len(arcs))
    with open(path, "wb") as file:
        file.write(_INTEGER.pack(_MAGIC) + _text(b"const") + _text(b"standard"))
        file.write(numbers + states.tobytes() + arcs.tobytes())


def count_by_state(first_arc: np.ndarray, marked: np.ndarray) -> np.ndarray:
    """Return how many arcs of each state are marked; `marked` is (n_arcs,) bool."""
    total = np.concatenate([[0], np.cumsum(marked)])
    return total[first_arc[1:]] - total[first_arc[:-1]]


def _text(value: bytes) -> bytes:
    return _INTEGER.pack(len(value)) + value


class _Cursor:
    """Reads little-endian fields off a buffer and refuses to run past its end."""

    def __init__(self, data: np.ndarray, path: Path):
        self.data, self.path, self.at = data, path, 0

    def take(self, n_bytes: int, what: str) -> np.ndarray:
        if n_bytes < 0 or self.at + n_bytes > len(self.data):
            raise FormatError(
                f"{what} needs {n_bytes} bytes at offset {self.at}, file has {len(self.data)}",
                self.path,
            )
        self.at += n_bytes
        return self.data[self.at - n_bytes : self.at]

    def numbers(self, layout: struct.Struct, what: str) -> tuple[int, ...]:
        return layout.unpack(self.take(layout.size, what).tobytes())

    def text(self, what: str) -> str:
        (length,) = self.numbers(_INTEGER, what)
        return self.take(length, what).tobytes().decode("latin-1")

    def skip_symbols(self) -> None:
        """Pass over an embedded symbol table (magic, name, next key, size, then pairs)."""
        self.take(4, "symbol table")
        self.text("symbol table name")
        _, size = self.numbers(_PAIR, "symbol table size")
        for _ in range(size):
            self.text("symbol")
            self.take(8, "symbol key")

    def align(self) -> None:
        self.at += -self.at % 16


def _read_vector_states(
    cursor: _Cursor, n_states: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vector files interleave: per state its final cost, arc count, arcs."""
    if not 0 <= n_states * _VECTOR_STATE.size <= len(cursor.data) - cursor.at:
        raise FormatError(f"{n_states} states do not fit into the file", cursor.path)
    final, counts, parts = np.empty(n_states, np.float32), np.zeros(n_states + 1, np.int64), []
    for state in range(n_states):
        cost, n_arcs = cursor.numbers(_VECTOR_STATE, f"state {state}")
        final[state], counts[state + 1] = cost, n_arcs
        parts.append(cursor.take(n_arcs * ARC.itemsize, f"arcs of state {state}"))
    arcs = np.concatenate(parts).view(ARC) if parts else np.zeros(0, ARC)
    return np.cumsum(counts), arcs, final
