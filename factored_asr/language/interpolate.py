"""Linear interpolation of n-gram models into one model, and estimation of its weights.

The mixture p(w | h) = Σ λ_i p_i(w | h) is exact for every n-gram that any of the models lists. The
rest backs off, with weights set so that every history's probabilities sum to one. A word unknown
to a model has no probability in it; in a history it is ``<unk>``, or the history begins after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from factored_asr.errors import OptionError
from factored_asr.language.arpa import LOG10_ZERO, natural_log
from factored_asr.language.ngram import EPSILON, NGramModel
from factored_asr.language.perplexity import windows
from factored_asr.language.prune import normalise

N_ROUNDS = 100  # of EM at most; each is one pass over a matrix (n_words, n_models)
SETTLED = 1e-6  # EM ends when no weight changes by more


def interpolate(models: Sequence[NGramModel], weights: Sequence[float]) -> NGramModel:
    """Interpolate models into one, over the words and n-grams of all.

    There is one weight a model, 0 or more; they are scaled to sum to one. `mixture_weights` finds
    those that suit a text.

    >>> from factored_asr.language import EstimateOptions, estimate
    >>> one, other = (estimate([text.split()]) for text in ("tea or coffee", "tea and cake"))
    >>> mixed = interpolate([one, other], [0.75, 0.25])
    >>> round(float(np.exp(mixed.log_prob("tea") - one.log_prob("tea"))), 3)
    1.0
    >>> round(float(np.exp(mixed.log_prob("cake") - other.log_prob("cake"))), 3)
    0.25
    """
    shares = np.asarray(weights, np.float64)
    if len(shares) != len(models) or not len(models):
        raise OptionError(f"{len(models)} models need as many weights, got {len(shares)}")
    if not (np.isfinite(shares).all() and (shares >= 0).all() and shares.sum() > 0):
        raise OptionError(f"weights must be 0 or more and not all 0, got {list(weights)}")
    shares = shares / shares.sum()
    words = _union_of_words(models)
    tables = []
    for n in range(1, max(model.order for model in models) + 1):
        ngrams = _union_of_ngrams(models, words, n)
        log_prob = _log_mixture(_log_probs(models, words, ngrams), shares)
        backoff = np.column_stack([_backoffs(model, words, ngrams) for model in models])
        tables.append((ngrams, log_prob, _log_mixture(backoff, shares)))
    return normalise(NGramModel.from_ngrams(words, tables))


def mixture_weights(
    models: Sequence[NGramModel], sentences: Iterable[Sequence[str]]
) -> tuple[float, ...]:
    """Estimate by EM the weights under which a held-out text is most probable.

    Words that no model knows are skipped. Raises OptionError if no other word is left.

    >>> from factored_asr.language import estimate
    >>> one, other = (estimate([text.split()]) for text in ("tea or coffee", "tea and cake"))
    >>> tea, cake = mixture_weights([one, other], [["tea", "and", "cake"]])
    >>> cake > 0.9
    True
    """
    if not models:
        raise OptionError("a mixture needs at least one model")
    words = _union_of_words(models)
    ids = {word: i for i, word in enumerate(words)}
    ngrams = windows(sentences, ids, max(model.order for model in models))
    probs = np.exp(_log_probs(models, words, ngrams[ngrams[:, -1] > 0]))
    probs = probs[probs.sum(axis=1) > 0]
    if not len(probs):
        raise OptionError("no model knows any word of the text")
    shares = np.full(len(models), 1.0 / len(models))
    for _ in range(N_ROUNDS):
        joint, before = probs * shares, shares
        shares = (joint / joint.sum(axis=1, keepdims=True)).mean(axis=0)
        if np.abs(shares - before).max() < SETTLED:
            break
    return tuple(shares.tolist())


def _union_of_words(models: Sequence[NGramModel]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((EPSILON, *(w for model in models for w in model.vocabulary))))


def _union_of_ngrams(
    models: Sequence[NGramModel], words: tuple[str, ...], order: int
) -> np.ndarray:
    """Return (n, order) ids in `words` of the n-grams of all models; unigrams in order."""
    if order == 1:
        return np.arange(1, len(words))[:, None]
    ids = {word: i for i, word in enumerate(words)}
    found = []
    for model in models:
        if model.order >= order:
            here = np.array([ids[word] for word in model.words], np.int32)
            found.append(here[model.ngrams(order)])
    ngrams, width = np.concatenate(found), len(words).bit_length()
    if order * width > 62:  # bits of a number
        return np.unique(ngrams, axis=0)
    keys = np.zeros(len(ngrams), np.int64)
    for column in ngrams.T:
        keys = keys << width | column
    keys = np.unique(keys)  # 10 times faster than rows
    columns = (keys >> width * k & (1 << width) - 1 for k in reversed(range(order)))
    return np.column_stack([column.astype(np.int32) for column in columns])


def _log_probs(
    models: Sequence[NGramModel], words: tuple[str, ...], ngrams: np.ndarray
) -> np.ndarray:
    """Return (n, n_models) float64: each model's log P of the last word; -inf: unknown."""
    columns = np.full((len(ngrams), len(models)), -np.inf)
    for k, model in enumerate(models):
        known = np.array([word in model.ids for word in words])[ngrams[:, -1]]
        columns[known, k] = model.log_probs(_translated(model, words, ngrams[known]))
    return columns


def _backoffs(model: NGramModel, words: tuple[str, ...], ngrams: np.ndarray) -> np.ndarray:
    if ngrams.shape[1] > model.order:
        return np.zeros(len(ngrams))
    row = model.find(_translated(model, words, ngrams))
    return np.where(row >= 0, model.orders[ngrams.shape[1] - 1].backoff[row], 0.0)


def _translated(model: NGramModel, words: tuple[str, ...], ngrams: np.ndarray) -> np.ndarray:
    """Return n-grams in the ids of a model; unknown words are its <unk>, or 0."""
    return np.array([0, *(model.ids.get(w, model.unknown_id) for w in words[1:])])[ngrams]


def _log_mixture(columns: np.ndarray, shares: np.ndarray) -> np.ndarray:
    total = np.exp(columns) @ shares
    return np.log(np.maximum(total, np.exp(natural_log(LOG10_ZERO))))
