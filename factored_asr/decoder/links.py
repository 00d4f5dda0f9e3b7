"""From the links a search kept to a lattice of words.

The search's links join states of the graph frame by frame, and a word's label may stand anywhere
on its way. Here the links are read from the start: the k-th word belongs to the k-th stretch of
phones that ends a word. Of all ways between two boundaries that say the same word with the
same phones the cheapest becomes an arc.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from factored_asr.decoder import _kernels as kernels
from factored_asr.graph import Graph
from factored_asr.lattice.lattice import Lattice

FIRST_LINKS = 1 << 19
"""Room at the start for links, and for nodes; pages not yet used cost nothing."""


@dataclass(frozen=True, eq=False)
class RawLattice:
    """Nodes (tokens) and links of a whole search, pruned; a layer of nodes before each frame."""

    nodes: np.ndarray
    links: np.ndarray
    """Their `cost` is a slack; ends are numbered through all layers."""
    layers: np.ndarray
    acoustic: np.ndarray
    """(n_links,) float64"""


def new_forward(lattice_beam: float, interval: int, most_tokens: int) -> kernels.Forward:
    """Room for the tokens and links of a search; for two frames and candidates without a lattice.

    `most_tokens`: of a frame.
    """
    beam = np.float32(min(lattice_beam, float(np.finfo(np.float32).max)))
    n_tokens, n_links = 2 * most_tokens, kernels.ROOM
    if lattice_beam > 0:  # pages not yet used cost nothing
        n_tokens, n_links = FIRST_LINKS, FIRST_LINKS
    return kernels.Forward(
        np.zeros(n_tokens, kernels.TOKEN), np.zeros(n_tokens * (lattice_beam > 0), kernels.PAST),
        np.zeros(n_links, kernels.LINK), np.zeros(64, kernels.LAYER), beam, interval,
    )


def with_layers(forward: kernels.Forward, n_frames: int) -> kernels.Forward:
    """Room for this many frames."""
    if n_frames + 3 <= len(forward.layers):
        return forward
    return forward._replace(layers=_longer(forward.layers, 2 * n_frames + 3))


def with_links(forward: kernels.Forward, most_tokens: int) -> kernels.Forward:
    """Twice the room for nodes and links, and for a frame of `most_tokens` at least."""
    tokens, past, links = forward.tokens, forward.past, forward.links
    size = 2 * len(tokens) + most_tokens
    return forward._replace(tokens=_longer(tokens, size), past=_longer(past, size),
                            links=_longer(links, 2 * len(links)))


def _longer(table: np.ndarray, size: int) -> np.ndarray:
    longer = np.zeros(size, table.dtype)
    longer[: len(table)] = table
    return longer


def raw_lattice(
    graph: Graph, forward: kernels.Forward, n_frames: int, extra: np.ndarray
) -> RawLattice:
    """A pruned copy. `extra`: the cost of ending in each token, above that of the cheapest end."""
    layers = forward.layers[: n_frames + 2].copy()
    tokens = forward.tokens[: layers["node"][-1]].copy()
    past, links = forward.past[: len(tokens)].copy(), forward.links[: layers["link"][-1]].copy()
    past["extra"][layers["node"][n_frames] :] = extra
    n_swept = n_frames // forward.interval * forward.interval + 1
    kernels.sweep(tokens, past, links, layers, n_swept, n_frames, forward.beam, True)
    links, acoustic = kernels.number(graph.states, graph.arcs, tokens, past, links, layers,
                                     n_frames + 1)
    nodes = np.empty(layers["node"][-1], kernels.NODE)
    for name in ("state", "cost"):
        nodes[name] = tokens[name][: len(nodes)]
    nodes["extra"] = past["extra"][: len(nodes)]
    return RawLattice(nodes, links, layers, acoustic)


def spelt_lattice(
    graph: Graph, raw: RawLattice, n_frames: int, lattice: Lattice, lattice_beam: float
) -> Lattice:
    """Return a lattice that has only its best path with its words, from the utterance's links."""
    ordered = kernels.arrange(raw.nodes, raw.links, raw.layers, n_frames + 1)
    cost, state = raw.nodes["cost"], raw.nodes["state"]
    order, frames = ordered[2], ordered[3]
    end_cost = cost + graph.final[state] if lattice.reached_final else cost
    end_cost = np.where(frames == n_frames, end_cost, np.float32(np.inf))
    ending = end_cost - end_cost.min()
    work, aligned = _spelt(graph, raw, ending, ordered, lattice_beam, graph.has_phones)
    if not aligned and graph.has_phones:  # a word later than any rule allows
        work, _ = _spelt(graph, raw, ending, ordered, lattice_beam, False)
    n_boundaries, n_spans = work.counts[kernels.BOUNDARIES], work.counts[kernels.SPANS]
    boundaries, spans = work.boundaries[:n_boundaries], work.spans[:n_spans]
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    first_to_last = np.lexsort((boundaries["waiting"], place[boundaries["node"]]))
    number = np.empty(n_boundaries, np.int32)
    number[first_to_last] = np.arange(n_boundaries)
    boundaries = boundaries[first_to_last]
    source, target = number[spans["source"]], number[spans["target"]]
    by_source = np.lexsort((spans["word"], target, source))
    ends = boundaries["ends"] > 0
    by_source = by_source[kernels.live_spans(source[by_source], target[by_source], ends)]
    spans, source, target = spans[by_source], source[by_source], target[by_source]
    final = np.full(n_boundaries, np.inf)
    final[ends] = graph.final[state[boundaries["node"][ends]]] if lattice.reached_final else 0.0
    # A boundary that only a broken cycle of epsilon arcs led on from is left out.
    kept = np.union1d(np.union1d(source, target), np.flatnonzero(ends)).astype(np.int32)
    number = np.zeros(n_boundaries, np.int32)
    number[kept] = np.arange(len(kept))
    node_frame = frames[boundaries["node"]][kept].astype(np.int32)
    return _with_arcs(graph, lattice, work, spans, number[source], number[target], aligned,
                      node_frame, final[kept])


