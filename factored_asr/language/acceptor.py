"""Acceptors: sets of sentences, each at a cost, and their algebra on arrays.

The arcs of an acceptor bear a label and a cost. Each path from the start to a final state is a
sentence, labels in a row, at the sum of its costs; of several paths the cheapest counts. Union,
concatenation and the like lay acceptors side by side and join them by epsilon arcs (label 0), at
hardly any expense. `minimal` then makes the smallest deterministic acceptor of these sentences. It
removes the epsilons, determinises, pushes the costs to the front, and merges states of equal
future. After Mohri (2009), "Weighted automata algorithms".

Where pynini is installed, it computes `minimal` and `subtracted`, see `with_pynini`; else the code
below does, with the same sentences at the same costs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from factored_asr.errors import OptionError
from factored_asr.language import _kernels, with_pynini
from factored_asr.storage.openfst import ARC, Arcs, sorted_arcs

MAX_SUBSETS = 20_000
"""States that determinising may add to an acceptor with cycles."""
_ALL = 1 << 31
_mixed = getattr(_kernels.mix, "py_func", _kernels.mix)  # of whole arrays, without compiling
Row = tuple[int, int, float, int]
"""An arc: source, label (0: epsilon), cost, target."""


@dataclass(frozen=True, eq=False)
class Acceptor:
    """Sentences of numbers above 0, each at a cost.

    Examples
    --------
    >>> tea = Acceptor.from_rows([(0, 7, 0.5, 1), (1, 8, 0.0, 1)], {1: 0.25})
    >>> tea.cost([7, 8, 8]), tea.cost([8])
    (0.75, inf)
    """

    start: int
    """The start state."""
    first_arc: np.ndarray
    """(n_states + 1,) int64: the arcs of state s are ``arcs[first_arc[s]:first_arc[s + 1]]``."""
    arcs: np.ndarray
    """(n_arcs,) `ARC`: the word of each arc is its label."""
    final: np.ndarray
    """(n_states,) float32: cost of ending here, inf where the state is not final."""

    @property
    def fields(self) -> Arcs:
        """The four of them."""
        return Arcs(self.start, self.first_arc, self.arcs, self.final)

    def __post_init__(self) -> None:
        for name, kind in (("first_arc", np.dtype(np.int64)), ("arcs", ARC),
                           ("final", np.dtype(np.float32))):
            # Read-only and contiguous throughout: kernels are compiled once.
            fixed = np.ascontiguousarray(getattr(self, name), kind).view()
            fixed.flags.writeable = False
            object.__setattr__(self, name, fixed)

    @staticmethod
    def from_rows(
        rows: Iterable[Row], finals: Mapping[int, float], n_states: int = 0
    ) -> Acceptor:
        """Return an acceptor that starts in state 0, of arcs and of final states with costs."""
        table = np.array(list(rows), np.dtype([("source", "<i8"), ("label", "<i4"),
                                               ("cost", "<f4"), ("target", "<i4")]))
        arcs = np.empty(len(table), ARC)
        for name in ("label", "cost", "target"):
            arcs[name] = table[name]
        arcs["word"] = arcs["label"]
        last = max(table["source"].max(initial=0), arcs["target"].max(initial=0), *finals, 0)
        final = np.full(max(n_states, int(last) + 1), np.inf, np.float32)
        for state, cost in finals.items():
            final[state] = cost
        return Acceptor.from_arcs(table["source"], arcs, final)

    @staticmethod
    def from_arcs(
        source: np.ndarray, arcs: np.ndarray, final: np.ndarray, start: int = 0
    ) -> Acceptor:
        """Return an acceptor of arcs in any order and the source state of each."""
        return Acceptor(start, *sorted_arcs(source, arcs, len(final)), final)

    @property
    def n_states(self) -> int:
        return len(self.final)

    @property
    def n_arcs(self) -> int:
        return len(self.arcs)

    @property
    def sources(self) -> np.ndarray:
        """(n_arcs,) int64: the source state of every arc, computed at each call."""
        return np.repeat(np.arange(self.n_states), np.diff(self.first_arc))

    @property
    def is_empty(self) -> bool:
        """Return whether it has no sentence; of a `trimmed` one."""
        return not np.any(self.final < np.inf)

    def leaving(self, state: int) -> np.ndarray:
        """Return the arcs of a state."""
        return self.arcs[self.first_arc[state] : self.first_arc[state + 1]]

    def cost(self, labels: Sequence[int]) -> float:
        """Return the least cost of a sentence, inf if it is none; epsilons are not followed."""
        least = {self.start: 0.0}
        for label in labels:
            after: dict[int, float] = {}
            for state, paid in least.items():
                arcs = self.leaving(state)
                for _, _, cost, target in arcs[arcs["label"] == label].tolist():
                    after[target] = min(paid + cost, after.get(target, np.inf))
            least = after
        return min((paid + float(self.final[at]) for at, paid in least.items()), default=np.inf)


# Operations that lay acceptors side by side.


def united(acceptors: Sequence[Acceptor]) -> Acceptor:
    """Return the sentences of all acceptors."""
    n = sum(each.n_states for each in acceptors)
    starts, _ = _places(acceptors)
    return _together(acceptors, [(n, 0, 0.0, start) for start in starts], n)


def concatenated(acceptors: Sequence[Acceptor]) -> Acceptor:
    """Return the sentences made of one of each acceptor, one after another."""
    starts, ends = _places(acceptors)
    rows = [(state, 0, cost, after) for (_, before), (after, _) in
            pairwise(zip(starts, ends, strict=True)) for state, cost in before]
    last = acceptors[-1].n_states
    made = _together(acceptors, rows, starts[0])
    final = made.final.copy()
    final[:-last] = np.inf
    return replace(made, final=final)


def repeated(acceptor: Acceptor) -> Acceptor:
    """Return the sentences made of one or more of an acceptor's."""
    (start,), (ends,) = _places([acceptor])
    return _together([acceptor], [(state, 0, cost, start) for state, cost in ends], start)


