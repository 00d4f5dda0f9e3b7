r"""Estimation of n-gram models: interpolated modified Kneser–Ney smoothing of any order.

Chen and Goodman, An empirical study of smoothing techniques for language modeling (1998),
section 3. An n-gram that was seen c times is discounted by D(c). What all n-grams of a history
lose is given out in proportion to the shorter history's distribution:

    p(w | h) = (c(h w) - D(c(h w))) / c(h) + γ(h) p(w | h'),   γ(h) = Σ_w D(c(h w)) / c(h).

Below the highest order c counts not occurrences but the different words that stand before
the n-gram. N-grams that begin a sentence, which nothing stands before, keep their occurrences. The
shortest history, the empty one, interpolates with the uniform distribution.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from factored_asr.errors import FormatError, OptionError
from factored_asr.language.arpa import LOG10_ZERO, natural_log
from factored_asr.language.ngram import BEGIN, END, EPSILON, UNKNOWN, NGramModel, NGramOrder

MARKS = (EPSILON, BEGIN, END)
UNK = UNKNOWN[0]
FALLBACK = (0.5, 1.0, 1.5)
"""Discounts of n-grams seen once, twice and more often, if the text is too small for estimates."""


@dataclass(frozen=True)
class EstimateOptions:
    """Options of estimation: which n-grams are counted, over which words.

    Examples
    --------
    >>> EstimateOptions(order=2, max_words=20_000).unknown
    True
    """

    order: int = 3
    """Words in the longest n-grams, from 1; higher: larger models, better on much text."""
    vocabulary: Collection[str] | None = None
    """The words of the model, all of them whether they occur or not; None: those of the text."""
    max_words: int = 0
    """Keep the commonest words only, marks not counted; 0: no limit."""
    min_count: int = 1
    """Keep words that occur at least so often."""
    unknown: bool = True
    """Whether the model has ``<unk>``, which stands for every word outside its vocabulary. In a
    closed vocabulary (False) n-grams with such a word are not counted."""

    def __post_init__(self) -> None:
        for name, least in (("order", 1), ("max_words", 0), ("min_count", 0)):
            if getattr(self, name) < least:
                raise OptionError(f"{name} must be {least} or more, got {getattr(self, name)}")


def estimate(
    sentences: Iterable[Sequence[str]], options: EstimateOptions | None = None
) -> NGramModel:
    """Estimate an n-gram model by interpolated modified Kneser–Ney smoothing.

    Sentences are words without ``<s>`` and ``</s>``, see `read_sentences`. Probabilities sum to
    one after every history; ``<s>`` itself has none. The order is lower than asked for if no
    sentence is so long. Raises FormatError if there is no word, or a mark stands in a sentence.

    >>> text = ["the cat sat", "the cat ran", "a dog ran"]
    >>> model = estimate((line.split() for line in text), EstimateOptions(order=2))
    >>> model.counts
    (9, 9)
    >>> print(round(sum(np.exp(model.log_prob(word, ["the"])) for word in model.vocabulary), 5))
    1.0
    """
    options = options or EstimateOptions()
    text, found = _numbered(sentences)
    words, new_id = _vocabulary(found, np.bincount(text, minlength=len(found)), options)
    orders = _counted(new_id[text], len(words), options.order, words.index(BEGIN))
    return NGramModel(words, tuple(_smoothed(orders, words)))


def _numbered(sentences: Iterable[Sequence[str]]) -> tuple[np.ndarray, list[str]]:
    """Return the text as one array of word ids, marks included, and the words by id."""
    ids = {word: i for i, word in enumerate(MARKS)}
    parts: list[np.ndarray] = []
    begin, end = ids[BEGIN], ids[END]
    buffer: list[int] = []
    for sentence in sentences:
        buffer += [begin, *(ids.setdefault(word, len(ids)) for word in sentence), end]
        if len(buffer) > 1 << 20:
            parts.append(np.array(buffer, np.int32))
            buffer = []
    text = np.concatenate([*parts, np.array(buffer, np.int32)])
    if len(ids) == len(MARKS):
        raise FormatError("the text has no words")
    n_marks = np.bincount(text, minlength=len(ids))
    if n_marks[0] or "" in ids or n_marks[begin] != n_marks[end]:
        raise FormatError(f"a word of the text is empty, or one of the marks {MARKS}")
    return text, list(ids)


def _vocabulary(
    found: list[str], counts: np.ndarray, options: EstimateOptions
) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the words of the model, the commonest first, and the id there of each word found.

    A word outside the vocabulary gets the id of <unk>, or 0 without it.
    """
    given = options.vocabulary
    allowed = None if given is None else set(given)
    # A given vocabulary is kept whole unless a count is set.
    least = options.min_count if given is None or options.min_count > 1 else 0
    seen = Counter(dict(zip(found, counts.tolist(), strict=True)))
    candidates = dict.fromkeys((*found, *(() if given is None else given)))
    kept = [word for word in candidates if word not in MARKS and word not in UNKNOWN
            and (allowed is None or word in allowed) and seen[word] >= least]
    if not kept:
        raise OptionError("no word of the text is within the limits of the vocabulary")
    ranked = sorted(kept, key=lambda word: -seen[word])[: options.max_words or None]
    words = (*MARKS, *((UNK,) if options.unknown else ()), *ranked)
    ids = {word: i for i, word in enumerate(words)}
    outside = ids.get(UNK, 0)
    return words, np.array([ids.get(word, outside) for word in found])


