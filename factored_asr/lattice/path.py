"""The best path of a search: its words with their times and phones.

Times are those of the labels of a word's phones, never guessed from the place of its word label.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from factored_asr.graph import Graph


@dataclass(frozen=True)
class PhoneSegment:
    """One phone of a path.

    Examples
    --------
    >>> PhoneSegment("SIL", 0, 30, is_silence=True).end
    30
    """

    phone: str
    """Name of the phone, as the acoustic model has it."""
    start: int
    """First frame."""
    end: int
    """Frame after the last."""
    is_silence: bool = False
    """True for silence and fillers (noise, breath)."""


@dataclass(frozen=True)
class WordSegment:
    """One word of a path.

    Examples
    --------
    >>> WordSegment("no", 7, 10, 40, (PhoneSegment("N", 10, 20), PhoneSegment("OW", 20, 40))).end
    40
    """

    word: str
    """The word."""
    word_id: int
    """Its id in the graph."""
    start: int | None = None
    """First frame; None if the graph does not know its phones."""
    end: int | None = None
    """Frame after the last; None if the graph does not know its phones."""
    phones: tuple[PhoneSegment, ...] = ()
    """Its pronunciation."""


@dataclass(frozen=True, eq=False)
class Path:
    """One way through the graph, from its start over all frames.

    Examples
    --------
    >>> NO_PATH.words, NO_PATH.cost, NO_PATH.has_speech
    ((), inf, False)
    """

    cost: float
    """Graph, acoustic and (in a final state) final cost; inf if no path survived."""
    word_ids: tuple[int, ...]
    """Ids of the words in the graph."""
    words: tuple[str, ...]
    """The words, without silences."""
    labels: np.ndarray
    """(n_frames,) int32: input label of each frame."""
    arcs: np.ndarray
    """(n_path_arcs,) int64: arcs of the graph in order, epsilon arcs and self-loops included."""
    reached_final: bool
    """False if the path ends inside a word or sentence: its last words are uncertain."""
    segments: tuple[WordSegment, ...] = ()
    """One for each word."""
    phones: tuple[PhoneSegment, ...] = ()
    """All phones, silence included; empty if the graph does not know its phones."""

    @property
    def n_frames(self) -> int:
        """Return the number of frames."""
        return len(self.labels)

    @property
    def trailing_silence(self) -> int:
        """Return the number of frames after the last phone of speech."""
        ends = [phone.end for phone in self.phones if not phone.is_silence]
        return self.n_frames - max(ends, default=0)

    @property
    def has_speech(self) -> bool:
        """Return True if a phone (or word, if phones are unknown) is not silence."""
        if not self.phones:
            return bool(self.words)
        return any(not phone.is_silence for phone in self.phones)


NO_PATH = Path(cost=float("inf"), word_ids=(), words=(), labels=np.zeros(0, np.int32),
               arcs=np.zeros(0, np.int64), reached_final=False)


def read_path(
    graph: Graph, arcs: np.ndarray, stays: np.ndarray, cost: float, reached_final: bool
) -> Path:
    """Read words, phones and times off a path.

    `arcs` is (n_path_arcs,) int64, indices into ``graph.arcs``; `stays` bool, the self-loops.
    """
    taken = graph.arcs[arcs]
    word_ids = tuple(taken["word"][taken["word"] != 0].tolist())
    emits = taken["label"] != 0
    labels = np.ascontiguousarray(taken["label"][emits])
    words = tuple(spelt(graph.words, word_id) for word_id in word_ids)
    phones, spoken = _segment(graph, labels, stays[emits])
    segments = []
    for i, named in enumerate(zip(words, word_ids, strict=True)):
        times = (spoken[i][0].start, spoken[i][-1].end, spoken[i]) if i < len(spoken) else ()
        segments.append(WordSegment(*named, *times))
    return Path(cost, word_ids, words, labels, arcs, reached_final, tuple(segments), phones)


def spelt(words: Sequence[str], word_id: int) -> str:
    """Return a word by its id; the number for a foreign graph without its word table."""
    return words[word_id] if word_id < len(words) else str(word_id)


def _segment(
    graph: Graph, labels: np.ndarray, stays: np.ndarray
) -> tuple[tuple[PhoneSegment, ...], list[tuple[PhoneSegment, ...]]]:
    """Split the frames into phones, and phones into words; the last may be unfinished."""
    if not graph.has_phones or not len(labels):
        return (), []
    phones, spoken, within = [], list[tuple[PhoneSegment, ...]](), False
    for phone, ends_word in _phones(graph, labels, stays):
        phones.append(phone)
        if not phone.is_silence:
            spoken.append((*(spoken.pop() if within else ()), phone))
            within = True
        within = within and not ends_word
    return tuple(phones), spoken


def _phones(
    graph: Graph, labels: np.ndarray, stays: np.ndarray
) -> Iterator[tuple[PhoneSegment, bool]]:
    """Yield phones: each begins where an arc that is no self-loop enters its first state.

    CTC's blank is a self-loop after a phone. Behind a word's last phone it begins a silence, behind
    others it prolongs them, so that the phones of a word follow each other without gaps.
    """
    begins = (graph.label_state[labels] == 0) & ~stays
    begins[0] = True
    phone = graph.label_phone[labels]
    begins[1:] |= stays[1:] & (phone[1:] != phone[:-1]) & graph.label_word_end[labels[:-1]]
    starts = np.flatnonzero(begins)
    for start, end in zip(starts, np.append(starts[1:], len(labels)), strict=True):
        label = labels[start]
        name = graph.phones[graph.label_phone[label]]
        is_silence = name in graph.silence_phones
        ends_word = bool(graph.label_word_end[label]) and not is_silence
        yield PhoneSegment(name, int(start), int(end), is_silence), ends_word
