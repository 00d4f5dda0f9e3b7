"""From LG to HCLG on arrays: context (C), HMM states (H), minimisation, self-loops.

C and H are not composed as transducers but written out directly: the result is the same, and
nothing larger than the result is ever held. After Mohri, Pereira, Riley (2002), "Weighted
finite-state transducers in speech recognition". Pronunciation prefixes are shared by a small
tree below every state, suffixes by merging states that have the same future (Revuz 1992, by
hashing). States that close a cycle are kept apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from factored_asr.graph import _kernels
from factored_asr.graph.graph import ARC, EPSILON, Graph
from factored_asr.graph.joints import hub_contexts, marked, with_hubs, with_joints
from factored_asr.graph.units import BLANK, HasTopology, Units

Progress = Callable[[str], None]
"""Called with the name of each stage as it begins."""
Branches = tuple[np.ndarray, ...]
"""Branches of trees as columns: node above, label, word, cost, and the node or state below."""


def expand_graph(
    lg: Graph, model: HasTopology, units: Units, words: tuple[str, ...],
    progress: Progress | None = None, joints: tuple[str, ...] = (),
) -> Graph:
    """Return H ∘ C ∘ LG, minimised, with self-loops and all that a label means.

    `joints`: names of places where a graph may be added later, see `joints`. Those of the k-th name
    are epsilon arcs of LG with the word ``len(words) + k``.
    """
    tell = progress or (lambda stage: None)
    tell(f"context (C ∘ LG, {lg.n_arcs:,} arcs)")
    lg, hubs = with_hubs(lg, len(words))
    edge = [[lg.start, units.edge[0], len(units.unit_of)]]
    starts = np.concatenate([edge, hub_contexts(lg, hubs, joints, units)])
    clg, context = expand_context(lg, units, starts)
    clg, marks = marked(clg, context, hubs, len(words))
    clg, _ = minimise(clg)
    tell(f"states (H ∘ CLG, {clg.n_arcs:,} arcs)")
    graph, loop_label, _ = expand_hmms(clg, units)
    tell(f"minimising ({graph.n_arcs:,} arcs)")
    graph, kept = minimise(graph, loop_label)
    topology = model.topology
    blank = (BLANK,) if topology.has_blank else ()
    graph = with_label_table(add_self_loops(graph, loop_label[kept], units), units)
    return replace(
        with_joints(graph, marks, len(words)), words=words, joint_names=joints,
        phones=(EPSILON, *topology.phones, *blank), frame_seconds=model.frame_seconds,
        silence_phones=frozenset(filter(None, (topology.silence, *topology.fillers, *blank))),
    )  # fmt: skip


def expand_context(
    lg: Graph, units: Units, starts: np.ndarray | None = None
) -> tuple[Graph, np.ndarray]:
    """C ∘ LG: phones (``symbol + 1``) become units (``unit + 1``) that know their neighbours.

    `starts` (n, 3): LG state, left class and pending symbol (the number of symbols: none) of the
    states to begin with, which become 0, 2, 3, …. Default: LG's start, at the edge. Returns the
    graph and the same three of each state.
    """
    n_symbols, n_left, n_right = units.unit_of.shape
    if starts is None:
        starts = np.array([[lg.start, units.edge[0], n_symbols]])
    source, arcs, final, keys = _kernels.expand_context(
        starts.astype(np.int64), lg.first_arc, lg.arcs, lg.final, units.unit_of, units.left_class,
        units.right_class, units.same_left, units.edge[1], n_right > 1 and not units.blank,
    )
    rest, pending = np.divmod(keys, n_symbols + 1)
    context = np.column_stack([*np.divmod(rest, n_left), pending])
    return Graph.from_arcs(source, arcs, final), context


def expand_hmms(clg: Graph, units: Units) -> tuple[Graph, np.ndarray, np.ndarray]:
    """H ∘ CLG, self-loops still left out: units become sequences of labels.

    Below each state the units form a tree, so that equal beginnings are one path. A tree node
    carries the least cost of what lies below it, and a word as soon as only that word is left.
    A unit whose states may be skipped hangs there once for each way through it.
    Returns the graph and two values for each state: the label of the self-loop it is to get (0:
    none), and the state of CLG whose arcs it has. The latter is -1 within a unit or just after it.
    """
    clg, waiting, origin = _with_blanks(clg, units.blank)
    emitting = clg.arcs["label"] > 0
    source, arcs, labels = _ways(clg.sources[emitting], clg.arcs[emitting], units)
    length = np.count_nonzero(labels, axis=1)
    n_labels = len(units.loop_label)
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
        key, first, node = np.unique((above * n_labels + labels[:, level])[goes_on],
                                     return_index=True, return_inverse=True)
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
    return _assemble(clg, units, waiting, origin, np.concatenate(node_label), inner, leaves)


def _with_blanks(clg: Graph, blank: int) -> tuple[Graph, np.ndarray, np.ndarray]:
    """Make room for CTC's blanks: CLG, the label by which one may wait in each of its states, and
    the state that it is a copy of.

    A unit leads to a state of its own, from which an epsilon arc goes where blanks may follow.
    Other epsilon arcs lead to copies without blanks, so that these stand in one place only.
    """
    if not blank:
        return clg, np.zeros(clg.n_states, np.int64), np.arange(clg.n_states)
    emitting = clg.arcs["label"] > 0
    after_unit = np.union1d(clg.arcs["target"][emitting], clg.start)
    plain = np.unique(clg.arcs["target"][~emitting])
    copied = np.concatenate([plain, after_unit])
    place = np.zeros((2, clg.n_states), np.int32)  # where an epsilon arc leads, and a unit
    place[0, plain] = np.arange(len(plain))
    waiting_at = np.arange(len(plain), len(copied), dtype=np.int32)
    place[1, after_unit] = waiting_at + len(after_unit)
    counts = np.diff(clg.first_arc)[copied]
    at = np.repeat(clg.first_arc[copied] - np.cumsum(counts) + counts, counts)
    at += np.arange(len(at))
    arcs = clg.arcs[at]
    arcs["target"] = place[emitting[at].astype(np.int8), arcs["target"]]
    leave = np.zeros(len(after_unit), ARC)
    leave["target"] = waiting_at
    numbers = np.arange(len(copied), dtype=np.int32)
    source = np.concatenate([np.repeat(numbers, counts), waiting_at + np.int32(len(after_unit))])
    final = np.append(clg.final[copied], np.full(len(after_unit), np.inf, np.float32))
    waiting = np.repeat([0, blank, 0], [len(plain), len(after_unit), len(after_unit)])
    start = int(waiting_at[np.searchsorted(after_unit, clg.start)])
    origin = np.append(copied, np.full(len(after_unit), -1))
    return Graph.from_arcs(source, np.concatenate([arcs, leave]), final, start), waiting, origin


def _ways(source: np.ndarray, arcs: np.ndarray, units: Units) -> tuple[np.ndarray, ...]:
    """Return source and arc of each sequence of labels of the units, and the sequences."""
    unit, first = arcs["label"] - 1, units.first_sequence
    if len(units.sequences) == len(first) - 1:
        return source, arcs, units.sequences[unit]
    counts = np.diff(first)[unit]
    ends = np.cumsum(counts)
    sequence = np.arange(counts.sum()) + np.repeat(first[unit] - ends + counts, counts)
    arcs = np.repeat(arcs, counts)
    arcs["cost"] += units.skip_cost[sequence]
    return np.repeat(source, counts), arcs, units.sequences[sequence]


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
    clg: Graph, units: Units, waiting: np.ndarray, origin: np.ndarray, node_label: np.ndarray,
    inner: list[Branches], leaves: list[Branches],
) -> tuple[Graph, np.ndarray, np.ndarray]:
    """Give every state of CLG one copy per label to stay in it by, and join the trees to them."""
    n_labels = len(units.loop_label)
    silent = clg.arcs["label"] == 0
    eps_source, eps = clg.sources[silent], clg.arcs[silent]
    leaf = [np.concatenate(part) for part in zip(*leaves, strict=True)]
    leaf_key = leaf[4].astype(np.int64) * n_labels + units.loop_label[leaf[1]]
    eps_target = np.append(eps["target"], clg.start).astype(np.int64)
    eps_key = eps_target * n_labels + waiting[eps_target]
    copies, copy = np.unique(np.concatenate([leaf_key, eps_key]), return_inverse=True)
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
    loop_label = np.concatenate([copies % n_labels, units.loop_label[node_label[clg.n_states :]]])
    final = np.full(len(loop_label), np.inf, np.float32)
    final[: len(copies)] = clg.final[state]
    graph = Graph.from_arcs(source, np.concatenate([root_arcs[copied], arcs[from_node]]), final,
                            int(copy[-1]))
    place = np.append(origin[state], np.full(len(loop_label) - len(copies), -1))
    return graph, loop_label.astype(np.int32), place


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


def _renumbered(graph: Graph, keeper: np.ndarray, class_of: np.ndarray) -> tuple[Graph, np.ndarray]:
    """Keep one state a class, drop what cannot be reached, order by depth-first search."""
    counts = np.diff(graph.first_arc)[keeper]
    at = np.repeat(graph.first_arc[keeper] - np.cumsum(counts) + counts, counts)
    arcs = graph.arcs[at + np.arange(counts.sum())]
    arcs["target"] = class_of[arcs["target"]]
    first = np.concatenate([[0], np.cumsum(counts)])
    reached = _kernels.depth_first(first, arcs["target"].copy(), int(class_of[graph.start]))
    number = np.full(len(keeper), -1, np.int32)
    number[reached] = np.arange(len(reached))
    source = number[np.repeat(np.arange(len(keeper)), counts)]
    live = source >= 0
    arcs["target"] = number[arcs["target"]]
    kept = keeper[reached]
    return Graph.from_arcs(source[live], arcs[live], graph.final[kept], 0), kept


def add_self_loops(graph: Graph, loop_label: np.ndarray, units: Units) -> Graph:
    """Let every state that has a loop label repeat it."""
    looping = np.flatnonzero(loop_label)
    loops = np.zeros(len(looping), ARC)
    loops["label"], loops["target"] = loop_label[looping], looping
    loops["cost"] = units.loop_cost[loop_label[looping]]
    source = np.concatenate([graph.sources, looping.astype(np.int32)])
    return Graph.from_arcs(source, np.concatenate([graph.arcs, loops]), graph.final, graph.start)


def with_label_table(graph: Graph, units: Units) -> Graph:
    """Number the labels that occur from 1 on, and say what each of them is."""
    occurs = np.bincount(graph.arcs["label"], minlength=len(units.loop_label)) > 0
    occurs[0] = True
    arcs = graph.arcs.copy()
    arcs["label"] = (np.cumsum(occurs) - 1)[arcs["label"]]
    return replace(graph, arcs=arcs).with_labels(units.labels.take(occurs))
