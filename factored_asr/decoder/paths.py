"""The best ways through a word lattice: one path, or the n best distinct word strings."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice

import numpy as np

from factored_asr.decoder.word_lattice import LatticeArrays, arc_costs, check, first_arcs
from factored_asr.errors import OptionError

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


def costs_to_end(lattice: LatticeArrays) -> np.ndarray:
    """(n_nodes,) float64: cost of the best way from each node to the end; inf if there is none."""
    best = np.asarray(lattice.final, np.float64).tolist()
    source, target = lattice.arc_source.tolist(), lattice.arc_target.tolist()
    cost = arc_costs(lattice).tolist()
    for a in range(len(cost) - 1, -1, -1):
        through = cost[a] + best[target[a]]
        if through < best[source[a]]:
            best[source[a]] = through
    return np.array(best)


def costs_from_start(lattice: LatticeArrays) -> np.ndarray:
    """(n_nodes,) float64: cost of the best way from the start to each node; inf if none."""
    best = [INF] * len(lattice.node_frame)
    best[:1] = [0.0]
    source, target = lattice.arc_source.tolist(), lattice.arc_target.tolist()
    for a, cost in enumerate(arc_costs(lattice).tolist()):
        through = best[source[a]] + cost
        if through < best[target[a]]:
            best[target[a]] = through
    return np.array(best)


def arc_excess(lattice: LatticeArrays) -> np.ndarray:
    """(n_arcs,) float64: how much the best path through each arc costs above the best of all.

    Inf for arcs on no whole path. Arcs within a beam are ``arc_excess(lattice) <= beam``.
    """
    ahead = costs_to_end(lattice)
    through = costs_from_start(lattice)[lattice.arc_source] + arc_costs(lattice)
    through += ahead[lattice.arc_target]
    return through - ahead[0] if len(ahead) and ahead[0] < INF else np.full(len(through), INF)


def best_path(lattice: LatticeArrays) -> LatticePath | None:
    """The cheapest path; None where no node is final or none can be reached.

    >>> from factored_asr.decoder.lattice_files import read_slf_text
    >>> text = "N=2 L=2 acscale=1\\nI=0 t=0\\nI=1 t=0.3\\n"
    >>> text += "J=0 S=0 E=1 W=yes a=-7 l=-1\\nJ=1 S=0 E=1 W=no a=-6.5 l=-2\\n"
    >>> best_path(read_slf_text(text)).words
    ('yes',)
    """
    found = nbest(lattice, 1)
    return found[0] if found else None


def nbest(lattice: LatticeArrays, n: int) -> tuple[LatticePath, ...]:
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
    check(lattice)
    return tuple(islice(word_strings(lattice), n))


@dataclass(frozen=True)
class _Step:
    """The cheapest way to a node that says the words of a prefix."""

    cost: float
    arc: int = -1
    before: _Step | None = None


_Front = dict[int, _Step]
"""Node → the cheapest step there: the states that one word prefix can be in."""


def word_strings(lattice: LatticeArrays) -> Iterator[LatticePath]:
    """All distinct word strings of a lattice with their best paths, best first, on demand.

    A* over word prefixes: a prefix is the weighted set of nodes that its paths reach, so the
    lattice is determinised on the way, and only where needed (Mohri, Riley 2002). What is ahead
    of a prefix is known exactly, so that each prefix taken up belongs to a string that is given.
    """
    if not len(lattice.node_frame):
        return
    network = _Network(lattice)
    serial = count()  # ties go to the prefix that was found first
    queue: list[tuple[float, int, _Front | None, _Step | None]] = []
    if network.ahead[0] < INF:
        queue.append((network.ahead[0], next(serial), {0: _Step(0.0)}, None))
    while queue:
        cost, _, front, ended = heapq.heappop(queue)
        if front is None:
            assert ended is not None
            yield _path(lattice, cost, ended)
            continue
        network.add_silences(front)
        ends = [(step.cost + network.final[node], node) for node, step in front.items()]
        end_cost, end = min(ends)
        if end_cost < INF:
            heapq.heappush(queue, (end_cost, next(serial), None, front[end]))
        for after in network.next_words(front).values():
            bound = min(step.cost + network.ahead[node] for node, step in after.items())
            heapq.heappush(queue, (bound, next(serial), after, None))


class _Network:
    """The arrays of a lattice as lists, which plain Python walks faster."""

    def __init__(self, lattice: LatticeArrays) -> None:
        self.first = first_arcs(lattice)
        self.target: list[int] = lattice.arc_target.tolist()
        self.word: list[int] = lattice.arc_word.tolist()
        self.cost: list[float] = arc_costs(lattice).tolist()
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
                if self.word[a] and self.ahead[self.target[a]] < INF:
                    self._reach(after.setdefault(self.word[a], {}), step, a)
        return after

    def _reach(self, front: _Front, step: _Step, arc: int) -> bool:
        cost, node = step.cost + self.cost[arc], self.target[arc]
        if self.ahead[node] == INF or (node in front and front[node].cost <= cost):
            return False
        front[node] = _Step(cost, arc, step)
        return True


def _path(lattice: LatticeArrays, cost: float, step: _Step) -> LatticePath:
    backwards = []
    at: _Step | None = step
    while at is not None and at.before is not None:
        backwards.append(at.arc)
        at = at.before
    arcs = backwards[::-1]
    ids = tuple(i for i in lattice.arc_word[arcs].tolist() if i) if arcs else ()
    acoustic = float(lattice.arc_acoustic[arcs].sum()) if arcs else 0.0
    return LatticePath(cost, acoustic, tuple(arcs), ids, tuple(lattice.words[i] for i in ids))
