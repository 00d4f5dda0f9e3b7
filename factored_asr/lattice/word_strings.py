"""How probable each word string of a lattice is: the sum over all its paths, not the best one.

Prefixes of strings are taken up the most probable first. A prefix is the weighted set of nodes that
its paths reach, so the lattice is determinised on the way, in the log semiring and only where
needed (Mohri 2002, "Generic epsilon-removal and input epsilon-normalization"; Mohri, Riley 2002,
"An efficient algorithm for the n-best-strings problem"). What lies ahead of a prefix is known from
the backward sums, so strings come out in the order of their probability, each one exact, and what
was not looked at is exactly the rest.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from factored_asr.errors import OptionError
from factored_asr.lattice.lattice import Lattice
from factored_asr.lattice.posteriors import arc_posteriors

INF = float("inf")
MAX_PREFIXES = 20_000
"""Prefixes that are taken up at most; long flat lattices have more than anybody can count."""


@dataclass(frozen=True)
class WordString:
    """The words of one or many paths through a lattice."""

    words: tuple[str, ...]
    """Without silences."""
    probability: float
    """Share of the paths that say these words, whatever their pronunciations and times, 0 to 1."""
    arcs: tuple[int, ...]
    """The cheapest of these paths: arcs in order, silences included."""
    acoustic: float
    """The acoustic part of that path's cost, scaled as in the lattice."""
    graph: float
    """All other cost of that path: grammar or language model, pronunciation, silence."""


def word_strings(
    lattice: Lattice, n: int = 100, *, scale: float = 1.0, least: float = 1e-3
) -> tuple[tuple[WordString, ...], float]:
    """The most probable word strings, best first, and the probability of all that is left out.

    Each probability is exact over the lattice; they and the rest sum to 1.

    Parameters
    ----------
    lattice
        Arcs in topological order. One without a whole path gives no string, and leaves out 1.
    n
        Strings at most.
    scale
        Multiplies every cost: below 1 the probabilities are flatter.
    least
        No more strings are looked for once less than this is left out, 0 to 1.

    Raises
    ------
    OptionError
        For an option out of range, or arrays that are no lattice.

    Examples
    --------
    >>> from factored_asr.lattice.files import read_slf_text
    >>> text = "N=2 L=3 acscale=1\\nI=0 t=0\\nI=1 t=0.3\\nJ=0 S=0 E=1 W=yes a=-7 l=-2\\n"
    >>> text += "J=1 S=0 E=1 W=no a=-7 l=-2\\nJ=2 S=0 E=1 W=no a=-8 l=-1\\n"
    >>> strings, left_out = word_strings(read_slf_text(text))
    >>> [(" ".join(each.words), round(each.probability, 3)) for each in strings]
    [('no', 0.667), ('yes', 0.333)]
    """
    if n < 1 or not 0 <= least <= 1:
        raise OptionError(f"n must be at least 1 and least 0 to 1, got {n} and {least}")
    network = _Network(lattice, scale)
    found: list[WordString] = []
    left_out = 1.0
    for probability, step in _by_probability(network) if network.log_total > -INF else ():
        found.append(_string(lattice, probability, step))
        left_out = max(0.0, 1.0 - math.fsum(each.probability for each in found))
        if len(found) == n or left_out < least:
            break
    return tuple(found), left_out


@dataclass(slots=True)
class _Step:
    """How the paths of a prefix come to a node."""

    log_sum: float
    """Of all of them."""
    cost: float
    """Of the cheapest, whose last arc and step before follow."""
    arc: int = -1
    before: Any = None


_Front = dict[int, _Step]
"""The nodes that one word prefix can be in."""


