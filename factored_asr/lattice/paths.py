"""The best ways through a word lattice: one path, or the n best distinct word strings."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

import numpy as np

from factored_asr.errors import OptionError
from factored_asr.lattice.lattice import Lattice

INF = float("inf")


@dataclass(frozen=True)
class LatticePath:
    """One way through a lattice, from its start to a final node."""

    cost: float
    """Cost of all arcs and of ending."""
    acoustic: float
    """The acoustic part of the cost, scaled as in the lattice."""
    arcs: tuple[int, ...]
    """Arcs of the lattice in order, silences included."""
    word_ids: tuple[int, ...]
    words: tuple[str, ...]
    """The words, without silences."""


def costs_to_end(lattice: Lattice) -> np.ndarray:
    """(n_nodes,) float64: cost of the best way from each node to the end; inf if there is none."""
    best = np.asarray(lattice.final, np.float64).tolist()
    source, target = lattice.arc_source.tolist(), lattice.arc_target.tolist()
    cost = lattice.arc_cost.tolist()
    for a in range(len(cost) - 1, -1, -1):
        through = cost[a] + best[target[a]]
        if through < best[source[a]]:
            best[source[a]] = through
    return np.array(best)


def costs_from_start(lattice: Lattice) -> np.ndarray:
    """(n_nodes,) float64: cost of the best way from the start to each node; inf if none."""
    best = [INF] * len(lattice.node_frame)
    best[:1] = [0.0]
    source, target = lattice.arc_source.tolist(), lattice.arc_target.tolist()
    for a, cost in enumerate(lattice.arc_cost.tolist()):
        through = best[source[a]] + cost
        if through < best[target[a]]:
            best[target[a]] = through
    return np.array(best)


def arc_excess(lattice: Lattice) -> np.ndarray:
    """(n_arcs,) float64: how much the best path through each arc costs above the best of all.

    Inf for arcs on no whole path. Arcs within a beam are ``arc_excess(lattice) <= beam``.
    """
    ahead = costs_to_end(lattice)
    through = costs_from_start(lattice)[lattice.arc_source] + lattice.arc_cost
    through += ahead[lattice.arc_target]
    return through - ahead[0] if len(ahead) and ahead[0] < INF else np.full(len(through), INF)


def prune(lattice: Lattice, beam: float) -> Lattice:
    """The lattice without the arcs whose best path is more than `beam` above the best of all.

    All its paths within the beam stay, at their costs, and its nodes keep their numbers.
    ``arc_origin`` tells which arcs were kept.
    """
    if not beam >= 0:
        raise OptionError(f"the beam must be 0 or more, got {beam}")
    kept = np.flatnonzero(arc_excess(lattice) <= beam + 1e-9)
    return lattice.with_arcs(kept)


def best_path(lattice: Lattice) -> LatticePath | None:
    """The cheapest path; None where no node is final or none can be reached.

    >>> from factored_asr.lattice.files import read_slf_text
    >>> text = "N=2 L=2 acscale=1\\nI=0 t=0\\nI=1 t=0.3\\n"
    >>> text += "J=0 S=0 E=1 W=yes a=-7 l=-1\\nJ=1 S=0 E=1 W=no a=-6.5 l=-2\\n"
    >>> best_path(read_slf_text(text)).words
    ('yes',)
    """
    ahead, final = costs_to_end(lattice).tolist(), lattice.final.tolist()
    if not ahead or ahead[0] == INF:
        return None
    first, target = lattice.first_arcs(), lattice.arc_target.tolist()
    cost = lattice.arc_cost.tolist()
    node, arcs = 0, list[int]()
    while final[node] > ahead[node]:
        leaving = range(first[node], first[node + 1])
        arcs.append(min(leaving, key=lambda a: cost[a] + ahead[target[a]]))
        node = target[arcs[-1]]
    return _path(lattice, ahead[0], arcs)


def nbest(lattice: Lattice, n: int) -> tuple[LatticePath, ...]:
    """The n word strings of lowest cost, best first; fewer where the lattice has fewer.

    No string comes twice: each stands for all its segmentations and pronunciations, and the path
    given is the cheapest of them. The list is exact with respect to the lattice.

    Raises
    ------
    OptionError
        For n < 1, or arrays that are no lattice.
    """
    if n < 1:
        raise OptionError(f"the number of word strings must be at least 1, got {n}")
    best = best_path(lattice)
    if best is None or n == 1:
        return () if best is None else (best,)
    network, beam = _Network(lattice, best.cost), FIRST_BEAM
    while True:
        network.limit = best.cost + beam + TOLERANCE
        network.has_cut = False
        found = [
            _path(lattice, cost, arcs)
            for cost, arcs in islice(_word_strings(network), n)
        ]
        if not network.has_cut or (len(found) == n and found[-1].cost <= best.cost + beam):
            return tuple(found)
        beam *= 2


def path_of(lattice: Lattice, word_ids: Sequence[int]) -> LatticePath | None:
    """The cheapest path that says these words and no others; None where there is none."""
    network = _Network(lattice, INF)
    front: _Front = {0: (0.0, -1, None)} if lattice.n_nodes else {}
    for word_id in word_ids:
        network.add_silences(front)
        front = network.next_words(front).get(word_id, {})
    network.add_silences(front)
    ends = [(step[0] + network.final[node], node) for node, step in front.items()]
    cost, node = min(ends, default=(INF, 0))
    return _path(lattice, cost, _arcs(front[node])) if cost < INF else None


FIRST_BEAM = 0.5
"""What costs more than this above the best path is looked at only if the list is not full yet."""
TOLERANCE = 1e-6
"""Sums of one path's costs, taken from either end, may differ in their last digits."""

