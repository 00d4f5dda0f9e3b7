"""A word lattice as plain arrays: what n-best lists, posteriors and second passes compute on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from factored_asr.errors import OptionError


class LatticeArrays(Protocol):
    """The arrays that every function on lattices reads; see `WordLattice` for each field."""

    @property
    def node_frame(self) -> np.ndarray: ...
    @property
    def arc_source(self) -> np.ndarray: ...
    @property
    def arc_target(self) -> np.ndarray: ...
    @property
    def arc_word(self) -> np.ndarray: ...
    @property
    def arc_pronunciation(self) -> np.ndarray: ...
    @property
    def arc_acoustic(self) -> np.ndarray: ...
    @property
    def arc_graph(self) -> np.ndarray: ...
    @property
    def arc_lm(self) -> np.ndarray: ...
    @property
    def final(self) -> np.ndarray: ...
    @property
    def words(self) -> tuple[str, ...]: ...
    @property
    def pronunciations(self) -> tuple[tuple[str, ...], ...]: ...
    @property
    def n_frames(self) -> int: ...
    @property
    def frame_seconds(self) -> float | None: ...
    @property
    def acoustic_scale(self) -> float: ...


def _none() -> np.ndarray:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class WordLattice:
    """A word lattice that was read from a file or computed from another lattice.

    Nodes are numbered so that every arc leads to a higher one; node 0 is the start. Arcs are
    sorted by source; each is one word, or one stretch of silence. The cost of a path is
    ``arc_acoustic + arc_graph`` of its arcs and ``final`` of its last node.

    Examples
    --------
    >>> lattice = WordLattice(
    ...     node_frame=np.array([0, 30]), arc_source=np.array([0, 0]), arc_target=np.array([1, 1]),
    ...     arc_word=np.array([1, 2]), arc_pronunciation=np.array([0, 0]),
    ...     arc_acoustic=np.array([7.0, 6.5]), arc_graph=np.array([1.0, 2.0]),
    ...     arc_lm=np.zeros(2), final=np.array([np.inf, 0.0]), words=("<eps>", "yes", "no"),
    ...     n_frames=30)
    >>> depth(lattice)
    2.0
    """

    node_frame: np.ndarray
    """(n_nodes,) int32: frame at which a node stands, 0 to n_frames."""
    arc_source: np.ndarray
    """(n_arcs,) int32"""
    arc_target: np.ndarray
    """(n_arcs,) int32"""
    arc_word: np.ndarray
    """(n_arcs,) int32: index into `words`; 0 for silence and fillers."""
    arc_pronunciation: np.ndarray
    """(n_arcs,) int32: index into `pronunciations`."""
    arc_acoustic: np.ndarray
    """(n_arcs,) float64: acoustic cost, scaled by `acoustic_scale`."""
    arc_graph: np.ndarray
    """(n_arcs,) float64: every other cost."""
    arc_lm: np.ndarray
    """(n_arcs,) float64: the part of `arc_graph` that is the language model's; 0 if unknown."""
    final: np.ndarray
    """(n_nodes,) float64: cost of ending here; inf where a path may not end."""
    words: tuple[str, ...]
    pronunciations: tuple[tuple[str, ...], ...] = ((),)
    n_frames: int = 0
    frame_seconds: float | None = None
    acoustic_scale: float = 1.0
    arc_origin: np.ndarray = field(default_factory=_none)
    """(n_arcs,) int64: the arc of the lattice this one was computed from; empty if none."""

    def __post_init__(self) -> None:
        check(self)

    @property
    def n_nodes(self) -> int:
        return len(self.node_frame)

    @property
    def n_arcs(self) -> int:
        return len(self.arc_source)


ARC_COLUMNS = (
    "arc_target", "arc_word", "arc_pronunciation", "arc_acoustic", "arc_graph", "arc_lm",
)


def check(lattice: LatticeArrays) -> None:
    """Raise OptionError where the arrays do not fit together or the order of the nodes is broken.

    After this the functions on lattices need no further care: no cycles, no index outside.
    """
    n_nodes, n_arcs = len(lattice.node_frame), len(lattice.arc_source)
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
    if word.min() < 0 or word.max() >= len(lattice.words):
        raise OptionError(f"words of arcs must be 0 to {len(lattice.words) - 1}")
    if (lattice.node_frame[target] < lattice.node_frame[source]).any():
        raise OptionError("an arc of a lattice may not lead back in time")


def arc_costs(lattice: LatticeArrays) -> np.ndarray:
    """(n_arcs,) float64: what a path pays for each arc."""
    return np.asarray(lattice.arc_acoustic, np.float64) + lattice.arc_graph


def arc_frames(lattice: LatticeArrays) -> np.ndarray:
    """(n_arcs,) int: number of frames that each arc covers."""
    return lattice.node_frame[lattice.arc_target] - lattice.node_frame[lattice.arc_source]


def first_arcs(lattice: LatticeArrays) -> list[int]:
    """Arcs ``first[n]`` to ``first[n + 1] - 1`` leave node n; n_nodes + 1 entries."""
    nodes = np.arange(len(lattice.node_frame) + 1)
    return np.searchsorted(lattice.arc_source, nodes).tolist()


def depth(lattice: LatticeArrays) -> float:
    """Mean number of arcs that cover a frame; 0 for a lattice of no frames."""
    return float(arc_frames(lattice).sum() / lattice.n_frames) if lattice.n_frames else 0.0
