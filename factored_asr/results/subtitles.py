"""Subtitles: words into cues, and cues into lines, broken where a reader would pause.

Both are the cheapest division by dynamic programming. A break costs little at a pause, after
punctuation and before a word that begins a phrase. It costs much after a word that belongs to the
next one, such as an article. The limits are those of broadcasters: two lines of 42 characters, 7 s.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from factored_asr.errors import OptionError
from factored_asr.results.transcript import Word

COMFORT = 6.0
"""Seconds of a cue; longer ones are allowed, but cost more."""
CUE_COST, SHORT_COST, LONG_COST, UNEVEN_COST = 1.5, 0.5, 2.0, 1.0
LINE_COST = 10.0
"""Above all gains: no more lines than are needed."""
BOUND_COST, PHRASE_GAIN, PAUSE_GAIN, STOP_GAIN, COMMA_GAIN = 1.5, 0.5, 1.0, 1.2, 0.6
FULL_PAUSE = 0.3
"""Seconds of a pause that counts in full."""
BOUND = frozenset((
    "a an the my your his her its our their this that these those some any no every each of to in "
    "on at by for from with into onto about as than and or but if because is are was were be been "
    "am has have had do does did will would can could shall should may might must not very more "
    "most i you he she we they it's i'm who which what mr mrs ms dr"
).split())  # fmt: skip
"""Words that belong to the next one."""
BEGINS = frozenset((
    "and but or so because although though while when where which who whose that if unless until "
    "before after since as than then with without into in on at by for from to about of between "
    "through during under over"
).split())  # fmt: skip
"""Words that begin a phrase."""


@dataclass(frozen=True)
class SubtitleOptions:
    """Limits of subtitles."""

    max_line: int = 42
    """Characters of a line; a longer word stands alone. Lower: for small screens."""
    max_lines: int = 2
    """Lines of a cue."""
    max_cue: float = 7.0
    """Seconds of a cue; a longer word is shown so long."""
    pause: float = 0.6
    """Seconds of silence that always end a cue; higher: fewer, longer cues."""

    def __post_init__(self) -> None:
        for name in ("max_line", "max_lines", "max_cue", "pause"):
            if not getattr(self, name) > 0:
                raise OptionError(f"{name} must be above 0, got {getattr(self, name)}")


def cues(
    words: Sequence[Word], options: SubtitleOptions | None = None
) -> Iterator[tuple[Word, ...]]:
    """Split words into cues.

    Examples
    --------
    >>> words = [Word("one", 0.0, 0.5), Word("two", 0.5, 1.0), Word("three", 3.0, 3.5)]
    >>> [[word.text for word in cue] for cue in cues(words)]
    [['one', 'two'], ['three']]
    """
    options = options or SubtitleOptions()
    first = 0
    for at in range(1, len(words) + 1):
        if at == len(words) or words[at].start - words[at - 1].end >= options.pause:
            run = _Run(words[first:at], options)
            for begin, end in _divided(at - first, run.cue_cost, run.breaks):
                yield tuple(run.words[begin:end])
            first = at


def lines(cue: Sequence[Word], options: SubtitleOptions | None = None) -> list[str]:
    """Split the words of a cue into lines.

    Examples
    --------
    >>> text = "would you be so kind as to turn on the light in the kitchen"
    >>> lines([Word(word, i / 10, i / 10) for i, word in enumerate(text.split())])
    ['would you be so kind as to turn', 'on the light in the kitchen']
    """
    run = _Run(cue, options or SubtitleOptions())
    parts = _divided(len(cue), run.line_cost, run.breaks)
    return [" ".join(word.text for word in cue[begin:end]) for begin, end in parts]


class _Run:
    """Words without a long pause, and what parts of them cost."""

    def __init__(self, words: Sequence[Word], options: SubtitleOptions) -> None:
        self.words, self.options = words, options
        self.ends = list(itertools.accumulate((len(word.text) + 1 for word in words), initial=0))
        self.breaks = [0.0, *(_break_cost(words[at - 1], words[at]) for at in range(1, len(words)))]
        self.mean = self.length(0, len(words)) / max(1, self.n_lines(0, len(words)))

    def length(self, begin: int, end: int) -> int:
        """Return the characters of some words on one line."""
        return self.ends[end] - self.ends[begin] - 1

    def n_lines(self, begin: int, end: int) -> int:
        """Return the fewest lines that hold some words."""
        n_lines, first = 1, begin
        for at in range(begin, end):
            if at > first and self.length(first, at + 1) > self.options.max_line:
                n_lines, first = n_lines + 1, at
        return n_lines

    def line_cost(self, begin: int, end: int) -> float | None:
        """Return the cost of some words as one line; None if they are too long."""
        length, width = self.length(begin, end), self.options.max_line
        if length > width and end - begin > 1:
            return None
        return LINE_COST + UNEVEN_COST * abs(length - self.mean) / width

    def cue_cost(self, begin: int, end: int) -> float | None:
        """Return the cost of some words as one cue; None if they are too many."""
        words, width = self.words, self.options.max_line
        seconds, length = words[end - 1].end - words[begin].start, self.length(begin, end)
        cost = CUE_COST + LONG_COST * max(0.0, seconds - COMFORT) + SHORT_COST * (length < 12)
        if end - begin == 1:
            return cost
        if (
            seconds > self.options.max_cue or self.n_lines(begin, end) > self.options.max_lines
            or max(len(word.text) for word in words[begin:end]) > width
        ):
            return None
        if length <= width or self.options.max_lines != 2:
            return cost
        inside = (self.breaks[at] for at in range(begin + 1, end)
                  if self.length(begin, at) <= width and self.length(at, end) <= width)
        return cost + max(0.0, min(inside))  # of the break between its two lines


def _divided(
    n_words: int, cost: Callable[[int, int], float | None], breaks: Sequence[float]
) -> Iterator[tuple[int, int]]:
    """Yield the parts of the cheapest division; a part that is too long has no cost."""
    best: list[tuple[float, int]] = [(0.0, 0)]  # of the words before: cost, begin of the last part
    for end in range(1, n_words + 1):
        found = (float("inf"), end - 1)
        for begin in range(end - 1, -1, -1):
            part = cost(begin, end)
            if part is None and end - begin > 1:
                break  # more words are longer still
            found = min(found, (best[begin][0] + (part or 0.0) + breaks[begin], begin))
        best.append(found)
    ends, at = [], n_words
    while at:
        ends.append(at)
        at = best[at][1]
    yield from zip([0, *ends[:0:-1]], ends[::-1], strict=True)


def _break_cost(before: Word, after: Word) -> float:
    """Return what a break between two words costs."""
    plain = before.text.lower()
    cost = BOUND_COST * (plain in BOUND) - PHRASE_GAIN * (after.text.lower() in BEGINS)
    cost -= STOP_GAIN * plain.endswith((".", "!", "?", "…"))
    cost -= COMMA_GAIN * plain.endswith((",", ";", ":", "—"))
    return cost - PAUSE_GAIN * min(1.0, max(0.0, after.start - before.end) / FULL_PAUSE)