_Step = tuple[float, int, Any]
"""The cheapest way to a node that says the words of a prefix: cost, last arc, step before."""
_Front = dict[int, _Step]
"""Node → the cheapest step there: the states that one word prefix can be in."""


def _word_strings(network: _Network) -> Iterator[tuple[float, list[int]]]:
    """Distinct word strings within the network's limit, best first: costs and arcs.

    A* over word prefixes: a prefix is the weighted set of nodes that its paths reach, so the
    lattice is determinised on the way, and only where needed (Mohri, Riley 2002). What is ahead
    of a prefix is known exactly, so that each prefix taken up belongs to a string that is given.
    """
    serial = count()  # ties go to the prefix that was found first
    begin: _Step = (0.0, -1, None)
    queue: list[tuple[float, int, _Front | None, _Step]] = [(0.0, next(serial), {0: begin}, begin)]
    while queue:
        cost, _, front, ended = heapq.heappop(queue)
        if front is None:
            yield cost, _arcs(ended)
            continue
        network.add_silences(front)
        end_cost, end = min((step[0] + network.final[node], node) for node, step in front.items())
        if end_cost <= network.limit:
            heapq.heappush(queue, (end_cost, next(serial), None, front[end]))
        network.has_cut |= network.limit < end_cost < INF
        for after in network.next_words(front).values():
            bound = min(step[0] + network.ahead[node] for node, step in after.items())
            heapq.heappush(queue, (bound, next(serial), after, begin))


class _Network:
    """The arrays of a lattice as lists, which plain Python walks faster."""

    def __init__(self, lattice: Lattice, limit: float) -> None:
        self.limit = limit
        """Paths that cost more are not followed."""
        self.has_cut = False
        """Whether there was such a path."""
        self.first = lattice.first_arcs()
        self.target: list[int] = lattice.arc_target.tolist()
        self.word: list[int] = lattice.arc_word.tolist()
        self.cost: list[float] = lattice.arc_cost.tolist()
        self.final: list[float] = np.asarray(lattice.final, np.float64).tolist()
        self.ahead: list[float] = costs_to_end(lattice).tolist()

    def add_silences(self, front: _Front) -> None:
        """Add the nodes that are reached without a further word."""
        waiting = list(front)
        heapq.heapify(waiting)
        done = -1
        while waiting:
            node = heapq.heappop(waiting)  # in topological order, so each step is final here
            if node == done:
                continue
            done = node
            for a in range(self.first[node], self.first[node + 1]):
                if self.word[a] == 0 and self._reach(front, front[node], a):
                    heapq.heappush(waiting, self.target[a])

    def next_words(self, front: _Front) -> dict[int, _Front]:
        """Where each next word leads."""
        after: dict[int, _Front] = {}
        for node, step in front.items():
            for a in range(self.first[node], self.first[node + 1]):
                if self.word[a]:
                    self._reach(after.setdefault(self.word[a], {}), step, a)
        return {word: nodes for word, nodes in after.items() if nodes}

    def _reach(self, front: _Front, step: _Step, arc: int) -> bool:
        cost, node = step[0] + self.cost[arc], self.target[arc]
        whole = cost + self.ahead[node]
        if whole > self.limit:
            self.has_cut |= whole < INF
            return False
        if node in front and front[node][0] <= cost:
            return False
        front[node] = (cost, arc, step)
        return True


def _arcs(step: _Step) -> list[int]:
    backwards = []
    while step[2] is not None:
        backwards.append(step[1])
        step = step[2]
    return backwards[::-1]


def _path(lattice: Lattice, cost: float, arcs: list[int]) -> LatticePath:
    ids = tuple(i for i in lattice.arc_word[arcs].tolist() if i) if arcs else ()
    acoustic = float(lattice.arc_acoustic[arcs].sum()) if arcs else 0.0
    return LatticePath(cost, acoustic, tuple(arcs), ids, tuple(lattice.spelt(i) for i in ids))
