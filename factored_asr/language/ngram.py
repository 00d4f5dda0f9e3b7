"""A back-off n-gram model as columns: a forward trie whose nodes are rows of numpy arrays.

An n-gram of order n is a row of ``orders[n - 1]``: the row of its history in order n - 1, the id
of its last word, its natural-log probability and, as a history itself, its back-off weight. Rows
are sorted by (parent, word), so that a look-up is one binary search on ``parent * V + word``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from factored_asr.errors import MissingError, OptionError
from factored_asr.language.backoff import NGramArcs, back_off_arcs, back_off_links

EPSILON = "<eps>"
BEGIN, END = "<s>", "</s>"
UNKNOWN = ("<unk>", "<UNK>")  # both spellings are found in real files


@dataclass(frozen=True, eq=False)
class NGramOrder:
    """All n-grams of one order, sorted by (parent, word).

    Unigrams have parent 0 and stand in the order of the words: row i is word i + 1.
    """

    parent: np.ndarray
    """(n,) int32: row of the history in the order below."""
    word: np.ndarray
    """(n,) int32: id of the last word, from 1."""
    log_prob: np.ndarray
    """(n,) float32: natural log of P(word | history)."""
    backoff: np.ndarray
    """(n,) float32: natural log of the weight paid for backing off from this n-gram, 0 if none."""

    def __len__(self) -> int:
        return len(self.word)


NGramTable = tuple[np.ndarray, np.ndarray, np.ndarray]
"""(n, order) int word ids oldest first, (n,) natural-log probabilities, (n,) back-offs."""


@dataclass(frozen=True, eq=False)
class NGramModel:
    """A back-off n-gram language model of any order.

    ``words[0]`` is ``<eps>``; the words follow in the order of the file they came from. The marks
    are ``<s>``, ``</s>`` and ``<unk>`` (or ``<UNK>``); a model may lack any of them.

    Examples
    --------
    >>> words = ("<eps>", "<s>", "</s>", "yes", "no")
    >>> unigrams = ([[1], [2], [3], [4]], np.log([1e-9, 0.4, 0.3, 0.3]), [0.0, 0, 0, 0])
    >>> bigrams = ([[1, 3]], np.log([0.3]), [0.0])
    >>> model = NGramModel.from_ngrams(words, [unigrams, bigrams])
    >>> round(float(np.exp(model.log_prob("yes", ["<s>"]))), 3)
    0.3
    >>> round(float(np.exp(model.score_sentence(["yes"]))), 3)  # 0.3 for yes, 0.4 for the end
    0.12
    """

    words: tuple[str, ...]
    orders: tuple[NGramOrder, ...]

    def __post_init__(self) -> None:
        if not self.words or self.words[0] != EPSILON:
            raise OptionError(f"word 0 must be {EPSILON}, got {self.words[:1]}")
        if not self.orders or len(self.orders[0]) != len(self.words) - 1:
            raise OptionError("every word needs one unigram, in the order of the words")

    @staticmethod
    def from_ngrams(words: Sequence[str], tables: Sequence[NGramTable]) -> NGramModel:
        """Build the trie from tables of n-grams, one for each order, rows in any order.

        A history that is itself no n-gram of the tables becomes an entry with the probability it
        has by backing off, and no back-off weight of its own: every probability stays what the
        tables say. No n-gram may come twice.
        """
        checked = [_checked(table, n + 1, len(words)) for n, table in enumerate(tables)]
        return _build(tuple(words), checked)

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

    @cached_property
    def unknown_id(self) -> int:
        """Id of ``<unk>``, 0 where the model has none."""
        return next((self.ids[mark] for mark in UNKNOWN if mark in self.ids), 0)

    def word_id(self, word: str) -> int:
        """Id of a word, or of ``<unk>`` for an unknown one; MissingError if there is no such."""
        found = self.ids.get(word, 0) or self.unknown_id
        if not found:
            raise MissingError(f"word {word!r} is not in the language model, which has no <unk>")
        return found

    def commonest(self, n_words: int) -> tuple[str, ...]:
        """The words of highest unigram probability, marks left out, commonest first."""
        marks = {self.ids.get(mark, 0) for mark in (BEGIN, END, *UNKNOWN)}
        ranked = np.argsort(-self.orders[0].log_prob, kind="stable") + 1
        return tuple(self.words[i] for i in ranked[: n_words + len(marks)] if i not in marks)[
            :n_words
        ]

    def extend(self, order: int, index: np.ndarray, word: np.ndarray) -> np.ndarray:
        """Rows in ``order + 1`` of the n-grams ``index`` of ``order`` followed by ``word``.

        Order 0 is the empty history. -1 where there is no such n-gram (or index is -1).
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
        """What `extend` gives for a single n-gram, at a tenth of the time."""
        if order == 0:
            return word - 1 if 0 < word < len(self.words) else -1
        if row < 0 or order >= self.order:
            return -1
        keys, key = self._keys[order], row * len(self.words) + word
        at = int(keys.searchsorted(key))
        return at if at < len(keys) and keys[at] == key else -1

    def find(self, ngrams: np.ndarray) -> np.ndarray:
        """Rows of n-grams given as (n, k) word ids, oldest first; -1 where there is none."""
        ngrams = np.asarray(ngrams)
        if ngrams.ndim != 2 or not 1 <= ngrams.shape[1] <= self.order:
            raise OptionError(
                f"n-grams must be (n, 1 to {self.order}) word ids, got {ngrams.shape}"
            )
        index = np.zeros(len(ngrams), np.int64)
        for k in range(ngrams.shape[1]):
            index = self.extend(k, index, ngrams[:, k])
        return index

    def ngrams(self, order: int) -> np.ndarray:
        """(n, order) int32 word ids of all n-grams of an order, oldest first."""
        if not 1 <= order <= self.order:
            raise OptionError(f"n-grams exist for orders 1 to {self.order}, got {order}")
        columns = [self.orders[order - 1].word]
        row = self.orders[order - 1].parent
        for at in reversed(self.orders[: order - 1]):
            columns.append(at.word[row])
            row = at.parent[row]
        return np.column_stack(columns[::-1])

    def suffix(self, order: int) -> np.ndarray:
        """For each n-gram of ``order`` ≥ 2 the row of its words without the first; -1 if none."""
        if not 2 <= order <= self.order:
            raise OptionError(f"suffixes exist for orders 2 to {self.order}, got {order}")
        index = self.orders[1].word.astype(np.int64) - 1
        for n in range(3, order + 1):
            at = self.orders[n - 1]
            index = self.extend(n - 2, index[at.parent], at.word)
        return index

    def log_probs(self, ngrams: np.ndarray) -> np.ndarray:
        """Natural-log P(last word | words before it), backing off; (n,) float64.

        Parameters
        ----------
        ngrams
            (n, k) word ids, oldest first; only the last ``order`` columns count. Zeros on the
            left stand for histories shorter than k - 1.
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
        """Natural-log P(word | history); the history's words oldest first, ``<s>`` included."""
        ids = [self.word_id(w) for w in (*history, word)]
        return float(self.log_probs(np.array([ids]))[0])

    def score_sentence(self, words: Sequence[str], *, marks: bool = True) -> float:
        """Natural-log probability of a sentence.

        With ``marks`` the sentence begins after ``<s>`` and ends in ``</s>``, as far as the model
        has these; without, it is a piece of text with nothing before and nothing after.
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
        """Perplexity of sentences, their ends counted as words where the model has ``</s>``."""
        total, n = 0.0, 0
        for sentence in sentences:
            total += self.score_sentence(sentence)
            n += len(sentence) + (END in self.ids)
        if not n:
            raise OptionError("perplexity needs at least one word")
        return float(np.exp(-total / n))

    def arcs(self) -> NGramArcs:
        """The model as a back-off acceptor in arrays: see `NGramArcs`."""
        return back_off_arcs(self)

    @cached_property
    def _keys(self) -> tuple[np.ndarray, ...]:
        return tuple(at.parent.astype(np.int64) * len(self.words) + at.word for at in self.orders)


def _checked(table: NGramTable, order: int, n_words: int) -> NGramTable:
    ids = np.asarray(table[0], np.int32).reshape(-1, order)
    if len(ids) and not 1 <= ids.min() <= ids.max() < n_words:
        raise OptionError(f"word ids of n-grams must be 1 to {n_words - 1}")
    with np.errstate(over="ignore"):  # told below
        log_prob, backoff = (np.asarray(column, np.float32) for column in table[1:])
    if not len(ids) == len(log_prob) == len(backoff):
        raise OptionError(f"{len(ids)} n-grams, but {len(log_prob)} and {len(backoff)} values")
    if not (np.isfinite(log_prob).all() and np.isfinite(backoff).all()):
        raise OptionError(f"a log probability of order {order} is not finite")
    return ids, log_prob, backoff


def _build(words: tuple[str, ...], tables: Sequence[NGramTable]) -> NGramModel:
    orders: list[NGramOrder] = []
    for table in tables:
        ids, log_prob, backoff = _roughly_sorted(table, len(words))
        parent = np.zeros(len(ids), np.int64)
        if orders:
            parent = NGramModel(words, tuple(orders)).find(ids[:, :-1])
            if (parent < 0).any():
                return _filled(_build(words, _with_histories(tables)))
        key = parent * len(words) + ids[:, -1]
        rows = np.argsort(key, kind="stable")
        if (np.diff(key[rows]) == 0).any():
            raise OptionError(f"an n-gram of order {len(orders) + 1} comes twice")
        columns = parent[rows].astype(np.int32), ids[rows, -1].astype(np.int32)
        orders.append(NGramOrder(*columns, log_prob[rows], backoff[rows]))
    return NGramModel(words, tuple(orders))


def _roughly_sorted(table: NGramTable, n_words: int) -> NGramTable:
    """Rows in the order of their first words: looking their histories up is then 3 times faster."""
    ids = table[0]
    key = np.zeros(len(ids), np.int64)
    for k in range(min(ids.shape[1], 62 // n_words.bit_length())):
        key = key * n_words + ids[:, k]
    rows = np.argsort(key)
    return ids.take(rows, axis=0), table[1][rows], table[2][rows]


def _with_histories(tables: Sequence[NGramTable]) -> list[NGramTable]:
    """The tables with every missing history added, its probability NaN for the moment."""
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


def _filled(model: NGramModel) -> NGramModel:
    """Added histories get the probability that backing off gives, lower orders first."""
    for n in range(2, model.order):
        lower, history = model.orders[n - 2], model.orders[n - 1]
        rows = np.flatnonzero(np.isnan(history.log_prob))
        backed_off = back_off_links(model)[n].log_prob[rows]
        history.log_prob[rows] = lower.backoff[history.parent[rows]] + backed_off
    return model


def with_words(model: NGramModel, words: tuple[str, ...]) -> NGramModel:
    """The model with further words, each as probable as its median word on its own.

    The probabilities then sum to a little more than one, which a search does not mind.
    """
    first = model.orders[0]
    n, zeros = len(words), np.zeros(len(words), np.float32)
    unigrams = replace(
        first,
        parent=np.concatenate([first.parent, np.zeros(n, np.int32)]),
        word=np.concatenate([first.word, len(model.words) + np.arange(n, dtype=np.int32)]),
        log_prob=np.concatenate([first.log_prob, zeros + np.median(first.log_prob)]),
        backoff=np.concatenate([first.backoff, zeros]),
    )
    return NGramModel((*model.words, *words), (unigrams, *model.orders[1:]))
