"""Language models that score word by word from a state, for rescoring in a second pass.

The histories of an n-gram model are exact: a word's probability is that of the longest n-gram, or
what backing off gives if there is none. It is never the higher of the two.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.language.arpa import check_counts, natural_log
from factored_asr.language.ngram import BEGIN, END, NGramModel

N_REMEMBERED = 200_000  # look-ups kept, some 300 bytes each


class WordScorer(Protocol):
    """A language model as states and words; `language.KenLMScorer` is one.

    Examples
    --------
    >>> class AnyDigit:
    ...     def start(self):
    ...         return 0
    ...     def score_word(self, state, word):
    ...         return state, -math.log(10)
    ...     def finish(self, state):
    ...         return 0.0
    >>> scorer: WordScorer = AnyDigit()
    >>> round(scorer.score_word(scorer.start(), "seven")[1], 3)
    -2.303
    """

    def start(self) -> Hashable:
        """Return the state before the first word."""

    def score_word(self, state: Hashable, word: str) -> tuple[Hashable, float]:
        """Return the state after a word, and the natural log of P(word | state)."""

    def finish(self, state: Hashable) -> float:
        """Return the natural log of P(end | state)."""


class BackingOff(WordScorer, Protocol):
    """A language model that can forget its history."""

    def forget(self, state: Any) -> tuple[Any, float]:
        """Return the empty history, and the log of what backing off to it from a state costs."""


AddedWords = Mapping[str, tuple[str | None, float]]
"""By added word: the word it is scored as (None: none), and else the natural log of its
probability, to which backing off to the empty history is added."""


class ExtendedScorer:
    """A language model with more words: each scored as a known word, or after the empty history.

    Parameters
    ----------
    scorer
        Of the other words: one of this module.
    words
        What is added: see `AddedWords`.

    Examples
    --------
    >>> from factored_asr.language import estimate
    >>> scorer = NGramScorer(estimate([["turn", "on", "the", "lamp"]]))
    >>> taught = ExtendedScorer(scorer, {"zoomba": ("lamp", 0.0)})  # scored as "lamp"
    >>> taught.score_word(taught.start(), "zoomba") == scorer.score_word(scorer.start(), "lamp")
    True
    """

    def __init__(self, scorer: BackingOff, words: AddedWords) -> None:
        self.scorer, self.words = scorer, words

    def start(self) -> Hashable:
        """Return the state before the first word."""
        return self.scorer.start()

    def score_word(self, state: Any, word: str) -> tuple[Any, float]:
        """Return the state after a word, and log P(word | state)."""
        found = self.words.get(word)
        if found is None:
            return self.scorer.score_word(state, word)
        like, log_prob = found
        if like is not None:
            return self.scorer.score_word(state, like)
        empty, backed_off = self.scorer.forget(state)
        return empty, backed_off + log_prob

    def finish(self, state: Any) -> float:
        """Return log P(end | state)."""
        return self.scorer.finish(state)

    def forget(self, state: Any) -> tuple[Any, float]:
        """Return the empty history, and the log of what backing off to it costs."""
        return self.scorer.forget(state)


class NGramScorer:
    """Scores words with an `NGramModel`.

    A state holds, for each length, the row of the n-gram that the last words make (-1 where there
    is none). `unknown_log_prob` is the natural log of the probability of a word that a model
    without ``<unk>`` lacks, after which the history is empty; None raises MissingError there.

    >>> import numpy as np
    >>> words = ("<eps>", "<s>", "</s>", "yes", "no")
    >>> unigrams = ([[1], [2], [3], [4]], np.log([1e-9, 0.4, 0.3, 0.3]), [0.0, 0, 0, 0])
    >>> model = NGramModel.from_ngrams(words, [unigrams, ([[1, 3]], np.log([0.5]), [0.0])])
    >>> scorer = NGramScorer(model)
    >>> state, log_prob = scorer.score_word(scorer.start(), "yes")
    >>> round(math.exp(log_prob), 3), round(math.exp(scorer.finish(state)), 3)
    (0.5, 0.4)
    """

    def __init__(self, model: NGramModel, *, unknown_log_prob: float | None = None) -> None:
        self.model = model
        self._unknown = unknown_log_prob
        self._seen: dict[tuple[tuple[int, ...], int], tuple[tuple[int, ...], float]] = {}

    def start(self) -> tuple[int, ...]:
        """Return the state before the first word."""
        begin = self.model.ids.get(BEGIN, 0)
        return self._score((), begin)[0] if begin else ()

    def score_word(self, state: Any, word: str) -> tuple[tuple[int, ...], float]:
        """Return the state after a word, and log P(word | state)."""
        if self._unknown is not None and not (word in self.model.ids or self.model.unknown_id):
            return (), self._unknown
        return self._score(state, self.model.word_id(word))

    def finish(self, state: Any) -> float:
        """Return log P(end | state)."""
        end = self.model.ids.get(END, 0)
        return self._score(state, end)[1] if end else 0.0

    def forget(self, state: Any) -> tuple[tuple[int, ...], float]:
        """Return the empty history, and the log of what backing off to it costs."""
        orders = self.model.orders
        return (), float(sum(orders[k].backoff[row] for k, row in enumerate(state) if row >= 0))

    def _score(self, state: tuple[int, ...], word: int) -> tuple[tuple[int, ...], float]:
        found = self._seen.get((state, word))
        if found is None:
            if len(self._seen) >= N_REMEMBERED:
                self._seen.clear()
            found = self._seen[state, word] = self._look_up(state, word)
        return found

    def _look_up(self, state: tuple[int, ...], word: int) -> tuple[tuple[int, ...], float]:
        orders, child = self.model.orders, self.model.child
        rows = [child(k, row, word) for k, row in enumerate((0, *state))]
        log_prob = 0.0
        for k in range(len(rows) - 1, -1, -1):
            if rows[k] >= 0:
                log_prob += float(orders[k].log_prob[rows[k]])
                break
            if state[k - 1] >= 0:
                log_prob += float(orders[k - 1].backoff[state[k - 1]])
        after = rows[: self.model.order - 1]
        while after and after[-1] < 0:
            after.pop()
        return tuple(after), log_prob


class MixedScorer:
    """Interpolates models linearly: P(word | history) is the weighted mean of theirs.

    Weights are 0 or more and sum to 1. Each model has its own words and orders.

    Examples
    --------
    >>> from factored_asr.language import estimate
    >>> tea, cake = (NGramScorer(estimate([["eat", word]])) for word in ("tea", "cake"))
    >>> mixed = MixedScorer([tea, cake], [0.75, 0.25])
    >>> state, log_prob = mixed.score_word(mixed.start(), "eat")
    >>> state, likely = mixed.score_word(state, "tea")
    >>> likely > mixed.score_word(state, "cake")[1]
    True
    """

    def __init__(self, scorers: Sequence[BackingOff], weights: Sequence[float]) -> None:
        if not scorers or len(scorers) != len(weights):
            raise OptionError(f"{len(scorers)} language models need as many weights")
        if min(weights) < 0 or abs(sum(weights) - 1) > 1e-6:
            raise OptionError(f"weights must be 0 or more and sum to 1, got {list(weights)}")
        pairs = zip(scorers, weights, strict=True)
        self._parts = [(scorer, math.log(weight)) for scorer, weight in pairs if weight > 0]

    def start(self) -> tuple[Hashable, ...]:
        """Return the states of all models before the first word."""
        return tuple(scorer.start() for scorer, _ in self._parts)

    def score_word(self, state: Any, word: str) -> tuple[tuple[Hashable, ...], float]:
        """Return the states after a word, and log P(word | states)."""
        pairs = zip(self._parts, state, strict=True)
        after, log_probs = zip(*(scorer.score_word(part, word) for (scorer, _), part in pairs),
                               strict=True)
        return after, self._mean(log_probs)

    def finish(self, state: Any) -> float:
        """Return log P(end | states)."""
        pairs = zip(self._parts, state, strict=True)
        return self._mean([scorer.finish(part) for (scorer, _), part in pairs])

    def forget(self, state: Any) -> tuple[tuple[Hashable, ...], float]:
        """Return the empty histories, and the log of what backing off to them costs."""
        pairs = zip(self._parts, state, strict=True)
        empty, log_probs = zip(*(scorer.forget(part) for (scorer, _), part in pairs), strict=True)
        return empty, self._mean(log_probs)

    def _mean(self, log_probs: Sequence[float]) -> float:
        """Return the natural log of the weighted mean of probabilities."""
        pairs = zip(self._parts, log_probs, strict=True)
        logs = [log_weight + log_prob for (_, log_weight), log_prob in pairs]
        top = max(logs)
        return top if top == -math.inf else top + math.log(sum(math.exp(x - top) for x in logs))


class KenLMScorer:
    """Scores words with an ARPA file or a binary model of KenLM.

    Scores are natural logarithms. A word that the model has in capitals alone is scored as that;
    one that it lacks is scored as ``<unk>``; ``word in scorer`` says whether it is known. Equal
    states give equal scores for all continuations::

        scorer = KenLMScorer("lm.arpa")
        state, log_prob = scorer.score_word(scorer.start(), "hello")
        log_prob += scorer.finish(state)        # == scorer.score_sentence(["hello"])

    Examples
    --------
    >>> import tempfile
    >>> from factored_asr.language import estimate, write_arpa
    >>> file = tempfile.mkdtemp() + "/lm.arpa"
    >>> write_arpa(estimate([["hello", "world"]]), file)
    >>> scorer = KenLMScorer(file)
    >>> state, log_prob = scorer.score_word(scorer.start(), "hello")
    >>> scorer.order, "hello" in scorer, "moon" in scorer
    (3, True, False)
    """

    def __init__(self, path: str | Path) -> None:
        try:
            import kenlm
        except ImportError as error:
            raise MissingError("KenLM is not installed: pip install ufal.kenlm") from error
        if not Path(path).is_file():
            raise MissingError(f"{path}: there is no such language model")
        self.path = path
        check_counts(path)
        self._new_state = kenlm.State
        config = kenlm.Config()
        config.show_progress = False
        config.arpa_complain = kenlm.ARPALoadComplain.NONE
        try:
            self._model: Any = kenlm.LanguageModel(str(path), config)
        except (OSError, RuntimeError, ValueError) as error:
            raise FormatError(f"KenLM cannot read this language model: {error}", path) from error

    @property
    def order(self) -> int:
        """Number of words in the longest n-gram."""
        return int(self._model.order)

    def __contains__(self, word: str) -> bool:
        return self._spelled(word) in self._model

    def _spelled(self, word: str) -> str:
        """Return a word as the model spells it: other cases are tried where it lacks a word."""
        if word in self._model or word.startswith("<"):
            return word
        others = (word.upper(), word.lower(), word.capitalize())
        return next((each for each in others if each in self._model), word)

    def start(self, *, marks: bool = True) -> Any:
        """Return the state after ``<s>``, or without `marks` that of the empty history."""
        state = self._new_state()
        write = self._model.BeginSentenceWrite if marks else self._model.NullContextWrite
        write(state)
        return state

    def score_word(self, state: Any, word: str) -> tuple[Any, float]:
        """Return the state after a word, and log P(word | state); the state given is unchanged."""
        after = self._new_state()
        return after, natural_log(float(self._model.BaseScore(state, self._spelled(word), after)))

    def finish(self, state: Any) -> float:
        """Return log P(``</s>`` | state)."""
        return self.score_word(state, "</s>")[1]

    def forget(self, state: Any) -> tuple[Any, float]:
        """Return the empty history; KenLM does not tell what backing off costs: 0."""
        return self.start(marks=False), 0.0

    def score_sentence(self, words: Sequence[str], *, marks: bool = True) -> float:
        """Return the log probability of a sentence, from ``<s>`` to ``</s>`` or of words alone."""
        text = " ".join(map(self._spelled, words))
        return natural_log(float(self._model.score(text, bos=marks, eos=marks)))
