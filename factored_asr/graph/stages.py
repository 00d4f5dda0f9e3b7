"""How long compiling still takes, from the stages that are done.

The stages of a graph of an n-gram model take nearly the same shares of its time, whatever the
model and the machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable

SHARES = {
    "lexicon and language model": 0.14, "trees of pronunciations": 0.17,
    "merging states": 0.14, "context": 0.16, "states": 0.20, "minimising": 0.19,
}
"""By the beginning of a stage's name: its share of the time of an n-gram model's graph, as measured
for the dictation of en-us-network (a million n-grams)."""


LEAST = 0.1
"""Share of the time that must be done before an estimate."""


class Remaining:
    """Estimates the seconds that are left, by the time that earlier stages took.

    >>> seconds = iter([0.0, 7.0])
    >>> left = Remaining(lambda: next(seconds))
    >>> left("lexicon and language model"), round(left("trees of pronunciations"))
    (None, 43)
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock, self._began, self._done = clock, 0.0, 0.0
        self._current = 0.0

    def __call__(self, stage: str) -> float | None:
        """Return the seconds left as a stage begins; None where too little is known."""
        now = self._clock()
        share = next((each for name, each in SHARES.items() if stage.startswith(name)), 0.0)
        if stage.startswith(next(iter(SHARES))):
            self._began, self._done = now, 0.0
        else:
            self._done += self._current
        self._current = share
        if self._done < LEAST:
            return None
        return (now - self._began) * (1 - self._done) / self._done
