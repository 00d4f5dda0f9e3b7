"""What a search found: the best path, its words with their times and phones.

Times are read from the path (where the labels of a word's phones stand), never guessed from where
a word label happens to stand on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from factored_asr.decoder.word_lattice import depth
from factored_asr.graph import Graph


@dataclass(frozen=True)
class PhoneSegment:
    """One phone of a path."""

    phone: str
    start: int
    """First frame."""
    end: int
    """Frame after the last."""
    is_silence: bool = False
    """True for silence and fillers (noise, breath)."""


@dataclass(frozen=True)
class WordSegment:
    """One word of a path."""

    word: str
    word_id: int
    start: int | None = None
    """First frame; None where the graph does not know its phones."""
    end: int | None = None
    """Frame after the last; None where the graph does not know its phones."""
    phones: tuple[PhoneSegment, ...] = ()
    """The pronunciation that was used."""


@dataclass(frozen=True, eq=False)
class Path:
    """One way through the graph, from its start over all frames."""

    cost: float
    """Graph, acoustic and (if a final state was reached) final cost; inf where no path survived."""
    word_ids: tuple[int, ...]
    words: tuple[str, ...]
    labels: np.ndarray
    """(n_frames,) int32: input label of each frame."""
    arcs: np.ndarray
    """(n_path_arcs,) int64: arcs of the graph in order, epsilon arcs and self-loops included."""
    reached_final: bool
    """False where the path stops inside a word or sentence: its last words are uncertain."""
    segments: tuple[WordSegment, ...] = ()
    """One for each word."""
    phones: tuple[PhoneSegment, ...] = ()
    """All phones, silence included; empty where the graph does not know its phones."""

    @property
    def n_frames(self) -> int:
        return len(self.labels)

    @property
    def trailing_silence(self) -> int:
        """Frames since the last phone that is not silence (all frames if there is none)."""
        heard = [phone.end for phone in self.phones if not phone.is_silence]
        return self.n_frames - max(heard, default=0)

    @property
    def has_speech(self) -> bool:
        """True where some phone, or without phones some word, is not silence."""
        if not self.phones:
            return bool(self.words)
        return any(not phone.is_silence for phone in self.phones)


NO_PATH = Path(
    cost=float("inf"), word_ids=(), words=(), labels=np.zeros(0, np.int32),
    arcs=np.zeros(0, np.int64), reached_final=False,
)


def _no(dtype: type) -> Any:
    return field(default_factory=lambda: np.zeros(0, dtype), repr=False)


@dataclass(frozen=True, eq=False)
class Lattice:
    """What a search kept of one utterance: its best path, and the words that compete with it.

    Nodes stand between words; they are numbered so that every arc leads to a higher one, node 0 is
    the start, arcs are sorted by source. An arc is one word, or one silence or filler (word 0).
    With ``lattice_beam=0`` there are no nodes.
    """

    n_frames: int
    path: Path = field(repr=False)
    frame_seconds: float | None = None
    """Seconds between frames, where the graph knows it."""
    reason: str = ""
    """Why there is no path, or why it is not a whole one; empty when all went well."""
    words: tuple[str, ...] = field(default=(), repr=False)
    """Word by id."""
    pronunciations: tuple[tuple[str, ...], ...] = field(default=((),), repr=False)
    """Phones of a word or silence; the first is empty."""
    aligned: bool = False
    """True where nodes stand at ends of words; False where the graph does not know its phones, or
    has words later than the phone after theirs: nodes then stand where the graph has the word."""
    acoustic_scale: float = 1.0
    """What the acoustic model's logarithms were multiplied with before the search."""
    node_frame: np.ndarray = _no(np.int32)
    """(n_nodes,) int32: frame before which the node stands, 0..n_frames."""
    final: np.ndarray = _no(np.float64)
    """(n_nodes,) float64: cost of ending here, inf where no path does."""
    arc_source: np.ndarray = _no(np.int32)
    arc_target: np.ndarray = _no(np.int32)
    arc_word: np.ndarray = _no(np.int32)
    """(n_arcs,) int32: word id; 0 for silence, fillers, and a word not known at the end."""
    arc_pronunciation: np.ndarray = _no(np.int32)
    """(n_arcs,) int32: index into `pronunciations`."""
    arc_acoustic: np.ndarray = _no(np.float64)
    """(n_arcs,) float64: cost of the scores (scaled)."""
    arc_graph: np.ndarray = _no(np.float64)
    """(n_arcs,) float64: costs of the graph's arcs, as they stand on the way."""
    arc_lm: np.ndarray = _no(np.float64)
    """(n_arcs,) float64: the part of `arc_graph` that is the language model's; 0 until known."""
    phone_first: np.ndarray = _no(np.int64)
    """(n_arcs + 1,) int64: where in `phone_end` the phones of an arc begin."""
    phone_end: np.ndarray = _no(np.int32)
    """int32: frame after each phone of each arc; empty where the graph does not know phones."""

    @property
    def n_nodes(self) -> int:
        return len(self.node_frame)

    @property
    def n_arcs(self) -> int:
        return len(self.arc_source)

    @property
    def depth(self) -> float:
        """Arcs that pass a frame, on average over the frames."""
        return depth(self)

    def arc_phone_ends(self, arc: int) -> np.ndarray:
        """Frame after each phone of an arc, int32; empty where the graph does not know phones."""
        return self.phone_end[self.phone_first[arc] : self.phone_first[arc + 1]]

    @property
    def reached_final(self) -> bool:
        """True where the best path ends in a final state."""
        return self.path.reached_final

    def best(self) -> Path:
        """The best path; one of infinite cost and no words where none survived (see `reason`)."""
        return self.path


