"""The cheapest paths through a word lattice, and pruning."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from factored_asr.errors import OptionError
from factored_asr.lattice.lattice import Lattice

INF = float("inf")


@dataclass(frozen=True)
class LatticePath:
    """One way through a lattice, from its start to a final node.

    Examples
    --------
    >>> LatticePath(9.5, 7.0, arcs=(0, 3), word_ids=(4,), words=("yes",)).words
    ('yes',)
    """

    cost: float
    """Cost of all arcs and of ending."""
    acoustic: float
    """The acoustic part of the cost, scaled as in the lattice."""
    arcs: tuple[int, ...]
    """Arcs of the lattice in order, silences included."""
    word_ids: tuple[int, ...]
    """Ids of the words in the lattice."""
    words: tuple[str, ...]
    """The words, without silences."""

    @staticmethod
    def of(lattice: Lattice, cost: float, arcs: Sequence[int]) -> LatticePath:
        """Return the path of these arcs, whose cost is known."""
        at = np.array(arcs, np.int64)
        ids = tuple(i for i in lattice.arc_word[at].tolist() if i)
        acoustic = float(lattice.arc_acoustic[at].sum())
        return LatticePath(cost, acoustic, tuple(arcs), ids, tuple(map(lattice.spelt, ids)))


def sum_of_ways(a: float, b: float) -> float:
    """Return the cost of two ways together, -log(exp(-a) + exp(-b)): `add` for posteriors."""
    if b < a:
        a, b = b, a
    return a if b == INF else a - math.log1p(math.exp(a - b))


def costs_to_end(
    lattice: Lattice, scale: float = 1.0, add: Callable[[float, float], float] = min
) -> np.ndarray:
    """Return the cost from each node to the end, (n_nodes,) float64; inf if there is no way.

    `scale` multiplies every cost, default 1. `add` joins the costs of two ways: `min` (default)
    for the cheapest, `sum_of_ways` for all.
    """
    total = (scale * np.asarray(lattice.final, np.float64)).tolist()
    source, target = lattice.arc_source.tolist(), lattice.arc_target.tolist()
    cost = (scale * lattice.arc_cost).tolist()
    for a in range(len(cost) - 1, -1, -1):
        total[source[a]] = add(total[source[a]], cost[a] + total[target[a]])
    return np.array(total)


def costs_from_start(
    lattice: Lattice, scale: float = 1.0, add: Callable[[float, float], float] = min
) -> np.ndarray:
    """Return the cost from the start to each node, as `costs_to_end` does."""
    total = [INF] * lattice.n_nodes
    total[:1] = [0.0]
    source, target = lattice.arc_source.tolist(), lattice.arc_target.tolist()
    for a, cost in enumerate((scale * lattice.arc_cost).tolist()):
        total[target[a]] = add(total[target[a]], total[source[a]] + cost)
    return np.array(total)


def arc_excess(lattice: Lattice) -> np.ndarray:
    """Return by how much the best path through each arc costs more than the best of all, float64.

    Inf for arcs on no whole path. Arcs within a beam are ``arc_excess(lattice) <= beam``.
    """
    ahead = costs_to_end(lattice)
    through = costs_from_start(lattice)[lattice.arc_source] + lattice.arc_cost
    through += ahead[lattice.arc_target]
    return through - ahead[0] if len(ahead) and ahead[0] < INF else np.full(len(through), INF)


def prune(lattice: Lattice, beam: float) -> Lattice:
    """Return the lattice without arcs whose best path is more than `beam` above the best of all.

    All paths within the beam stay, at their costs, and the nodes keep their numbers.
    ``arc_origin`` tells which arcs were kept.

    Examples
    --------
    >>> from factored_asr.lattice.files import read_slf_text
    >>> text = "N=2 L=2 acscale=1\\nI=0 t=0\\nI=1 t=0.3\\nJ=0 S=0 E=1 W=yes a=-7 l=-2\\n"
    >>> lattice = read_slf_text(text + "J=1 S=0 E=1 W=no a=-8 l=-2\\n")
    >>> prune(lattice, 0.5).n_arcs, prune(lattice, 2.0).n_arcs
    (1, 2)
    """
    if not beam >= 0:
        raise OptionError(f"the beam must be 0 or more, got {beam}")
    kept = np.flatnonzero(arc_excess(lattice) <= beam + 1e-9)
    return lattice.with_arcs(kept)


def best_path(lattice: Lattice) -> LatticePath | None:
    """Return the cheapest path; None where no node is final or none can be reached.

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
    return LatticePath.of(lattice, ahead[0], arcs)
