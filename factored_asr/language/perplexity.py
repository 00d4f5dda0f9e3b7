"""How well a language model predicts a text.

Perplexity is exp(-(log probability) / (number of words)); the end of each sentence counts as a
word. Words outside the vocabulary are either left out of both or, in a model with ``<unk>``,
counted as that word. In a history they are ``<unk>``; without it the history begins after them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from factored_asr.errors import FormatError
from factored_asr.language.ngram import BEGIN, END, UNKNOWN, NGramModel

BATCH = 20_000  # sentences scored at once


@dataclass(frozen=True)
class TextScore:
    """The score of a text; natural logarithms.

    Examples
    --------
    >>> TextScore(n_sentences=1, n_words=3, n_unknown=1, log_prob=-6.0, log_prob_unknown=-9.0,
    ...           n_ends=1).n_words
    3
    """

    n_sentences: int
    """Sentences of the text."""
    n_words: int  # Without the ends of sentences, unknown words included
    n_unknown: int  # Words outside the vocabulary; ``<unk>`` itself is one
    log_prob: float  # Of the known words and the ends of the sentences
    log_prob_unknown: float
    """Of the unknown words, as ``<unk>``; -inf where the model has none and there are such."""
    n_ends: int
    """Ends of sentences that were scored: as many as sentences, or 0 in a model without them."""

    @property
    def perplexity(self) -> float:
        """Of known words and ends of sentences."""
        return _perplexity(self.log_prob, self.n_words - self.n_unknown + self.n_ends)

    @property
    def perplexity_with_unknown(self) -> float:
        """Of all words, the unknown ones counted as ``<unk>``; inf where the model has none."""
        return _perplexity(self.log_prob + self.log_prob_unknown, self.n_words + self.n_ends)

    @property
    def unknown_rate(self) -> float:
        """Share of the words that are outside the vocabulary, 0 to 1."""
        return self.n_unknown / self.n_words if self.n_words else 0.0


@dataclass(frozen=True)
class WordScore:
    """The score of one word of a sentence.

    Examples
    --------
    >>> from factored_asr.language import estimate
    >>> score_words(estimate([["yes"]]), ["yes"])[0].word
    'yes'
    """

    word: str  # The word, or ``</s>``
    log_prob: float
    """Natural log of P(word | words before it); -inf for an unknown word without ``<unk>``."""
    n_matched: int  # Words in the longest n-gram of the model that ends here; 0 for an unknown word


def score_text(model: NGramModel, sentences: Iterable[Sequence[str]]) -> TextScore:
    """Score the sentences of a text; FormatError if there are no words.

    >>> from factored_asr.language import estimate
    >>> model = estimate([["tea", "please"], ["coffee", "please"]])
    >>> score = score_text(model, [["tea", "please"], ["cake", "please"]])
    >>> score.n_words, score.n_unknown, score.unknown_rate
    (4, 1, 0.25)
    >>> score.perplexity < score.perplexity_with_unknown
    True
    """
    stream = iter(sentences)
    n_sentences = n_words = n_unknown = 0
    log_prob = log_prob_unknown = 0.0
    while batch := list(islice(stream, BATCH)):
        log_probs, unknown = _scored(model, batch)
        n_sentences += len(batch)
        n_words += sum(map(len, batch))
        n_unknown += int(unknown.sum())
        log_prob += float(log_probs[~unknown].sum())
        log_prob_unknown += float(log_probs[unknown].sum())
    if not n_words:
        raise FormatError("the text has no words")
    n_ends = n_sentences if END in model.ids else 0
    return TextScore(n_sentences, n_words, n_unknown, log_prob, log_prob_unknown, n_ends)


def score_words(model: NGramModel, sentence: Sequence[str]) -> tuple[WordScore, ...]:
    """Score the words of one sentence, one by one, its end included.

    >>> from factored_asr.language import estimate
    >>> model = estimate([["tea", "please"], ["coffee", "please"]])
    >>> [(each.word, each.n_matched) for each in score_words(model, ["please", "tea", "please"])]
    [('please', 1), ('tea', 1), ('please', 2), ('</s>', 3)]
    """
    log_probs, unknown = _scored(model, [sentence])
    ngrams = windows([sentence], model.ids, model.order, model.unknown_id)
    matched = np.zeros(len(ngrams), np.int64)
    for n in range(1, model.order + 1):
        matched[model.find(ngrams[:, -n:]) >= 0] = n
    matched[unknown] = 0
    words = (*sentence, END)[: len(ngrams)]
    scores = zip(words, log_probs.tolist(), matched.tolist(), strict=True)
    return tuple(WordScore(*each) for each in scores)


def windows(
    sentences: Iterable[Sequence[str]], ids: Mapping[str, int], order: int, unknown: int = 0
) -> np.ndarray:
    """Return (n, order) ids of every word of a text and the words before it in its sentence.

    Each sentence has ``<s>`` before and ``</s>`` after it, if they are among `ids`. 0 is padding,
    `unknown` the id of a word that is not among them.
    """
    begin, end = ids.get(BEGIN, 0), ids.get(END, 0)
    text: list[int] = []
    kept: list[bool] = []
    for sentence in sentences:
        numbers = [ids.get(word, unknown) for word in sentence] + [end] * bool(end)
        text += [0] * (order - 1) + [begin] * bool(begin) + numbers
        kept += [False] * (order - 1 + bool(begin)) + [True] * len(numbers)
    if not any(kept):
        return np.zeros((0, order), np.int64)
    padded = np.array([0] * (order - 1) + text)
    return np.lib.stride_tricks.sliding_window_view(padded, order)[np.array(kept)]


def _scored(model: NGramModel, sentences: Sequence[Sequence[str]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the log probability of each word and end, and whether it is unknown."""
    ngrams = windows(sentences, model.ids, model.order, model.unknown_id)
    outside = {*UNKNOWN} | {word for sentence in sentences for word in sentence} - model.ids.keys()
    ends = [END] * (END in model.ids)
    unknown = np.array([w in outside for sentence in sentences for w in (*sentence, *ends)], bool)
    log_probs = np.full(len(ngrams), -np.inf)
    scored = ngrams[:, -1] > 0
    if scored.any():
        log_probs[scored] = model.log_probs(ngrams[scored])
    return log_probs, unknown


def _perplexity(log_prob: float, n_words: int) -> float:
    return float(np.exp(-log_prob / n_words)) if n_words else float("nan")
