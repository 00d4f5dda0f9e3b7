"""Back-off n-gram language models: a trie of numpy arrays, its probabilities, its acceptor.

An n-gram of order n is a row of ``orders[n - 1]``; rows are sorted by (history, word), so that a
look-up is one binary search on ``parent * V + word``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from factored_asr.errors import MissingError, OptionError

EPSILON = "<eps>"
BEGIN, END = "<s>", "</s>"
UNKNOWN = ("<unk>", "<UNK>")  # both spellings are found in real files
_ARC_TYPES = (np.int32, np.int32, np.float32, np.int32)

NGramTable = tuple[np.ndarray, np.ndarray, np.ndarray]
"""(n, order) int word ids oldest first, (n,) natural-log probabilities, (n,) back-offs."""


@dataclass(frozen=True, eq=False)
class NGramOrder:
    """All n-grams of one order, sorted by (parent, word).

    Unigrams have parent 0 and stand in the order of the words: row i is word i + 1.

    Examples
    --------
    >>> from factored_asr.language import estimate
    >>> model = estimate([["yes", "please"]])
    >>> bigrams = model.orders[1]
    >>> [model.words[word] for word in bigrams.word]
    ['yes', 'please', '</s>']
    """

    parent: np.ndarray  #: (n,) int32: row of the history in the order below
    word: np.ndarray  #: (n,) int32: id of the last word, from 1
    log_prob: np.ndarray  #: (n,) float32: natural log of P(word | history)
    backoff: np.ndarray  #: (n,) float32: natural log of the weight of backing off from it, or 0

    def __len__(self) -> int:
        return len(self.word)


@dataclass(frozen=True, eq=False)
class NGramModel:
    """A back-off n-gram language model of any order.

    ``words[0]`` is ``<eps>``; the words follow in the order of the file they came from. The marks
    are ``<s>``, ``</s>`` and ``<unk>`` (or ``<UNK>``); a model may lack any of them.

    >>> words = ("<eps>", "<s>", "</s>", "yes", "no")
    >>> unigrams = ([[1], [2], [3], [4]], np.log([1e-9, 0.4, 0.3, 0.3]), [0.0, 0, 0, 0])
    >>> bigrams = ([[1, 3]], np.log([0.3]), [0.0])
    >>> model = NGramModel.from_ngrams(words, [unigrams, bigrams])
    >>> round(float(np.exp(model.log_prob("yes", ["<s>"]))), 3)
    0.3
    >>> round(float(np.exp(model.score_sentence(["yes"]))), 3)  # 0.3 for yes, 0.4 for the end
    0.12
    """

    words: tuple[str, ...]  #: Words by id; 0 is epsilon
    orders: tuple[NGramOrder, ...]  #: The n-grams of each order, unigrams first

    @staticmethod
    def from_ngrams(words: Sequence[str], tables: Sequence[NGramTable]) -> NGramModel:
        """Build a model from tables of n-grams, one for each order, rows in any order.

        A history that is itself no n-gram of the tables becomes an entry with the probability it
        has by backing off. It has no back-off weight of its own. Every probability stays what the
        tables say. No n-gram may come twice.
        """
        checked = [_checked(table, n + 1, len(words)) for n, table in enumerate(tables)]
        return NGramModel(tuple(words), _build(tuple(words), checked))

    def __post_init__(self) -> None:
        if not self.words or self.words[0] != EPSILON:
            raise OptionError(f"word 0 must be {EPSILON}, got {self.words[:1]}")
        if not self.orders or len(self.orders[0]) != len(self.words) - 1:
            raise OptionError("every word needs one unigram, in the order of the words")

    @property
    def order(self) -> int:
        """The longest n-gram's number of words."""
        return len(self.orders)

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of n-grams of each order."""
        return tuple(map(len, self.orders))

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """The words, without epsilon, in the order of their ids; marks included."""
        return self.words[1:]

    @cached_property
    def ids(self) -> dict[str, int]:
        """Word → id."""
        return {word: i for i, word in enumerate(self.words)}

    def sharing_words(self, other: NGramModel) -> NGramModel:
        """Return the model with the table of words of another, where it is the same: one copy."""
        if self.words != other.words:
            return self
        made = replace(self, words=other.words)
        made.__dict__["ids"] = other.ids
        return made

    @cached_property
    def unknown_id(self) -> int:
        """Id of ``<unk>``; 0: the model has none."""
        return next((self.ids[mark] for mark in UNKNOWN if mark in self.ids), 0)

    def word_id(self, word: str) -> int:
        """Return the id of a word, or of ``<unk>`` for an unknown one; MissingError without it."""
        found = self.ids.get(word, 0) or self.unknown_id
        if not found:
            raise MissingError(f"word {word!r} is not in the language model, which has no <unk>")
        return found

    def commonest(self, n_words: int) -> tuple[str, ...]:
        """Return the words of highest unigram probability, without marks, commonest first."""
        marks = {self.ids.get(mark, 0) for mark in (BEGIN, END, *UNKNOWN)}
        ranked = np.argsort(-self.orders[0].log_prob, kind="stable") + 1
        return tuple(self.words[i] for i in ranked if i not in marks)[:n_words]

    def extend(self, order: int, index: np.ndarray, word: np.ndarray) -> np.ndarray:
        """Return the rows of order ``order + 1`` of n-grams ``index`` followed by ``word``.

        ``index`` are rows of ``order``; order 0 is the empty history. -1: no such n-gram.
        """
        word = np.asarray(word).astype(np.int64)
        if order == 0:
            return np.where((word > 0) & (word < len(self.words)), word - 1, -1)
        if order >= self.order or not len(self.orders[order]):
            return np.full(len(word), -1)
        keys, key = self._keys[order], index * len(self.words) + word
        at = np.minimum(np.searchsorted(keys, key), len(keys) - 1)
        return np.where((index >= 0) & (word > 0) & (keys[at] == key), at, -1)

    def child(self, order: int, row: int, word: int) -> int:
        """Return what `extend` gives for a single n-gram, in a tenth of the time and no memory."""
        if order == 0:
            return word - 1 if 0 < word < len(self.words) else -1
        if row < 0 or order >= self.order:
            return -1
        upper = self.orders[order]  # int32 in, int32 out: else the whole array would be converted
        begin, end = upper.parent.searchsorted(np.array([row, row + 1], np.int32))
        at = int(begin + upper.word[begin:end].searchsorted(np.int32(word)))
        return at if at < end and upper.word[at] == word else -1

    def find(self, ngrams: np.ndarray) -> np.ndarray:
        """Return the rows of n-grams given as (n, k) word ids, oldest first; -1 where none is."""
        ngrams = np.asarray(ngrams)
        if ngrams.ndim != 2 or not 1 <= ngrams.shape[1] <= self.order:
            law = f"n-grams must be (n, 1 to {self.order}) word ids"
            raise OptionError(f"{law}, got {ngrams.shape}")
        index = np.zeros(len(ngrams), np.int64)
        for k in range(ngrams.shape[1]):
            index = self.extend(k, index, ngrams[:, k])
        return index

    def ngrams(self, order: int) -> np.ndarray:
        """Return (n, order) int32 word ids of all n-grams of an order, oldest first."""
        if not 1 <= order <= self.order:
            raise OptionError(f"n-grams exist for orders 1 to {self.order}, got {order}")
        columns = [self.orders[order - 1].word]
        row = self.orders[order - 1].parent
        for at in reversed(self.orders[: order - 1]):
            columns.append(at.word[row])
            row = at.parent[row]
        return np.column_stack(columns[::-1])

    @cached_property
    def _keys(self) -> tuple[np.ndarray, ...]:
        return tuple(at.parent.astype(np.int64) * len(self.words) + at.word for at in self.orders)

    def log_probs(self, ngrams: np.ndarray) -> np.ndarray:
        """Return natural-log P(last word | words before it), backing off; (n,) float64.

        `ngrams` are (n, k) word ids, oldest first; only the last ``order`` columns count. Zeros on
        the left stand for histories shorter than k - 1.
        """
        ngrams = np.asarray(ngrams)
        word = ngrams[:, -1]
        if len(word) and not 1 <= word.min() <= word.max() < len(self.words):
            raise OptionError(f"word ids must be 1 to {len(self.words) - 1}")
        total = self.orders[0].log_prob[word - 1].astype(np.float64)
        for n in range(1, min(ngrams.shape[1], self.order)):
            history = self.find(ngrams[:, -1 - n : -1])
            entry = self.extend(n, history, word)
            paid = np.where(history >= 0, self.orders[n - 1].backoff[history], 0.0)
            upper = self.orders[n].log_prob
            total = np.where(entry >= 0, upper[entry] if len(upper) else 0.0, total + paid)
        return total

    def log_prob(self, word: str, history: Sequence[str] = ()) -> float:
        """Return natural-log P(word | history); history oldest word first, ``<s>`` included."""
        ids = [self.word_id(w) for w in (*history, word)]
        return float(self.log_probs(np.array([ids]))[0])

    def score_sentence(self, words: Sequence[str], *, marks: bool = True) -> float:
        """Return the natural-log probability of a sentence.

        With ``marks`` the sentence begins after ``<s>`` and ends in ``</s>``, as far as the model
        has these; without, it is scored without context on either side.
        """
        ids = [self.word_id(w) for w in words]
        begin = [self.ids[BEGIN]] if marks and BEGIN in self.ids else []
        end = [self.ids[END]] if marks and END in self.ids else []
        if not ids and not end:
            return 0.0
        padded = np.array([0] * (self.order - 1) + begin + ids + end)
        windows = np.lib.stride_tricks.sliding_window_view(padded, self.order)
        return float(self.log_probs(windows[len(begin) :]).sum())

    def perplexity(self, sentences: Iterable[Sequence[str]]) -> float:
        """Return the perplexity of sentences; an end counts as a word if the model has ``</s>``."""
        scores = [(self.score_sentence(words), len(words)) for words in sentences]
        n = sum(n_words + (END in self.ids) for _, n_words in scores)
        if not n:
            raise OptionError("perplexity needs at least one word")
        return float(np.exp(-sum(score for score, _ in scores) / n))

    def arcs(self) -> NGramArcs:
        """Return the model as a back-off acceptor in arrays: see `NGramArcs`."""
        return _back_off_arcs(self)


def with_words(model: NGramModel, words: tuple[str, ...]) -> NGramModel:
    """Return the model with more words, each with the median unigram probability.

    The probabilities then sum to a little more than one, which does not disturb a search.

    Examples
    --------
    >>> from factored_asr.language import estimate
    >>> with_words(estimate([["yes"], ["no"]]), ("perhaps",)).vocabulary
    ('<s>', '</s>', '<unk>', 'yes', 'no', 'perhaps')
    """
    first, zeros = model.orders[0], np.zeros(len(words), np.float32)
    ids = len(model.words) + np.arange(len(words), dtype=np.int32)
    unigrams = NGramOrder(
        np.concatenate([first.parent, zeros.astype(np.int32)]), np.concatenate([first.word, ids]),
        np.concatenate([first.log_prob, zeros + np.median(first.log_prob)]),
        np.concatenate([first.backoff, zeros]),
    )
    return NGramModel((*model.words, *words), (unigrams, *model.orders[1:]))


# --- building -----------------------------------------------------------------


def _checked(table: NGramTable, order: int, n_words: int) -> NGramTable:
    ids = np.asarray(table[0], np.int32).reshape(-1, order)
    if len(ids) and not 1 <= ids.min() <= ids.max() < n_words:
        raise OptionError(f"word ids of n-grams must be 1 to {n_words - 1}")
    with np.errstate(over="ignore"):  # reported below
        log_prob, backoff = (np.asarray(column, np.float32) for column in table[1:])
    if not len(ids) == len(log_prob) == len(backoff):
        raise OptionError(f"{len(ids)} n-grams, but {len(log_prob)} and {len(backoff)} values")
    if not (np.isfinite(log_prob).all() and np.isfinite(backoff).all()):
        raise OptionError(f"a log probability of order {order} is not finite")
    return ids, log_prob, backoff


def _build(words: tuple[str, ...], tables: Sequence[NGramTable]) -> tuple[NGramOrder, ...]:
    orders: list[NGramOrder] = []
    for table in tables:
        ids, log_prob, backoff = _roughly_sorted(table, len(words))
        parent = np.zeros(len(ids), np.int64)
        if orders:
            parent = NGramModel(words, tuple(orders)).find(ids[:, :-1])
            if (parent < 0).any():
                return _filled(NGramModel(words, _build(words, _with_histories(tables))))
        key = parent * len(words) + ids[:, -1]
        rows = np.argsort(key, kind="stable")
        if (np.diff(key[rows]) == 0).any():
            raise OptionError(f"an n-gram of order {len(orders) + 1} comes twice")
        columns = parent[rows].astype(np.int32), ids[rows, -1].astype(np.int32)
        orders.append(NGramOrder(*columns, log_prob[rows], backoff[rows]))
    return tuple(orders)


def _roughly_sorted(table: NGramTable, n_words: int) -> NGramTable:
    """Sort rows by their first words: looking up their histories is then 3 times faster."""
    ids = table[0]
    key = np.zeros(len(ids), np.int64)
    for k in range(min(ids.shape[1], 62 // n_words.bit_length())):
        key = key * n_words + ids[:, k]
    rows = np.argsort(key)
    return ids.take(rows, axis=0), table[1][rows], table[2][rows]


def _with_histories(tables: Sequence[NGramTable]) -> list[NGramTable]:
    """Return the tables with every missing history added, its probability NaN for now."""
    closed = list(tables)
    for n in range(len(tables) - 1, 1, -1):
        ids, log_prob, backoff = closed[n - 1]
        both = np.concatenate([ids, closed[n][0][:, :-1]])
        _, first = np.unique(both, axis=0, return_index=True)
        added = both[first[first >= len(ids)]]
        log_prob = np.concatenate([log_prob, np.full(len(added), np.nan, np.float32)])
        backoff = np.concatenate([backoff, np.zeros(len(added), np.float32)])
        closed[n - 1] = np.concatenate([ids, added]), log_prob, backoff
    return closed


def _filled(model: NGramModel) -> tuple[NGramOrder, ...]:
    """Give added histories the probability that backing off gives, lower orders first."""
    for n in range(2, model.order):
        lower, history = model.orders[n - 2], model.orders[n - 1]
        rows = np.flatnonzero(np.isnan(history.log_prob))
        backed_off = back_off_links(model)[n].log_prob[rows]
        history.log_prob[rows] = lower.backoff[history.parent[rows]] + backed_off
    return model.orders


# --- back-off links and arcs ---------------------------------------------------
# All n-grams share one numbering, their *nodes*: 0 is the empty history, then come the rows of
# order 1, of order 2 and so on. A link leads to the longest proper suffix that is a node, as the
# failure link in Aho and Corasick's automaton does (CACM 1975).


@dataclass(frozen=True, eq=False)
class Links:
    """Back-off links of the n-grams of one order."""

    node: np.ndarray
    """(n,) int64: the longest proper suffix that is an n-gram; for unigrams 0, the empty one."""
    log_prob: np.ndarray
    """(n,) float64: natural log of P(last word | history less its first word); 0 for unigrams."""


@dataclass(frozen=True, eq=False)
class NGramArcs:
    """An n-gram model as a back-off acceptor: a state for every history that something follows.

    In a state, take the arc of the next word, or else the back-off arc, and repeat. The log
    probabilities along the path, and the final one, add up to ``NGramModel.score_sentence``
    exactly. A history that nothing follows can only back off, so it is no state: the arc that
    would lead into it carries its back-off weight.

    No arc carries ``<s>`` or ``</s>``: the one is the start state, the other the final log
    probabilities. ``<unk>`` is a word like any other. Word arcs are sorted by (source, word),
    back-off arcs by source; every state but 0 has one.

    Examples
    --------
    >>> from factored_asr.language import estimate
    >>> arcs = estimate([["yes"], ["no"]]).arcs()
    >>> arcs.n_states, len(arcs.source) == len(arcs.target)
    (6, True)
    """

    start: int  #: State after ``<s>``; 0 in a model without that mark
    n_states: int  #: State 0 is the empty history; some may not be reachable
    source: np.ndarray  #: (n_arcs,) int32
    word: np.ndarray  #: (n_arcs,) int32, ids in the model's words
    log_prob: np.ndarray  #: (n_arcs,) float32, natural log
    target: np.ndarray  #: (n_arcs,) int32
    backoff_source: np.ndarray  #: (n_states - 1,) int32
    log_backoff: np.ndarray  #: (n_states - 1,) float32, natural log; may be above 0
    backoff_target: np.ndarray  #: (n_states - 1,) int32, always a shorter history
    final: np.ndarray
    """(n_states,) float32: log P(</s> | state), -inf where only backing off leads to the end; 0
    everywhere in a model without ``</s>``"""


def _first_nodes(model: NGramModel) -> np.ndarray:
    """Return (order + 1,) int64: the node of row 0 of each order; entry 0: the empty history."""
    return np.concatenate([[0, 1], 1 + np.cumsum(model.counts)])


def back_off_links(model: NGramModel) -> list[Links]:
    """Return the links of every order; entry n belongs to order n (0: the empty history)."""
    links: list[Links] = []
    while len(links) <= model.order:
        links.append(next_links(model, links))
    return links


def next_links(model: NGramModel, links: list[Links]) -> Links:
    """Return the links of order ``len(links)``, given those of all lower orders."""
    n = len(links)
    if n < 2:
        size = len(model.orders[0]) if n else 1
        return Links(np.zeros(size, np.int64), np.zeros(size))
    at, first = model.orders[n - 1], _first_nodes(model)
    backoff = np.concatenate([[0.0], *(lower.backoff for lower in model.orders[: n - 1])])
    node, paid = np.zeros(len(at), np.int64), np.zeros(len(at))
    # A history one word shorter that is itself no n-gram costs nothing to back off from, so the
    # first one to try is the longest that there is.
    suffix = links[n - 1].node[at.parent]
    link = np.concatenate([lower.node for lower in links])
    pending = np.arange(len(at))
    while len(pending):
        child = _children(model, first, suffix, at.word[pending])
        found = child >= 0
        node[pending[found]] = child[found]
        pending, suffix = pending[~found], suffix[~found]
        paid[pending] += backoff[suffix]
        suffix = link[suffix]
    log_prob = np.concatenate([lower.log_prob for lower in model.orders[: n - 1]])
    return Links(node, paid + log_prob[node - 1])


def _children(
    model: NGramModel, first: np.ndarray, node: np.ndarray, word: np.ndarray
) -> np.ndarray:
    """Return the node of each node's n-gram followed by a word; -1: none."""
    child = np.full(len(node), -1)
    order = np.searchsorted(first, node, side="right") - 1
    for n in np.unique(order):
        at = order == n
        row = model.extend(int(n), node[at] - first[n], word[at])
        child[at] = np.where(row >= 0, row + first[n + 1], -1)
    return child