@dataclass(frozen=True, eq=False)
class _Counts:
    """The n-grams of one order, sorted by (parent, word); arrays (n,)."""

    parent: np.ndarray  # row of the history in the order below
    word: np.ndarray  # id of the last word
    count: np.ndarray  # different words before it, or occurrences
    suffix: np.ndarray  # row of the words without the first in the order below


def _counted(text: np.ndarray, n_words: int, order: int, begin: int) -> list[_Counts]:
    """Count all n-grams of a text; id 0 in the text breaks it.

    All unigrams are listed, in the order of the words, whether they occur or not.
    """
    place = np.flatnonzero(text > 0)  # where an n-gram ends
    row = np.full(len(text), -1)  # of the n-gram that ends there
    row[place] = text[place] - 1
    everything = np.arange(1, n_words)
    orders = [_Counts(np.zeros_like(everything), everything,
                      np.bincount(row[place], minlength=n_words - 1), np.zeros_like(everything))]
    for _ in range(order - 1):
        place = place[(text[place] != begin) & (place > 0)]
        place = place[row[place - 1] >= 0]
        if not len(place):
            break
        key = row[place - 1] * n_words + text[place]
        unique, first, inverse, count = np.unique(key, return_index=True, return_inverse=True,
                                                  return_counts=True)
        upper = _Counts(unique // n_words, unique % n_words, count, row[place[first]])
        before = np.bincount(upper.suffix, minlength=len(orders[-1].word))
        lower = orders[-1]
        orders[-1] = replace(lower, count=np.where(before, before, lower.count))
        orders.append(upper)
        row = np.full(len(text), -1)
        row[place] = inverse
    return orders


def _smoothed(orders: list[_Counts], words: tuple[str, ...]) -> list[NGramOrder]:
    """Return probabilities and back-off weights of all orders, the shortest first."""
    begin = words.index(BEGIN) - 1
    orders[0].count[begin] = 0  # a sentence begins with certainty: <s> is never predicted
    uniform = np.full(len(words) - 1, 1.0 / (len(words) - 2))
    uniform[begin] = 0.0
    lower, rows_below = uniform, 1
    log_probs, gammas = [], []
    for at in orders:
        discounts = np.array([0.0, *discounts_of(at.count)])
        lost = np.minimum(discounts[np.minimum(at.count, 3)], at.count)
        total = np.bincount(at.parent, at.count, rows_below)
        gamma = np.bincount(at.parent, lost, rows_below) / np.maximum(total, 1)
        shorter = lower if at is orders[0] else lower[at.suffix]
        lower = (at.count - lost) / total[at.parent] + gamma[at.parent] * shorter
        rows_below = len(at.word)
        log_probs.append(_log(lower))
        gammas.append(_log(np.where(total > 0, gamma, 1.0)))
    gammas.append(np.zeros(rows_below))
    return [
        NGramOrder(at.parent.astype(np.int32), at.word.astype(np.int32),
                   log_prob.astype(np.float32), gamma.astype(np.float32))
        for at, log_prob, gamma in zip(orders, log_probs, gammas[1:], strict=True)
    ]


def _log(values: np.ndarray) -> np.ndarray:
    """Return natural logarithms; that of 0 as ARPA files have it."""
    floor = natural_log(LOG10_ZERO)
    return np.where(values > 0, np.log(np.where(values > 0, values, 1.0)), floor)


def discounts_of(counts: np.ndarray) -> tuple[float, float, float]:
    """Return the discounts of n-grams seen once, twice, and three times or more.

    Chen and Goodman's equation 26, from the numbers of n-grams seen 1, 2, 3 and 4 times. Where a
    small text gives no sensible value, every n-gram is discounted by n1 / (n1 + 2 n2), as in Ney,
    Essen and Kneser (1994). If n1 or n2 is 0, it is discounted by `FALLBACK`.

    >>> discounts_of(np.repeat([1, 2, 3, 4], [1000, 400, 200, 120]))
    (0.555..., 1.166..., 1.666...)
    >>> discounts_of(np.repeat([1, 2], [60, 20]))
    (0.6, 0.6, 0.6)
    >>> discounts_of(np.array([7, 9]))
    (0.5, 1.0, 1.5)
    """
    n1, n2, n3, n4 = (int(np.count_nonzero(counts == n)) for n in (1, 2, 3, 4))
    if not (n1 and n2):
        return FALLBACK
    absolute = n1 / (n1 + 2 * n2)
    if n3:
        found = (1 - 2 * absolute * n2 / n1, 2 - 3 * absolute * n3 / n2, 3 - 4 * absolute * n4 / n3)
        if all(0 < discount < n for n, discount in enumerate(found, start=1)):
            return found
    return absolute, absolute, absolute
