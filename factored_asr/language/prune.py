"""Make n-gram models smaller: entropy pruning, other thresholds, a smaller vocabulary.

Entropy pruning is that of Stolcke (Entropy-based pruning of backoff language models, 1998). An
n-gram is removed if the perplexity rises by less than a threshold without it, each n-gram taken by
itself. Unigrams always stay, and so does every history of an n-gram that stays. Back-off weights
are set so that every history keeps the total probability it had: 1 in a proper model.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from factored_asr.errors import OptionError
from factored_asr.language.ngram import BEGIN, END, Links, NGramModel, NGramOrder, next_links

TINY = 1e-6  # a smaller probability mass is within the rounding of float32 logarithms


def prune(model: NGramModel, threshold: float) -> NGramModel:
    """Prune by entropy with a threshold, 0 or more.

    It is the least relative rise of perplexity, exp(relative entropy) - 1, that an n-gram must be
    worth; larger keeps fewer. 1e-8 to 1e-7 are usual for large models.

    >>> words = ("<eps>", "<s>", "</s>", "yes", "no")
    >>> unigrams = ([[1], [2], [3], [4]], np.log([1e-9, 0.4, 0.3, 0.3]), [0.0, 0, 0, 0])
    >>> bigrams = ([[1, 3]], np.log([0.3]), [0.0])  # says nothing that the unigram does not say
    >>> prune(NGramModel.from_ngrams(words, [unigrams, bigrams]), 1e-6).counts
    (4,)
    """
    if not threshold >= 0:
        raise OptionError(f"the pruning threshold must be 0 or more, got {threshold}")
    return _select(model, [worth >= threshold for worth in _entropy_worth(model)])


def prune_to(model: NGramModel, n_ngrams: int) -> NGramModel:
    """Prune by entropy to at most `n_ngrams` n-grams of all orders, unigrams included.

    N-grams worth as much as the best one removed are removed with it.

    Examples
    --------
    >>> from factored_asr.language import estimate
    >>> model = estimate([["yes", "please"], ["yes"], ["no"]])
    >>> sum(model.counts), sum(prune_to(model, 8).counts)
    (16, 7)
    """
    if n_ngrams < len(model.orders[0]):
        law = f"fewer than the {len(model.orders[0])} unigrams, which stay"
        raise OptionError(f"{n_ngrams} n-grams are {law}")
    n_kept = n_ngrams - len(model.orders[0])
    worth = _entropy_worth(model)
    above = np.concatenate([np.zeros(0), *worth[1:]])
    if n_kept >= len(above):
        return model
    limit = np.sort(above)[len(above) - 1 - n_kept]
    return _select(model, [w > limit for w in worth])


def prune_improbable(model: NGramModel, least_probability: float) -> NGramModel:
    """Drop n-grams of order 2 and above with P(word | history) below a probability, 0 to 1.

    Examples
    --------
    >>> from factored_asr.language import estimate
    >>> model = estimate([["yes", "please"], ["yes"], ["no"]])
    >>> sum(model.counts), sum(prune_improbable(model, 0.9).counts)
    (16, 6)
    """
    if not 0 <= least_probability <= 1:
        raise OptionError(f"a probability must be 0 to 1, got {least_probability}")
    with np.errstate(divide="ignore"):
        least = np.log(least_probability)
    worth = [at.log_prob.astype(np.float64) for at in model.orders]
    return _select(model, [w >= least for w in _worth_of_descendants(model, worth)])


def truncate(model: NGramModel, order: int) -> NGramModel:
    """Return the model without its n-grams longer than `order`.

    Examples
    --------
    >>> from factored_asr.language import estimate
    >>> truncate(estimate([["yes", "please"]]), 1).order
    1
    """
    if not 1 <= order <= model.order:
        raise OptionError(f"the order must be 1 to {model.order}, got {order}")
    top = replace(model.orders[order - 1], backoff=np.zeros_like(model.orders[order - 1].backoff))
    return NGramModel(model.words, (*model.orders[: order - 1], top))


def restrict(model: NGramModel, vocabulary: Collection[str]) -> NGramModel:
    """Return the model without words outside `vocabulary`; ``<s>`` and ``</s>`` stay.

    Nothing is renormalised: every remaining sentence keeps its probability. ``<unk>`` is a word
    like any other here. The remaining words keep their order and get new ids.

    Examples
    --------
    >>> from factored_asr.language import estimate
    >>> restrict(estimate([["yes", "please"], ["no"]]), ["yes"]).vocabulary
    ('<s>', '</s>', 'yes')
    """
    wanted = set(vocabulary) | {BEGIN, END}
    kept_word = np.array([True] + [word in wanted for word in model.vocabulary])
    if not kept_word[1:].any():
        raise OptionError("no word of the vocabulary is in the language model")
    new_id = np.cumsum(kept_word) - 1
    words = tuple(w for w, k in zip(model.words, kept_word, strict=True) if k)
    keep: list[np.ndarray] = []
    for at in model.orders:
        kept = kept_word[at.word]
        keep.append(kept & keep[-1][at.parent] if keep else kept)
    orders = (replace(at, word=new_id[at.word].astype(np.int32)) for at in _rows(model, keep))
    return NGramModel(words, tuple(orders))


def select(model: NGramModel, keep: Sequence[np.ndarray]) -> NGramModel:
    """Return the model with some of its n-grams, every history's probabilities summing to one.

    `keep` are (n,) bool, one array an order: all unigrams, and the history of whatever is kept.
    """
    for n, (kept, at) in enumerate(zip(keep, model.orders, strict=True), start=1):
        if not (kept.all() if n == 1 else keep[n - 2][at.parent[kept]].all()):
            raise OptionError(f"order {n}: unigrams, and histories of n-grams kept, must be kept")
    orders = _rows(model, list(keep))
    while len(orders) > 1 and not len(orders[-1]):
        orders.pop()
    return normalise(NGramModel(model.words, tuple(orders)))


def normalise(model: NGramModel) -> NGramModel:
    """Return the model with back-off weights so that every history's probabilities sum to one.

    A weight stays as it is if the mass to distribute, or to receive it, is below `TINY`.

    Examples
    --------
    >>> from factored_asr.language import estimate
    >>> model = normalise(truncate(estimate([["yes", "please"], ["no"]]), 2))
    >>> total = sum(np.exp(model.log_prob(word, ["yes"])) for word in model.vocabulary)
    >>> round(float(total), 4)
    1.0
    """
    orders = [replace(at, backoff=at.backoff.copy()) for at in model.orders]
    orders[-1].backoff[:] = 0
    normal = NGramModel(model.words, tuple(orders))
    _masses(normal, [np.ones(1), *(np.ones(len(at)) for at in orders)])
    return normal


def _entropy_worth(model: NGramModel) -> list[np.ndarray]:
    """Return the relative rise of perplexity without each n-gram, (n,) float64 for each order."""
    links, totals, free = _masses(model)
    log_marginal = _log_marginals(model)
    worth = [np.full(len(model.orders[0]), np.inf)]
    for n in range(2, model.order + 1):
        at, history = model.orders[n - 1], model.orders[n - 2]
        p, lower = np.exp(at.log_prob.astype(np.float64)), np.exp(links[n].log_prob)
        log_weight = history.backoff.astype(np.float64)[at.parent]
        left = free[n - 1][at.parent]
        mass = np.exp(log_weight) * left  # of the words that back off
        changed = _log_weight(mass + p, left + lower, log_weight)
        rise = p * (at.log_prob - links[n].log_prob - changed) + mass * (log_weight - changed)
        worth.append(np.expm1(np.exp(log_marginal[n - 2][at.parent]) * rise))
    return _worth_of_descendants(model, worth)


def _worth_of_descendants(model: NGramModel, worth: list[np.ndarray]) -> list[np.ndarray]:
    """Raise a history's worth to that of the best n-gram that needs it; unigrams: infinity."""
    worth = [w.copy() for w in worth]
    for n in range(model.order, 1, -1):
        parent = model.orders[n - 1].parent
        if len(parent):
            first = np.flatnonzero(np.diff(parent, prepend=-1))  # sorted by parent
            best = np.maximum.reduceat(worth[n - 1], first)
            histories = parent[first]
            worth[n - 2][histories] = np.maximum(worth[n - 2][histories], best)
    worth[0][:] = np.inf
    return worth