class _Network:
    """The arrays of a lattice as lists, which plain Python walks faster."""

    def __init__(self, lattice: Lattice, scale: float) -> None:
        sums = arc_posteriors(lattice, scale=scale)
        self.log_total = sums.log_total
        self.scale = scale
        self.first = lattice.first_arcs()
        self.target: list[int] = lattice.arc_target.tolist()
        self.word: list[int] = lattice.arc_word.tolist()
        self.cost: list[float] = lattice.arc_cost.tolist()
        self.final: list[float] = np.asarray(lattice.final, np.float64).tolist()
        self.ahead = _log_ahead(self) if self.log_total > -INF else []

    def add_silences(self, front: _Front) -> None:
        """Add the nodes that are reached without a further word."""
        waiting = sorted(front)
        done = -1
        while waiting:
            node = heapq.heappop(waiting)  # in topological order, so its sum is whole here
            if node == done:
                continue
            done = node
            for a in range(self.first[node], self.first[node + 1]):
                if self.word[a] == 0 and self.ahead[self.target[a]] > -INF:
                    heapq.heappush(waiting, self.target[a])
                    self._reach(front, front[node], a)

    def next_words(self, front: _Front) -> Iterable[_Front]:
        """Where each next word leads."""
        after: dict[int, _Front] = {}
        for node, step in front.items():
            for a in range(self.first[node], self.first[node + 1]):
                if self.word[a] and self.ahead[self.target[a]] > -INF:
                    self._reach(after.setdefault(self.word[a], {}), step, a)
        return after.values()

    def ending(self, front: _Front) -> tuple[float, _Step | None]:
        """Log of the sum of the paths that end here, and the cheapest of them."""
        log_sum, least, best = -INF, INF, None
        for node, step in front.items():
            if self.final[node] < INF:
                log_sum = _log_add(log_sum, step.log_sum - self.scale * self.final[node])
                if step.cost + self.final[node] < least:
                    least, best = step.cost + self.final[node], step
        return log_sum, best

    def whole(self, front: _Front) -> float:
        """Log of the sum of all whole paths that begin like this."""
        log_sum = -INF
        for node, step in front.items():
            log_sum = _log_add(log_sum, step.log_sum + self.ahead[node])
        return log_sum

    def _reach(self, front: _Front, step: _Step, arc: int) -> None:
        node, cost = self.target[arc], step.cost + self.cost[arc]
        log_sum = step.log_sum - self.scale * self.cost[arc]
        here = front.get(node)
        if here is None:
            front[node] = _Step(log_sum, cost, arc, step)
            return
        here.log_sum = _log_add(here.log_sum, log_sum)
        if cost < here.cost:
            here.cost, here.arc, here.before = cost, arc, step


def _log_ahead(network: _Network) -> list[float]:
    """For each node the log of the sum of all ways from it to an end."""
    ahead = [-network.scale * cost for cost in network.final]
    for node in range(len(ahead) - 1, -1, -1):
        for a in range(network.first[node], network.first[node + 1]):
            further = ahead[network.target[a]] - network.scale * network.cost[a]
            ahead[node] = _log_add(ahead[node], further)
    return ahead


def _by_probability(network: _Network) -> Iterator[tuple[float, _Step]]:
    """Word strings, the most probable first, each with the last step of its cheapest path."""
    serial = count()  # ties go to the prefix that was found first
    begin: _Front = {0: _Step(0.0, 0.0)}
    queue: list[tuple[float, int, _Front | None, Any]] = [(0.0, next(serial), begin, None)]
    for _ in range(MAX_PREFIXES):
        if not queue:
            return
        minus_log, _, front, ended = heapq.heappop(queue)
        if front is None:
            yield min(1.0, math.exp(-minus_log)), ended
            continue
        network.add_silences(front)
        log_sum, best = network.ending(front)
        if best is not None:
            heapq.heappush(queue, (network.log_total - log_sum, next(serial), None, best))
        for after in network.next_words(front):
            share = network.log_total - network.whole(after)
            heapq.heappush(queue, (share, next(serial), after, None))


def _string(lattice: Lattice, probability: float, step: _Step) -> WordString:
    backwards, ended = [], step
    while step.before is not None:
        backwards.append(step.arc)
        step = step.before
    arcs = backwards[::-1]
    ids = [i for i in lattice.arc_word[arcs].tolist() if i] if arcs else []
    acoustic = float(lattice.arc_acoustic[arcs].sum()) if arcs else 0.0
    final = float(lattice.final[lattice.arc_target[arcs[-1]] if arcs else 0])
    words = tuple(lattice.words[i] for i in ids)
    return WordString(words, probability, tuple(arcs), acoustic, ended.cost + final - acoustic)


def _log_add(a: float, b: float) -> float:
    if a < b:
        a, b = b, a
    return a if b == -INF else a + math.log1p(math.exp(b - a))
