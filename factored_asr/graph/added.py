"""Words added to a compiled graph: a small graph that hangs on the joints of the large one.

The large graph is mapped from its file and shared. What is added is compiled alone, a tree of
pronunciations with HMM states as in `build`. It lies behind the last arcs and states of the large
graph, in a private mapping of the same file (copy on write), which has room there. A joint, an
epsilon arc that no search crosses, is led into the tree; the tree's ends lead to where the joint
led. So no kernel knows of it, and costs of paths are those of a graph compiled with these words.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from factored_asr.acoustic.topology import word_symbols
from factored_asr.errors import OptionError
from factored_asr.graph import _kernels
from factored_asr.graph.expand import add_self_loops, expand_context, expand_hmms
from factored_asr.graph.graph import ARC, Graph, Labels
from factored_asr.graph.trees import same_units
from factored_asr.graph.units import Units
from factored_asr.lexicon import Lexicon

ENTRY, EXIT = 0, 1
MOST_STATES = 1 << 25
"""Of all that is added; more is refused."""


@dataclass(frozen=True)
class Entry:
    """Words that are said one after the other, as one entry of what is added."""

    words: tuple[str, ...]
    cost: float = 0.0
    """Of the entry, once."""


class _Part(NamedTuple):
    """A small graph: its first state of each context, and its last ones with their contexts."""

    graph: Graph
    entry: np.ndarray
    exit: np.ndarray
    exit_context: np.ndarray
    """(n, 2): left class and pending symbol."""


def extended(
    graph: Graph, units: Units, phones: Sequence[str], lexicon: Lexicon,
    entries: Mapping[str, Sequence[Entry]], costs: Mapping[str, float], *,
    word_cost: float = 0.0, loops: Sequence[tuple[int, float]] = (),
) -> Graph:
    """Return a graph with more words, or words at other costs; the given one stays as it is.

    Parameters
    ----------
    graph
        As compiled: with `Graph.joints`.
    units, phones
        Of the acoustic model that it was compiled for.
    lexicon
        Has the words of all entries, in these phones.
    entries
        What is added, by name of joints: `WORDS` or a list. An entry of a word that the graph has
        adds its pronunciations to this word.
    costs
        What is added to the cost of words of the graph, by word; below 0: they are found more; inf
        removes them. Words that the graph lacks are left out.
    word_cost
        Cost of each word added: `GraphOptions.word_penalty`.
    loops
        Labels and costs of silence and fillers, which may stand between the words of an entry.

    Raises
    ------
    OptionError
        The graph has no joint of a name, or the entries would make millions of states.
    """
    new = dict[str, int]()
    for each in entries.values():
        for word in dict.fromkeys(word for entry in each for word in entry.words):
            if word not in graph.word_ids:
                new.setdefault(word, len(graph.words) + len(new))
    known = ChainMap(new, graph.word_ids)
    made = _Tail(graph, (*graph.words, *new))
    index = {phone: i for i, phone in enumerate(phones)}
    for name, each in entries.items():
        if name not in graph.joint_names:
            kinds = ", ".join(map(repr, graph.joint_names)) or "none"
            raise OptionError(f"the graph has no place named {name!r} to add to: it has {kinds}")
        joints = graph.joints[graph.joints["name"] == graph.joint_names.index(name)]
        if len(each) and len(joints):
            lg = phrase_trees(each, lexicon, known, index, units, word_cost, loops)
            made.add(lg, units, joints)
    shift = np.zeros(len(graph.words) + len(new), np.float32)
    for word, cost in costs.items():
        if word in known:
            shift[known[word]] = cost
    return made.graph(shift)


def phrase_trees(
    entries: Sequence[Entry], lexicon: Lexicon, words: Mapping[str, int],
    index: Mapping[str, int], units: Units, word_cost: float = 0.0,
    loops: Sequence[tuple[int, float]] = (),
) -> Graph:
    """Return L ∘ G of entries: a tree of words, each step of it a tree of pronunciations.

    From state `ENTRY` to state `EXIT`. An arc carries the least cost of all entries below it, and
    a word stands on the last arc of its pronunciation.
    """
    same, trees = same_units(units).tolist(), _Trees()
    spoken = dict[str, list[tuple[list[int], float]]]()
    for entry in entries:
        for word in entry.words:
            if word not in spoken:
                spoken[word] = [
                    ([same[symbol] + 1 for symbol in word_symbols([index[p] for p in each.phones])],
                     word_cost - float(np.log(each.probability))) for each in lexicon.find(word)
                ]  # fmt: skip
        trees.add([(words[word], spoken[word]) for word in entry.words], entry.cost)
    return trees.graph(loops)


class _Trees:
    """Trees of pronunciations that grow entry by entry."""

    def __init__(self) -> None:
        self._steps = dict[tuple[int, int, int], int]()  # state after a label within a word
        self._nodes = dict[tuple[int, int], int]()  # state after a word
        self._least = [np.inf, 0.0]  # cost of the cheapest entry through each state
        self._rows = dict[tuple[int, int, int, int], float]()  # source, label, word, target: cost
        self._own = dict[tuple[int, int, int, int], float]()  # cost of the entry, on its last arcs

    def add(
        self, words: Sequence[tuple[int, Sequence[tuple[list[int], float]]]], cost: float
    ) -> None:
        """Add an entry: for each word its id, and labels and cost of each pronunciation."""
        at, rows = ENTRY, self._rows
        for place, (word, spoken) in enumerate(words):
            self._least[at] = min(self._least[at], cost)
            is_last = place + 1 == len(words)
            if is_last:
                after = EXIT
            elif (after := self._nodes.get((at, word), -1)) < 0:
                after = self._nodes[at, word] = self._state(cost)
            for labels, price in spoken:
                here = at
                for label in labels[:-1]:
                    step = at, here, label
                    if step not in self._steps:
                        self._steps[step] = self._state(cost)
                        rows[here, label, 0, self._steps[step]] = 0.0
                    here = self._steps[step]
                    self._least[here] = min(self._least[here], cost)
                row = here, labels[-1], word, after
                rows[row] = min(rows.get(row, np.inf), price)
                if is_last:
                    self._own[row] = min(self._own.get(row, np.inf), cost)
            at = after

    def _state(self, cost: float) -> int:
        if len(self._least) >= MOST_STATES:
            raise OptionError(f"the entries would make over {MOST_STATES:,} states: give fewer")
        self._least.append(cost)
        return len(self._least) - 1

    def graph(self, loops: Sequence[tuple[int, float]]) -> Graph:
        """The arcs with what costs the entries below them have in common."""
        nodes, n = np.array(list(self._nodes.values()), np.int32), len(self._rows)
        source, label, word, target = np.array(list(self._rows), np.int32).reshape(-1, 4).T
        arcs = np.zeros(n + len(nodes) * len(loops), ARC)
        arcs["label"][:n], arcs["word"][:n], arcs["target"][:n] = label, word, target
        least = np.array(self._least)
        least[ENTRY] = 0.0
        own = np.array([self._own.get(row, 0.0) for row in self._rows])
        below = np.where(target == EXIT, own, least[target])
        arcs["cost"][:n] = np.array(list(self._rows.values())) + below - least[source]
        for k, (symbol, cost) in enumerate(loops):
            part = arcs[n + k * len(nodes) : n + (k + 1) * len(nodes)]
            part["label"], part["cost"], part["target"] = symbol, cost, nodes
        sources = np.concatenate([source, np.tile(nodes, len(loops))])
        return Graph.from_arcs(sources, arcs, np.full(len(least), np.inf, np.float32))


class _Tail:
    """States and arcs that follow those of a graph."""

    def __init__(self, graph: Graph, words: tuple[str, ...]):
        self._graph, self._words = graph, words
        self._sources, self._arcs = list[np.ndarray](), list[np.ndarray]()
        self._n_states, self._labels = graph.n_states, graph.labels
        self._led: list[tuple[np.ndarray, np.ndarray]] = []  # joints, and where they lead now

    def add(self, lg: Graph, units: Units, joints: np.ndarray) -> None:
        """Add a small graph to joints of one name."""
        contexts, context = np.unique(
            np.column_stack([joints["left"], joints["pending"]]), axis=0, return_inverse=True
        )
        part = _expanded(lg, units, contexts)
        label = self._numbered(units.labels, part.graph.arcs["label"])
        exits = self._graph.arcs["target"][joints["arc"]]
        # Without context every exit needs ends of its own; with it, the context chooses the exit.
        groups = np.unique(exits) if len(contexts) == 1 else [None]
        for only in groups:
            chosen = np.ones(len(joints), bool) if only is None else exits == only
            arcs = part.graph.arcs.copy()
            arcs["label"] = label
            arcs["target"] += self._n_states
            out = np.zeros(len(part.exit), ARC)
            at = _nearest(part.exit_context, contexts, units)
            first = np.full(len(contexts), -1)
            first[context.ravel()[chosen][::-1]] = exits[chosen][::-1]
            out["target"] = first[at]
            self._sources += [part.graph.sources + self._n_states, part.exit + self._n_states]
            self._arcs += [arcs, out]
            self._led.append((joints[chosen], part.entry[context.ravel()[chosen]] + self._n_states))
            self._n_states += part.graph.n_states

    def _numbered(self, labels: Labels, used: np.ndarray) -> np.ndarray:
        """Labels of the units as labels of the graph, which gets those that it lacks."""
        named, label = np.unique(used, return_inverse=True)
        rows = list(zip(*(column.tolist() for column in self._labels), strict=True))
        there = {row: i for i, row in reversed(list(enumerate(rows)))}
        wanted = list(zip(*(column[named].tolist() for column in labels), strict=True))
        missing = [i for i, row in enumerate(wanted) if i and row not in there]
        for i in missing:
            there[wanted[i]] = len(rows)
            rows.append(wanted[i])
        if missing:
            self._labels = self._labels.join(labels.take(named[missing])).typed()
        number = [0 if not name else there[row]
                  for name, row in zip(named.tolist(), wanted, strict=True)]
        return np.array(number, np.int32)[label.ravel()]

    def graph(self, shift: np.ndarray) -> Graph:
        """The whole graph, with costs of words changed by `shift`."""
        base = self._graph
        n_new = self._n_states - base.n_states
        source = np.concatenate([*self._sources, np.zeros(0, np.int64)]) - base.n_states
        new = np.concatenate([*self._arcs, np.zeros(0, ARC)])
        order = np.lexsort((new["label"] != 0, source))
        source, new = source[order].astype(np.int64), new[order]
        first = base.n_arcs + np.searchsorted(source, np.arange(n_new + 1))
        silent = np.bincount(source[new["label"] == 0], minlength=n_new)
        arcs = private(base.arcs, new)
        if shift.any():
            _kernels.shift_costs(arcs, shift)
        for joints, target in self._led:
            arcs["target"][joints["arc"]], arcs["cost"][joints["arc"]] = target, joints["cost"]
        fields = {f"label_{name}": column for name, column in self._labels._asdict().items()}
        made = replace(
            base, base=base, words=self._words, arcs=arcs,
            first_arc=private(base.first_arc, first[1:]) if n_new else base.first_arc,
            final=private(base.final, np.full(n_new, np.inf, np.float32)), **fields,
        )
        emitting = private(base.first_emitting, first[:-1] + silent)
        emitting.flags.writeable = False
        made.__dict__["first_emitting"] = emitting
        return made


def _expanded(lg: Graph, units: Units, contexts: np.ndarray) -> _Part:
    """H ∘ C ∘ LG from `ENTRY` in each context to `EXIT`, whose states have no arcs but loops."""
    starts = np.column_stack([np.full(len(contexts), ENTRY), contexts])
    clg, context = expand_context(lg, units, starts)
    above = np.zeros(len(starts), ARC)  # one state that leads to all starts
    above["target"] = np.append(0, np.arange(2, len(starts) + 1))
    n = clg.n_states
    clg = Graph.from_arcs(
        np.append(clg.sources, np.full(len(above), n, np.int32)), np.append(clg.arcs, above),
        np.append(clg.final, np.float32(np.inf)), n,
    )
    graph, loop_label, origin = expand_hmms(clg, units)
    top = slice(*graph.first_arc[graph.start : graph.start + 2].tolist())
    entry = graph.arcs["target"][top][graph.arcs["label"][top] == 0]
    loop_label = loop_label.copy()
    loop_label[graph.start] = 0
    lg_state = np.append(context[:, 0], [ENTRY, -1])[origin]  # of the state above, of origin -1
    ends = np.flatnonzero(lg_state == EXIT)
    kept = graph.sources != graph.start
    graph = Graph.from_arcs(graph.sources[kept], graph.arcs[kept], graph.final, graph.start)
    return _Part(add_self_loops(graph, loop_label, units), entry, ends, context[origin[ends], 1:])


def _nearest(wanted: np.ndarray, there: np.ndarray, units: Units) -> np.ndarray:
    """For each context the same of `there`, or that in which the pending phone is most alike."""
    if len(there) == 1:
        return np.zeros(len(wanted), np.int64)
    place = {tuple(row): i for i, row in enumerate(there.tolist())}
    found = np.empty(len(wanted), np.int64)
    for k, (left, pending) in enumerate(wanted.tolist()):
        if (at := place.get((left, pending), -1)) < 0:
            same = np.flatnonzero(there[:, 1] == pending)
            if not len(same):
                raise OptionError("the graph has no place after a word that ends like one added")
            rows = units.unit_of[pending]
            alike = (rows[there[same, 0]] == rows[left]).sum(axis=1)
            at = place[left, pending] = int(same[np.argmax(alike)])
        found[k] = at
    return found


def private(array: np.ndarray, more: np.ndarray) -> np.ndarray:
    """Return a writable array that goes on with `more`: others do not see what is written to it.

    Of an array that is mapped from a file with room behind it, only pages that are written take
    memory.
    """
    size = len(array) + len(more)
    mapped = _mapped(array, size)
    if mapped is None:
        mapped = np.empty(size, array.dtype)
        mapped[: len(array)] = array
    mapped[len(array) :] = more
    return mapped


def _mapped(array: np.ndarray, size: int) -> np.ndarray | None:
    """A private mapping of `size` elements of the file of a mapped array; None without room."""
    file: object = array
    while isinstance(file, np.ndarray) and not isinstance(file, np.memmap):
        file = file.base
    if not isinstance(file, np.memmap) or file.mode != "r" or file.shape != array.shape:
        return None
    path = Path(str(file.filename))
    try:
        if path.stat().st_size < file.offset + size * array.dtype.itemsize:
            return None
        return np.memmap(path, array.dtype, "c", file.offset, (size,)).view(np.ndarray)
    except OSError:
        return None