def optional(acceptor: Acceptor) -> Acceptor:
    """Return the sentences of an acceptor, and the empty one at no cost."""
    return united([acceptor, Acceptor.from_rows((), {0: 0.0})])


def replaced(root: Acceptor, parts: Mapping[int, Acceptor]) -> Acceptor:
    """Put acceptors in the place of labels; one copy for each state that such a label leads to."""
    is_call = np.isin(root.arcs["label"], list(parts))
    calls, sources = root.arcs[is_call], root.sources[is_call]
    pairs, of_call = np.unique(np.column_stack([calls["label"], calls["target"]]), axis=0,
                               return_inverse=True)
    bare = Acceptor.from_arcs(root.sources[~is_call], root.arcs[~is_call], root.final, root.start)
    pieces = [bare, *(parts[label] for label, _ in pairs.tolist())]
    starts, ends = _places(pieces)
    rows = [(source, 0, cost, starts[1 + k]) for source, cost, k in
            zip(sources.tolist(), calls["cost"].tolist(), of_call.ravel().tolist(), strict=True)]
    rows += [(state, 0, cost, target) for (_, target), out in
             zip(pairs.tolist(), ends[1:], strict=True) for state, cost in out]
    made = _together(pieces, rows, root.start)
    final = made.final.copy()
    final[root.n_states :] = np.inf
    return replace(made, final=final)


def led_by(acceptor: Acceptor, first: np.ndarray) -> Acceptor:
    """Return the sentences that begin with one of these arcs, whose targets are states of it."""
    n = acceptor.n_states
    sources = np.append(acceptor.sources, np.full(len(first), n))
    final = np.append(acceptor.final, np.float32(np.inf))
    return trimmed(Acceptor.from_arcs(sources, np.append(acceptor.arcs, first), final, n))


def _places(acceptors: Sequence[Acceptor]) -> tuple[list[int], list[list[tuple[int, float]]]]:
    """Start and final states, with their costs, of acceptors whose states follow one another."""
    starts, ends, n = [], [], 0
    for each in acceptors:
        state = np.flatnonzero(each.final < np.inf)
        starts.append(n + each.start)
        ends.append(list(zip((n + state).tolist(), each.final[state].tolist(), strict=True)))
        n += each.n_states
    return starts, ends


def _together(acceptors: Sequence[Acceptor], rows: Sequence[Row], start: int) -> Acceptor:
    """Acceptors whose states follow one another, with more arcs; `start` may be a new state."""
    first = np.cumsum([0, *(each.n_states for each in acceptors)])
    final = np.concatenate([each.final for each in acceptors])
    sources = [each.sources + n for each, n in zip(acceptors, first, strict=False)]
    parts = [each.arcs.copy() for each in acceptors]
    for arcs, n in zip(parts, first, strict=False):
        arcs["target"] += n
    more = Acceptor.from_rows(rows, {}, max(len(final), start + 1))
    return Acceptor.from_arcs(
        np.concatenate([*sources, more.sources]), np.concatenate([*parts, more.arcs]),
        np.append(final, np.full(more.n_states - len(final), np.inf, np.float32)), start,
    )


# Operations that make acceptors smaller.


