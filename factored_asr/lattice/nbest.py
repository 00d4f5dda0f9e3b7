"""N-best word strings of a lattice: those of lowest cost, or of highest probability.

Both are one A* search over word prefixes. A prefix is the weighted set of nodes that its paths
reach. So the lattice is determinised on the way, and only where needed (Mohri, Riley 2002, "An
efficient algorithm for the n-best-strings problem"). What lies ahead of a prefix is known exactly,
so strings come out in order. By cost, a string stands for its cheapest path (tropical semiring); by
probability, for the sum of its paths (log semiring), and the probability of the rest is exact.
"""

from __future__ import annotations

import heapq
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import count, islice
from typing import Any

from factored_asr.errors import OptionError
from factored_asr.lattice.lattice import Lattice
from factored_asr.lattice.paths import LatticePath, best_path, costs_to_end, sum_of_ways

INF = float("inf")
MAX_PREFIXES = 20_000
"""Prefixes that `word_strings` expands at most; long flat lattices have too many to count."""
FIRST_BEAM = 0.5
"""`nbest` leaves out what costs more than this above the best path; the beam doubles until the
list is full."""
TOLERANCE = 1e-6
"""Sums of one path's costs, taken from either end, may differ in their last digits."""


@dataclass(frozen=True)
class WordString:
    """The words of one or many paths through a lattice.

    Examples
    --------
    >>> string = WordString(("stop", "it"), 0.75, arcs=(0, 2), acoustic=70.0, graph=4.0)
    >>> " ".join(string.words), string.acoustic + string.graph
    ('stop it', 74.0)
    """

    words: tuple[str, ...]
    """Without silences."""
    probability: float
    """Share of the paths with these words, whatever their pronunciations and times, 0 to 1."""
    arcs: tuple[int, ...]
    """The cheapest of these paths: arcs in order, silences included."""
    acoustic: float
    """The acoustic part of that path's cost, scaled as in the lattice."""
    graph: float
    """All other cost of that path: grammar or language model, pronunciation, silence."""


def nbest(lattice: Lattice, n: int) -> tuple[LatticePath, ...]:
    """Return the n word strings of lowest cost, best first; fewer if the lattice has fewer.

    No string comes twice: each stands for all its segmentations and pronunciations, with the
    cheapest path of them. The list is exact with respect to the lattice. OptionError: n < 1.

    Examples
    --------
    >>> from factored_asr.lattice.files import read_slf_text
    >>> text = "N=2 L=2 acscale=1\\nI=0 t=0\\nI=1 t=0.3\\nJ=0 S=0 E=1 W=yes a=-7 l=-2\\n"
    >>> lattice = read_slf_text(text + "J=1 S=0 E=1 W=no a=-8 l=-2\\n")
    >>> [(path.words, path.cost) for path in nbest(lattice, 5)]
    [(('yes',), 9.0), (('no',), 10.0)]
    """
    if n < 1:
        raise OptionError(f"the number of word strings must be at least 1, got {n}")
    best = best_path(lattice)
    if best is None or n == 1:
        return () if best is None else (best,)
    walk, beam = _Walk(lattice), FIRST_BEAM
    while True:
        walk.limit, walk.has_cut = best.cost + beam + TOLERANCE, False
        found = [LatticePath.of(lattice, cost, _arcs(step))
                 for cost, step in islice(walk.best_first(), n)]
        if not walk.has_cut or (len(found) == n and found[-1].cost <= best.cost + beam):
            return tuple(found)
        beam *= 2


def path_of(lattice: Lattice, word_ids: Sequence[int]) -> LatticePath | None:
    """Return the cheapest path with exactly these words; None if there is none."""
    walk = _Walk(lattice)
    front: _Front = {0: BEGIN} if lattice.n_nodes else {}
    for word_id in word_ids:
        front = walk.next_words(walk.add_silences(front)).get(word_id, {})
    cost, step = walk.ending(walk.add_silences(front))
    return None if step is None else LatticePath.of(lattice, cost, _arcs(step))


