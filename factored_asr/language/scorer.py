"""Scores of a language model through KenLM, for the largest models and the second pass."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from factored_asr.errors import FormatError, MissingError
from factored_asr.language.arpa import natural_log


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
        except (OSError, RuntimeError) as error:
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
