"""Commands within dictation: sentences of grammars, after a carrier phrase or anywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from factored_asr.understanding.channel import Deletion
from factored_asr.understanding.interpretation import Interpretation
from factored_asr.understanding.parse import Understander

MOST_WORDS = 60
"""Of a command that is looked for."""


@dataclass(frozen=True, eq=False)
class Spotted:
    """One grammar whose sentences are looked for."""

    understander: Understander
    after: tuple[str, ...] = ()
    """The words of the carrier phrase; none: a sentence may stand anywhere."""
    denied: Callable[[Sequence[str]], int] = lambda words: 0
    """Number of the first words that are a denied sentence, such as "don't call Anna"; 0: none."""

    def find(
        self, words: Sequence[str], context: Mapping[str, object] | None
    ) -> tuple[int, int, Interpretation] | None:
        """Return where the first sentence begins and ends, and its reading.

        It is the longest one from there. Denied sentences are passed over.
        """
        n, begin = len(self.after), 0
        while begin + n < len(words):
            first = begin + n
            if tuple(words[begin:first]) != self.after:
                begin += 1
            elif length := self.denied(words[begin:]):
                begin += length
            else:
                if self.understander.may_begin(words[first]):
                    for end in range(min(len(words), first + MOST_WORDS), first, -1):
                        reading = self.understander.parse(tuple(words[first:end]), context)
                        if reading is not None:
                            return first, end, reading
                begin += 1
        return None


class Spotter:
    """Reads the first command of a text, as `Understander` reads a sentence that is one.

    >>> from factored_asr.language import Grammar
    >>> text = "#JSGF V1.0; grammar g; public <go> = go (left | right);"
    >>> spotter = Spotter([Spotted(Understander(Grammar.from_text(text)), ("computer",))])
    >>> spotter.parse("we go left and computer go right now".split()).text
    'go right'
    """

    def __init__(self, looked_for: Sequence[Spotted]) -> None:
        self._looked_for = looked_for

    def parse(
        self, words: Sequence[str], context: Mapping[str, object] | None = None,
        deletions: Sequence[Deletion] = (),
    ) -> Interpretation | None:
        """Return the reading of the first command; None if there is none. Nothing is left out."""
        if deletions:
            return None
        found = [each for one in self._looked_for if (each := one.find(words, context))]
        if not found:
            return None
        first, _, reading = min(found, key=lambda each: (each[0], -each[1]))
        spans = tuple(replace(slot, start=slot.start + first, end=slot.end + first)
                      for slot in reading.spans)
        return replace(reading, spans=spans)
