"""From LG to HCLG on arrays: context (C), HMM states (H), minimisation, self-loops.

C and H are not composed as transducers but written out directly: the result is the same, and
nothing larger than the result is ever held. After Mohri, Pereira, Riley (2002), "Weighted
finite-state transducers in speech recognition"; pronunciation prefixes are shared by a small
tree below every state, suffixes by merging states that have the same future (Revuz 1992, by
hashing; states that close a cycle are kept apart).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from factored_asr.acoustic import END, N_POSITIONS, SINGLE, GmmModel
from factored_asr.graph import _kernels
from factored_asr.graph.graph import ARC, Graph

Branches = tuple[np.ndarray, ...]
"""Branches of trees as columns: node above, label, word, cost, and the node or state below."""


@dataclass(frozen=True, eq=False)
class Units:
    """What the acoustic model knows of phones in context, as look-up tables.

    A *symbol* is a phone with its place in the word, ``phone * 4 + position``; a *unit* is an HMM
    that may or may not end a word; a *label* is one state of a unit (1-based, 0 = epsilon).
    """

    unit_of: np.ndarray
    """(n_symbols, n_phones, n_phones) int32: unit of (symbol, left phone, right phone)."""
    left_class: np.ndarray
    """(n_symbols, n_phones) int32: the first left phone that gives the same units."""
    silence: int
    """Index of the silence phone: the context of an utterance's first and last phone."""
    labels: np.ndarray
    """(n_units, max_states) int32: the unit's labels in order, padded with 0."""
    label_pdf: np.ndarray
    label_phone: np.ndarray
    label_state: np.ndarray
    label_word_end: np.ndarray
    """(n_labels + 1,) each: as the fields of `Graph` of the same names."""
    enter_cost: np.ndarray
    """(n_labels + 1,) float32: cost of leaving the label's state, paid on entering it."""
    loop_cost: np.ndarray
    """(n_labels + 1,) float32: cost of staying in the label's state for a frame."""