def _back_off_arcs(model: NGramModel) -> NGramArcs:
    first, links = _first_nodes(model), back_off_links(model)
    parents = (first[n] + at.parent for n, at in enumerate(model.orders[:-1]))
    parent = np.concatenate([[0], *parents]).astype(np.int64)
    suffix = np.concatenate([links[n].node for n in range(model.order)])
    begin, end = model.ids.get(BEGIN, 0), model.ids.get(END, 0)
    is_state = np.zeros(len(parent), bool)  # the histories that an n-gram continues
    for n, at in enumerate(model.orders):
        is_state[first[n] + at.parent] = True
    start = begin if model.order > 1 else 0  # the node of a unigram is its word's id
    is_state[[0, start]] = True
    is_state &= ~_impossible(model, first, parent, begin, end)
    state, log_paid = _collapse(model, first, is_state, suffix)
    source, word, log_prob, target = _word_arcs(model, first, links, is_state, state, log_paid)
    final = np.full(int(is_state.sum()), -np.inf if end else 0.0, np.float32)
    at_end = word == end
    final[source[at_end]] = log_prob[at_end]
    kept = ~at_end & (word != begin)
    histories = np.flatnonzero(is_state)[1:]
    backoff = np.concatenate([[0.0], *(at.backoff for at in model.orders[:-1])])
    return NGramArcs(
        int(state[start]), len(final), source[kept], word[kept], log_prob[kept], target[kept],
        backoff_source=state[histories].astype(np.int32),
        log_backoff=(backoff[histories] + log_paid[suffix[histories]]).astype(np.float32),
        backoff_target=state[suffix[histories]].astype(np.int32),
        final=final,
    )


