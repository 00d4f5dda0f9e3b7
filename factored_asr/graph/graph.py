"""The decoding graph: one weighted transducer as arrays by source state.

The arc record is exactly that of OpenFst's ``ConstFst`` (label, word, cost, target: 16 bytes), so
such a file is memory-mapped, not parsed. A folder of ``.npy`` arrays with a ``manifest.json`` keeps
what each input label means, too. Neither format needs pynini.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.graph._kernels import WIDE, first_broken_state, places, put_in_places
from factored_asr.storage.openfst import (
    ARC,
    Arcs,
    count_by_state,
    openfst_parts,
    parse_openfst,
    read_openfst,
    write_openfst,
)
from factored_asr.storage.reading import read_array, read_json, read_text, seal_of

EPSILON = "<eps>"
FORMAT_VERSION = 3
"""Of graph folders; 2: a state's first self-loop follows its epsilon arcs, `STATE` records; 3:
offsets of arcs stand in these records alone."""
MAX_LABEL = 1 << 21
"""Tables by label and word stay small, whatever a foreign file claims."""
WORDS = "<words>"
"""Name of the joints where words may be added: in the empty history of an n-gram model."""
JOINT = np.dtype([("arc", "<i8"), ("name", "<i4"), ("cost", "<f4"), ("left", "<i4"),
                  ("pending", "<i4")])
"""An epsilon arc that no search crosses until a graph is added there (see `joints`). Fields: index
of its name (-1: an exit of a hub), cost, and the phones before it, as classes and symbols of the
model's topology."""
STATE = np.dtype([("begin", "<u4"), ("label", "<u4"), ("loop_cost", "<f4"), ("n_epsilon", "<u2"),
                  ("n_leaving", "<u2")])
"""What a search reads of a state. Fields: its first arc; label and cost of its self-loop; how many
arcs have no label, and how many have one and are not this loop. A self-loop counts as one if it is
the first arc with a label; else the label is 0. Both numbers are `WIDE` where one of them is
`WIDE` or more."""
SPARE = {"states": 1 << 19, "arcs": 1 << 20, "final": 1 << 19}
"""Elements that files of large graphs have room for at their ends: what is added at run time is
mapped there, privately. Holes in a file, which take no space on most disks."""
MANY_ARCS = 1 << 18
"""Of a graph that has this room; smaller ones are copied in a moment."""
_STORED = {
    "states": STATE, "arcs": ARC, "final": np.dtype("<f4"),
}  # fmt: skip