def word_strings(
    lattice: Lattice, n: int = 100, *, scale: float = 1.0, least: float = 1e-3
) -> tuple[tuple[WordString, ...], float]:
    """Return the most probable word strings, best first, and the probability of all others.

    Each probability is exact over the lattice; they and the rest sum to 1.

    Parameters
    ----------
    lattice
        Arcs in topological order. One without a whole path gives no string and the rest 1.
    n
        Number of strings at most, default 100.
    scale
        Multiplies every cost, default 1; lower gives flatter probabilities.
    least
        Stop once the rest is less than this, 0 to 1, default 0.001.

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
    if not 0 < scale < INF:
        raise OptionError(f"the scale of posteriors must be above 0, got {scale}")
    walk = _Walk(lattice, scale, sum_of_ways)
    found: list[WordString] = []
    left_out = 1.0
    for cost, step in walk.best_first(MAX_PREFIXES):
        found.append(_string(lattice, min(1.0, math.exp(-cost)), step))
        left_out = max(0.0, 1.0 - math.fsum(each.probability for each in found))
        if len(found) == n or left_out < least:
            break
    return tuple(found), left_out


def _string(lattice: Lattice, probability: float, step: _Step) -> WordString:
    arcs = _arcs(step)
    final = float(lattice.final[lattice.arc_target[arcs[-1]] if arcs else 0])
    path = LatticePath.of(lattice, step[1] + final, arcs)
    return WordString(path.words, probability, path.arcs, path.acoustic, path.cost - path.acoustic)


_Step = tuple[float, float, int, Any]
"""How the paths of a prefix reach a node: the weight of all of them, the cost of the cheapest, its
last arc and its step before."""
_Front = dict[int, _Step]
"""The nodes that the paths of one word prefix can be in."""
BEGIN: _Step = (0.0, 0.0, -1, None)


def _arcs(step: _Step) -> list[int]:
    """Return the arcs of the cheapest path to a step."""
    backwards = []
    while step[3] is not None:
        backwards.append(step[2])
        step = step[3]
    return backwards[::-1]


class _Walk:
    """A search over the word prefixes of a lattice, whose arrays it holds as lists for speed.

    Weights are scaled costs. `add` joins those of several paths: `min` or `sum_of_ways`.
    """

    def __init__(
        self, lattice: Lattice, scale: float = 1.0, add: Callable[[float, float], float] = min
    ) -> None:
        self.limit = sys.float_info.max
        """Paths of a higher weight are not followed."""
        self.has_cut = False
        """Whether there was such a path."""
        self.add = add
        self.first = lattice.first_arcs()
        self.target: list[int] = lattice.arc_target.tolist()
        self.word: list[int] = lattice.arc_word.tolist()
        self.cost: list[float] = lattice.arc_cost.tolist()
        self.weight: list[float] = (scale * lattice.arc_cost).tolist()
        self.final: list[float] = lattice.final.tolist()
        self.final_weight = [scale * cost for cost in self.final]
        self.ahead: list[float] = costs_to_end(lattice, scale, add).tolist()

    def best_first(self, max_prefixes: int = sys.maxsize) -> Iterator[tuple[float, _Step]]:
        """Give the weight of each distinct word string within the limit, and its last step.

        With `sum_of_ways` the weight is relative to that of all paths: -log of a probability.
        """
        if not self.ahead or self.ahead[0] == INF:
            return
        add, ahead = self.add, self.ahead
        total = 0.0 if add is min else ahead[0]
        serial = count()  # ties go to the prefix that was found first
        queue: list[tuple[float, int, _Front | None, _Step]]
        queue = [(0.0, next(serial), {0: BEGIN}, BEGIN)]
        for _ in range(max_prefixes):
            if not queue:
                return
            weight, _, front, ended = heapq.heappop(queue)
            if front is None:
                yield weight, ended
                continue
            weight, best = self.ending(self.add_silences(front))
            if best is not None:
                heapq.heappush(queue, (weight - total, next(serial), None, best))
            for after in self.next_words(front).values():
                bound = reduce(add, [step[0] + ahead[node] for node, step in after.items()])
                heapq.heappush(queue, (bound - total, next(serial), after, BEGIN))

    def add_silences(self, front: _Front) -> _Front:
        """Add the nodes that are reached without a further word; return the front."""
        waiting = sorted(front)
        done = -1
        while waiting:
            node = heapq.heappop(waiting)  # in topological order, so its step is final here
            if node == done:
                continue
            done = node
            for a in range(self.first[node], self.first[node + 1]):
                if self.word[a] == 0 and self._reach(front, front[node], a):
                    heapq.heappush(waiting, self.target[a])
        return front

    def next_words(self, front: _Front) -> dict[int, _Front]:
        """Return where each next word leads."""
        after: dict[int, _Front] = {}
        for node, step in front.items():
            for a in range(self.first[node], self.first[node + 1]):
                if self.word[a]:
                    self._reach(after.setdefault(self.word[a], {}), step, a)
        return {word: nodes for word, nodes in after.items() if nodes}

    def ending(self, front: _Front) -> tuple[float, _Step | None]:
        """Return the weight of the paths that end here, and the step of the cheapest."""
        weight, cost, best = INF, INF, None
        for node, step in front.items():
            if self.final[node] < INF:
                weight = self.add(weight, step[0] + self.final_weight[node])
                if step[1] + self.final[node] < cost:
                    cost, best = step[1] + self.final[node], step
        if weight > self.limit:
            self.has_cut |= weight < INF
            return weight, None
        return weight, best

    def _reach(self, front: _Front, step: _Step, arc: int) -> bool:
        """Follow an arc; return whether it leads to a node that is new in the front."""
        node = self.target[arc]
        weight, cost = step[0] + self.weight[arc], step[1] + self.cost[arc]
        through = weight + self.ahead[node]
        if through > self.limit:
            self.has_cut |= through < INF
            return False
        here = front.get(node)
        if here is None:
            front[node] = (weight, cost, arc, step)
            return True
        if self.add is not min:
            weight = self.add(here[0], weight)
            if cost >= here[1]:
                _, cost, arc, step = here
        elif cost >= here[1]:
            return False
        front[node] = (weight, cost, arc, step)
        return False
