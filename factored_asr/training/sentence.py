"""All the ways to say one sentence, as a small graph of phones in context.

Every pronunciation of every word, with a silence that may stand before, between and after them.
The graph knows phones and contexts, not pdfs: it is made once and serves every model of training.
With a model it becomes a trellis, whose nodes are HMM states.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from factored_asr.acoustic import BEGIN, END, INTERNAL, SINGLE, GmmModel
from factored_asr.errors import MissingError, OptionError
from factored_asr.lexicon import Lexicon

NO_CONTEXT = -1
"""A neighbour that does not matter: the model looks at phones alone."""


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
    """Nodes of the sentence as it is first guessed: silence, first pronunciations, silence."""


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
    """(n_nodes,) float64: log probability of beginning here, -inf where none begins."""
    end: np.ndarray
    """(n_nodes,) float64: log probability of leaving the last frame from here."""
    first_in: np.ndarray
    """(n_nodes + 1,) int32: arcs first_in[n]:first_in[n + 1] lead into node n."""
    source: np.ndarray
    """(n_arcs,) int32: where an arc comes from."""
    arc_log_prob: np.ndarray
    """(n_arcs,) float64: of leaving the source's state and taking the arc."""

    @property
    def transitions(self) -> tuple[np.ndarray, ...]:
        """What the kernels take, in their order."""
        return (
            self.loop, self.start, self.end, self.first_in, self.source, self.arc_log_prob
        )  # fmt: skip


@dataclass(frozen=True)
class _Way:
    """The nodes by which one word, said in one way, is entered or left."""

    phone: int
    neighbour: int
    node: int
    log_prob: float


def make_sentences(
    texts: Iterable[Sequence[str]],
    lexicon: Lexicon,
    model: GmmModel,
    silence_probability: float = 0.5,
) -> tuple[Sentence, ...]:
    """The graphs of some texts, for a model and all that have its phones.

    Where the model knows phones in context only by their centre, contexts are left out: a graph
    of a context-independent model does not serve one that looks at neighbours.

    Raises
    ------
    MissingError
        A word has no pronunciation, or a pronunciation a phone the model lacks.
    """
    index = {phone: i for i, phone in enumerate(model.phones)}
    silence, contextual = index[model.silence], bool(len(model.triphone_contexts))
    spoken: dict[str, list[tuple[list[int], float]]] = {}
    sentences = []
    for words in texts:
        for word in words:
            if word not in spoken:
                spoken[word] = _spoken(word, lexicon, index)
        said = [spoken[word] for word in words]
        sentences.append(_Builder(silence, contextual, silence_probability).build(said))
    return tuple(sentences)


def _spoken(
    word: str, lexicon: Lexicon, index: dict[str, int]
) -> list[tuple[list[int], float]]:
    found = lexicon.find(word)
    for each in found:
        for phone in each.phones:
            if phone not in index:
                raise MissingError(f"phone {phone!r} of word {word!r} is not in the model")
    return [([index[phone] for phone in each.phones], float(np.log(each.probability)))
            for each in found]  # fmt: skip


