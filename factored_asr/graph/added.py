"""Words added to a compiled graph: a small graph that hangs on the joints of the large one.

The large graph is mapped from its file and shared. What is added is compiled alone, a tree of
pronunciations with HMM states as in `build`. It lies behind the last arcs and states of the large
graph, in a private mapping of the same file (copy on write), which has room there. A joint, an
epsilon arc that no search crosses, is led into the tree instead of its hub; the tree's ends lead to
where the hub's exits lead. So no kernel knows of it, and costs of paths are those of a graph
compiled with these words.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from factored_asr.errors import OptionError
from factored_asr.graph import _kernels
from factored_asr.graph.expand import expand_context, expand_hmms
from factored_asr.graph.graph import ARC, STATE, Graph, Labels, state_records
from factored_asr.graph.joints import EXIT
from factored_asr.graph.parts import Part, united
from factored_asr.graph.phrases import FIRST, LAST, Phrases, phrase_trees
from factored_asr.graph.units import Units
from factored_asr.lexicon import Lexicon

MOST_STATES = 1 << 25
"""Of all that is added; more is refused."""


class _Part(NamedTuple):
    """A small graph: its first state of each context, and its last ones with their contexts. The
    state above those first ones stays with its arcs, but nothing leads to it."""

    graph: Graph
    entry: np.ndarray
    leave: np.ndarray
    """Arcs by which paths leave it; their targets are still to be written."""
    exit_context: np.ndarray
    """(n, 2): left class and pending symbol, of each such arc."""


def extended(
    graph: Graph, units: Units, phones: Sequence[str], lexicon: Lexicon,
    entries: Mapping[str, Phrases], costs: Mapping[str, float], *,
    word_cost: float = 0.0, loops: Sequence[tuple[int, float]] = (),
    parts: Mapping[str, Sequence[Part]] = MappingProxyType({}),
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
    parts
        What is added as L ∘ G, by name of joints.

    Raises
    ------
    OptionError
        The graph has no joint of a name, or the entries would make millions of states.
    """
    new = dict[str, int]()
    whole = [(name, part, np.unique(part.lg.arcs["word"]).tolist())
             for name, each in parts.items() for part in each]
    said = dict.fromkeys(chain.from_iterable(chain.from_iterable(entries.values())))
    said |= dict.fromkeys(part.words[i] for _, part, used in whole for i in used if i)
    for word in said:
        if word not in graph.word_ids:
            new[word] = len(graph.words) + len(new)
    known = ChainMap(new, graph.word_ids)
    made = _Tail(graph, (*graph.words, *new))
    for name in (*entries, *parts):
        if name not in graph.joint_names:
            kinds = ", ".join(map(repr, graph.joint_names)) or "none"
            raise OptionError(f"the graph has no place named {name!r} to add to: it has {kinds}")
    hung = dict[str, list[Graph]]()
    for name, phrases in entries.items():
        if phrases:
            lg = phrase_trees(phrases, lexicon, known, phones, units, word_cost, loops)
            hung.setdefault(name, []).append(lg)
    for name, part, used in whole:
        number = np.zeros(len(part.words), np.int32)
        number[used] = [known[part.words[i]] if i else 0 for i in used]
        arcs = part.lg.arcs.copy()
        arcs["word"] = number[arcs["word"]]
        hung.setdefault(name, []).append(replace(part.lg, arcs=arcs))
    for name, lgs in hung.items():
        made.add(united(lgs), units, graph.joint_names.index(name))
    shift = np.zeros(len(graph.words) + len(new), np.float32)
    for word, cost in costs.items():
        if word in known:
            shift[known[word]] = cost
    return made.graph(shift)


class _Copy(NamedTuple):
    """A small graph as it stands behind one hub."""

    graph: Graph
    """Its labels are those of the whole graph, its states count from 0."""
    records: np.ndarray
    """(n_states + 1,) `STATE`, of the same."""
    leave: np.ndarray
    """Arcs by which paths leave it."""
    target: np.ndarray
    """States of the whole graph that they lead to."""
    cost: np.ndarray
    """Their costs."""