def _log_marginals(model: NGramModel) -> list[np.ndarray]:
    """Return the natural-log probability of each n-gram's word sequence, by the chain rule.

    As <s> has no probability of its own, it counts as often as </s>.
    """
    marginals = [model.orders[0].log_prob.astype(np.float64)]
    if BEGIN in model.ids and END in model.ids:
        marginals[0][model.ids[BEGIN] - 1] = marginals[0][model.ids[END] - 1]
    for at in model.orders[1:]:
        marginals.append(marginals[-1][at.parent] + at.log_prob)
    return marginals


def _masses(
    model: NGramModel, wanted: list[np.ndarray] | None = None
) -> tuple[list[Links], list[np.ndarray], list[np.ndarray]]:
    """Return links, total probability and free mass of each history; entry n belongs to order n.

    The free mass is the shorter history's probability of the words that do not follow the history.
    With `wanted` totals the model's back-off weights are first set, in place, to reach them.
    """
    links = [next_links(model, [])]
    links.append(next_links(model, links))
    totals = [np.exp(model.orders[0].log_prob.astype(np.float64)).sum(keepdims=True)]
    free = [np.zeros(1)]
    for n, history in enumerate(model.orders[:-1], start=1):
        links.append(next_links(model, links))
        at = model.orders[n]
        explicit = np.bincount(at.parent, np.exp(at.log_prob.astype(np.float64)), len(history))
        covered = np.bincount(at.parent, np.exp(links[n + 1].log_prob), len(history))
        left = np.maximum(np.concatenate(totals)[links[n].node] - covered, 0.0)
        if wanted is not None:
            followed = np.bincount(at.parent, minlength=len(history)) > 0
            weight = _log_weight(wanted[n] - explicit, left, history.backoff)
            history.backoff[:] = np.where(followed, weight, 0.0)
        totals.append(explicit + np.exp(history.backoff.astype(np.float64)) * left)
        free.append(left)
    return links, totals, free


