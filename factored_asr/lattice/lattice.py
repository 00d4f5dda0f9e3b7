"""A word lattice as plain arrays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from factored_asr.errors import OptionError
from factored_asr.lattice.path import Path, PhoneSegment, WordSegment, spelt


def _no(dtype: type) -> Any:
    return field(default_factory=lambda: np.zeros(0, dtype), repr=False)


@dataclass(frozen=True, eq=False)
class Lattice:
    """Competing words, from a search, a file or another lattice.

    Nodes are between words and numbered so that every arc leads to a higher one; node 0 is the
    start; arcs are sorted by source. An arc is one word, or one silence or filler (word 0).
    The cost of a path is ``arc_acoustic + arc_graph`` of its arcs and ``final`` of its last node.
    A search with ``lattice_beam=0`` gives its best path and no nodes.

    Raises
    ------
    OptionError
        The arrays do not fit together, or the order of the nodes is broken.

    Examples
    --------
    >>> lattice = Lattice(
    ...     30, node_frame=np.array([0, 30]), final=np.array([np.inf, 0.0]),
    ...     arc_source=np.array([0, 0]), arc_target=np.array([1, 1]), arc_word=np.array([1, 2]),
    ...     arc_pronunciation=np.array([0, 0]), arc_acoustic=np.array([7.0, 6.5]),
    ...     arc_graph=np.array([1.0, 2.0]), arc_lm=np.zeros(2), words=("<eps>", "yes", "no"))
    >>> lattice.depth
    2.0
    """

    n_frames: int
    """Frames of the sound."""
    path: Path | None = field(default=None, repr=False)
    """The best path of the search; None for a lattice that is not from a search."""
    frame_seconds: float | None = None
    """Seconds between frames; None: unknown."""
    reason: str = ""
    """Why there is no complete path; empty if there is one."""
    words: tuple[str, ...] = field(default=(), repr=False)
    """Word by id."""
    pronunciations: tuple[tuple[str, ...], ...] = field(default=((),), repr=False)
    """Phones of a word or silence; the first is empty."""
    aligned: bool = False
    """True: nodes are at ends of words. False: the graph does not know its phones, or has words
    later than the phone after theirs, and nodes are where the graph has the word label."""
    acoustic_scale: float = 1.0
    """What the acoustic model's logarithms were multiplied with before the search."""
    node_frame: np.ndarray = _no(np.int32)
    """(n_nodes,) int32: number of frames before the node, 0..n_frames."""
    final: np.ndarray = _no(np.float64)
    """(n_nodes,) float64: cost of ending in a node; inf: no path may end there."""
    arc_source: np.ndarray = _no(np.int32)
    """(n_arcs,) int32"""
    arc_target: np.ndarray = _no(np.int32)
    """(n_arcs,) int32"""
    arc_word: np.ndarray = _no(np.int32)
    """(n_arcs,) int32: word id; 0 for silence, fillers, and a word not known at the end."""
    arc_pronunciation: np.ndarray = _no(np.int32)
    """(n_arcs,) int32: index into `pronunciations`."""
    arc_acoustic: np.ndarray = _no(np.float64)
    """(n_arcs,) float64: cost of the scores (scaled)."""
    arc_graph: np.ndarray = _no(np.float64)
    """(n_arcs,) float64: all other cost, as it is on the way through the graph."""
    arc_lm: np.ndarray = _no(np.float64)
    """(n_arcs,) float64: the language model's part of `arc_graph`; 0 until known (`with_lm`)."""
    phone_first: np.ndarray = _no(np.int64)
    """(n_arcs + 1,) int64: index in `phone_end` of the first phone of an arc; empty if times of
    phones are unknown."""
    phone_end: np.ndarray = _no(np.int32)
    """int32: frame after each phone of each arc."""
    arc_origin: np.ndarray = _no(np.int64)
    """(n_arcs,) int64: the arc in the lattice that this one was made from; empty if none."""
    clarity: np.ndarray = _no(np.float32)
    """(n_frames, 2) float32: `AcousticSession.clarity`; empty if unknown."""

    def __post_init__(self) -> None:
        _check(self)

    @property
    def n_nodes(self) -> int:
        """Return the number of nodes."""
        return len(self.node_frame)

    @property
    def n_arcs(self) -> int:
        """Return the number of arcs."""
        return len(self.arc_source)

    @property
    def arc_cost(self) -> np.ndarray:
        """Return the cost of each arc, (n_arcs,) float64."""
        return np.asarray(self.arc_acoustic, np.float64) + self.arc_graph

    @property
    def arc_frames(self) -> np.ndarray:
        """Return the number of frames of each arc, (n_arcs,) int."""
        return self.node_frame[self.arc_target] - self.node_frame[self.arc_source]

    @property
    def depth(self) -> float:
        """Return the mean number of arcs over a frame; 0 for a lattice of no frames."""
        return float(self.arc_frames.sum() / self.n_frames) if self.n_frames else 0.0

    @property
    def reached_final(self) -> bool:
        """Return True if the best path ends in a final state."""
        if self.path is not None:
            return self.path.reached_final
        return bool(np.isfinite(self.final).any())

    def best(self) -> Path:
        """Return the search's best path; of infinite cost and without words if none survived.

        OptionError: the lattice is not from a search; `lattice.best_path` finds its cheapest path.
        """
        if self.path is None:
            raise OptionError("this lattice is not from a search: use lattice.best_path")
        return self.path

    def spelt(self, word_id: int) -> str:
        """Return a word by its id; the number for a foreign graph without its word table."""
        return spelt(self.words, word_id)

    def first_arcs(self) -> list[int]:
        """Return n_nodes + 1 indices: arcs ``first[n]`` to ``first[n + 1] - 1`` leave node n."""
        return np.searchsorted(self.arc_source, np.arange(self.n_nodes + 1)).tolist()

    def arc_phone_ends(self, arc: int) -> np.ndarray:
        """Return the frame after each phone of an arc, int32; empty if unknown."""
        if not len(self.phone_first):
            return np.zeros(0, np.int32)
        return self.phone_end[self.phone_first[arc] : self.phone_first[arc + 1]]

    def segment(self, arc: int) -> WordSegment:
        """Return an arc as a word with its times and, if known, its phones."""
        start, end = (int(self.node_frame[at[arc]]) for at in (self.arc_source, self.arc_target))
        ends, word = self.arc_phone_ends(arc).tolist(), int(self.arc_word[arc])
        names = self.pronunciations[self.arc_pronunciation[arc]]
        phones = tuple(PhoneSegment(*each, not word)
                       for each in zip(names, [start, *ends], ends, strict=False))
        return WordSegment(self.spelt(word) if word else "", word, start, end, phones)

    def segments(self, arcs: Iterable[int]) -> tuple[WordSegment, ...]:
        """Return those of the arcs that are words, as `segment` does."""
        return tuple(self.segment(arc) for arc in arcs if self.arc_word[arc])

    def with_arcs(self, origin: np.ndarray, nodes: Nodes | None = None) -> Lattice:
        """Return a lattice, not from a search, with copies of this one's arcs in the given order.

        `origin` is (n,) int: arcs of this lattice, sorted by their sources. `nodes` are other nodes
        in place of this lattice's; None keeps these.
        """
        columns = {name: getattr(self, name)[origin] for name in ("arc_source", *ARC_COLUMNS)}
        first, ends = self.phone_first, self.phone_end
        if len(first):
            length = np.diff(first)[origin]
            new_first = np.concatenate([[0], np.cumsum(length)])
            shift = np.repeat(first[:-1][origin] - new_first[:-1], length)
            first, ends = new_first, ends[np.arange(new_first[-1]) + shift]
        origin = np.asarray(origin, np.int64)
        if nodes is not None:
            columns |= nodes._asdict()
        return replace(self, path=None, arc_origin=origin, phone_first=first, phone_end=ends,
                       **columns)


