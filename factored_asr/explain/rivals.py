"""What else might have been heard in the place of a word, and which factor spoke against it.

Every whole path of a lattice hears exactly one arc in a given frame. So the strongest rival of a
word is found without search: of all arcs that cover the word's middle frame with another word or
silence, the one whose cheapest whole path costs least (forward and backward costs, once for the
lattice). Around the place where it differs that path says other words; both paths are then taken
apart by factors, whole against whole, as a word also changes the history of those after it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from factored_asr.explain.factors import FACTORS, Costs, Prices, lattice_costs
from factored_asr.explain.path_states import PathStates
from factored_asr.lattice import Lattice, LatticePath, best_path
from factored_asr.lattice.nbest import path_of
from factored_asr.lattice.paths import costs_from_start, costs_to_end

INF = float("inf")
MAX_TRIES = 40
"""Paths looked at for a word: some hear the same words at other times."""


@dataclass(frozen=True)
class Rival:
    """The cheapest path that hears something else in the middle of a word."""

    words: tuple[str, ...]
    """What it hears; nothing where it hears silence."""
    instead_of: tuple[str, ...]
    """The words of the best path in whose place it hears that."""
    start: int
    """First frame of its words (or of the words it leaves out)."""
    end: int
    """Frame after the last."""
    cost: float
    """Cost of the whole path in the lattice."""
    costs: Costs
    """Of the whole path, by factor."""
    difference: Costs
    """Cost of what was heard less that of the rival: a factor below 0 speaks for what was heard."""
    arcs: tuple[int, ...] = ()
    """The path's arcs in the lattice."""

    @property
    def margin(self) -> float:
        """By how much it lost, ≥ 0."""
        return -self.difference.total

    @property
    def decided(self) -> str:
        """The factor that spoke most clearly for what was heard."""
        values = self.difference.to_dict()
        return min(FACTORS, key=lambda name: values[name])


def rivals(
    lattice: Lattice, prices: Prices, states: PathStates, words: Sequence[int]
) -> tuple[Rival | None, ...]:
    """The strongest rival of each word of the best path; None where the lattice has none.

    Parameters
    ----------
    lattice
        Of the search, aligned.
    states
        Finds the states of its paths.
    words
        Word ids of the best path.
    """
    best = heard_path(lattice, words)
    if best is None:
        return (None,) * len(words)
    network, heard = Network(lattice), _spoken(lattice, best.arcs)
    found = [next(network.against(heard, number), None) for number in range(len(heard))]
    paths = {best.arcs, *(other[0] for other in found if other is not None)}
    ordered = sorted(paths)
    costs = dict(zip(ordered, states.costs(lattice, ordered), strict=True))

    def priced(arcs: tuple[int, ...]) -> Costs:
        return lattice_costs(lattice, arcs, prices, costs[arcs][1])

    base = priced(best.arcs)
    return tuple(
        None if other is None else _rival(heard, other, priced(other[0]), base) for other in found
    )


def _rival(heard: Sequence[_Said], other: _Other, costs: Costs, base: Costs) -> Rival:
    arcs, stretch, place = other
    ours = heard[slice(*stretch)]
    span = place or ours
    return Rival(
        tuple(each.word for each in place), tuple(each.word for each in ours),
        span[0].start, span[-1].end, costs.total, costs, base - costs, arcs,
    )


def heard_path(lattice: Lattice, words: Sequence[int]) -> LatticePath | None:
    """The cheapest path that says the words (ids) of the best one; None where times are not known.
    """
    if not (lattice.aligned and lattice.n_nodes):
        return None
    best = best_path(lattice)
    if best is not None and best.word_ids == tuple(words):
        return best
    return path_of(lattice, words)  # another string costs the same


@dataclass(frozen=True)
class _Said:
    """A word on a path."""

    word: str
    start: int
    end: int


def _spoken(lattice: Lattice, arcs: Sequence[int]) -> list[_Said]:
    said = []
    for a in arcs:
        if lattice.arc_word[a]:
            ends = lattice.node_frame[[lattice.arc_source[a], lattice.arc_target[a]]].tolist()
            said.append(_Said(lattice.spelt(int(lattice.arc_word[a])), *ends))
    return said


_Other = tuple[tuple[int, ...], tuple[int, int], list[_Said]]
"""A path, the words of the best one that it does not hear (from, to), and what it hears there."""


class Network:
    """A lattice with the cheapest way to and from each node."""

    def __init__(self, lattice: Lattice):
        self.lattice = lattice
        self.ahead, self.behind = costs_to_end(lattice), costs_from_start(lattice)
        self.cost = lattice.arc_cost
        source, target = lattice.arc_source, lattice.arc_target
        self.through = self.behind[source] + self.cost + self.ahead[target]
        self.first_frame, self.last_frame = lattice.node_frame[source], lattice.node_frame[target]
        self.leaving = lattice.first_arcs()
        self.by_target = np.argsort(target, kind="stable")
        self.entering = np.searchsorted(target[self.by_target], np.arange(lattice.n_nodes + 1))

    def against(self, heard: Sequence[_Said], number: int) -> Iterator[_Other]:
        """Paths that do not hear this word of the best path, the cheapest first."""
        word = heard[number]
        middle = (word.start + word.end) // 2
        covers = (self.first_frame <= middle) & (middle < self.last_frame)
        arcs = np.flatnonzero(covers & (self.through < INF))
        names = self.lattice.arc_word[arcs].tolist()
        arcs = arcs[[name == 0 or self.lattice.spelt(name) != word.word for name in names]]
        for arc in arcs[np.argsort(self.through[arcs], kind="stable")][:MAX_TRIES].tolist():
            path = self.path(arc)
            stretch, place = _difference(heard, _spoken(self.lattice, path), number)
            same = [each.word for each in heard[slice(*stretch)]] == [each.word for each in place]
            if stretch[0] <= number < stretch[1] and not same:
                yield path, stretch, place

    def path(self, arc: int) -> tuple[int, ...]:
        """The cheapest path through an arc."""
        lattice, path = self.lattice, [arc]
        node = int(lattice.arc_source[arc])
        while node != 0:
            entering = self.by_target[self.entering[node] : self.entering[node + 1]]
            cost = self.behind[lattice.arc_source[entering]] + self.cost[entering]
            path.insert(0, int(entering[np.argmin(cost)]))
            node = int(lattice.arc_source[path[0]])
        node = int(lattice.arc_target[arc])
        while lattice.final[node] > self.ahead[node]:
            leaving = np.arange(self.leaving[node], self.leaving[node + 1])
            cost = self.cost[leaving] + self.ahead[lattice.arc_target[leaving]]
            path.append(int(leaving[np.argmin(cost)]))
            node = int(lattice.arc_target[path[-1]])
        return tuple(path)


def _difference(
    heard: Sequence[_Said], other: Sequence[_Said], number: int
) -> tuple[tuple[int, int], list[_Said]]:
    """The words of `heard` around one of them that `other` does not hear, and what it hears there.

    A word is heard by both where it is the same and the two overlap in time.
    """
    pairs, at = [(-1, -1)], 0
    for i, word in enumerate(heard):
        for j in range(at, len(other)):
            each = other[j]
            if each.word == word.word and each.start < word.end and word.start < each.end:
                pairs.append((i, j))
                at = j + 1
                break
    pairs.append((len(heard), len(other)))
    if any(i == number for i, _ in pairs):
        return (number, number), []
    before = max(pair for pair in pairs if pair[0] < number)
    after = min(pair for pair in pairs if pair[0] > number)
    return (before[0] + 1, after[0]), list(other[before[1] + 1 : after[1]])
