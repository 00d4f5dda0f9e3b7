"""Lattices of phones for discriminative training.

Words and times stay as the search found them; a phone keeps its first and last frame. The states
inside each phone and their scores change from pass to pass. A *span* (a phone in context over some
frames) is aligned once, however many arcs share it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from factored_asr.acoustic import BEGIN, END, INTERNAL, SINGLE, GmmModel
from factored_asr.acoustic.alignment import SpanStates, align_spans
from factored_asr.errors import OptionError
from factored_asr.lattice import Lattice

START, STOP = 4, 5  # columns of spans; before them centre, left, right, position


@dataclass(frozen=True, eq=False)
class PhoneLattice:
    """A word lattice whose arcs are sequences of phones in context with their times."""

    n_frames: int
    arc_source: np.ndarray
    """(n_arcs,) int32, sorted."""
    arc_target: np.ndarray
    """(n_arcs,) int32: above the source."""
    arc_cost: np.ndarray
    """(n_arcs,) float64: all costs but those of states and frames: language model,
    pronunciations, silence."""
    final: np.ndarray
    """(n_nodes,) float64: cost of ending here; inf where no path may."""
    arc_first: np.ndarray
    """(n_arcs + 1,) int64: where in `arc_spans` the phones of an arc begin."""
    arc_spans: np.ndarray
    """int32: rows of `spans`, arc by arc."""
    spans: np.ndarray
    """(n_spans, 6) int32: centre, left and right phone, position, first frame, frame after the
    last; distinct."""

    @property
    def n_arcs(self) -> int:
        return len(self.arc_source)

    def over_arcs(self, of_spans: np.ndarray) -> np.ndarray:
        """Return sums over the phones of each arc, (n_arcs,)."""
        sums = np.append(0.0, np.cumsum(of_spans[self.arc_spans]))
        return sums[self.arc_first[1:]] - sums[self.arc_first[:-1]]

    def over_spans(self, of_arcs: np.ndarray) -> np.ndarray:
        """Return sums over the arcs that share each phone, (n_spans,)."""
        values = np.repeat(of_arcs, np.diff(self.arc_first))
        return np.bincount(self.arc_spans, values, len(self.spans))

    def with_cost(self, cost: float) -> PhoneLattice:
        """Return the lattice with a cost added to every path."""
        return replace(self, arc_cost=self.arc_cost + np.where(self.arc_source == 0, cost, 0.0))

    def joined(self, other: PhoneLattice) -> PhoneLattice:
        """Return all paths of both lattices; a common path is there twice."""
        shift = len(self.final) - 1  # the start is shared, other nodes follow
        moved = np.where(other.arc_source, other.arc_source + shift, 0)
        source = np.concatenate([self.arc_source, moved])
        target = np.concatenate([self.arc_target, other.arc_target + shift])
        order = np.argsort(source, kind="stable")
        length = np.concatenate([np.diff(self.arc_first), np.diff(other.arc_first)])
        first = np.cumsum(length) - length
        taken = np.repeat(first[order] - np.cumsum(length[order]) + length[order], length[order])
        spans = np.concatenate([self.arc_spans, other.arc_spans + len(self.spans)])
        return PhoneLattice(
            self.n_frames, source[order], target[order],
            np.concatenate([self.arc_cost, other.arc_cost])[order],
            np.concatenate([self.final, other.final[1:]]),
            np.append(0, np.cumsum(length[order])), spans[taken + np.arange(len(taken))],
            np.concatenate([self.spans, other.spans]),
        )  # fmt: skip


def phone_lattice(lattice: Lattice, model: GmmModel, scores: np.ndarray) -> PhoneLattice:
    """Return the phone lattice of a word lattice that a search with this model made.

    `scores` (n_frames, n_pdfs) are scaled, as they were searched. Raises OptionError if the
    lattice does not know its phones, or has no path.
    """
    if not lattice.aligned or not lattice.n_arcs:
        raise OptionError("the lattice does not know its phones, or has no path")
    length = np.array([len(phones) for phones in lattice.pronunciations])
    if (length[lattice.arc_pronunciation] != np.diff(lattice.phone_first)).any():
        raise OptionError("an arc of the lattice has other phones than its pronunciation")
    rows = _spans_of(lattice, model)
    spans, arc_spans = np.unique(rows, axis=0, return_inverse=True)
    phones = PhoneLattice(
        lattice.n_frames, lattice.arc_source, lattice.arc_target,
        lattice.arc_acoustic + lattice.arc_graph, lattice.final.astype(np.float64),
        lattice.phone_first.astype(np.int64), arc_spans.ravel().astype(np.int32), spans,
    )  # fmt: skip
    found = span_states(phones, model, scores, np.arange(model.n_pdfs))
    return replace(phones, arc_cost=phones.arc_cost + phones.over_arcs(found.log_likelihood))


def span_states(
    lattice: PhoneLattice, model: GmmModel, scores: np.ndarray, pdfs: np.ndarray
) -> SpanStates:
    """Find the best states of every span; `pdfs` are those of the columns of the scores."""
    units = model.hmm_index(*lattice.spans[:, :START].T)
    start, stop = lattice.spans[:, START], lattice.spans[:, STOP]
    return align_spans(model.topology, units, start, stop, scores, pdfs)


def span_frames(lattice: PhoneLattice) -> tuple[np.ndarray, np.ndarray]:
    """Return the frame and the span of every frame of every span, (n,) each."""
    length = lattice.spans[:, STOP] - lattice.spans[:, START]
    span = np.repeat(np.arange(len(length)), length)
    offset = np.arange(len(span)) - np.repeat(np.cumsum(length) - length, length)
    return lattice.spans[span, START] + offset, span


def _spans_of(lattice: Lattice, model: GmmModel) -> np.ndarray:
    """Return the phones of all arcs in order, as rows of `PhoneLattice.spans`, (n, 6).

    A neighbour in another arc is that of any arc before or after: the graph's states keep arcs
    apart that would need another HMM.
    """
    index = {phone: i for i, phone in enumerate(model.phones)}
    spelt = [np.array([index[each] for each in phones], np.int32)
             for phones in lattice.pronunciations]  # fmt: skip
    chosen = [spelt[i] for i in lattice.arc_pronunciation.tolist()]
    centre = np.concatenate(chosen)
    first, last = lattice.phone_first[:-1], lattice.phone_first[1:] - 1
    silence = index[model.silence]
    before = np.full(lattice.n_nodes, silence, np.int32)
    before[lattice.arc_target] = centre[last]
    after = np.full(lattice.n_nodes, silence, np.int32)
    after[lattice.arc_source] = centre[first]
    left, right = np.roll(centre, 1), np.roll(centre, -1)
    left[first], right[last] = before[lattice.arc_source], after[lattice.arc_target]
    position = np.full(len(centre), INTERNAL, np.int32)
    position[first], position[last] = BEGIN, END
    position[first[first == last]] = SINGLE
    start = np.roll(lattice.phone_end, 1)
    start[first] = lattice.node_frame[lattice.arc_source]
    return np.column_stack([centre, left, right, position, start, lattice.phone_end])


def holds(lattice: Lattice, words: tuple[str, ...]) -> bool:
    """Return whether a path of a lattice has exactly these words."""
    reached: list[set[int]] = [set() for _ in range(lattice.n_nodes)]  # words so far
    if lattice.n_nodes:
        reached[0].add(0)
    for source, target, word in zip(
        lattice.arc_source.tolist(), lattice.arc_target.tolist(), lattice.arc_word.tolist(),
        strict=True,
    ):  # fmt: skip
        if not word:
            reached[target] |= reached[source]
        else:
            fits = {n for n, text in enumerate(words, 1) if text == lattice.words[word]}
            reached[target] |= {n + 1 for n in reached[source]} & fits
    return any(len(words) in reached[node] for node in np.flatnonzero(np.isfinite(lattice.final)))