class Nodes(NamedTuple):
    """Nodes of a lattice, and the arcs between them; see the fields of `Lattice`."""

    node_frame: np.ndarray
    final: np.ndarray
    arc_source: np.ndarray
    arc_target: np.ndarray


ARC_COLUMNS = ("arc_target", "arc_word", "arc_pronunciation", "arc_acoustic", "arc_graph", "arc_lm")


def _check(lattice: Lattice) -> None:
    """Check that there are no cycles and no index out of range."""
    n_nodes, n_arcs = lattice.n_nodes, lattice.n_arcs
    if len(lattice.final) != n_nodes:
        raise OptionError(f"a lattice of {n_nodes} nodes has {len(lattice.final)} final costs")
    for name in ARC_COLUMNS:
        if len(getattr(lattice, name)) != n_arcs:
            raise OptionError(f"{name} must have {n_arcs} entries, one for each arc")
    if n_arcs == 0:
        return
    source, target, word = lattice.arc_source, lattice.arc_target, lattice.arc_word
    if source[0] < 0 or (np.diff(source) < 0).any():
        raise OptionError("arcs of a lattice must be sorted by their source")
    if (target <= source).any() or target.max() >= n_nodes:
        raise OptionError("an arc of a lattice must lead to a node of a higher number")
    if word.min() < 0 or (len(lattice.words) > 1 and word.max() >= len(lattice.words)):
        raise OptionError(f"words of arcs must be 0 to {len(lattice.words) - 1}")
    if (lattice.node_frame[target] < lattice.node_frame[source]).any():
        raise OptionError("an arc of a lattice may not lead back in time")
