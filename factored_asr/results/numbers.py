"""Numbers as digits: "twenty one" → 21. English cardinals from ten on; smaller ones stay words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from factored_asr.language.numerals import spell_number
from factored_asr.results.transcript import Transcript, Word

SMALL = {spell_number(value): value for value in range(20)}
TENS = {spell_number(value): value for value in range(20, 100, 10)}
SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9}
LEAST = 10  # numbers below stay words


def with_digits(transcript: Transcript) -> Transcript:
    """Return the transcript with its numbers in digits, each as one word.

    It spans the words that it replaces and has the lowest of their confidences.

    Examples
    --------
    >>> words = [Word(text, i, i + 1.0) for i, text in enumerate("wait twenty one days".split())]
    >>> written = with_digits(Transcript(tuple(words), 4.0))
    >>> written.text, written.words[1].start, written.words[1].end
    ('wait 21 days', 1, 3.0)
    """
    written: list[Word] = []
    texts = [word.text for word in transcript.words]
    at = 0
    while at < len(texts):
        value, end = read_number(texts, at)
        if end > at and value >= LEAST:
            written.append(_joined(transcript.words[at:end], str(value)))
        else:
            end = max(end, at + 1)
            written += transcript.words[at:end]
        at = end
    return replace(transcript, words=tuple(written))


def read_number(words: Sequence[str], at: int = 0) -> tuple[int, int]:
    """Read the longest cardinal that begins at a word: its value and the index after it.

    If none begins there, return 0 and the same index.

    Examples
    --------
    >>> read_number("two thousand three hundred and five".split())
    (2305, 6)
    >>> read_number("nineteen eighty four".split())
    (19, 1)
    """
    total, below = 0, max(SCALES.values()) * 1000
    while True:
        skip = at + (total > 0 and words[at : at + 1] == ["and"])
        value, end = _below_thousand(words, skip)
        scale = SCALES.get(words[end], 1) if end < len(words) else 1
        if end == skip or not 0 < value * scale < below or scale >= below:
            # zero is a number on its own only
            return (total, end if not total and end > skip else at)
        total, at, below = total + value * scale, end + (scale > 1), scale
        if scale == 1:
            return total, at


def _below_thousand(words: Sequence[str], at: int) -> tuple[int, int]:
    value, end = _below_hundred(words, at)
    if 0 < value < 10 and words[end : end + 1] == ["hundred"]:
        end += 1
        skip = end + (words[end : end + 1] == ["and"])
        rest, after = _below_hundred(words, skip)
        return (100 * value + rest, after) if rest else (100 * value, end)
    return value, end


def _below_hundred(words: Sequence[str], at: int) -> tuple[int, int]:
    first, second = (*words[at : at + 2], "", "")[:2]
    if first in TENS:
        unit = SMALL.get(second, 0)
        return (TENS[first] + unit, at + 2) if 0 < unit < 10 else (TENS[first], at + 1)
    return (SMALL[first], at + 1) if first in SMALL else (0, at)


def _joined(words: Sequence[Word], text: str) -> Word:
    known = [word.confidence for word in words if word.confidence is not None]
    phones = tuple(phone for word in words for phone in word.phones)
    ends = tuple(end for word in words for end in word.phone_ends)
    closed = all(a.end == b.start for a, b in zip(words, words[1:], strict=False))
    return Word(text, words[0].start, words[-1].end, min(known, default=None), phones,
                ends if closed and len(ends) == len(phones) else ())