class _Builder:
    """Lays down the nodes word by word, left to right."""

    def __init__(self, silence: int, contextual: bool, silence_probability: float):
        self.silence, self.contextual = silence, contextual
        self.log_silence = float(np.log(silence_probability))
        self.log_none = float(np.log1p(-silence_probability))
        self.phones: list[tuple[int, int, int, int]] = []
        self.arcs: list[tuple[int, int]] = []
        self.log_prob: list[float] = []
        self.plain: list[int] = []

    def build(self, words: Sequence[list[tuple[list[int], float]]]) -> Sentence:
        if not words:
            raise OptionError("a sentence needs at least one word, got none")
        before = self._silence()
        self.plain.append(before)
        self._arc(-1, before, self.log_silence)
        ways_out: list[_Way] = []
        for i, said in enumerate(words):
            left = words[i - 1] if i else []
            right = words[i + 1] if i + 1 < len(words) else []
            entries, exits = self._word(
                said, [phones[-1] for phones, _ in left], [phones[0] for phones, _ in right]
            )
            self._join(ways_out, before, entries, begins=not i)
            ways_out = exits
            before = self._silence()
            for way in exits:
                if way.neighbour in (self.silence, NO_CONTEXT):
                    self._arc(way.node, before, self.log_silence)
        self.plain.append(before)
        end = len(self.phones)
        self._arc(before, end, 0.0)
        for way in ways_out:
            if way.neighbour in (self.silence, NO_CONTEXT):
                self._arc(way.node, end, self.log_none)
        return Sentence(
            np.array(self.phones, np.int32), np.array(self.arcs, np.int32),
            np.array(self.log_prob), np.array(self.plain, np.int32),
        )  # fmt: skip

    def _word(
        self, said: list[tuple[list[int], float]], before: list[int], after: list[int]
    ) -> tuple[list[_Way], list[_Way]]:
        """One word: a chain a pronunciation, its ends once for each neighbour there may be."""
        lefts = list(dict.fromkeys([self.silence, *before])) if self.contextual else [NO_CONTEXT]
        rights = list(dict.fromkeys([self.silence, *after])) if self.contextual else [NO_CONTEXT]
        entries: list[_Way] = []
        exits: list[_Way] = []
        for rank, (phones, log_prob) in enumerate(said):
            lay = self._single if len(phones) == 1 else self._several
            ways_in, ways_out, chain = lay(phones, log_prob, lefts, rights)
            entries += ways_in
            exits += ways_out
            if not rank:
                self.plain += chain
        return entries, exits

    def _single(
        self, phones: list[int], log_prob: float, lefts: list[int], rights: list[int]
    ) -> tuple[list[_Way], list[_Way], list[int]]:
        """A word of one phone, which has both neighbours in other words."""
        (phone,) = phones
        entries: list[_Way] = []
        exits: list[_Way] = []
        for left in lefts:
            for right in rights:
                node = self._node(phone, left, right, SINGLE)
                entries.append(_Way(phone, left, node, log_prob))
                exits.append(_Way(phone, right, node, 0.0))
        return entries, exits, [entries[0].node]

    def _several(
        self, phones: list[int], log_prob: float, lefts: list[int], rights: list[int]
    ) -> tuple[list[_Way], list[_Way], list[int]]:
        """A word of more: its first phone for each left neighbour, its last for each right one."""
        first, last = phones[0], phones[-1]
        starts = [self._node(first, left, phones[1], BEGIN) for left in lefts]
        inner = [
            self._node(phones[k], phones[k - 1], phones[k + 1], INTERNAL)
            for k in range(1, len(phones) - 1)
        ]
        ends = [self._node(last, phones[-2], right, END) for right in rights]
        layers = [starts, *([node] for node in inner), ends]
        for sources, targets in zip(layers, layers[1:], strict=False):
            for a in sources:
                for b in targets:
                    self._arc(a, b, 0.0)
        entries = [_Way(first, x, node, log_prob) for x, node in zip(lefts, starts, strict=True)]
        exits = [_Way(last, x, node, 0.0) for x, node in zip(rights, ends, strict=True)]
        return entries, exits, [starts[0], *inner, ends[0]]

    def _join(
        self, ways_out: list[_Way], silence: int, entries: list[_Way], begins: bool
    ) -> None:
        """From the word before, or the silence after it, into the next word."""
        for way_in in entries:
            if way_in.neighbour in (self.silence, NO_CONTEXT):
                self._arc(silence, way_in.node, way_in.log_prob)
                if begins:
                    self._arc(-1, way_in.node, self.log_none + way_in.log_prob)
            for way in ways_out:
                meets = way.neighbour == way_in.phone and way.phone == way_in.neighbour
                if meets or not self.contextual:
                    self._arc(way.node, way_in.node, self.log_none + way_in.log_prob)

    def _silence(self) -> int:
        neighbour = self.silence if self.contextual else NO_CONTEXT
        return self._node(self.silence, neighbour, neighbour, SINGLE)

    def _node(self, centre: int, left: int, right: int, position: int) -> int:
        if not self.contextual:
            left = right = NO_CONTEXT
        self.phones.append((centre, left, right, position))
        return len(self.phones) - 1

    def _arc(self, source: int, target: int, log_prob: float) -> None:
        self.arcs.append((source, target))
        self.log_prob.append(log_prob)


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
