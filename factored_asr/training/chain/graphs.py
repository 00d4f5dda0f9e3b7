"""The graphs of lattice-free MMI: what was said, and all that could be said.

A node is a phone between its neighbours. Silence stands between any neighbours, so there is one
node of it. The probability of a node given the node before is that of a trigram of phones: the
next neighbour, given the phone and the one before.

The numerator of an utterance is the graph of its text: all pronunciations, silences where they may
be. A node is kept where a GMM gives it a share of some frame, and open some frames around these.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from factored_asr.acoustic import GmmModel
from factored_asr.acoustic.topology import INTERNAL
from factored_asr.training import _kernels
from factored_asr.training.alignment import AlignmentOptions, StateAlignment, Trained, score_trellis
from factored_asr.training.chain.mmi import ChainGraph
from factored_asr.training.chain.states import STEP
from factored_asr.training.data import TrainingData
from factored_asr.training.sentence import Sentence, make_trellis

Node = tuple[int, int, int]
"""Left neighbour, phone, right neighbour."""
START: Node = (-2, -2, -2)
"""Stands before the first node of an utterance."""
END: Node = (-3, -3, -3)
"""Stands after the last."""
LIKELY = 0.01  # share of a frame by which a node counts as said there


@dataclass(frozen=True, eq=False)
class Path:
    """What was said in an utterance, before it has pdfs."""

    nodes: tuple[Node, ...]
    positions: np.ndarray
    """(n_nodes,) position of each node's phone in its word."""
    arcs: np.ndarray
    """(n_arcs, 2) int: node to node; -1 for the beginning, n_nodes for the end."""
    first: np.ndarray
    """(n_nodes,) first frame, of the input, with a share of the node."""
    last: np.ndarray


def node_of(phones: np.ndarray, silence: int) -> Node:
    """Return the node of a row of `StateAlignment.phones`: silence has no neighbours."""
    centre, left, right = (int(each) for each in phones[:3])
    return (-1, silence, -1) if centre == silence else (left, centre, right)


def paths_of(
    data: TrainingData, sentences: Sequence[Sentence], trained: Trained, options: AlignmentOptions
) -> list[Path | None]:
    """Return what was said in each utterance, by a GMM; None where its text does not fit.

    `sentences` are the graphs of the texts, `trained` gives the GMM and its speakers' maps.
    """
    model = trained.model
    silence = model.phones.index(model.silence)
    found: list[Path | None] = []
    for i, sentence in enumerate(sentences):
        trellis, observed = make_trellis(sentence, model), trained.observed(data, i)
        if not len(observed):
            found.append(None)
            continue
        scores, column = score_trellis(observed, trellis, model, options)
        posterior, _, total = _kernels.forward_backward(scores, column, *trellis.transitions)
        found.append(_path(sentence, posterior, trellis.unit, silence) if total > -np.inf else None)
    return found


def _path(sentence: Sentence, posterior: np.ndarray, unit: np.ndarray, silence: int) -> Path:
    shares = np.zeros((len(posterior), len(sentence.phones)))
    np.add.at(shares.T, unit, posterior.T)
    likely = shares > LIKELY
    kept = np.flatnonzero(likely.any(axis=0))
    number = np.full(len(sentence.phones) + 2, -2)  # the last two: begin and end
    number[kept] = np.arange(len(kept))
    number[-2:] = len(kept), -1
    arcs = number[sentence.arcs]  # an arc to n_nodes leads to number[-2], one from -1 to number[-1]
    first = likely[:, kept].argmax(axis=0)
    last = len(likely) - 1 - likely[::-1, kept].argmax(axis=0)
    return Path(
        tuple(node_of(row, silence) for row in sentence.phones[kept]), sentence.phones[kept, 3],
        arcs[(arcs > -2).all(axis=1)], first, last,
    )


@dataclass(frozen=True)
class PhoneModel:
    """A trigram model of phones, as transitions between nodes."""

    log_prob: Mapping[tuple[Node, Node], float]
    """Of a node after the history of another; see `_history`."""
    followers: Mapping[Node, tuple[Node, ...]]
    """By history: the nodes that may follow, sorted; `END` among them."""
    frequency: Mapping[Node, float] = field(default_factory=dict)
    """Share of each node among all nodes."""

    def after(self, node: Node) -> Iterable[tuple[Node, float]]:
        """Yield the nodes that may follow one, and their log probabilities."""
        history = _history(node)
        for each in self.followers.get(history, ()):
            yield each, self.log_prob[history, each]


