"""The strongest competitor of each word of the hypothesis, and the factor that decided.

Every whole path of a lattice has exactly one arc in a given frame. So the competitor of a word
needs no search. Of all arcs that cover the word's middle frame with another word or silence, it is
the one with the cheapest whole path (forward and backward costs). Both paths
are split by factors, whole against whole, as a word also changes the history of later words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from factored_asr.explain.factors import FACTORS, Costs, Prices, lattice_costs
from factored_asr.explain.transitions import Scores, lattice_transitions
from factored_asr.lattice import Lattice, LatticePath, WordSegment, best_path
from factored_asr.lattice.nbest import path_of
from factored_asr.lattice.paths import costs_from_start, costs_to_end

INF = float("inf")
MAX_TRIES = 40
"""Paths tried for a word: some have the same words at other times."""


@dataclass(frozen=True)
class Competitor:
    """The cheapest path with another word, or none, in the middle of a word of the hypothesis.

    Examples
    --------
    >>> from factored_asr.explain.factors import Costs
    >>> off = Competitor(("off",), ("on",), 10, 40, 104.5, Costs(),
    ...                  difference=Costs(acoustic=-7.0, language=3.0))
    >>> off.margin, off.decided
    (4.0, 'acoustic')
    """

    words: tuple[str, ...]
    """Its words around there; empty for silence."""
    instead_of: tuple[str, ...]
    """The words of the hypothesis that these replace."""
    start: int
    """First frame of its words (or of the words that it leaves out)."""
    end: int
    """Frame after the last."""
    cost: float
    """Cost of the whole path in the lattice."""
    costs: Costs
    """Of the whole path, by factor."""
    difference: Costs
    """Cost of the hypothesis less that of the competitor: a factor below 0 favours the
    hypothesis."""
    arcs: tuple[int, ...] = ()
    """The path's arcs in the lattice."""

    @property
    def margin(self) -> float:
        """Return its cost above the hypothesis, ≥ 0."""
        return -self.difference.total

    @property
    def decided(self) -> str:
        """Return the factor that favours the hypothesis most."""
        values = self.difference.to_dict()
        return min(FACTORS, key=lambda name: values[name])


def competitors(
    lattice: Lattice, prices: Prices, score: Scores, words: Sequence[int]
) -> tuple[Competitor | None, ...]:
    """Return the strongest competitor of each word; None where the lattice has none.

    Parameters
    ----------
    lattice
        Of the search, aligned.
    score
        Scores of the whole sound, which give the states of paths.
    words
        Word ids of the hypothesis.
    """
    best = hypothesis_path(lattice, words)
    if best is None:
        return (None,) * len(words)
    network, ours = Network(lattice), _words(lattice, best.arcs)
    found = [next(network.against(ours, number), None) for number in range(len(ours))]
    paths = sorted({best.arcs, *(other[0] for other in found if other is not None)})
    transitions = lattice_transitions(lattice, paths, prices.topology,
                                      prices.options.transition_scale, score)
    costs = {
        path: lattice_costs(lattice, path, prices, moved)
        for path, moved in zip(paths, transitions, strict=True)
    }

    def competitor(other: _Other) -> Competitor:
        arcs, stretch, place = other
        replaced, theirs = ours[slice(*stretch)], costs[arcs]
        span = place or replaced
        return Competitor(
            tuple(each.word for each in place), tuple(each.word for each in replaced),
            span[0].start or 0, span[-1].end or 0, theirs.total, theirs,
            costs[best.arcs] - theirs, arcs,
        )

    return tuple(None if other is None else competitor(other) for other in found)


def hypothesis_path(lattice: Lattice, words: Sequence[int]) -> LatticePath | None:
    """Return the cheapest path with these word ids; None if there is none, or times are unknown."""
    if not (lattice.aligned and lattice.n_nodes):
        return None
    best = best_path(lattice)
    if best is not None and best.word_ids == tuple(words):
        return best
    return path_of(lattice, words)  # other words may cost the same