def _log_weight(mass: np.ndarray, left: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """Return the natural log of mass / left; `otherwise` where either is below `TINY`."""
    known = (mass > TINY) & (left > TINY)
    ratio = np.divide(mass, left, out=np.ones_like(mass), where=known)
    return np.where(known, np.log(ratio), otherwise)


def _rows(model: NGramModel, keep: list[np.ndarray]) -> list[NGramOrder]:
    """Return the rows to keep, their parents renumbered."""
    orders, new_row = [], np.zeros(1, np.int64)
    for at, kept in zip(model.orders, keep, strict=True):
        parent = new_row[at.parent[kept]].astype(np.int32)
        orders.append(NGramOrder(parent, at.word[kept], at.log_prob[kept], at.backoff[kept]))
        new_row = np.cumsum(kept) - 1
    return orders


def _select(model: NGramModel, keep: list[np.ndarray]) -> NGramModel:
    """Keep n-grams (closed under histories) and recompute the back-off weights."""
    _, totals, _ = _masses(model)
    orders = _rows(model, keep)
    while len(orders) > 1 and not len(orders[-1]):
        orders.pop()
    orders[-1].backoff[:] = 0
    smaller = NGramModel(model.words, tuple(orders))
    _masses(smaller, [totals[0]] + [t[kept] for t, kept in zip(totals[1:], keep, strict=False)])
    return smaller