def _history(node: Node) -> Node:
    """What of a node counts for the next one: the phone and its right neighbour."""
    return node if node[0] < 0 else (-1, node[1], node[2])


def estimate_phones(
    alignments: Iterable[StateAlignment], paths: Iterable[Path], silence: int,
    imagined: float = 0.1,
) -> PhoneModel:
    """Estimate the trigram from alignments; `imagined` is the count of what only paths have.

    So no numerator has an arc that the denominator lacks.
    """
    counts: dict[tuple[Node, Node], float] = defaultdict(float)
    nodes: Counter[Node] = Counter()
    for alignment in alignments:
        said = [node_of(row, silence) for row in alignment.phones]
        nodes.update(said)
        for before, after in zip([START, *said], [*said, END], strict=True):
            counts[_history(before), after] += 1.0
    for path in paths:
        for pair in {(_history(a), b) for a, b in _pairs(path)}.difference(counts):
            counts[pair] = imagined
            if pair[1] != END:
                nodes.setdefault(pair[1], 0)
    totals: dict[Node, float] = defaultdict(float)
    followers: dict[Node, list[Node]] = defaultdict(list)
    for (history, after), count in sorted(counts.items()):
        totals[history] += count
        followers[history].append(after)
    return PhoneModel(
        {pair: float(np.log(count / totals[pair[0]])) for pair, count in sorted(counts.items())},
        {history: tuple(after) for history, after in followers.items()},
        {node: count / nodes.total() for node, count in sorted(nodes.items())},
    )


def _pairs(path: Path) -> Iterable[tuple[Node, Node]]:
    nodes = (*path.nodes, END, START)  # at n_nodes and at -1
    return ((nodes[a], nodes[b]) for a, b in path.arcs.tolist())


def denominator_graph(phones: PhoneModel, model: GmmModel) -> ChainGraph:
    """Return the graph of all sequences of phones under a model with two pdfs a phone."""
    nodes = list(phones.frequency)
    number = {node: i for i, node in enumerate(nodes)}
    start, end = np.full(len(nodes), -np.inf), np.full(len(nodes), -np.inf)
    for node, log_prob in phones.after(START):
        if node != END:
            start[number[node]] = log_prob
    arcs: list[tuple[int, int, float]] = []
    for node in nodes:
        for after, log_prob in phones.after(node):
            if after == END:
                end[number[node]] = log_prob
            else:
                arcs.append((number[node], number[after], log_prob))
    source, target, log_arc = (np.array(each) for each in zip(*arcs, strict=True))
    entry, loop = _pdfs(nodes, np.full(len(nodes), INTERNAL), model)
    return ChainGraph(entry, loop, source, target, log_arc, start, end,
                      share=np.array(list(phones.frequency.values())))


def numerator_graph(
    path: Path, phones: PhoneModel, model: GmmModel, n_frames: int, tolerance: int
) -> ChainGraph:
    """Return the graph of an utterance of `n_frames` of the output.

    A node is open from `tolerance` frames before the first one that it may have to as many after
    the last.
    """
    nodes, n = (*path.nodes, END, START), len(path.nodes)
    start, end = np.full(n, -np.inf), np.full(n, -np.inf)
    arcs: list[tuple[int, int, float]] = []
    for a, b in path.arcs.tolist():
        log_prob = phones.log_prob[_history(nodes[a]), nodes[b]]
        if a < 0 and b < n:
            start[b] = log_prob
        elif b == n and a >= 0:
            end[a] = log_prob
        elif a >= 0:
            arcs.append((a, b, log_prob))
    source, target, log_arc = np.array(arcs).reshape(-1, 3).T
    entry, loop = _pdfs(path.nodes, path.positions, model)
    first = -(-path.first // STEP) - tolerance
    last = np.minimum(path.last // STEP + tolerance, n_frames - 1)
    return ChainGraph(entry, loop, source, target, log_arc, start, end,
                      np.minimum(first, n_frames - 1), last)


def _pdfs(
    nodes: Sequence[Node], positions: np.ndarray, model: GmmModel
) -> tuple[np.ndarray, np.ndarray]:
    """Return entry and loop pdfs of nodes, (n_nodes,) each."""
    silence = model.phones.index(model.silence)
    left, centre, right = np.array(nodes).T
    # The neighbours of silence do not matter; one must be named.
    left, right = (np.where(centre == silence, silence, each) for each in (left, right))
    pdfs = model.hmm_pdfs[model.hmm_index(centre, left, right, positions)]
    return pdfs[:, 0], pdfs[:, 1]
