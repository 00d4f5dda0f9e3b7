"""N-gram models packed into one small file, for models that are shipped: 2 to 3 bytes an n-gram.

The file is a zip of arrays. ``words`` holds the words as UTF-8 lines, ``unigrams`` their natural
log probabilities. Order n ≥ 2 has, in the order of `NGramOrder`,

* ``n.followers``: how many n-grams continue each n-gram of the order below,
* ``n.word``: ids of the last words; after the first of a history, differences to the one before,
* ``n.prob``: log probabilities in 256 steps that grow with the distance from 0,
* ``n.first``: one bit for each, 1 if it is among the ``first`` most useful ones.

Numbers above 255 are cut into planes of bytes, lowest first, which pack better. Back-off weights
are not stored: they follow from the probabilities, as those after every history sum to one.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np

from factored_asr.errors import FormatError, OptionError
from factored_asr.language.ngram import EPSILON, NGramModel, NGramOrder
from factored_asr.language.prune import normalise, prune_to, select
from factored_asr.storage.reading import holds_arrays, read_arrays

FORMAT = "factored_asr packed n-grams 1"
ZIP_MAGIC = b"PK\x03\x04"
STEPS = 62.0
"""A log probability x is stored as round(STEPS · sqrt(-x)): steps of 1 % at P = 0.9, of 10 % at
P = 1e-4; the lowest that fits is exp(-16.9)."""
LOST = -7.0
"""Natural log of a back-off weight for which rounding leaves no mass."""
_DATE = (1980, 1, 1, 0, 0, 0)


def write_packed(model: NGramModel, path: str | Path, *, first: int = 0) -> None:
    """Write a model into one packed file; the same model gives the same bytes.

    Probabilities above unigrams are rounded, and back-off weights left out: see `read_packed`. The
    n-grams that entropy pruning to `first` n-grams keeps are marked, so that these alone are read
    fast; 0 marks none. Raises OptionError for a model of unigrams only.

    Examples
    --------
    >>> import tempfile
    >>> from factored_asr.language import estimate
    >>> file = Path(tempfile.mkdtemp()) / "small.lm"
    >>> write_packed(estimate([["yes", "please"]]), file)
    >>> read_packed(file).counts
    (5, 3, 2)
    """
    if model.order < 2:
        raise OptionError("a packed model has n-grams of two words or more")
    arrays = {
        "format": np.frombuffer(FORMAT.encode(), np.uint8),
        "words": np.frombuffer("\n".join(model.vocabulary).encode(), np.uint8),
        "unigrams": model.orders[0].log_prob, "first": np.array([first], np.int64),
    }
    marked = prune_to(model, first) if first else None
    for n, at in enumerate(model.orders[1:], start=2):
        followers = np.bincount(at.parent, minlength=len(model.orders[n - 2]))
        step, begin = np.diff(at.word, prepend=0), _first(followers)[followers > 0]
        step[begin] = at.word[begin]
        code = np.rint(STEPS * np.sqrt(np.maximum(-at.log_prob, 0))).clip(0, 255)
        arrays[f"{n}.followers"], arrays[f"{n}.word"] = _planes(followers), _planes(step)
        arrays[f"{n}.prob"] = code.astype(np.uint8)
        if marked:
            kept = np.zeros(len(at), bool)
            if n <= marked.order:
                kept[model.find(marked.ngrams(n))] = True
            arrays[f"{n}.first"] = np.packbits(kept)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as packed:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.ascontiguousarray(array), allow_pickle=False)
            packed.writestr(zipfile.ZipInfo(f"{name}.npy", _DATE), buffer.getvalue(),
                            zipfile.ZIP_LZMA)


def read_packed(path: str | Path, n_ngrams: int = 0) -> NGramModel:
    """Read a file of `write_packed`, with back-off weights that make each history sum to one.

    `n_ngrams`, if above 0, prunes the model by entropy to at most so many n-grams; if the file has
    marks for this number, these n-grams are taken. Raises MissingError if there is no such file,
    FormatError if it is none, or broken.

    Examples
    --------
    >>> import tempfile
    >>> from factored_asr.language import estimate
    >>> file = Path(tempfile.mkdtemp()) / "small.lm"
    >>> write_packed(estimate([["yes", "please"]]), file)
    >>> read_packed(file).counts
    (5, 3, 2)
    """
    if not holds_arrays(path):
        raise FormatError("a zip archive, and no packed language model: unpack it", path)
    arrays = read_arrays(path)
    try:
        if arrays["format"].tobytes() != FORMAT.encode():
            raise FormatError(f"expected {FORMAT}")
        first = arrays["first"].ravel().tolist()
        words = (EPSILON, *arrays["words"].tobytes().decode("utf-8").split("\n"))
        orders = [_unigrams(arrays["unigrams"], len(words) - 1)]
        while f"{len(orders) + 1}.word" in arrays:
            orders.append(_order(arrays, len(orders) + 1, orders[-1], len(words)))
    except (ValueError, KeyError, TypeError) as error:  # FormatError is a ValueError
        raise FormatError(f"not a packed n-gram model: {error}", path) from error
    if len(set(words)) < len(words) or "" in words:
        raise FormatError("a word is empty or comes twice", path)
    model = NGramModel(words, tuple(orders))
    if n_ngrams and first == [n_ngrams]:
        return _marked(model, arrays, path)
    return prune_to(normalise(model), n_ngrams) if n_ngrams else normalise(model)


def _marked(model: NGramModel, arrays: dict[str, np.ndarray], path: str | Path) -> NGramModel:
    try:
        keep = [np.ones(len(model.orders[0]), bool)]
        for n, at in enumerate(model.orders[1:], start=2):
            keep.append(np.unpackbits(arrays[f"{n}.first"], count=len(at)).astype(bool))
        return select(model, keep)
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(f"marks of the most useful n-grams: {error}", path) from error


def _first(followers: np.ndarray) -> np.ndarray:
    """Return the row of the first n-gram of each history."""
    return np.cumsum(followers) - followers


def _planes(numbers: np.ndarray) -> np.ndarray:
    """Return numbers from 0 as (n_bytes, n) uint8, lowest bytes first; no plane of zeros alone."""
    planes = numbers.astype("<u4").view(np.uint8).reshape(-1, 4).T
    return planes[: max((int(numbers.max(initial=0)).bit_length() + 7) // 8, 1)]


def _numbers(planes: np.ndarray) -> np.ndarray:
    if planes.dtype != np.uint8 or planes.ndim != 2 or not 1 <= len(planes) <= 4:
        raise FormatError(f"planes of bytes must be (1 to 4, n), got {planes.shape}")
    numbers = np.zeros(planes.shape[1], np.int64)
    for k, plane in enumerate(planes):
        numbers += plane.astype(np.int64) << 8 * k
    return numbers


def _unigrams(log_prob: np.ndarray, n_words: int) -> NGramOrder:
    if log_prob.dtype != np.float32 or log_prob.shape != (n_words,):
        raise FormatError(f"{n_words} words, but unigrams {log_prob.shape} of {log_prob.dtype}")
    if not np.isfinite(log_prob).all() or log_prob.max() > 0:
        raise FormatError("the log probability of a word is not finite, or above 0")
    ids = np.arange(1, n_words + 1, dtype=np.int32)
    return NGramOrder(np.zeros_like(ids), ids, log_prob, np.full(n_words, LOST, np.float32))


def _order(
    arrays: dict[str, np.ndarray], n: int, below: NGramOrder, n_words: int
) -> NGramOrder:
    followers, step = (_numbers(arrays[f"{n}.{name}"]) for name in ("followers", "word"))
    code = arrays[f"{n}.prob"]
    if len(followers) != len(below) or not followers.sum() == len(step) == len(code):
        raise FormatError(f"the counts of order {n} contradict each other")
    if code.dtype != np.uint8 or code.ndim != 1:
        raise FormatError(f"probabilities of order {n} must be bytes")
    parent = np.repeat(np.arange(len(below), dtype=np.int32), followers)
    first, total = _first(followers), np.cumsum(step)
    before = np.concatenate([[0], total])[first]  # the sum where a history begins
    word = total - np.repeat(before, followers)
    inner = np.ones(len(step), bool)
    inner[first[followers > 0]] = False
    if len(word) and (word.min() < 1 or word.max() >= n_words or (step[inner] < 1).any()):
        raise FormatError(f"a word of order {n} is none of {n_words - 1}, or out of order")
    log_prob = -np.square(code.astype(np.float32) / STEPS)
    return NGramOrder(parent, word.astype(np.int32), log_prob.astype(np.float32),
                      np.full(len(word), LOST, np.float32))