def trimmed(acceptor: Acceptor) -> Acceptor:
    """Return an acceptor without states that no sentence passes."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import breadth_first_order

    n, target, sources = acceptor.n_states, acceptor.arcs["target"], acceptor.sources
    ends = np.flatnonzero(acceptor.final < np.inf)
    above = n  # a state that backward arcs lead from to all final ones
    ahead = csr_array((np.ones(len(target)), target, acceptor.first_arc), shape=(n, n))
    rows, columns = np.append(target, np.full(len(ends), above)), np.append(sources, ends)
    back = csr_array((np.ones(len(rows)), (rows, columns)), shape=(n + 1, n + 1))
    alive, useful = np.zeros(n, bool), np.zeros(n + 1, bool)
    alive[breadth_first_order(ahead, acceptor.start, return_predecessors=False)] = True
    useful[breadth_first_order(back, above, return_predecessors=False)] = True
    alive &= useful[:-1]
    if alive.all():
        return acceptor
    kept = alive[sources] & alive[target]
    alive[acceptor.start] = True
    number = np.cumsum(alive) - 1
    arcs = acceptor.arcs[kept]
    arcs["target"] = number[arcs["target"]]
    return Acceptor.from_arcs(number[sources[kept]], arcs, acceptor.final[alive],
                              int(number[acceptor.start]))


def minimal(acceptor: Acceptor) -> Acceptor:
    """Return an equal acceptor without epsilons, deterministic and minimal.

    Loops of different cost over the same words have no deterministic form. In an acceptor with
    cycles and costs each pair of label and cost therefore counts as a symbol. Raises OptionError
    for repeats whose deterministic form is exponentially large: ``(a|b)* a (a|b) (a|b) …`` doubles
    its states with every word.
    """
    if with_pynini.is_installed():
        if _is_cyclic(acceptor):
            _determinised(_unweighted(acceptor))  # only to see that it is no larger than allowed
        return Acceptor(*with_pynini.minimal(acceptor.fields))
    acceptor, codes = _determinised(acceptor)
    if codes is None:
        return _merged(_pushed(acceptor))
    return _decoded(_merged(acceptor), codes)


def subtracted(acceptor: Acceptor, other: Acceptor) -> Acceptor:
    """Return the sentences of an acceptor without those of another, whatever these cost there.

    Neither may have epsilons. Raises OptionError as `minimal` does.
    """
    if with_pynini.is_installed():
        return Acceptor(*with_pynini.subtracted(acceptor.fields, _unweighted(other).fields))
    other, _ = _determinised(_unweighted(other))
    return trimmed(Acceptor(0, *_kernels.subtract(*acceptor.fields, *other.fields)))


def determinised(acceptor: Acceptor) -> Acceptor:
    """Return an equal acceptor without epsilons, and deterministic as far as `minimal` says."""
    acceptor, codes = _determinised(acceptor)
    return acceptor if codes is None else _decoded(acceptor, codes)


def _determinised(acceptor: Acceptor) -> tuple[Acceptor, np.ndarray | None]:
    """Return it deterministic; `codes` unless None: its labels are places in this table of pairs.

    That is so if it has cycles and costs.
    """
    acceptor, codes, limit = without_epsilons(trimmed(acceptor)), None, _ALL
    if _is_cyclic(acceptor):
        limit = MAX_SUBSETS + acceptor.n_states
        if _is_weighted(acceptor):
            acceptor, codes = _encoded(acceptor)
    first_arc, arcs, final, is_whole = _kernels.determinise(*acceptor.fields, limit)
    if not is_whole:
        remedy = "repeat less, or phrases that begin with different words"
        law = f"the repeats of the grammar need more than {limit:,} states"
        raise OptionError(f"{law}; {remedy}")
    return Acceptor(0, first_arc, arcs, final), codes


def without_epsilons(acceptor: Acceptor) -> Acceptor:
    """Return an acceptor in which each state has the arcs of those that epsilons lead to."""
    arcs = acceptor.arcs
    if arcs["label"].all():
        return acceptor
    is_begin = np.zeros(acceptor.n_states, bool)
    is_begin[arcs["target"][arcs["label"] > 0]] = is_begin[acceptor.start] = True
    start, *fields = acceptor.fields
    return trimmed(Acceptor(start, *_kernels.skip_epsilons(is_begin, *fields)))


def _is_weighted(acceptor: Acceptor) -> bool:
    return bool(acceptor.arcs["cost"].any() or acceptor.final[acceptor.final < np.inf].any())


def _unweighted(acceptor: Acceptor) -> Acceptor:
    """Return the same sentences at no cost."""
    arcs = acceptor.arcs.copy()
    arcs["cost"] = 0.0
    return replace(acceptor, arcs=arcs, final=np.where(acceptor.final < np.inf, 0.0, np.inf))


def _is_cyclic(acceptor: Acceptor) -> bool:
    """Return whether a sentence may pass a state twice: not every state is a component."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    n, target, sources = acceptor.n_states, acceptor.arcs["target"], acceptor.sources
    if np.all(sources < target):
        return False
    # Built from pairs, parallel arcs become one; scipy never ends with several.
    links = csr_array((np.ones(len(target)), (sources, target)), shape=(n, n))
    n_components, _ = connected_components(links, connection="strong")
    return n_components < n or bool(np.any(target == sources))