class _Tail:
    """States and arcs that follow those of a graph."""

    def __init__(self, graph: Graph, words: tuple[str, ...]):
        self._graph, self._words = graph, words
        self._copies = list[_Copy]()
        self._n_states, self._labels = graph.n_states, graph.labels
        self._led: list[tuple[np.ndarray, np.ndarray]] = []  # joints, and where they lead now

    def add(self, lg: Graph, units: Units, name: int) -> None:
        """Add a small graph to the joints of one name, once for each hub that they lead to."""
        base = self._graph
        joints = base.joints[base.joints["name"] == name]
        exits = base.joints[base.joints["name"] == EXIT]
        contexts, context = np.unique(
            np.column_stack([joints["left"], joints["pending"]]), axis=0, return_inverse=True
        )
        part = _expanded(lg, units, contexts, self._numbered)
        small = part.graph
        records = state_records(small.first_arc, small.arcs, 0)
        hubs, there, nearest = base.arcs["target"][joints["arc"]], None, np.zeros(0, np.int64)
        for hub in np.unique(hubs):
            begin, end = base.states["begin"][hub : hub + 2]
            led, mine = hubs == hub, exits[(begin <= exits["arc"]) & (exits["arc"] < end)]
            before, there = there, np.column_stack([mine["left"], mine["pending"]])
            if before is None or not np.array_equal(there, before):  # of most hubs they are alike
                nearest = _nearest(part.exit_context, there, units)
            out = mine[nearest]
            target = base.arcs["target"][out["arc"]]
            self._copies.append(_Copy(small, records, part.leave, target, out["cost"]))
            self._led.append((joints[led], part.entry[context.ravel()[led]] + self._n_states))
            self._n_states += small.n_states
            if self._n_states - base.n_states > MOST_STATES:
                raise OptionError(f"the entries would make over {MOST_STATES:,} states: give fewer")

    def _numbered(self, labels: Labels, used: np.ndarray) -> np.ndarray:
        """Labels of the units as labels of the graph, which gets those that it lacks."""
        named = np.flatnonzero(np.bincount(used))
        rows = list(zip(*(column.tolist() for column in self._labels), strict=True))
        there = {row: i for i, row in reversed(list(enumerate(rows)))}
        wanted = list(zip(*(column[named].tolist() for column in labels), strict=True))
        missing = [i for i, row in enumerate(wanted) if named[i] and row not in there]
        for i in missing:
            there[wanted[i]] = len(rows)
            rows.append(wanted[i])
        if missing:
            self._labels = self._labels.join(labels.take(named[missing])).typed()
        number = np.zeros(len(labels.pdf), np.int32)
        number[named] = [there[row] if name else 0
                         for name, row in zip(named.tolist(), wanted, strict=True)]
        return number[used]

    def graph(self, shift: np.ndarray) -> Graph:
        """The whole graph, with costs of words changed by `shift`."""
        base = self._graph
        n_new, at, state = self._n_states - base.n_states, base.n_arcs, base.n_states
        arcs = private(base.arcs, sum(copy.graph.n_arcs for copy in self._copies))
        states = private(base.states, n_new)
        final = private(base.final, n_new)
        final[base.n_states :] = np.inf
        for small, records, leave, target, cost in self._copies:
            _kernels.put_behind(arcs, states, at, state, small.arcs, records)
            arcs["target"][at + leave], arcs["cost"][at + leave] = target, cost
            at, state = at + small.n_arcs, state + small.n_states
        states[-1:] = np.zeros(1, STATE)
        states["begin"][-1] = at
        if shift.any():
            _kernels.shift_costs(arcs, states, shift)
        for joints, target in self._led:
            arcs["target"][joints["arc"]], arcs["cost"][joints["arc"]] = target, joints["cost"]
        fields = {f"label_{name}": column for name, column in self._labels._asdict().items()}
        return replace(
            base, base=base, words=self._words, arcs=arcs,
            first_arc=states, final=final, **fields,
        )


def _expanded(
    lg: Graph, units: Units, contexts: np.ndarray,
    numbered: Callable[[Labels, np.ndarray], np.ndarray],
) -> _Part:
    """H ∘ C ∘ LG from `FIRST` in each context to `LAST`, whose states have no arcs but loops.

    `numbered`: makes labels of the units those of the whole graph.
    """
    starts = np.column_stack([np.full(len(contexts), FIRST), contexts])
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
    lg_state = np.append(context[:, 0], [FIRST, -1])[origin]  # of the state above, of origin -1
    ends = np.flatnonzero(lg_state == LAST)
    looping = np.flatnonzero(loop_label)
    arcs = np.zeros(graph.n_arcs + len(looping) + len(ends), ARC)
    arcs[: graph.n_arcs] = graph.arcs
    loops = arcs[graph.n_arcs : graph.n_arcs + len(looping)]
    loops["label"], loops["target"] = loop_label[looping], looping
    loops["cost"] = units.loop_cost[loop_label[looping]]
    arcs["label"] = numbered(units.labels, arcs["label"])
    whole = Graph.from_arcs(np.concatenate([graph.sources, looping, ends]), arcs, graph.final)
    leave = whole.first_arc[ends]  # the only arc of its state without a label, so its first
    return _Part(whole, entry, leave, context[origin[ends], 1:])


def _nearest(wanted: np.ndarray, there: np.ndarray, units: Units) -> np.ndarray:
    """For each context the same of `there`, or that in which the pending phone is most alike."""
    if len(there) == 1:
        return np.zeros(len(wanted), np.int64)
    place = {tuple(row): i for i, row in enumerate(there.tolist())}
    found = np.empty(len(wanted), np.int64)
    for k, (left, pending) in enumerate(wanted.tolist()):
        if (at := place.get((left, pending), -1)) < 0:
            same = np.flatnonzero(there[:, 1] == pending)
            if not len(same) or pending == len(units.unit_of):  # exported by an earlier version
                raise OptionError("the graph has no place after a word that ends like one added")
            rows = units.unit_of[pending]
            alike = (rows[there[same, 0]] == rows[left]).sum(axis=1)
            at = place[left, pending] = int(same[np.argmax(alike)])
        found[k] = at
    return found


def private(array: np.ndarray, n_more: int) -> np.ndarray:
    """Return a writable array with elements behind it: others do not see what is written to it.

    Of an array that is mapped from a file with room behind it, only pages that are written take
    memory.
    """
    size = len(array) + n_more
    mapped = _mapped(array, size)
    if mapped is None:
        mapped = np.empty(size, array.dtype)
        mapped[: len(array)] = array
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