def arcs_of(rows: Sequence[tuple[int, int, int, float, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the sources and the arcs of rows (source, label, word, cost, target)."""
    table = np.array(rows, np.dtype([("source", "<i4"), *ARC.descr]))
    return table["source"], table[list(ARC.names or ())].astype(ARC)


class Labels(NamedTuple):
    """What each input label is: columns of (n_labels + 1,), row 0 of epsilon."""

    pdf: np.ndarray
    """int32: -1 for epsilon."""
    phone: np.ndarray
    """int32: id of the phone."""
    state: np.ndarray
    """int32: index of the HMM state within its phone."""
    word_end: np.ndarray
    """bool: the label belongs to the last phone of a word."""

    def take(self, chosen: np.ndarray) -> Labels:
        """Return some rows, by index or mask."""
        return Labels._make(column[chosen] for column in self)

    def join(self, other: Labels) -> Labels:
        """Return the rows of both."""
        return Labels._make(np.append(*pair) for pair in zip(self, other, strict=True))

    def typed(self) -> Labels:
        """Return the columns in the types that a graph keeps them in."""
        kinds = (np.int32, np.int32, np.int32, np.bool_)
        return Labels._make(c.astype(kind) for c, kind in zip(self, kinds, strict=True))


_LABEL_ARRAYS = tuple(f"label_{name}" for name in Labels._fields)


def _frozen(array: np.ndarray, dtype: Any) -> np.ndarray:
    """Return a contiguous, read-only view: one specialisation of each kernel is compiled."""
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
    """(n_arcs,) `ARC`: within a state the epsilon-input arcs come first. The search is faster where
    a self-loop follows them, as `from_arcs` and `read` have it."""
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
    omitted: tuple[str, ...] = ()
    """Words of the language model without a pronunciation, which the graph lacks."""
    parts: tuple[int, ...] = (0,)
    """First state of each part, ascending: no path ends in another part than that of its words. A
    graph of denied and plain sentences has two: see `denials`."""

    joints: np.ndarray = field(default_factory=lambda: np.zeros(0, JOINT))
    """(n_joints,) `JOINT`: where graphs may be added."""
    joint_names: tuple[str, ...] = ()
    """Names of joints: `WORDS`, or the lists of a grammar."""
    base: Graph | None = None
    """What this graph was made from by `added.extended`; None: it is as compiled."""

    @property
    def labels(self) -> Labels:
        """The columns by input label."""
        return Labels._make(np.asarray(getattr(self, name)) for name in _LABEL_ARRAYS)

    def with_labels(self, labels: Labels) -> Graph:
        """Return the graph with other columns by input label."""
        return replace(self, label_pdf=labels.pdf, label_phone=labels.phone,
                       label_state=labels.state, label_word_end=labels.word_end)

    def __post_init__(self) -> None:
        put = object.__setattr__
        if getattr(self.first_arc, "dtype", None) == STATE:  # a list will do for offsets
            put(self, "states", _frozen(self.first_arc, STATE))
            object.__delattr__(self, "first_arc")  # see __getattr__
        else:
            put(self, "first_arc", _frozen(self.first_arc, np.int64))
        put(self, "arcs", _frozen(self.arcs, ARC))
        put(self, "final", _frozen(self.final, np.float32))
        if not len(self.label_pdf):
            n_labels = int(self.arcs["label"].max(initial=0))
            put(self, "label_pdf", np.arange(-1, n_labels, dtype=np.int32))
        for name, column in zip(_LABEL_ARRAYS, self.labels.typed(), strict=True):
            put(self, name, _frozen(column, column.dtype))
        self._check()

    def _check(self) -> None:
        offsets = self.__dict__.get("first_arc")
        if offsets is None:
            offsets = self.states["begin"]
        if len(offsets) != len(self.final) + 1:
            raise OptionError(
                f"a graph of {len(self.final)} states needs {len(self.final) + 1} arc offsets, "
                f"got {len(offsets)}"
            )
        if not 0 <= self.start < len(self.final):
            raise OptionError(f"start state {self.start} is not one of {len(self.final)} states")
        if self.parts[:1] != (0,) or sorted(self.parts) != list(self.parts):
            raise OptionError(f"parts must be ascending states from 0 on, got {self.parts}")
        if offsets[0] != 0 or offsets[-1] != len(self.arcs):
            raise OptionError("arc offsets must run from 0 to the number of arcs")

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> np.ndarray:
            """Offsets of arcs, made of the records of a graph that was given by these."""
            if name != "first_arc" or "states" not in self.__dict__:
                raise AttributeError(name)
            made = _frozen(self.states["begin"], np.int64)
            object.__setattr__(self, "first_arc", made)
            return made

    @property
    def lists(self) -> tuple[str, ...]:
        """Names of joints of lists that may be replaced, such as "{contact}"."""
        return tuple(name for name in self.joint_names if name != WORDS)

    @property
    def n_states(self) -> int:
        """Return the number of states."""
        return len(self.final)

    @property
    def n_arcs(self) -> int:
        """Return the number of arcs."""
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
    def word_ids(self) -> dict[str, int]:
        """Id by word, of all but epsilon."""
        return {word: i for i, word in enumerate(self.words) if i}

    @cached_property
    def first_emitting(self) -> np.ndarray:
        """(n_states,) int64: first arc of each state that has an input label."""
        n_epsilons = count_by_state(self.first_arc, self.arcs["label"] == 0)
        return _frozen(self.first_arc[:-1] + n_epsilons, np.int64)

    @cached_property
    def states(self) -> np.ndarray:
        """(n_states + 1,) `STATE`: the last one tells where the arcs end."""
        return _frozen(state_records(self.first_arc, self.arcs, 0), STATE)

    @cached_property
    def pdfs(self) -> np.ndarray:
        """Score columns that some label uses, sorted, int32."""
        used = np.zeros(int(self.label_pdf.max(initial=0)) + 1, np.bool_)
        used[self.label_pdf[1:]] = True
        return np.flatnonzero(used).astype(np.int32)

    @staticmethod
    def from_arcs(
        source: np.ndarray, arcs: np.ndarray, final: np.ndarray, start: int = 0
    ) -> Graph:
        """Build a graph from arcs in any order and the source state of each."""
        return Graph(start, *grouped_arcs(source, arcs, len(final)), final)

    @staticmethod
    def from_fields(fields: Arcs) -> Graph:
        """Build a graph from start, offsets of arcs, arcs in any order per state, and final."""
        start, first_arc, arcs, final = fields
        source = np.repeat(np.arange(len(final)), np.diff(first_arc))
        return Graph.from_arcs(source, arcs, final, start)

    @property
    def fields(self) -> Arcs:
        """Start, offsets of arcs, arcs, and final costs."""
        return Arcs(self.start, self.first_arc, self.arcs, self.final)

    @property
    def sources(self) -> np.ndarray:
        """(n_arcs,) int32: the source state of every arc, computed at each call."""
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
        if not path.is_dir():
            return _checked_foreign(path, read_openfst(path))
        try:
            return _read_folder(path)
        except MissingError as error:
            raise FormatError(f"not a whole graph: {error}", path) from error

    @staticmethod
    def from_openfst(data: bytes) -> Graph:
        """Read the bytes of an OpenFst binary file; errors as of `read`."""
        path = Path("<bytes>")
        return _checked_foreign(path, parse_openfst(data, path))

    def write(self, path: str | Path, key: str = "") -> None:
        """Write the graph as a folder of arrays and a manifest (`Graph.read` maps it back).

        `key`: names what it was compiled from; `key_of` reads it. Default: none is kept.
        """
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        for name in (*_STORED, *_LABEL_ARRAYS):
            np.save(folder / f"{name}.npy", getattr(self, name))
            if name in SPARE and self.n_arcs >= MANY_ARCS:
                _lengthen(folder / f"{name}.npy", SPARE[name] * _STORED[name].itemsize)
        np.save(folder / "joints.npy", self.joints)
        (folder / "words.txt").write_text("\n".join(self.words) + "\n", encoding="utf-8")
        manifest = {
            "format": "factored_asr graph", "version": FORMAT_VERSION, "start": self.start,
            "states": self.n_states, "arcs": self.n_arcs, "phones": self.phones,
            "silence_phones": sorted(self.silence_phones), "frame_seconds": self.frame_seconds,
            "parts": self.parts, "seal": seal_of(folder), "joints": self.joint_names,
            **({"omitted": self.omitted} if self.omitted else {}), **({"key": key} if key else {}),
        }
        (folder / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")

    def write_openfst(self, path: str | Path) -> None:
        """Write the arcs alone as an OpenFst const file (labels and words as bare numbers)."""
        write_openfst(path, self.fields)

    def to_openfst(self) -> bytes:
        """Return the bytes that `write_openfst` writes."""
        return b"".join(openfst_parts(self.fields))

    def with_words(self, words: Iterable[str]) -> Graph:
        """Return the graph with a word table, which OpenFst files seldom have."""
        return replace(self, words=tuple(words))


def grouped_arcs(
    source: np.ndarray, arcs: np.ndarray, n_states: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return offsets of arcs by state, and arcs: silent ones first, self-loops, then others."""
    source, arcs = _frozen(source, np.int32), _frozen(arcs, ARC)
    begin, is_sorted = places(source, arcs, n_states)
    first_arc = begin[::3].copy()
    return first_arc, arcs if is_sorted else put_in_places(source, arcs, begin)


def state_records(first_arc: np.ndarray, arcs: np.ndarray, first_state: int) -> np.ndarray:
    """Return the records of the states from `first_state` on, whose arcs `first_arc` tells."""
    begin, ends = first_arc[:-1], first_arc[1:]
    made = np.zeros(len(first_arc), STATE)
    made["begin"] = first_arc
    its_arcs = arcs[first_arc[0] : first_arc[-1]]
    if not len(its_arcs):
        return made
    n_epsilon = count_by_state(first_arc - first_arc[0], its_arcs["label"] == 0)
    first = its_arcs[np.minimum(begin + n_epsilon, ends.max() - 1) - first_arc[0]]
    number = np.arange(first_state, first_state + len(begin))
    loops = (begin + n_epsilon < ends) & (first["target"] == number)
    n_leaving = ends - begin - n_epsilon - loops
    wide = np.maximum(n_epsilon, n_leaving) >= WIDE
    one = made[:-1]
    one["label"] = np.where(loops, first["label"], 0)
    one["loop_cost"] = np.where(loops, first["cost"], np.float32(0.0))
    one["n_epsilon"] = np.where(wide, WIDE, n_epsilon)
    one["n_leaving"] = np.where(wide, WIDE, n_leaving)
    return made


def key_of(folder: str | Path) -> str:
    """Return the key that a graph folder was written with; empty if there is none."""
    manifest = read_json(Path(folder) / "manifest.json")
    return str(manifest.get("key", "")) if isinstance(manifest, dict) else ""


def _lengthen(path: Path, n_bytes: int) -> None:
    with open(path, "r+b") as file:
        file.truncate(file.seek(0, 2) + n_bytes)


def _read_folder(folder: Path) -> Graph:
    manifest_path = folder / "manifest.json"
    manifest = read_json(manifest_path)
    if not isinstance(manifest, dict) or manifest.get("version") not in (2, FORMAT_VERSION):
        raise FormatError(f"graph format version must be 2 or {FORMAT_VERSION}", manifest_path)
    arrays: dict[str, Any] = {
        name: read_array(folder / f"{name}.npy", mapped=True) for name in (*_STORED, *_LABEL_ARRAYS)
    }
    words = tuple(read_text(folder / "words.txt").split("\n")[:-1])
    for name, kind in _STORED.items():
        if arrays[name].dtype != kind:
            raise FormatError(f"{name} are of {arrays[name].dtype}, must be {kind}", folder)
    try:
        graph = Graph(
            start=int(manifest["start"]), words=words, phones=tuple(manifest["phones"]),
            silence_phones=frozenset(manifest["silence_phones"]),
            frame_seconds=manifest["frame_seconds"], omitted=tuple(manifest.get("omitted", ())),
            parts=tuple(map(int, manifest.get("parts", (0,)))),
            joint_names=tuple(manifest.get("joints", ())), joints=_read_joints(folder, manifest),
            first_arc=arrays.pop("states"), **arrays,
        )
        if (graph.n_states, graph.n_arcs) != (manifest["states"], manifest["arcs"]):
            raise FormatError("arrays and manifest disagree on states or arcs", folder)
    except (ValueError, KeyError, TypeError, IndexError, OverflowError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"not a whole graph: {error}", folder) from error
    check_graph(graph, folder, arcs=manifest.get("seal") != seal_of(folder))
    return graph


def _read_joints(folder: Path, manifest: dict[str, Any]) -> np.ndarray:
    """Joints of a graph folder; earlier versions have none."""
    path = folder / "joints.npy"
    if not path.is_file():
        return np.zeros(0, JOINT)
    joints = read_array(path)
    n_names, n_arcs = len(manifest.get("joints", ())), int(manifest["arcs"])
    if joints.dtype != JOINT or joints.ndim != 1 or len(joints) and not (
        0 <= joints["arc"].min() <= joints["arc"].max() < n_arcs
        and -1 <= joints["name"].min() <= joints["name"].max() < n_names
    ):
        raise FormatError("joints do not fit the arcs", path)
    return joints


def _checked_foreign(path: Path, found: Arcs) -> Graph:
    """Sort epsilon arcs first within each state and refuse arcs that lead outside the graph."""
    start, first_arc, arcs, final = found
    n_states = len(final)
    if not n_states or not 0 <= start < n_states:
        raise FormatError(f"start state {start} is not one of {n_states} states", path)
    for name, limit in (("target", n_states), ("label", MAX_LABEL), ("word", MAX_LABEL)):
        if len(arcs) and not 0 <= int(arcs[name].min()) <= int(arcs[name].max()) < limit:
            raise FormatError(f"an arc's {name} lies outside [0, {limit})", path)
    if not ((arcs["cost"] > -np.inf).all() and (final > -np.inf).all()):
        raise FormatError("a cost is -inf or not a number", path)
    return Graph.from_fields(found)


def check_graph(graph: Graph, path: str | Path, *, arcs: bool = True) -> None:
    """Check that a graph from a file keeps the laws that the search relies on.

    `arcs`: check each arc, too; half a second for 20 million. Raises FormatError if an arc leads
    outside the graph, has an unknown label or word, or a cost of -inf or NaN. Raises it
    as well if a state's arcs do not begin with those without a label, or if tables of labels do not
    fit.
    """
    _check_shapes(graph, path)
    n_words = len(graph.words) if len(graph.words) > 1 else MAX_LABEL
    state = first_broken_state(graph.first_arc, graph.states, graph.arcs, graph.final,
                               graph.n_labels, n_words) if arcs else -1
    if state >= 0:
        raise FormatError(
            f"an arc or the final cost of state {state} is broken: targets must lie below "
            f"{graph.n_states}, labels up to {graph.n_labels}, words below {n_words}, costs must "
            "be above -inf, arcs without a label come first", path,
        )  # fmt: skip
    _check_labels(graph, path)


def _check_shapes(graph: Graph, path: str | Path) -> None:
    arrays = graph.states, graph.arcs, graph.final
    if any(each.ndim != 1 for each in arrays) or len(graph.states) != graph.n_states + 1:
        raise FormatError("arrays of arcs and states do not fit each other", path)
    seconds = 1.0 if graph.frame_seconds is None else graph.frame_seconds
    if not (isinstance(seconds, float | int) and 0 < seconds < np.inf):
        raise FormatError(f"frames of {seconds!r} seconds, must be above 0", path)


def _check_labels(graph: Graph, path: str | Path) -> None:
    n, (pdf, *known) = len(graph.label_pdf), graph.labels
    sizes = {len(table) for table in known}
    if any(table.ndim != 1 for table in (pdf, *known)) or sizes not in ({n}, {0}):
        raise FormatError(f"tables by label must have {n} entries each", path)
    for name, table, least, limit in (
        ("pdf", graph.label_pdf, -1, MAX_LABEL), ("phone", graph.label_phone, 0, len(graph.phones)),
        ("state", graph.label_state, 0, MAX_LABEL),
    ):
        if len(table) and not least <= table.min() <= table.max() < limit:
            raise FormatError(f"the {name} of a label lies outside [{least}, {limit})", path)
    if n and graph.label_pdf[1:].min(initial=0) < 0:
        raise FormatError("a label without a pdf", path)
    names = (*graph.phones, *graph.silence_phones, *graph.omitted)
    if not all(isinstance(name, str) for name in names):
        raise FormatError("names of phones and words must be texts", path)