def _words(lattice: Lattice, arcs: Sequence[int]) -> list[WordSegment]:
    return [lattice.segment(arc) for arc in arcs if lattice.arc_word[arc]]


_Other = tuple[tuple[int, ...], tuple[int, int], list[WordSegment]]
"""A path, the words of the hypothesis that it lacks (from, to), and its words in their place."""


class Network:
    """A lattice with the cheapest path through each arc."""

    def __init__(self, lattice: Lattice):
        self.lattice = lattice
        ahead, behind = costs_to_end(lattice), costs_from_start(lattice)
        self._source, self._target = lattice.arc_source, lattice.arc_target
        before, after = behind[self._source] + lattice.arc_cost, ahead[self._target]
        self.through = before + after
        """(n_arcs,) cost of the cheapest whole path through each arc."""
        self.first_frame = lattice.node_frame[self._source]
        self.last_frame = lattice.node_frame[self._target]
        self._before = _cheapest_arc(self._target, before, lattice.n_nodes)
        self._after = _cheapest_arc(self._source, lattice.arc_cost + after, lattice.n_nodes)
        self._before[:1] = -1
        self._after[lattice.final <= ahead] = -1

    def against(self, ours: Sequence[WordSegment], number: int) -> Iterator[_Other]:
        """Yield the paths without this word of the hypothesis, the cheapest first."""
        word = ours[number]
        middle = ((word.start or 0) + (word.end or 0)) // 2
        covers = (self.first_frame <= middle) & (middle < self.last_frame)
        arcs = np.flatnonzero(covers & (self.through < INF))
        names = self.lattice.arc_word[arcs].tolist()
        arcs = arcs[[name == 0 or self.lattice.spelt(name) != word.word for name in names]]
        for arc in arcs[np.argsort(self.through[arcs], kind="stable")][:MAX_TRIES].tolist():
            path = self.path(arc)
            stretch, place = _difference(ours, _words(self.lattice, path), number)
            same = [each.word for each in ours[slice(*stretch)]] == [each.word for each in place]
            if stretch[0] <= number < stretch[1] and not same:
                yield path, stretch, place

    def path(self, arc: int) -> tuple[int, ...]:
        """Return the cheapest path through an arc."""
        path = [arc]
        while (before := int(self._before[self._source[path[0]]])) >= 0:
            path.insert(0, before)
        while (after := int(self._after[self._target[path[-1]]])) >= 0:
            path.append(after)
        return tuple(path)


def _cheapest_arc(node: np.ndarray, cost: np.ndarray, n_nodes: int) -> np.ndarray:
    """(n_nodes,) the cheapest of the arcs at each node; -1 where there is none."""
    cheapest, order = np.full(n_nodes, -1), np.lexsort((cost, node))[::-1]
    cheapest[node[order]] = order
    return cheapest


def _difference(
    ours: Sequence[WordSegment], other: Sequence[WordSegment], number: int
) -> tuple[tuple[int, int], list[WordSegment]]:
    """Return the words of `ours` around one of them that `other` lacks, and its words instead.

    Both have a word where it is the same and the two overlap in time.
    """
    pairs, at = [(-1, -1)], 0
    for i, word in enumerate(ours):
        for j in range(at, len(other)):
            if other[j].word == word.word and _overlap(word, other[j]):
                pairs.append((i, j))
                at = j + 1
                break
    pairs.append((len(ours), len(other)))
    if any(i == number for i, _ in pairs):
        return (number, number), []
    before = max(pair for pair in pairs if pair[0] < number)
    after = min(pair for pair in pairs if pair[0] > number)
    return (before[0] + 1, after[0]), list(other[before[1] + 1 : after[1]])


def _overlap(one: WordSegment, other: WordSegment) -> bool:
    return (other.start or 0) < (one.end or 0) and (one.start or 0) < (other.end or 0)
