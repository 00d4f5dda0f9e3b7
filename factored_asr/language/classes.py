"""Classes of words in n-gram models: tokens such as ``{contact}`` that stand for a list of phrases.

A model has a class as a word: ``call {contact} at home``. Brown et al. (1992), "Class-based n-gram
models of natural language": P(word | history) = P(class | history) · P(word | class). Which phrases
a class has is known at run time alone.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, Protocol, cast

from factored_asr.errors import MissingError
from factored_asr.language.scorer import BackingOff, WordScorer

INF = float("inf")
_CLASS = re.compile(r"\{[\w-]+\}")


def classes_of(words: Iterable[str]) -> tuple[str, ...]:
    """Return the words that are classes, such as ``{contact}``, in alphabetical order.

    >>> classes_of(["call", "{song}", "{contact}", "{"])
    ('{contact}', '{song}')
    """
    return tuple(sorted(word for word in words if word[:1] == "{" and _CLASS.fullmatch(word)))


class Phrases(WordScorer, Protocol):
    """Scores whole phrases."""

    def goes_on(self, state: Any) -> bool:
        """Return whether a word may follow."""


class PhraseScorer:
    """Scores words as `language.WordScorer` does: with the costs of phrases, at their ends.

    >>> scorer = PhraseScorer({("anna",): 0.7, ("anna", "miller"): 0.9})
    >>> state, log_prob = scorer.score_word(scorer.start(), "anna")
    >>> log_prob, scorer.finish(state), scorer.score_word(state, "lee")[1]
    (0.0, -0.7, -inf)
    """

    def __init__(self, phrases: Mapping[tuple[str, ...], float]) -> None:
        self._next: list[dict[str, int]] = [{}]
        self._cost = dict[int, float]()
        for words, cost in phrases.items():
            at = 0
            for word in words:
                if word not in self._next[at]:
                    self._next[at][word] = len(self._next)
                    self._next.append({})
                at = self._next[at][word]
            self._cost[at] = min(cost, self._cost.get(at, cost))

    def start(self) -> int:
        return 0

    def score_word(self, state: Any, word: str) -> tuple[int, float]:
        """Return the state after a word, and 0; -inf if it cannot follow."""
        after = self._next[state].get(word, 0)
        return after, 0.0 if after else -INF

    def finish(self, state: Any) -> float:
        return -self._cost.get(state, INF)

    def goes_on(self, state: Any) -> bool:
        return bool(self._next[state])


class DictationScorer:
    """Scores whole sentences by a language model, as phrases; the empty one has none."""

    def __init__(self, scorer: WordScorer) -> None:
        self.scorer = scorer

    def start(self) -> Hashable:
        return self.scorer.start()

    def score_word(self, state: Any, word: str) -> tuple[Hashable, float]:
        """Return the state after a word and its log probability; -inf for one it lacks."""
        return _scored(self.scorer, state, word)

    def finish(self, state: Any) -> float:
        return self.scorer.finish(state)

    def goes_on(self, state: Any) -> bool:
        return True


_Place = tuple[Any, str | int, Any]
"""State of the model, there after the phrase; class, empty outside; state within the phrase."""


class ClassScorer:
    """A language model with the phrases of its classes, and with phrases that may stand anywhere.

    A word string may be read in several ways: as words of the model or as phrases. A state has all
    of them, with what each costs above the cheapest; the cheapest gives the score, as in the graph.

    Parameters
    ----------
    scorer
        The model, which has classes as words. Only `anywhere` needs its `forget`.
    classes
        Scores the phrases of each class.
    anywhere
        Score what may stand after the empty history, which is also the one after it.

    Examples
    --------
    >>> from factored_asr.language import NGramScorer, estimate
    >>> scorer = NGramScorer(estimate([["call", "{contact}"]] * 3 + [["call", "back"]]))
    >>> named = ClassScorer(scorer, {"{contact}": PhraseScorer({("anna", "lee"): 0.7})})
    >>> state, _ = named.score_word(named.start(), "call")
    >>> between, first = named.score_word(state, "anna")
    >>> _, second = named.score_word(between, "lee")
    >>> _, token = scorer.score_word(scorer.score_word(scorer.start(), "call")[0], "{contact}")
    >>> round(first + second - token, 6)
    -0.7
    """

    def __init__(
        self, scorer: WordScorer, classes: Mapping[str, Phrases],
        anywhere: Sequence[Phrases] = (),
    ) -> None:
        self.scorer = scorer
        self._phrases = dict[str | int, Phrases](classes.items())
        self._phrases.update(enumerate(anywhere))

    def start(self) -> Hashable:
        return (((self.scorer.start(), "", None), 0.0),)

    def score_word(self, state: Any, word: str) -> tuple[Hashable, float]:
        """Return the state after a word and its log probability; () and -inf if none may follow."""
        found = dict[_Place, float]()

        def reach(place: _Place, cost: float) -> None:
            found[place] = min(cost, found.get(place, INF))

        def follow(model: Any, name: str | int, within: Any, cost: float) -> None:
            phrases = self._phrases[name]
            within, log_prob = phrases.score_word(within, word)
            if cost - log_prob < INF:
                reach((model, "", None), cost - log_prob - phrases.finish(within))
                if phrases.goes_on(within):
                    reach((model, name, within), cost - log_prob)

        for (model, name, within), cost in state:
            if name != "":
                follow(model, name, within, cost)
                continue
            after, log_prob = _scored(self.scorer, model, word)
            reach((after, "", None), cost - log_prob)
            for each, phrases in self._phrases.items():
                begin = phrases.start()
                if phrases.score_word(begin, word)[1] > -INF:
                    after, log_prob = (_scored(self.scorer, model, each) if isinstance(each, str)
                                       else cast(BackingOff, self.scorer).forget(model))
                    follow(after, each, begin, cost - log_prob)
        least = min(found.values(), default=INF)
        if least == INF:
            return (), -INF
        places = ((place, round(cost - least, 6)) for place, cost in found.items() if cost < INF)
        return tuple(sorted(places, key=repr)), -least

    def finish(self, state: Any) -> float:
        return max((self.scorer.finish(model) - cost for (model, name, _), cost in state
                    if name == ""), default=-INF)

    def goes_on(self, state: Any) -> bool:
        """Return whether a word may follow, where the model scores `Phrases`."""
        return any(name != "" or cast(Phrases, self.scorer).goes_on(model)
                   for (model, name, _), _ in state)

    def forget(self, state: Any) -> tuple[Any, float]:
        """Return the empty history; within a phrase alone there is none."""
        scorer = cast(BackingOff, self.scorer)
        ways = [(scorer.forget(model), cost) for (model, name, _), cost in state if name == ""]
        if not ways:
            return (), -INF
        (empty, _), _ = ways[0]
        log_prob = max(backed_off - cost for (_, backed_off), cost in ways)
        return (((empty, "", None), 0.0),), log_prob


def _scored(scorer: WordScorer, state: Any, word: str) -> tuple[Hashable, float]:
    """Return the state after a word and its log probability; -inf for one the scorer lacks."""
    try:
        return scorer.score_word(state, word)
    except MissingError:
        return state, -INF
