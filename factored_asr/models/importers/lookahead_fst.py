"""The look-ahead pair of Vosk's models: ``HCLr.fst`` and ``Gr.fst``, which no library reads.

``olabel_lookahead`` is a const FST with a header in front and a table behind. ``ngram`` is a
back-off model whose contexts are a tree in bits (LOUDS): the path from the root to a context is its
words, the latest one first. Source: J. Sorensen and C. Allauzen (2011), "Unary data structures for
language models"; the layout is that of OpenFst's ngram extension.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from factored_asr.errors import FormatError, MissingError
from factored_asr.storage.cursor import Cursor
from factored_asr.storage.openfst import Arcs, Header, read_header, read_states, read_symbols

ADD_ON = 446681434
"""Magic number between the header of a look-ahead FST and the FST itself."""


@dataclass(frozen=True, eq=False)
class NGramFst:
    """The arrays of an ``ngram`` FST; state s is a context."""

    parent: np.ndarray
    """(n_states,) int64: the context without its oldest word; that of the root is 0."""
    oldest: np.ndarray
    """(n_states,) int32: the oldest word of a context; 0 in the root."""
    backoff: np.ndarray
    """(n_states,) float32: cost of backing off."""
    first: np.ndarray
    """(n_states + 1,) int64: where the words that follow each context begin."""
    word: np.ndarray
    """(n_futures,) int32."""
    cost: np.ndarray
    """(n_futures,) float32: −ln P(word | context)."""
    final: np.ndarray
    """(n_states,) float32: −ln P(end | context); inf where backing off gives it."""
    start: int
    words: dict[int, str]
    """By number; empty: the file has no table of words."""


def read_lookahead(path: str | Path) -> Arcs:
    """Read an ``olabel_lookahead`` FST, or a plain one; its arcs are mapped into memory.

    Raises MissingError if there is no such file, FormatError if it is none, or cut short.
    """
    cursor = _mapped(path)
    if read_header(cursor).kind != "olabel_lookahead":
        cursor.at = 0
        return _checked(read_states(cursor), cursor)
    if cursor.number("<i4", "mark") != ADD_ON:
        cursor.fail("a look-ahead FST without its mark")
    return _checked(read_states(cursor), cursor)


def read_ngram_fst(path: str | Path) -> NGramFst:
    """Read an ``ngram`` FST; errors as of `read_lookahead`."""
    cursor = _mapped(path)
    header = read_header(cursor)
    if header.kind != "ngram":
        cursor.fail(f"the FST must be ngram, got {header.kind!r}")
    words = [read_symbols(cursor) for _ in range(header.n_tables)]
    return _read_arrays(cursor, header, words[-1] if words else {})


def _mapped(path: str | Path) -> Cursor:
    try:
        return Cursor(np.memmap(path, np.uint8, mode="r"), path)
    except FileNotFoundError:
        raise MissingError(f"{path}: there is no such file") from None
    except (OSError, ValueError) as error:
        raise FormatError(f"cannot be read: {error}", path) from None


def _checked(graph: Arcs, cursor: Cursor) -> Arcs:
    n_states, target = len(graph.final), graph.arcs["target"]
    if not 0 <= graph.start < n_states:
        cursor.fail(f"start state {graph.start} of {n_states}")
    if len(target) and not 0 <= target.min() <= target.max() < n_states:
        cursor.fail("an arc to a state that is not there")
    return graph


def _read_arrays(cursor: Cursor, header: Header, words: dict[int, str]) -> NGramFst:
    n_states, n_futures, n_final = cursor.take("<u8", 3, "sizes of the n-grams").tolist()
    if max(n_states, n_futures, n_final) > cursor.left or not n_states or n_final > n_states:
        cursor.fail(f"{n_states} contexts, {n_futures} n-grams and {n_final} ends cannot be")
    context = _bits(cursor, 2 * n_states + 1, "contexts")
    future = _bits(cursor, n_futures + n_states + 1, "n-grams")
    is_final = _bits(cursor, n_states, "ends")
    oldest = cursor.take("<i4", n_states + 1, "words of contexts")[:n_states]
    word = cursor.take("<i4", n_futures, "words")
    backoff = cursor.take("<f4", n_states + 1, "back-offs")[:n_states]
    final_cost = cursor.take("<f4", n_final, "costs of ends")
    cost = cursor.take("<f4", n_futures, "costs of words")
    zeros = np.flatnonzero(~future)
    if len(zeros) != n_states + 1 or np.count_nonzero(is_final) != n_final:
        cursor.fail("bits that do not fit the number of contexts or ends")
    first = np.concatenate([[0], np.cumsum(np.diff(zeros) - 1)])
    ones = np.flatnonzero(context)
    if len(ones) != n_states or first[-1] != n_futures:
        cursor.fail("bits that do not fit the number of contexts or n-grams")
    # the k-th one is context k; the zeros before it, less one, are the contexts before its parent
    parent = np.concatenate([[0], ones[1:] - np.arange(1, n_states) - 1])
    if (parent[1:] >= np.arange(1, n_states)).any() or (parent < 0).any():
        cursor.fail("contexts that are no tree")
    final = np.full(n_states, np.inf, np.float32)
    final[is_final] = final_cost
    if not 0 <= header.start < n_states:
        cursor.fail(f"start state {header.start} of {n_states}")
    for what, values in (("back-off", backoff[1:]), ("cost", cost), ("end", final_cost)):
        if not np.isfinite(values).all():
            cursor.fail(f"a {what} that is not finite")
    return NGramFst(parent, oldest, backoff, first, word, cost, final, header.start, words)


def _bits(cursor: Cursor, n: int, what: str) -> np.ndarray:
    """Bits in 64-bit words, the lowest first."""
    data = cursor.take("<u8", -(-n // 64), what)
    return np.unpackbits(data.view(np.uint8), count=n, bitorder="little").astype(np.bool_)