def read_path(
    graph: Graph, arcs: np.ndarray, stays: np.ndarray, cost: float, reached_final: bool
) -> Path:
    """Read words, phones and times off a path.

    Parameters
    ----------
    arcs
        (n_path_arcs,) int64: indices into ``graph.arcs``.
    stays
        (n_path_arcs,) bool: the arc is a self-loop.
    """
    taken = graph.arcs[arcs]
    word_ids = tuple(taken["word"][taken["word"] != 0].tolist())
    emits = taken["label"] != 0
    labels = np.ascontiguousarray(taken["label"][emits])
    words = tuple(_spelt(graph, word_id) for word_id in word_ids)
    phones, spoken = _segment(graph, labels, stays[emits])
    segments = tuple(
        WordSegment(word, word_id, phones[0].start, phones[-1].end, phones)
        if phones else WordSegment(word, word_id)
        for word, word_id, phones in zip(
            words, word_ids, spoken + [()] * (len(words) - len(spoken)), strict=False
        )
    )
    return Path(cost, word_ids, words, labels, arcs, reached_final, segments, phones)


def _spelt(graph: Graph, word_id: int) -> str:
    """A foreign graph may come without its word table: then the number stands for the word."""
    return graph.words[word_id] if word_id < len(graph.words) else str(word_id)


def _segment(
    graph: Graph, labels: np.ndarray, stays: np.ndarray
) -> tuple[tuple[PhoneSegment, ...], list[tuple[PhoneSegment, ...]]]:
    """Cut the frames into phones, and the phones into words (the last may be unfinished)."""
    if not graph.has_phones or not len(labels):
        return (), []
    phones, spoken, word = [], [], []
    for phone, ends_word in _phones(graph, labels, stays):
        phones.append(phone)
        if not phone.is_silence:
            word.append(phone)
        if ends_word and word:
            spoken.append(tuple(word))
            word = []
    if word:
        spoken.append(tuple(word))
    return tuple(phones), spoken


def _phones(
    graph: Graph, labels: np.ndarray, stays: np.ndarray
) -> Iterator[tuple[PhoneSegment, bool]]:
    """A phone begins where an arc that is no self-loop enters its first state."""
    begins = (graph.label_state[labels] == 0) & ~stays
    begins[0] = True
    starts = np.flatnonzero(begins)
    for start, end in zip(starts, np.append(starts[1:], len(labels)), strict=True):
        label = labels[start]
        name = graph.phones[graph.label_phone[label]]
        is_silence = name in graph.silence_phones
        ends_word = bool(graph.label_word_end[label]) and not is_silence
        yield PhoneSegment(name, int(start), int(end), is_silence), ends_word
