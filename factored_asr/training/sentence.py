"""All the ways to say one text, as a small graph of phones in context.

Every pronunciation of every word, with an optional silence before, between and after words. The
graph knows phones and contexts, not pdfs: it is made once and serves every model of training. With
a model it becomes a trellis, whose nodes are HMM states.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from factored_asr.acoustic import BEGIN, END, INTERNAL, SINGLE, GmmModel
from factored_asr.errors import MissingError, OptionError
from factored_asr.lexicon import Lexicon

NO_CONTEXT = -1
"""A neighbour that does not matter: the model depends on phones alone."""

Spelled = list[tuple[list[int], float]]
"""The pronunciations of a word: phones and log probability."""
Arc = tuple[int, int, float]
"""Source, target, log probability."""


@dataclass(frozen=True, eq=False)
class Sentence:
    """A graph whose nodes are phones in context, sorted so that arcs lead to higher ones."""

    phones: np.ndarray
    """(n_nodes, 4) int32: centre, left and right phone (or NO_CONTEXT), position in the word."""
    arcs: np.ndarray
    """(n_arcs, 2) int32: from node to node; from -1 the sentence begins, to n_nodes it ends."""
    arc_log_prob: np.ndarray
    """(n_arcs,) float64: of silence or none, and of the pronunciation."""
    plain: np.ndarray
    """Nodes of the path of the first alignment: silence, first pronunciations, silence."""


@dataclass(frozen=True, eq=False)
class Trellis:
    """The HMM states of a sentence under one model; a node is one state of one phone."""

    unit: np.ndarray
    """(n_nodes,) int32: the phone, a node of the `Sentence`."""
    state: np.ndarray
    """(n_nodes,) int32: index of the state within its phone."""
    pdf: np.ndarray
    """(n_nodes,) int32: its pdf."""
    loop: np.ndarray
    """(n_nodes,) float64: log probability of staying another frame."""
    start: np.ndarray
    """(n_nodes,) float64: log probability of beginning here, -inf where no path begins."""
    end: np.ndarray
    """(n_nodes,) float64: log probability of leaving the last frame from here."""
    first_in: np.ndarray
    """(n_nodes + 1,) int32: arcs first_in[n]:first_in[n + 1] lead into node n."""
    source: np.ndarray
    """(n_arcs,) int32: source node of each arc."""
    arc_log_prob: np.ndarray
    """(n_arcs,) float64: of leaving the source's state and taking the arc."""

    @property
    def transitions(self) -> tuple[np.ndarray, ...]:
        """Arguments of the kernels, in their order."""
        return self.loop, self.start, self.end, self.first_in, self.source, self.arc_log_prob


def make_sentences(
    texts: Iterable[Sequence[str]], lexicon: Lexicon, model: GmmModel,
    silence_probability: float = 0.5,
) -> tuple[Sentence, ...]:
    """Return the graphs of some texts, for a model and all that have its phones.

    The graphs of a context-independent model have no contexts and serve such models only. Raises
    MissingError if a word has no pronunciation, or a pronunciation a phone the model lacks,
    OptionError for a text without words.
    """
    index = {phone: i for i, phone in enumerate(model.phones)}
    silence, contextual = index[model.silence], bool(len(model.triphone_contexts))
    spoken: dict[str, Spelled] = {}
    sentences = []
    for words in texts:
        if not words:
            raise OptionError("a sentence needs at least one word, got none")
        for word in words:
            if word not in spoken:
                spoken[word] = _spoken(word, lexicon, index)
        graph = _phone_graph([spoken[word] for word in words], silence, silence_probability)
        sentences.append(_in_context(*graph, silence, contextual))
    return tuple(sentences)


def _spoken(word: str, lexicon: Lexicon, index: dict[str, int]) -> Spelled:
    found = lexicon.find(word)
    for each in found:
        for phone in each.phones:
            if phone not in index:
                raise MissingError(f"phone {phone!r} of word {word!r} is not in the model")
    return [([index[phone] for phone in each.phones], float(np.log(each.probability)))
            for each in found]  # fmt: skip