def _with_arcs(
    graph: Graph, lattice: Lattice, work: kernels.Work, spans: np.ndarray, source: np.ndarray,
    target: np.ndarray, aligned: bool, node_frame: np.ndarray, final: np.ndarray,
) -> Lattice:
    spoken, index = np.unique(np.append(0, spans["spoken"]), return_inverse=True)
    phone_first, phone_end = kernels.phone_ends(
        spans["spoken"].copy(), spans["times"].copy(), node_frame[target], work.spoken, work.times)
    return replace(
        lattice, aligned=aligned, node_frame=node_frame, final=final,
        pronunciations=tuple(_phones(graph, work.spoken, number) for number in spoken.tolist()),
        arc_source=source, arc_target=target, arc_word=spans["word"].copy(),
        arc_pronunciation=index.ravel()[1:].astype(np.int32),
        arc_acoustic=spans["acoustic"].copy(), arc_graph=spans["graph"].copy(),
        arc_lm=np.zeros(len(spans)), phone_first=phone_first, phone_end=phone_end,
    )


def _phones(graph: Graph, strings: np.ndarray, number: int) -> tuple[str, ...]:
    """Read a phone string backwards through the table of strings."""
    phones: list[str] = []
    while number:
        phones.append(graph.phones[strings[number, 1]])
        number = int(strings[number, 0])
    return tuple(reversed(phones))


def _labels(graph: Graph, has_phones: bool) -> kernels.Labels:
    if not has_phones:
        nothing, no = np.zeros(0, np.int32), np.zeros(0, np.bool_)
        return kernels.Labels(nothing, nothing, no, no)
    silent = np.array([phone in graph.silence_phones for phone in graph.phones])
    return kernels.Labels(graph.label_phone.copy(), graph.label_state.copy(),
                          graph.label_word_end.copy(), silent[graph.label_phone])


def _spelt(
    graph: Graph, raw: RawLattice, ending: np.ndarray, ordered: tuple[np.ndarray, ...],
    lattice_beam: float, has_phones: bool,
) -> tuple[kernels.Work, bool]:
    """Run the kernel, with more room until it has enough."""
    first, leaving, order, frames = ordered
    labels, size = _labels(graph, has_phones), 1024 + 4 * len(raw.links)
    n_words = int(graph.arcs["word"][raw.links["arc"]].max(initial=0)) + 1
    n_phones, n_nodes = len(graph.phones), len(raw.nodes)
    while True:
        work = kernels.Work(
            np.zeros(size, kernels.ROUTE), np.zeros(size, kernels.BOUNDARY),
            np.zeros(size, kernels.SPAN), np.zeros((size + n_phones, 4), np.int32),
            np.zeros((size + n_words, 4), np.int32), np.zeros((size, 2), np.int32),
            np.zeros(kernels.N_COUNTS, np.int64), np.full(n_nodes, -1, np.int32),
            np.full(n_nodes, -1, np.int32), np.full(kernels.N_BUCKETS, -1, np.int32),
            np.zeros(n_nodes, np.bool_),
        )
        work.spoken[:n_phones, 1] = np.arange(n_phones)
        work.queues[:n_words, 1] = np.arange(n_words)
        work.counts[kernels.SPOKEN], work.counts[kernels.QUEUES] = n_phones, n_words
        work.counts[kernels.TIMES], work.counts[kernels.FREE] = 1, kernels.NONE
        matched = kernels.spell(
            graph.states, graph.arcs, labels, raw.nodes, ending, raw.links, raw.acoustic,
            first, leaving, order, frames, float(lattice_beam), work,
        )
        if not work.counts[kernels.FULL]:
            return work, bool(matched) and has_phones
        size *= 4
