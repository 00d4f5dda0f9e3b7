"""The decoding graph: one weighted transducer as arrays by source state.

The arc record is exactly that of OpenFst's ``ConstFst`` (label, word, cost, target: 16 bytes), so
such a file is memory-mapped, not parsed. Two formats are read and written without pynini: OpenFst
binary files (vector and const, tropical), and our own folder of ``.npy`` arrays with a
``manifest.json``, which keeps beside the arcs what each input label means.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.graph.check import MAX_LABEL, check_graph
from factored_asr.storage.reading import read_array, read_json, read_text

ARC = np.dtype([("label", "<i4"), ("word", "<i4"), ("cost", "<f4"), ("target", "<i4")])
"""One arc: input label (0 = epsilon), output word (0 = none), cost, target state."""

EPSILON = "<eps>"
FORMAT_VERSION = 1
_FST_MAGIC = 2125659606
_CONST_STATE = np.dtype(
    [("final", "<f4"), ("pos", "<u4"), ("n_arcs", "<u4"), ("n_in_eps", "<u4"), ("n_out_eps", "<u4")]
)
_N_HEADER_NUMBERS = struct.Struct("<iiQqqq")  # version, flags, properties, start, n_states, n_arcs
_HAS_SYMBOLS, _ALIGNED = 0x3, 0x4
_LABEL_ARRAYS = ("label_pdf", "label_phone", "label_state", "label_word_end")
_STORED: dict[str, Any] = {
    "first_arc": np.int64, "first_emitting": np.int64, "arcs": ARC, "final": np.float32,
}


def _frozen(array: np.ndarray, dtype: Any) -> np.ndarray:
    """A contiguous, read-only view: numba then compiles one specialisation of each kernel."""
    fixed = np.ascontiguousarray(array, dtype=dtype).view()
    fixed.flags.writeable = False
    return fixed


@dataclass(frozen=True, eq=False)
class Graph:
    """A weighted transducer from acoustic labels to words, its arcs sorted by source state.

    Examples
    --------
    >>> arcs = np.array([(1, 1, 0.5, 1), (1, 0, 0.1, 1)], dtype=ARC)
    >>> graph = Graph(start=0, first_arc=np.array([0, 1, 2]), arcs=arcs,
    ...               final=np.array([np.inf, 0.0]), words=("<eps>", "yes"))
    >>> graph.n_states, graph.n_arcs, graph.pdfs.tolist()
    (2, 2, [0])
    """

    start: int
    """The start state."""
    first_arc: np.ndarray
    """(n_states + 1,) int64: the arcs of state s are ``arcs[first_arc[s]:first_arc[s + 1]]``."""
    arcs: np.ndarray
    """(n_arcs,) `ARC`: within a state the epsilon-input arcs come first."""
    final: np.ndarray
    """(n_states,) float32: cost of ending here, inf where the state is not final."""
    words: tuple[str, ...] = (EPSILON,)
    """Word by id; id 0 is epsilon."""
    phones: tuple[str, ...] = (EPSILON,)
    """Phone by id; id 0 is epsilon."""
    silence_phones: frozenset[str] = frozenset()
    """Phones of silence and fillers: they end no word."""
    label_pdf: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))
    """(n_labels + 1,) int32: score column of a label, -1 for epsilon; empty: label - 1."""
    label_phone: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))
    """(n_labels + 1,) int32: phone id of each label; empty where unknown (foreign graphs)."""
    label_state: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))
    """(n_labels + 1,) int32: index of the HMM state within its phone."""
    label_word_end: np.ndarray = field(default_factory=lambda: np.zeros(0, np.bool_))
    """(n_labels + 1,) bool: the label belongs to the last phone of a word."""
    frame_seconds: float | None = None
    """Seconds between frames, where the graph knows it."""

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "first_arc", _frozen(self.first_arc, np.int64))
        put(self, "arcs", _frozen(self.arcs, ARC))
        put(self, "final", _frozen(self.final, np.float32))
        if not len(self.label_pdf):
            n_labels = int(self.arcs["label"].max(initial=0))
            put(self, "label_pdf", np.arange(-1, n_labels, dtype=np.int32))
        for name in _LABEL_ARRAYS:
            dtype = np.bool_ if name == "label_word_end" else np.int32
            put(self, name, _frozen(getattr(self, name), dtype))
        self._check()

    def _check(self) -> None:
        if len(self.first_arc) != len(self.final) + 1:
            raise OptionError(
                f"a graph of {len(self.final)} states needs {len(self.final) + 1} arc offsets, "
                f"got {len(self.first_arc)}"
            )
        if not 0 <= self.start < len(self.final):
            raise OptionError(f"start state {self.start} is not one of {len(self.final)} states")
        if self.first_arc[0] != 0 or self.first_arc[-1] != len(self.arcs):
            raise OptionError("arc offsets must run from 0 to the number of arcs")

    @property
    def n_states(self) -> int:
        return len(self.final)

    @property
    def n_arcs(self) -> int:
        return len(self.arcs)

    @property
    def n_labels(self) -> int:
        """Input labels, epsilon not counted."""
        return len(self.label_pdf) - 1

    @property
    def has_phones(self) -> bool:
        """True where labels know their phone, so times can be read from a path."""
        return len(self.label_phone) > 0

    @cached_property
    def first_emitting(self) -> np.ndarray:
        """(n_states,) int64: first arc of each state that has an input label."""
        silent = np.concatenate([[0], np.cumsum(self.arcs["label"] == 0)])
        n_silent = silent[self.first_arc[1:]] - silent[self.first_arc[:-1]]
        return _frozen(self.first_arc[:-1] + n_silent, np.int64)

    @cached_property
    def pdfs(self) -> np.ndarray:
        """Score columns that some label uses, sorted, int32."""
        return np.unique(self.label_pdf[1:]).astype(np.int32)

    @staticmethod
    def from_arcs(
        source: np.ndarray, arcs: np.ndarray, final: np.ndarray, start: int = 0
    ) -> Graph:
        """Build a graph from arcs in any order, the source state of each given beside it."""
        key = source.astype(np.int64) * 2 + (arcs["label"] != 0)
        if np.any(key[1:] < key[:-1]):
            order = np.argsort(key, kind="stable")
            source, arcs = source[order], arcs[order]
        counts = np.bincount(source, minlength=len(final))
        return Graph(start, np.concatenate([[0], np.cumsum(counts)]), arcs, final)

    @property
    def sources(self) -> np.ndarray:
        """(n_arcs,) the source state of every arc (made anew at each call)."""
        return np.repeat(np.arange(self.n_states, dtype=np.int32), np.diff(self.first_arc))

    @staticmethod
    def read(path: str | Path) -> Graph:
        """Read an OpenFst binary file (vector or const, tropical) or a graph folder of our own.

        Raises
        ------
        FormatError
            The file is neither, is cut short, or an arc leads outside the graph.
        """
        path = Path(path)
        return _read_folder(path) if path.is_dir() else _read_openfst(path)

    def write(self, path: str | Path) -> None:
        """Write the graph as a folder of arrays and a manifest (`Graph.read` maps it back)."""
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("first_arc", "first_emitting", "arcs", "final", *_LABEL_ARRAYS):
            np.save(folder / f"{name}.npy", getattr(self, name))
        (folder / "words.txt").write_text("\n".join(self.words) + "\n", encoding="utf-8")
        manifest = {
            "format": "factored_asr graph", "version": FORMAT_VERSION, "start": self.start,
            "states": self.n_states, "arcs": self.n_arcs, "phones": self.phones,
            "silence_phones": sorted(self.silence_phones), "frame_seconds": self.frame_seconds,
            "seal": _seal(folder),
        }
        (folder / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")

    def write_openfst(self, path: str | Path) -> None:
        """Write the arcs alone as an OpenFst const file (labels and words as bare numbers)."""
        states = np.zeros(self.n_states, _CONST_STATE)
        states["final"] = self.final
        states["pos"] = self.first_arc[:-1]
        states["n_arcs"] = np.diff(self.first_arc)
        states["n_in_eps"] = self.first_emitting - self.first_arc[:-1]
        no_word = np.concatenate([[0], np.cumsum(self.arcs["word"] == 0)])
        states["n_out_eps"] = no_word[self.first_arc[1:]] - no_word[self.first_arc[:-1]]
        numbers = _N_HEADER_NUMBERS.pack(2, 0, 3, self.start, self.n_states, self.n_arcs)
        with open(path, "wb") as file:
            file.write(struct.pack("<i", _FST_MAGIC) + _text(b"const") + _text(b"standard"))
            file.write(numbers + states.tobytes() + self.arcs.tobytes())

    def with_words(self, words: Iterable[str]) -> Graph:
        """The same graph with a word table (OpenFst files seldom carry one)."""
        return replace(self, words=tuple(words))


def _seal(folder: Path) -> dict[str, list[int]]:
    """Size and time of every file of a graph folder: while they stand, its arcs are as checked."""
    names = ("words.txt", *sorted(path.name for path in folder.glob("*.npy")))
    found = {name: (folder / name).stat() for name in names if (folder / name).is_file()}
    return {name: [stat.st_size, stat.st_mtime_ns] for name, stat in found.items()}


def _text(value: bytes) -> bytes:
    return struct.pack("<i", len(value)) + value


def _read_folder(folder: Path) -> Graph:
    try:
        return _checked_folder(folder)
    except MissingError as error:
        raise FormatError(f"not a whole graph: {error}", folder) from error


def _checked_folder(folder: Path) -> Graph:
    manifest_path = folder / "manifest.json"
    manifest = read_json(manifest_path)
    if not isinstance(manifest, dict) or manifest.get("version") != FORMAT_VERSION:
        raise FormatError(f"graph format version must be {FORMAT_VERSION}", manifest_path)
    arrays = {
        name: read_array(folder / f"{name}.npy", mapped=True)
        for name in ("first_arc", "first_emitting", "arcs", "final", *_LABEL_ARRAYS)
    }
    words = tuple(read_text(folder / "words.txt").split("\n")[:-1])
    for name, dtype in _STORED.items():
        kind = np.dtype(dtype)
        if arrays[name].dtype != kind:
            raise FormatError(f"{name} are of {arrays[name].dtype}, must be {kind}", folder)
    first_emitting = arrays.pop("first_emitting")
    try:
        graph = Graph(
            start=int(manifest["start"]), words=words, phones=tuple(manifest["phones"]),
            silence_phones=frozenset(manifest["silence_phones"]),
            frame_seconds=manifest["frame_seconds"], **arrays,
        )
        found = graph.n_states, graph.n_arcs
        if found != (manifest["states"], manifest["arcs"]):
            raise FormatError("arrays and manifest disagree on states or arcs", folder)
    except (ValueError, KeyError, TypeError, IndexError, OverflowError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"not a whole graph: {error}", folder) from error
    graph.__dict__["first_emitting"] = _frozen(first_emitting, np.int64)  # spares a pass over arcs
    check_graph(graph, folder, arcs=manifest.get("seal") != _seal(folder))
    return graph


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
        (length,) = self.numbers(struct.Struct("<i"), what)
        return self.take(length, what).tobytes().decode("latin-1")

    def skip_symbols(self) -> None:
        """Pass over an embedded symbol table (magic, name, next key, size, then pairs)."""
        self.take(4, "symbol table")
        self.text("symbol table name")
        _, size = self.numbers(struct.Struct("<qq"), "symbol table size")
        for _ in range(size):
            self.text("symbol")
            self.take(8, "symbol key")

    def align(self) -> None:
        self.at += -self.at % 16


def _read_openfst(path: Path) -> Graph:
    try:
        data = np.memmap(path, np.uint8, mode="r")
    except (OSError, ValueError) as error:
        raise FormatError(f"cannot read graph: {error}", path) from error
    cursor = _Cursor(data, path)
    if cursor.numbers(struct.Struct("<i"), "magic number")[0] != _FST_MAGIC:
        raise FormatError("not an OpenFst binary file: wrong magic number", path)
    kind, arc_type = cursor.text("FST type"), cursor.text("arc type")
    if kind not in ("vector", "const") or arc_type != "standard":
        raise FormatError(
            f"the FST must be vector or const of standard arcs, got {kind!r} of {arc_type!r}", path
        )
    _, flags, _, start, n_states, n_arcs = cursor.numbers(_N_HEADER_NUMBERS, "FST header")
    for _ in range((flags & _HAS_SYMBOLS).bit_count()):
        cursor.skip_symbols()
    if kind == "const":
        if flags & _ALIGNED:
            cursor.align()
        states = cursor.take(n_states * _CONST_STATE.itemsize, "state table").view(_CONST_STATE)
        if flags & _ALIGNED:
            cursor.align()
        arcs = cursor.take(n_arcs * ARC.itemsize, "arc table").view(ARC)
        first_arc = np.append(states["pos"].astype(np.int64), n_arcs)
        if np.any(np.diff(first_arc) != states["n_arcs"]):
            raise FormatError("states' arcs are not stored one after the other", path)
        final = states["final"]
    else:
        first_arc, final, arcs = _read_vector_states(cursor, n_states)
    return _checked_foreign(path, start, first_arc, final, arcs)


def _read_vector_states(
    cursor: _Cursor, n_states: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vector files interleave: per state its final cost, arc count, arcs."""
    layout = struct.Struct("<fq")
    if not 0 <= n_states * layout.size <= len(cursor.data) - cursor.at:
        raise FormatError(f"{n_states} states do not fit into the file", cursor.path)
    final, counts, parts = np.empty(n_states, np.float32), np.zeros(n_states + 1, np.int64), []
    for state in range(n_states):
        cost, n_arcs = cursor.numbers(layout, f"state {state}")
        final[state], counts[state + 1] = cost, n_arcs
        parts.append(cursor.take(n_arcs * ARC.itemsize, f"arcs of state {state}"))
    arcs = np.concatenate(parts).view(ARC) if parts else np.zeros(0, ARC)
    return np.cumsum(counts), final, arcs


def _checked_foreign(
    path: Path, start: int, first_arc: np.ndarray, final: np.ndarray, arcs: np.ndarray
) -> Graph:
    """Sort epsilon arcs first within each state and refuse arcs that lead outside the graph."""
    n_states = len(final)
    if not n_states or not 0 <= start < n_states:
        raise FormatError(f"start state {start} is not one of {n_states} states", path)
    for name, limit in (("target", n_states), ("label", MAX_LABEL), ("word", MAX_LABEL)):
        if len(arcs) and not 0 <= int(arcs[name].min()) <= int(arcs[name].max()) < limit:
            raise FormatError(f"an arc's {name} lies outside [0, {limit})", path)
    if not ((arcs["cost"] > -np.inf).all() and (final > -np.inf).all()):
        raise FormatError("a cost is -inf or not a number", path)
    source = np.repeat(np.arange(n_states), np.diff(first_arc))
    return Graph.from_arcs(source, arcs, final, start)
