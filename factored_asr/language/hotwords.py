"""Hotwords: phrases that are found more often, by a bonus on each of their occurrences.

An automaton over words (Aho and Corasick 1975, "Efficient string matching") knows after each word
which phrases end there. The search itself gives every word of a phrase a *share* of its bonus,
wherever it stands. The lattice is then scored exactly, so that a phrase which breaks off has
nothing.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from factored_asr.errors import OptionError

MOST_BONUS = 100.0
Hotwords = Mapping[str, float | None]
"""Phrases with their bonuses in natural-log units, such as ``{"home assistant": 3.0}``; None: one
that suits how rare the words are."""


def checked_hotwords(
    hotwords: Hotwords, suited: Callable[[Sequence[str]], float] = lambda words: 0.0
) -> tuple[tuple[tuple[str, ...], float], ...]:
    """Return phrases as words, with their bonuses.

    `suited` gives that of a phrase without one. Raises OptionError for an empty phrase, or a bonus
    that is no finite number within `MOST_BONUS`.

    >>> checked_hotwords({"Home  Assistant": 3})
    ((('home', 'assistant'), 3.0),)
    """
    found = []
    for phrase, bonus in hotwords.items():
        words = tuple(phrase.lower().split())
        if not words:
            raise OptionError(f"a hotword must have at least one word, got {phrase!r}")
        try:
            value = suited(words) if bonus is None else float(bonus)
        except (TypeError, ValueError):
            value = math.nan
        if not abs(value) <= MOST_BONUS:
            raise OptionError(f"the bonus of hotword {phrase!r} must be a number from "
                              f"{-MOST_BONUS:g} to {MOST_BONUS:g}, got {bonus!r}")
        found.append((words, value))
    return tuple(found)


class HotwordScorer:
    """Scores words as `language.WordScorer` does: with the bonuses of the phrases that they end.

    Bonuses of phrases within phrases add up.

    >>> scorer = HotwordScorer({("home", "assistant"): 3.0, ("assistant",): 1.0})
    >>> scorer.bonuses(["the", "home", "assistant", "home"])
    [0.0, 0.0, 4.0, 0.0]
    """

    def __init__(self, phrases: Mapping[tuple[str, ...], float]) -> None:
        self.phrases = dict(phrases)
        self._next: list[dict[str, int]] = [{}]
        self._bonus = [0.0]
        for words, bonus in self.phrases.items():
            state = 0
            for word in words:
                if word not in self._next[state]:
                    self._next[state][word] = len(self._next)
                    self._next.append({})
                    self._bonus.append(0.0)
                state = self._next[state][word]
            self._bonus[state] += bonus
        self._fail = [0] * len(self._next)
        waiting = deque(self._next[0].values())
        while waiting:
            state = waiting.popleft()
            for word, after in self._next[state].items():
                self._fail[after] = self._step(self._fail[state], word)
                self._bonus[after] += self._bonus[self._fail[after]]
                waiting.append(after)

    def _step(self, state: int, word: str) -> int:
        while state and word not in self._next[state]:
            state = self._fail[state]
        return self._next[state].get(word, 0)

    def start(self) -> int:
        """Return the state before the first word."""
        return 0

    def score_word(self, state: Any, word: str) -> tuple[int, float]:
        """Return the state after a word, and the sum of the bonuses of the phrases it ends."""
        after = self._step(state, word)
        return after, self._bonus[after]

    def finish(self, state: Any) -> float:
        """Return 0: ending has no bonus."""
        return 0.0

    def forget(self, state: Any) -> tuple[int, float]:
        """Return the state without a begun phrase, and 0: that costs nothing."""
        return 0, 0.0

    def bonuses(self, words: list[str] | tuple[str, ...]) -> list[float]:
        """Return the bonus at each word of a word string."""
        state, found = 0, []
        for word in words:
            state, bonus = self.score_word(state, word)
            found.append(bonus)
        return found

    @cached_property
    def shares(self) -> dict[str, float]:
        """What the search gives each word, wherever it stands: its own bonus, and the largest equal
        part of a phrase's."""
        own = {words[0]: bonus for words, bonus in self.phrases.items() if len(words) == 1}
        part = dict[str, float]()
        for words, bonus in self.phrases.items():
            for word in words if len(words) > 1 else ():
                part[word] = max(part.get(word, 0.0), bonus / len(words))
        return {word: own.get(word, 0.0) + part.get(word, 0.0) for word in (*own, *part)}

    @property
    def has_phrases(self) -> bool:
        """Whether a phrase has several words: then shares are not exact."""
        return any(len(words) > 1 for words in self.phrases)
