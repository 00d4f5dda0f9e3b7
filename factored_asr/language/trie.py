"""N-grams as columns: a forward trie whose nodes are rows of numpy arrays.

An n-gram of order n is a row of ``orders[n - 1]``: the row of its history in order n - 1, the id
of its last word, its natural-log probability and, as a history itself, its back-off weight. Rows
are sorted by (parent, word), so that a look-up is one binary search on ``parent * V + word``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from factored_asr.errors import MissingError, OptionError

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
class NGramTrie:
    """Words and n-grams of all orders, with their look-ups."""

    words: tuple[str, ...]
    orders: tuple[NGramOrder, ...]

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
        words = (self.words[i] for i in ranked[: n_words + len(marks)] if i not in marks)
        return tuple(words)[:n_words]

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
        """Return what `extend` gives for a single n-gram, in a tenth of the time."""
        if order == 0:
            return word - 1 if 0 < word < len(self.words) else -1
        if row < 0 or order >= self.order:
            return -1
        keys, key = self._keys[order], row * len(self.words) + word
        at = int(keys.searchsorted(key))
        return at if at < len(keys) and keys[at] == key else -1

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

    def suffix(self, order: int) -> np.ndarray:
        """Return the row of each n-gram of ``order`` ≥ 2 without its first word; -1 if none."""
        if not 2 <= order <= self.order:
            raise OptionError(f"suffixes exist for orders 2 to {self.order}, got {order}")
        index = self.orders[1].word.astype(np.int64) - 1
        for n in range(3, order + 1):
            at = self.orders[n - 1]
            index = self.extend(n - 2, index[at.parent], at.word)
        return index

    @cached_property
    def _keys(self) -> tuple[np.ndarray, ...]:
        return tuple(at.parent.astype(np.int64) * len(self.words) + at.word for at in self.orders)