def _phone_graph(
    words: Sequence[Spelled], silence: int, silence_probability: float
) -> tuple[list[tuple[int, int]], list[Arc], list[int], set[int]]:
    """Lay down a chain of nodes for each pronunciation, with silences between the words.

    Returns (phone, position) of each node, arcs, the nodes of the first alignment, and the nodes
    of silence.
    """
    log_silence, log_none = np.log(silence_probability), np.log1p(-silence_probability)
    nodes, arcs, plain = [(silence, SINGLE)], [(-1, 0, log_silence)], [0]
    ends, pause, pauses = [-1], 0, {0}  # last nodes of the word before, the silence after it
    for pronunciations in words:
        after = []
        for rank, (phones, log_prob) in enumerate(pronunciations):
            chain = list(range(len(nodes), len(nodes) + len(phones)))
            places = [BEGIN, *[INTERNAL] * (len(phones) - 2), END]
            nodes += zip(phones, places if len(phones) > 1 else [SINGLE], strict=True)
            arcs += [(node, node + 1, 0.0) for node in chain[:-1]]
            arcs.append((pause, chain[0], log_prob))
            arcs += [(end, chain[0], log_none + log_prob) for end in ends]
            after.append(chain[-1])
            plain += [] if rank else chain
        ends, pause = after, len(nodes)
        nodes.append((silence, SINGLE))
        pauses.add(pause)
        arcs += [(end, pause, log_silence) for end in ends]
    arcs += [(pause, len(nodes), 0.0), *((end, len(nodes), log_none) for end in ends)]
    return nodes, arcs, [*plain, pause], pauses


def _in_context(
    nodes: list[tuple[int, int]], arcs: list[Arc], plain: list[int], pauses: set[int],
    silence: int, contextual: bool,
) -> Sentence:
    """Copy each node for each pair of neighbours; arcs join the copies that fit each other."""
    phone = [each for each, _ in nodes] + [silence]  # at -1 and n_nodes, where the sentence ends
    lefts: list[dict[int, None]] = [{} for _ in phone]
    rights: list[dict[int, None]] = [{} for _ in phone]
    for source, target, _ in arcs:
        lefts[target][phone[source] if contextual else NO_CONTEXT] = None
        rights[source][phone[target] if contextual else NO_CONTEXT] = None
    copies: list[list[tuple[int, int, int]]] = []  # of each node: left, right, number of the copy
    contexts: list[tuple[int, int, int, int]] = []
    for i, (centre, position) in enumerate(nodes):
        around = [(left, right) for left in lefts[i] for right in rights[i]]
        if i in pauses:
            around = [(silence, silence) if contextual else (NO_CONTEXT, NO_CONTEXT)]
        first = len(contexts)
        copies.append([(*each, first + k) for k, each in enumerate(around)])
        contexts += [(centre, *each, position) for each in around]
    free = {*pauses, -1, len(nodes)}  # fit any neighbour
    begin, end = [(silence, silence, -1)], [(silence, silence, len(contexts))]
    joined: list[Arc] = []
    for source, target, log_prob in arcs:
        for _, right, a in begin if source < 0 else copies[source]:
            for left, _, b in end if target == len(nodes) else copies[target]:
                fits = (source in free or right == phone[target]) and (
                    target in free or left == phone[source]
                )
                if fits or not contextual:
                    joined.append((a, b, log_prob))
    return Sentence(
        np.array(contexts, np.int32), np.array([arc[:2] for arc in joined], np.int32),
        np.array([log_prob for _, _, log_prob in joined]),
        np.array([copies[node][0][2] for node in plain], np.int32),
    )  # fmt: skip


def make_trellis(sentence: Sentence, model: GmmModel) -> Trellis:
    """Spell a sentence's phones out as the HMM states of a model."""
    hmm = model.hmm_index(*sentence.phones.T)
    n_states = (model.hmm_pdfs[hmm] >= 0).sum(axis=1)
    first = np.cumsum(n_states) - n_states
    unit = np.repeat(np.arange(len(hmm), dtype=np.int32), n_states)
    state = (np.arange(len(unit)) - first[unit]).astype(np.int32)
    leave = model.hmm_exit_log_probs[hmm[unit], state].astype(np.float64)
    last = first + n_states - 1
    inner = np.flatnonzero(state > 0)
    source, target = sentence.arcs.T
    start, end = (np.full(len(unit), -np.inf) for _ in range(2))
    begins, ends = source < 0, target == len(hmm)
    start[first[target[begins]]] = sentence.arc_log_prob[begins]
    end[last[source[ends]]] = sentence.arc_log_prob[ends] + leave[last[source[ends]]]
    between = ~(begins | ends)
    arc_target = np.concatenate([inner, first[target[between]]])
    arc_source = np.concatenate([inner - 1, last[source[between]]])
    log_prob = np.concatenate([np.zeros(len(inner)), sentence.arc_log_prob[between]])
    order = np.argsort(arc_target, kind="stable")
    first_in = np.searchsorted(arc_target[order], np.arange(len(unit) + 1))
    return Trellis(
        unit, state, model.hmm_pdfs[hmm[unit], state],
        model.hmm_loop_log_probs[hmm[unit], state].astype(np.float64), start, end,
        first_in.astype(np.int32), arc_source[order].astype(np.int32),
        (log_prob + leave[arc_source])[order],
    )  # fmt: skip