def make_units(model: GmmModel, transition_scale: float = 1.0) -> Units:
    """Tabulate the model's HMMs for every phone in every context."""
    n_phones = len(model.phones)
    phone, position = np.arange(n_phones), np.arange(N_POSITIONS)
    axes = np.meshgrid(phone, position, phone, phone, indexing="ij")
    hmm = model.hmm_index(axes[0], axes[2], axes[3], axes[1])
    speech = ~np.isin(model.phones, (model.silence, *model.fillers))
    ends_word = np.isin(position, (END, SINGLE)) & speech[:, None]
    pairs, unit = np.unique(hmm * 2 + ends_word[:, :, None, None], return_inverse=True)
    unit_of = unit.reshape(-1, n_phones, n_phones).astype(np.int32)
    left_class = np.empty(unit_of.shape[:2], np.int32)
    for symbol, rows in enumerate(unit_of):
        _, first, inverse = np.unique(rows, axis=0, return_index=True, return_inverse=True)
        left_class[symbol] = first[inverse.ravel()]
    silence = model.phones.index(model.silence)
    labels = _labels(model, pairs // 2, pairs % 2, transition_scale)
    return Units(unit_of, left_class, silence, *labels)


def _labels(
    model: GmmModel, hmm: np.ndarray, ends_word: np.ndarray, transition_scale: float
) -> tuple[np.ndarray, ...]:
    """Labels of the units that realise `hmm`, and what each is: the last fields of `Units`."""
    pdfs = model.hmm_pdfs[hmm]
    state, phone = np.arange(pdfs.shape[1]), model.hmm_phone[hmm][:, None] + 1
    columns = [pdfs, phone, state, ends_word[:, None]]
    fields = np.stack([np.broadcast_to(column, pdfs.shape) for column in columns], axis=-1)
    real = pdfs >= 0
    distinct, first, inverse = np.unique(
        fields[real], axis=0, return_index=True, return_inverse=True
    )
    labels = np.zeros(pdfs.shape, np.int32)
    labels[real] = inverse.ravel() + 1
    meaning = np.concatenate([[[-1, 0, 0, 0]], distinct]).astype(np.int32).T
    costs = [
        np.append(0.0, -transition_scale * table[hmm][real][first]).astype(np.float32)
        for table in (model.hmm_exit_log_probs, model.hmm_loop_log_probs)
    ]
    return labels, *meaning[:3], meaning[3].astype(bool), *costs


def expand_context(lg: Graph, units: Units) -> Graph:
    """C ∘ LG: phones (``symbol + 1``) become units (``unit + 1``) that know both neighbours."""
    n_symbols = len(units.left_class)
    phone_of = np.arange(n_symbols, dtype=np.int32) // N_POSITIONS
    source, arcs, n_states = _kernels.expand_context(
        lg.start, lg.first_arc, lg.arcs, lg.final, units.unit_of, units.left_class, phone_of,
        units.silence,
    )  # fmt: skip
    final = np.full(n_states, np.inf, np.float32)
    final[1] = 0.0
    return Graph.from_arcs(source, arcs, final)


def expand_hmms(clg: Graph, units: Units) -> tuple[Graph, np.ndarray]:
    """H ∘ CLG, self-loops still left out: units become sequences of labels.

    Below each state the units form a tree, so that equal beginnings are one path; a tree node
    carries the least cost of what lies below it, and a word as soon as only that word is left.
    Returns the graph and, for each state, the label of the self-loop it is to get (0: none).
    """
    emitting = clg.arcs["label"] > 0
    source, arcs = clg.sources[emitting], clg.arcs[emitting]
    labels = units.labels[arcs["label"] - 1]
    length = np.count_nonzero(labels, axis=1)
    n_labels = len(units.label_pdf)
    above = source.astype(np.int64)  # tree node an arc hangs from; roots are the states of CLG
    best_above = np.zeros(len(arcs), np.float32)
    said_above = np.zeros(len(arcs), bool)
    n_nodes, node_label = clg.n_states, [np.zeros(clg.n_states, np.int32)]
    inner: list[Branches] = []
    leaves: list[Branches] = []
    for level in range(labels.shape[1]):
        ends = length == level + 1
        leaves.append(
            (above[ends], labels[ends, level], np.where(said_above, 0, arcs["word"])[ends],
             (arcs["cost"] - best_above)[ends], arcs["target"][ends])
        )  # fmt: skip
        goes_on = length > level + 1
        if not goes_on.any():
            break
        key, first, node = np.unique(
            (above * n_labels + labels[:, level])[goes_on], return_index=True, return_inverse=True
        )
        best, said, word = _below(node, arcs["cost"][goes_on], arcs["word"][goes_on], len(key))
        label = (key % n_labels).astype(np.int32)
        inner.append(
            (key // n_labels, label, np.where(said & ~said_above[goes_on][first], word, 0),
             best - best_above[goes_on][first], n_nodes + np.arange(len(key)))
        )  # fmt: skip
        node_label.append(label)
        above[goes_on], best_above[goes_on], said_above[goes_on] = (
            n_nodes + node, best[node], said[node]
        )  # fmt: skip
        n_nodes += len(key)
    return _assemble(clg, units, np.concatenate(node_label), inner, leaves)


def _below(
    node: np.ndarray, cost: np.ndarray, word: np.ndarray, n_nodes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Least cost below each tree node, whether all arcs below it say one word, and which."""
    order = np.argsort(node, kind="stable")
    at = np.searchsorted(node[order], np.arange(n_nodes))
    best = np.minimum.reduceat(cost[order], at)
    low, high = np.minimum.reduceat(word[order], at), np.maximum.reduceat(word[order], at)
    return best, low == high, low


def _assemble(
    clg: Graph, units: Units, node_label: np.ndarray, inner: list[Branches], leaves: list[Branches]
) -> tuple[Graph, np.ndarray]:
    """Give every state of CLG one copy per label it is entered by, and join the trees to them."""
    n_labels = len(units.label_pdf)
    silent = clg.arcs["label"] == 0
    eps_source, eps = clg.sources[silent], clg.arcs[silent]
    leaf = [np.concatenate(part) for part in zip(*leaves, strict=True)]
    leaf_key = leaf[4].astype(np.int64) * n_labels + leaf[1]
    eps_key = eps["target"].astype(np.int64) * n_labels
    copies, copy = np.unique(
        np.concatenate([leaf_key, eps_key, [clg.start * n_labels]]), return_inverse=True
    )
    # Output states: the copies first, then the inner tree nodes.
    shift = len(copies) - clg.n_states
    n_leaf = len(leaf_key)
    parts = [(leaf[0], leaf[1], leaf[2], leaf[3], copy[:n_leaf])]
    parts += [(up, label, word, cost, node + shift) for up, label, word, cost, node in inner]
    parts.append((eps_source, 0 * eps["label"], eps["word"], eps["cost"], copy[n_leaf:-1]))
    above, label, word, cost, target = (np.concatenate(part) for part in zip(*parts, strict=True))
    arcs = np.empty(len(above), ARC)
    arcs["label"], arcs["word"], arcs["target"] = label, word, target
    arcs["cost"] = cost + units.enter_cost[label]
    from_node = above >= clg.n_states
    root_arcs, root = arcs[~from_node], above[~from_node]
    order = np.argsort(root, kind="stable")
    first = np.searchsorted(root[order], np.arange(clg.n_states + 1))
    state = copies // n_labels
    count = np.diff(first)[state]
    offset = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    copied = order[np.repeat(first[:-1][state], count) + offset]
    source = np.concatenate([np.repeat(np.arange(len(copies)), count), above[from_node] + shift])
    loop_label = np.concatenate([copies % n_labels, node_label[clg.n_states :]]).astype(np.int32)
    final = np.full(len(loop_label), np.inf, np.float32)
    final[: len(copies)] = clg.final[state]
    graph = Graph.from_arcs(
        source, np.concatenate([root_arcs[copied], arcs[from_node]]), final, int(copy[-1])
    )
    return graph, loop_label


def minimise(graph: Graph, own: np.ndarray | None = None) -> tuple[Graph, np.ndarray]:
    """Merge the states that have the same future (labels, words and costs of all their paths).

    `own` (n_states,) tells states apart beforehand. Returns the smaller graph, its states in
    depth-first order from the start, and the old state that stands for each new one.
    """
    own = np.zeros(graph.n_states, np.uint64) if own is None else own.astype(np.uint64)
    own = own * np.uint64(2**32) + graph.final.view(np.uint32)
    signature = _kernels.signatures(graph.first_arc, graph.arcs, own)
    _, keeper, class_of = np.unique(signature, return_index=True, return_inverse=True)
    return _renumbered(graph, keeper, class_of)


def _renumbered(
    graph: Graph, keeper: np.ndarray, class_of: np.ndarray
) -> tuple[Graph, np.ndarray]:
    """Keep one state a class, drop what cannot be reached, order by depth-first search."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import depth_first_order

    counts = np.diff(graph.first_arc)[keeper]
    at = np.repeat(graph.first_arc[keeper] - np.cumsum(counts) + counts, counts)
    arcs = graph.arcs[at + np.arange(counts.sum())]
    arcs["target"] = class_of[arcs["target"]]
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    ones = np.ones(len(arcs), np.int8)
    links = csr_array((ones, arcs["target"].astype(np.int32), offsets), shape=(len(keeper),) * 2)
    reached = depth_first_order(links, class_of[graph.start], return_predecessors=False)
    number = np.full(len(keeper), -1, np.int32)
    number[reached] = np.arange(len(reached))
    source = number[np.repeat(np.arange(len(keeper)), counts)]
    live = source >= 0
    arcs["target"] = number[arcs["target"]]
    kept = keeper[reached]
    return Graph.from_arcs(source[live], arcs[live], graph.final[kept], 0), kept


def add_self_loops(graph: Graph, loop_label: np.ndarray, units: Units) -> Graph:
    """Let every state that was entered by a label repeat that label."""
    looping = np.flatnonzero(loop_label)
    loops = np.zeros(len(looping), ARC)
    loops["label"], loops["target"] = loop_label[looping], looping
    loops["cost"] = units.loop_cost[loop_label[looping]]
    source = np.concatenate([graph.sources, looping.astype(np.int32)])
    return Graph.from_arcs(source, np.concatenate([graph.arcs, loops]), graph.final, graph.start)


def with_label_table(graph: Graph, units: Units) -> Graph:
    """Number the labels that occur anew, and say what each of them is."""
    occurs = np.bincount(graph.arcs["label"], minlength=len(units.label_pdf)) > 0
    occurs[0] = True
    arcs = graph.arcs.copy()
    arcs["label"] = (np.cumsum(occurs) - 1)[arcs["label"]]
    return replace(
        graph, arcs=arcs, label_pdf=units.label_pdf[occurs], label_phone=units.label_phone[occurs],
        label_state=units.label_state[occurs], label_word_end=units.label_word_end[occurs],
    )  # fmt: skip