def _encoded(acceptor: Acceptor) -> tuple[Acceptor, np.ndarray]:
    """Make each label with its cost a label of its own, and each cost of ending one, too."""
    ends = np.flatnonzero(acceptor.final < np.inf)
    arcs = np.zeros(acceptor.n_arcs + len(ends), ARC)
    arcs[: acceptor.n_arcs] = acceptor.arcs
    arcs["cost"][acceptor.n_arcs :] = acceptor.final[ends]
    arcs["target"][acceptor.n_arcs :] = acceptor.n_states
    codes, place = np.unique(arcs[["label", "cost"]], return_inverse=True)
    arcs["label"] = arcs["word"] = place + 1
    arcs["cost"] = 0.0
    final = np.append(np.full(acceptor.n_states, np.inf, np.float32), np.float32(0.0))
    sources = np.append(acceptor.sources, ends)
    return Acceptor.from_arcs(sources, arcs, final, acceptor.start), codes


def _decoded(acceptor: Acceptor, codes: np.ndarray) -> Acceptor:
    """Undo `_encoded`."""
    arcs, sources = acceptor.arcs.copy(), acceptor.sources
    code = codes[arcs["label"] - 1]
    arcs["label"] = arcs["word"] = code["label"]
    arcs["cost"] = code["cost"]
    is_end = arcs["label"] == 0
    final = np.full(acceptor.n_states, np.inf, np.float32)
    np.minimum.at(final, sources[is_end], arcs["cost"][is_end])
    return trimmed(Acceptor.from_arcs(sources[~is_end], arcs[~is_end], final, acceptor.start))


def _pushed(acceptor: Acceptor) -> Acceptor:
    """Charge costs as early as they are certain, so that equal futures are equal in costs."""
    arcs, target, sources = acceptor.arcs, acceptor.arcs["target"], acceptor.sources
    if not _is_weighted(acceptor):
        return acceptor
    to_end = acceptor.final.astype(float)
    while True:
        ahead = _by_state(np.minimum, arcs["cost"] + to_end[target], acceptor, np.inf)
        ahead = np.minimum(acceptor.final, ahead)
        if np.array_equal(to_end, ahead):
            break
        to_end = ahead
    paid = to_end.copy()
    paid[acceptor.start] = 0.0  # the start charges what is common to all
    pushed = arcs.copy()
    pushed["cost"] = np.maximum(arcs["cost"] + to_end[target] - paid[sources], 0.0)
    return replace(acceptor, arcs=pushed, final=np.maximum(acceptor.final - paid, 0.0))


def _merged(acceptor: Acceptor) -> Acceptor:
    """Merge states with the same future, in an acceptor that is trimmed and deterministic.

    Partition refinement (Moore 1956): states are told apart by their next step, then by the one
    after it, and so on, until no more of them differ. A 64-bit hash names the class of a state.
    """
    arcs, target = acceptor.arcs, acceptor.arcs["target"]
    steps = _kernels.STEPS
    step = _mixed(arcs["label"].astype(np.uint64) * _kernels.ODD_A
                  + np.rint(arcs["cost"] * steps).astype(np.int64).astype(np.uint64))
    ends = np.where(acceptor.final < np.inf, np.rint(acceptor.final * steps), -1)
    own = _mixed(ends.astype(np.int64).astype(np.uint64))
    value, n_classes, n_rounds = own, 0, 1
    while (found := len(np.unique(value))) > n_classes:
        n_classes = found
        for _ in range(n_rounds):
            ahead = _by_state(np.add, _mixed(step + value[target]), acceptor, np.uint64(0))
            value = _mixed(own + ahead)
        n_rounds *= 2
    _, keeper, number = np.unique(value, return_index=True, return_inverse=True)
    kept, sources = np.zeros(acceptor.n_states, bool), acceptor.sources
    kept[keeper] = True
    number = (np.cumsum(kept) - 1)[keeper][number]  # in the order of the states
    keeper = np.flatnonzero(kept)
    chosen = kept[sources]
    arcs = arcs[chosen]
    arcs["target"] = number[arcs["target"]]
    return Acceptor.from_arcs(number[sources[chosen]], arcs, acceptor.final[keeper],
                              int(number[acceptor.start]))


def _by_state(function: Any, values: np.ndarray, acceptor: Acceptor, none: Any) -> np.ndarray:
    """Reduce values of arcs to one of each state, `none` where it has no arcs."""
    first = acceptor.first_arc
    found = np.full(acceptor.n_states, none, values.dtype)
    has = first[:-1] < first[1:]
    if has.any():
        found[has] = function.reduceat(values, first[:-1][has])
    return found
