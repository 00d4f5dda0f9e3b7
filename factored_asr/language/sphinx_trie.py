"""The trie language models of CMU Sphinx (``.lm.bin``), such as the one of the en-us model.

The file, all little-endian, as PocketSphinx's lm_trie.c, lm_trie_quant.c and bitarr.c write it::

    "Trie Language Model"  u8 order  u32 counts[order]
    i32 kind of quantisation, then float32 tables of 65,536: (probabilities, back-offs) for each
        middle order, probabilities for the highest        (both absent from a unigram model)
    (float32 log_prob, float32 backoff, u32 next)[counts[0] + 1]
    a bit array for each order from 2: counts[n - 1] + 1 records of
        word | back-off index : 16 | probability index : 16 | next     (highest: word | index : 16)
        rounded up to bytes, and 8 bytes more
    i32 size, then the words, each ended by a zero byte

The trie is keyed by the *last* word first, then by the history from its newest word to its
oldest. ``next`` points to a record's first child in the order above.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from factored_asr.errors import FormatError
from factored_asr.language.ngram import EPSILON, NGramModel, NGramTable
from factored_asr.storage.cursor import Cursor
from factored_asr.storage.reading import read_bytes

MAGIC = b"Trie Language Model"
LOG_BASE = np.log(1.0001)  # the base of Sphinx's log tables: values × this are natural logs
N_BINS = 1 << 16
MAX_ORDER = 10
_UNIGRAM = np.dtype([("log_prob", "<f4"), ("backoff", "<f4"), ("next", "<u4")])


def read_sphinx_lm(path: str | Path) -> NGramModel:
    """Read a Sphinx trie language model of any order.

    The order of the words is kept. Raises FormatError for another format, a truncated file, extra
    bytes or pointers outside the file, MissingError if there is no file.

    Examples
    --------
    >>> from factored_asr.models.bundle import Bundle
    >>> phones = Bundle.find("en-us").lm.with_name("en-us-phone.lm.bin")
    >>> read_sphinx_lm(phones).order
    3
    """
    data = read_bytes(path)
    if not data.startswith(MAGIC):
        raise FormatError(f"not a Sphinx trie: it begins with {data[:19]!r}, not {MAGIC!r}", path)
    return _Trie(data, path).model()


def _field(array: np.ndarray, n: int, record: int, offset: int, width: int) -> np.ndarray:
    """Return a bit field of n records, `record` bits apart, at bit `offset` in each; (n,) int32.

    Eight records fill a whole number of bytes, so every eighth field begins at the same bit of a
    byte: eight strided views read them all. The field must end within 64 bits of its byte.
    """
    out = np.empty(n, np.int32)
    for k in range(min(8, n)):
        byte, shift = divmod(k * record + offset, 8)
        shape = (n - k + 7) // 8
        word = np.ndarray((shape,), "<u8", array.data, byte, (record,))
        out[k::8] = (word >> np.uint64(shift)) & np.uint64((1 << width) - 1)
    return out


class _Trie:
    """The parts of a file, all of them there before any of them is parsed."""

    def __init__(self, data: bytes, path: str | Path) -> None:
        self.path, cursor = path, Cursor(data, path, len(MAGIC))
        self.order = cursor.number("u1", "order")
        if not 1 <= self.order <= MAX_ORDER:
            raise FormatError(f"order {self.order} of n-grams; known are 1 to {MAX_ORDER}", path)
        self.counts: list[int] = cursor.take("<u4", self.order, "counts").tolist()
        law = f"tables of {self.counts} n-grams"
        self.parts = [cursor.take("u1", size, law) for size in self._sizes()]
        n_bytes = cursor.number("<i4", "size of the words")
        if n_bytes != cursor.left:
            law = f"says that its words take {n_bytes} bytes, {cursor.left} are left"
            raise FormatError(law, path)
        self.word_bytes = data[cursor.at :]

    def _sizes(self) -> Iterator[int]:
        """Iterate over the bytes of the tables, the unigrams, and each order's bit array from 2."""
        yield 4 + 4 * N_BINS * (2 * self.order - 3) if self.order > 1 else 0
        yield _UNIGRAM.itemsize * (self.counts[0] + 1)
        for n in range(2, self.order + 1):
            yield ((self.counts[n - 1] + 1) * self._record(n) + 7) // 8 + 8

    def _record(self, n: int) -> int:
        """Return the bits of a record of order n."""
        word = self.counts[0].bit_length()
        return word + 16 if n == self.order else word + 32 + self.counts[n].bit_length()

    def model(self) -> NGramModel:
        words = self._words()
        unigrams = self.parts[1].view(_UNIGRAM)
        n_words = len(words)
        ids = np.arange(n_words, dtype=np.int32).reshape(-1, 1)
        log_prob, backoff = (_natural(unigrams[name][:-1]) for name in ("log_prob", "backoff"))
        tables: list[NGramTable] = [(ids + 1, log_prob, backoff)]
        next_ = unigrams["next"].astype(np.int64)
        for n in range(2, self.order + 1):
            ids, log_prob, backoff, next_ = self._level(n, ids, next_)
            tables.append((ids[:, ::-1] + 1, log_prob, backoff))
        return NGramModel.from_ngrams((EPSILON, *words), tables)

    def _words(self) -> list[str]:
        try:
            words = self.word_bytes.decode("utf-8").split("\0")
        except UnicodeDecodeError as error:
            raise FormatError(f"a word is not UTF-8: {error}", self.path) from error
        if words.pop() or len(words) != self.counts[0]:
            law = f"{len(words)} words ended by a zero byte, {self.counts[0]} unigrams"
            raise FormatError(law, self.path)
        if len(set(words)) != len(words) or not all(words):
            raise FormatError("a word is empty or comes twice", self.path)
        return words

    def _level(
        self, n: int, below: np.ndarray, next_: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return word numbers (newest first), log probabilities, back-offs, pointers of order n.

        The pointers give the number of records in use: a writer may leave a few more at the end.
        """
        used = int(next_[-1])
        n_children = np.diff(next_)
        if next_[0] or used > self.counts[n - 1] or (n_children < 0).any():
            raise FormatError(f"pointers into order {n} are out of order or of range", self.path)
        array, record = self.parts[n], self._record(n)
        width = self.counts[0].bit_length()
        word = _field(array, used, record, 0, width)
        if used and word.max() >= self.counts[0]:
            raise FormatError(f"word number {word.max()} of {self.counts[0]} words", self.path)
        ids = np.column_stack([np.repeat(below, n_children, axis=0), word])
        tables = self.parts[0][4:].view("<f4").reshape(-1, N_BINS)
        log_prob = _natural(tables[2 * (n - 2)])
        if n == self.order:
            index = _field(array, used, record, width, 16)
            return ids, log_prob[index], np.zeros(used, np.float32), next_
        backoff = _natural(tables[2 * (n - 2) + 1])[_field(array, used, record, width, 16)]
        index = _field(array, used, record, width + 16, 16)
        pointers = _field(array, used + 1, record, width + 32, self.counts[n].bit_length())
        return ids, log_prob[index], backoff, pointers


def _natural(sphinx_log: np.ndarray) -> np.ndarray:
    """Convert Sphinx's logarithms, to base 1.0001, to natural ones."""
    return (sphinx_log * LOG_BASE).astype(np.float32)
