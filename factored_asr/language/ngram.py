"""Back-off n-gram language models: construction, probabilities, scores of sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from factored_asr.errors import OptionError
from factored_asr.language.backoff import NGramArcs, back_off_arcs, back_off_links
from factored_asr.language.trie import (
    BEGIN,
    END,
    EPSILON,
    UNKNOWN,
    NGramOrder,
    NGramTable,
    NGramTrie,
)

__all__ = [
    "BEGIN", "END", "EPSILON", "UNKNOWN", "NGramModel", "NGramOrder", "NGramTable", "with_words",
]


@dataclass(frozen=True, eq=False)
class NGramModel(NGramTrie):
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

    @staticmethod
    def from_ngrams(words: Sequence[str], tables: Sequence[NGramTable]) -> NGramModel:
        """Build a model from tables of n-grams, one for each order, rows in any order.

        A history that is itself no n-gram of the tables becomes an entry with the probability it
        has by backing off, and no back-off weight of its own: every probability stays what the
        tables say. No n-gram may come twice.
        """
        checked = [_checked(table, n + 1, len(words)) for n, table in enumerate(tables)]
        return NGramModel(tuple(words), _build(tuple(words), checked))

    def log_probs(self, ngrams: np.ndarray) -> np.ndarray:
        """Return natural-log P(last word | words before it), backing off; (n,) float64.

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
        total, n = 0.0, 0
        for sentence in sentences:
            total += self.score_sentence(sentence)
            n += len(sentence) + (END in self.ids)
        if not n:
            raise OptionError("perplexity needs at least one word")
        return float(np.exp(-total / n))

    def arcs(self) -> NGramArcs:
        """Return the model as a back-off acceptor in arrays: see `NGramArcs`."""
        return back_off_arcs(self)


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
            parent = NGramTrie(words, tuple(orders)).find(ids[:, :-1])
            if (parent < 0).any():
                return _filled(NGramTrie(words, _build(words, _with_histories(tables))))
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


def _filled(model: NGramTrie) -> tuple[NGramOrder, ...]:
    """Give added histories the probability that backing off gives, lower orders first."""
    for n in range(2, model.order):
        lower, history = model.orders[n - 2], model.orders[n - 1]
        rows = np.flatnonzero(np.isnan(history.log_prob))
        backed_off = back_off_links(model)[n].log_prob[rows]
        history.log_prob[rows] = lower.backoff[history.parent[rows]] + backed_off
    return model.orders


def with_words(model: NGramModel, words: tuple[str, ...]) -> NGramModel:
    """Return the model with more words, each with the median unigram probability.

    The probabilities then sum to a little more than one, which does not disturb a search.
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