def _impossible(
    model: NGramModel, first: np.ndarray, parent: np.ndarray, begin: int, end: int
) -> np.ndarray:
    """Return the histories that no sentence has: a word after </s>, or <s> after a word."""
    impossible = np.zeros(len(parent), bool)
    for n, at in enumerate(model.orders[:-1], start=1):
        here = slice(first[n], first[n + 1])
        impossible[here] = impossible[parent[here]] | (at.word == end)
        if n > 1:
            impossible[here] |= at.word == begin
    return impossible


def _collapse(
    model: NGramModel, first: np.ndarray, is_state: np.ndarray, suffix: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the state that represents each node, and the back-off weight paid to get there."""
    state = np.where(is_state, np.cumsum(is_state) - 1, 0)
    log_paid = np.zeros(len(is_state))
    for n, at in enumerate(model.orders[:-1], start=1):
        rows = np.flatnonzero(~is_state[first[n] : first[n + 1]])
        node = first[n] + rows
        state[node] = state[suffix[node]]
        log_paid[node] = at.backoff[rows] + log_paid[suffix[node]]
    return state, log_paid


def _word_arcs(
    model: NGramModel, first: np.ndarray, links: list[Links], is_state: np.ndarray,
    state: np.ndarray, log_paid: np.ndarray,
) -> list[np.ndarray]:
    """Return source, word, log probability and target of each n-gram's arc, marks included."""
    columns = []
    end = model.ids.get(END, 0)
    for n, at in enumerate(model.orders, start=1):
        # The longest n-grams are no histories: the target has one word less.
        node = links[n].node if n == model.order else first[n] + np.arange(len(at))
        log_prob = at.log_prob + np.where(at.word == end, 0.0, log_paid[node])
        history = first[n - 1] + at.parent
        arc = state[history], at.word, log_prob, state[node]
        columns.append([column[is_state[history]] for column in arc])
    return [
        np.concatenate(column).astype(dtype)
        for column, dtype in zip(zip(*columns, strict=True), _ARC_TYPES, strict=True)
    ]
