"""Language models asked word by word from a state: what a second pass walks with.

The histories of an n-gram model are exact: a word's cost is that of the longest n-gram there is,
or what backing off to a shorter one gives; never the cheaper of the two.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any, Protocol

from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.language.arpa import natural_log
from factored_asr.language.ngram import BEGIN, END, NGramModel

INF = float("inf")
KENLM_MAGIC = b"mmap lm http://kheafield.com/code"
N_REMEMBERED = 200_000  # look-ups kept, some 300 bytes each


class WordScorer(Protocol):
    """A language model as states and words; `language.KenLMScorer` is one."""

    def start(self) -> Hashable:
        """State before the first word."""
        ...

    def score_word(self, state: Hashable, word: str) -> tuple[Hashable, float]:
        """The state after a word, and the natural log of P(word | state)."""
        ...

    def finish(self, state: Hashable) -> float:
        """Natural log of P(end | state)."""
        ...


class NGramScorer:
    """An `NGramModel`, asked word by word.

    A state holds, for each length, the row of the n-gram that the last words make (-1 where there
    is none): all that the next word needs.

    Parameters
    ----------
    model
        The n-gram model.
    unknown_log_prob
        Natural log of the probability of a word that the model lacks, where it has no ``<unk>``
        either; None raises MissingError at such a word. The words before it are forgotten.

    Examples
    --------
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
        begin = self.model.ids.get(BEGIN, 0)
        return self._score((), begin)[0] if begin else ()

    def score_word(self, state: Hashable, word: str) -> tuple[tuple[int, ...], float]:
        assert isinstance(state, tuple)
        if self._unknown is not None and not (word in self.model.ids or self.model.unknown_id):
            return (), self._unknown
        return self._score(state, self.model.word_id(word))

    def finish(self, state: Hashable) -> float:
        assert isinstance(state, tuple)
        end = self.model.ids.get(END, 0)
        return self._score(state, end)[1] if end else 0.0

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
    """Linear interpolation: P(word | history) is the weighted mean of several models'.

    Parameters
    ----------
    scorers
        The models; each has its own words and orders.
    weights
        One for each, 0 or more, with sum 1.
    """

    def __init__(self, scorers: Sequence[WordScorer], weights: Sequence[float]) -> None:
        if not scorers or len(scorers) != len(weights):
            raise OptionError(f"{len(scorers)} language models need as many weights")
        if min(weights) < 0 or abs(sum(weights) - 1) > 1e-6:
            raise OptionError(f"weights must be 0 or more and sum to 1, got {list(weights)}")
        self._parts = [
            (scorer, math.log(weight))
            for scorer, weight in zip(scorers, weights, strict=True) if weight > 0
        ]

    def start(self) -> tuple[Hashable, ...]:
        return tuple(scorer.start() for scorer, _ in self._parts)

    def score_word(self, state: Hashable, word: str) -> tuple[tuple[Hashable, ...], float]:
        assert isinstance(state, tuple)
        after, log_probs = [], []
        for (scorer, log_weight), part in zip(self._parts, state, strict=True):
            next_part, log_prob = scorer.score_word(part, word)
            after.append(next_part)
            log_probs.append(log_weight + log_prob)
        return tuple(after), log_sum(log_probs)

    def finish(self, state: Hashable) -> float:
        assert isinstance(state, tuple)
        return log_sum([
            log_weight + scorer.finish(part)
            for (scorer, log_weight), part in zip(self._parts, state, strict=True)
        ])


def log_sum(logs: Sequence[float]) -> float:
    """Natural log of the sum of exponentials."""
    top = max(logs)
    return top if top == -INF else top + math.log(sum(math.exp(x - top) for x in logs))


def is_kenlm_binary(path: str | Path) -> bool:
    """Whether a file is a language model in KenLM's own format, by its first bytes."""
    try:
        with open(path, "rb") as file:
            return file.read(len(KENLM_MAGIC)) == KENLM_MAGIC
    except OSError as error:
        law = f"{path}: no language model can be read there: {error.strerror}"
        raise MissingError(law) from error


class KenLMScorer:
    """An ARPA file, or KenLM's own binary, queried word by word.

    Scores are natural logarithms. A word that the model lacks is scored as ``<unk>``; ask with
    ``word in scorer``. States are small values that compare equal where the future is the same.

    Examples
    --------
    ::

        scorer = KenLMScorer("lm.arpa")
        state = scorer.start()
        state, log_prob = scorer.score_word(state, "hello")
        log_prob += scorer.finish(state)        # == scorer.score_sentence(["hello"])
    """

    def __init__(self, path: str | Path) -> None:
        try:
            import kenlm
        except ImportError as error:
            raise MissingError("scoring with KenLM needs it: pip install ufal.kenlm") from error
        if not Path(path).is_file():
            raise MissingError(f"{path}: there is no such language model")
        self.path = path
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
        """The longest n-gram's number of words."""
        return int(self._model.order)

    def __contains__(self, word: str) -> bool:
        return word in self._model

    def start(self, *, marks: bool = True) -> Any:
        """The state after ``<s>``, or without `marks` that of the empty history."""
        state = self._new_state()
        if marks:
            self._model.BeginSentenceWrite(state)
        else:
            self._model.NullContextWrite(state)
        return state

    def score_word(self, state: Any, word: str) -> tuple[Any, float]:
        """The state after a word, and log P(word | state). The state given is left as it is."""
        after = self._new_state()
        return after, natural_log(float(self._model.BaseScore(state, word, after)))

    def finish(self, state: Any) -> float:
        """log P(``</s>`` | state)."""
        return self.score_word(state, "</s>")[1]

    def score_sentence(self, words: Sequence[str], *, marks: bool = True) -> float:
        """Log probability of a sentence, from ``<s>`` to ``</s>``; without `marks` of the words."""
        return natural_log(float(self._model.score(" ".join(words), bos=marks, eos=marks)))
