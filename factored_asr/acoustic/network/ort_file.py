"""A small reader of ONNX Runtime's ``.ort`` files: the constants, and which node takes which.

The file is a FlatBuffer: a *table* stores where its *vtable* is, which says for each field how far
behind the table's start its value lies. 0 stands for a field left out. Strings, vectors and other
tables are stored as offsets from the place of the offset. The fields read here are those of
onnxruntime's ``ort.fbs``. Every place is checked against the size of the file.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from factored_asr.errors import FormatError
from factored_asr.storage.reading import read_bytes

IDENTIFIER = b"ORTM"
TYPES: dict[int, np.dtype[Any]] = {
    number: np.dtype(kind) for number, kind in ((1, "<f4"), (2, "u1"), (3, "i1"), (7, "<i8"))
}
"""By number of ``TensorDataType``; constants of other types are left out."""
MAX_AXES = 8
MAX_ITEMS = 100_000
"""Constants, nodes, or names of one of them; the encoder has hundreds."""

# Number of the field in its table, counted from 0.
_MODEL, _GRAPH, _CONSTANTS, _NODES = 1, 7, 0, 2
_TENSOR_NAME, _TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_DATA = 0, 2, 3, 4
_NODE_NAME, _NODE_TYPE, _NODE_INPUTS = 0, 5, 8


@dataclass(frozen=True, eq=False)
class OrtGraph:
    """What an ``.ort`` file holds, as far as weights are concerned."""

    constants: Mapping[str, np.ndarray]
    """By name: read-only arrays, views of the file's bytes."""
    inputs: Mapping[str, tuple[str, ...]]
    """By name of a node: the names of its inputs, constants and results of other nodes."""


def read_ort(path: str | Path) -> OrtGraph:
    """Read the constants and nodes of an ``.ort`` file.

    Raises MissingError where there is no such file, FormatError where it is damaged or no ``.ort``.
    """
    return parse_ort(read_bytes(path), path)


def parse_ort(data: bytes, path: str | Path | None = None) -> OrtGraph:
    """Read the constants and nodes from the bytes of an ``.ort`` file; `path` is for errors."""
    try:
        file = _Bytes(data)
        if bytes(file.part(4, 4)) != IDENTIFIER:
            raise _DamageError(f"bytes 4 to 8 must be {IDENTIFIER.decode()!r}")
        graph = file.table(_Table(file, file.number("<I", 0)), _MODEL)
        graph = file.table(graph, _GRAPH)
        constants = {}
        for table in file.tables(graph, _CONSTANTS):
            array = _array(file, table)
            if array is not None:
                constants[file.text(table, _TENSOR_NAME)] = array
        nodes = file.tables(graph, _NODES)
        inputs = {file.text(node, _NODE_NAME): tuple(file.texts(node, _NODE_INPUTS))
                  for node in nodes}
    except _DamageError as error:
        raise FormatError(f"no whole .ort file: {error}", path) from None
    return OrtGraph(constants, inputs)


class _DamageError(Exception):
    """What is wrong with the bytes."""


@dataclass(frozen=True)
class _Table:
    """Where a table and its vtable lie."""

    file: _Bytes
    start: int

    def place(self, field: int) -> int:
        """Where the value of a field lies; 0 where it is left out."""
        vtable = self.start - self.file.number("<i", self.start)
        if 4 + 2 * field >= self.file.number("<H", vtable):
            return 0
        offset = self.file.number("<H", vtable + 4 + 2 * field)
        return self.start + offset if offset else 0


@dataclass(frozen=True)
class _Bytes:
    """The file; each access is checked."""

    data: bytes

    def part(self, start: int, n_bytes: int) -> memoryview:
        if not 0 <= start <= start + n_bytes <= len(self.data):
            raise _DamageError(f"{n_bytes} bytes at {start} lie outside of its {len(self.data)}")
        return memoryview(self.data)[start : start + n_bytes]

    def number(self, kind: str, start: int) -> int:
        return int(struct.unpack(kind, self.part(start, struct.calcsize(kind)))[0])

    def target(self, table: _Table, field: int) -> int:
        """Where the string, vector or table of a field lies."""
        place = table.place(field)
        if not place:
            raise _DamageError(f"the table at {table.start} lacks field {field}")
        return place + self.number("<I", place)

    def table(self, table: _Table, field: int) -> _Table:
        return _Table(self, self.target(table, field))

    def vector(self, table: _Table, field: int, dtype: np.dtype) -> np.ndarray:
        start = self.target(table, field)
        n_bytes = self.number("<I", start) * dtype.itemsize
        return np.frombuffer(self.part(start + 4, n_bytes), dtype)

    def offsets(self, table: _Table, field: int) -> Iterator[int]:
        """Where the items of a vector of tables or strings lie; none for a field left out."""
        if not table.place(field):
            return
        start, items = self.target(table, field), self.vector(table, field, np.dtype("<u4"))
        if len(items) > MAX_ITEMS:
            raise _DamageError(f"{len(items)} items at {start}, at most {MAX_ITEMS} are read")
        for i, offset in enumerate(items.tolist()):
            yield start + 4 + 4 * i + offset

    def tables(self, table: _Table, field: int) -> Iterator[_Table]:
        return (_Table(self, place) for place in self.offsets(table, field))

    def text(self, table: _Table, field: int) -> str:
        return self.text_at(self.target(table, field)) if table.place(field) else ""

    def texts(self, table: _Table, field: int) -> Iterator[str]:
        return (self.text_at(place) for place in self.offsets(table, field))

    def text_at(self, start: int) -> str:
        try:
            return bytes(self.part(start + 4, self.number("<I", start))).decode()
        except UnicodeDecodeError:
            raise _DamageError(f"the text at {start} is not UTF-8") from None


def _array(file: _Bytes, table: _Table) -> np.ndarray | None:
    """A constant; None if it is of a type that weights do not have."""
    place = table.place(_TENSOR_TYPE)
    dtype = TYPES.get(file.number("<i", place) if place else 0)
    if dtype is None:
        return None
    shape = ()
    if table.place(_TENSOR_DIMS):
        shape = tuple(file.vector(table, _TENSOR_DIMS, np.dtype("<i8")).tolist())
    data = file.vector(table, _TENSOR_DATA, np.dtype("u1"))
    needed = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or len(shape) > MAX_AXES or needed != len(data):
        raise _DamageError(f"a constant of shape {shape} has {len(data)} bytes, at {table.start}")
    return data.view(dtype).reshape(shape)
