"""The words of grammars, and of the sentences that are parsed by them.

``"Set it to 21.5°!"`` and ``"set it to twenty one point five degrees"`` are the same words to
everything in this package. The rules are those of `language.written` that suit commands
(`GRAMMAR_RULES`): nothing is skipped, and no number is a year or a time of day.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from factored_asr.language.numerals import whole_forms
from factored_asr.language.written import GRAMMAR_RULES, Known, read_written

_WORD = re.compile(r"[a-z]+")
_PLAIN = re.compile(r"[a-z\s]*")
_CHUNK = re.compile(r"\S+")
_EASY = re.compile(r"\"?(?:([a-z]+(?:'[a-z]+)*)|(\d{1,9})(%?))[,.!?;:\"]*")
"""A word or a whole number between blanks."""


@dataclass(frozen=True, slots=True)
class Token:
    """A word of the spoken form and the characters ``text[start:end]`` that it was read from."""

    word: str
    start: int
    end: int


def tokens(text: str, known: Known | None = None) -> list[Token]:
    """Return the words of the spoken form of ``text``, each with its place in the text.

    Spellings that are `known` are kept whole, see `read_written`.

    >>> [token.word for token in tokens("What's 2,700 K in the living-room?")]
    ["what's", 'two', 'thousand', 'seven', 'hundred', 'k', 'in', 'the', 'living', 'room']
    """
    small = text.lower()
    if text.isascii():  # nearly all sentences
        if _PLAIN.fullmatch(small):
            return [Token(match[0], *match.span()) for match in _WORD.finditer(small)]
        if known is None and (found := _easy(small)) is not None:
            return found
    return [
        Token(word, piece.start, piece.end)
        for piece in read_written(text, GRAMMAR_RULES, known) for word in piece.words
    ]


def _easy(text: str) -> list[Token] | None:
    """Return the words of a text of words and whole numbers; None for any other text."""
    found: list[Token] = []
    for chunk in _CHUNK.finditer(text):
        match = _EASY.fullmatch(text, *chunk.span())
        if match is None:
            return None
        start, end = match.span(1 if match[1] else 2)
        words = (match[1],) if match[1] else whole_forms(match[2])[0].split()
        found += [Token(word, start, end) for word in words]
        if match[3]:
            found.append(Token("percent", end, end + 1))
    return found


def normalise_text(text: str, known: Known | None = None) -> tuple[str, ...]:
    """Return the words of the spoken form of ``text``.

    >>> normalise_text("I'd like it at 50%, please!")
    ("i'd", 'like', 'it', 'at', 'fifty', 'percent', 'please')
    """
    if text.isascii() and _PLAIN.fullmatch(small := text.lower()):
        return tuple(small.split())
    return _normalised(text) if known is None else tuple(t.word for t in tokens(text, known))


@lru_cache(maxsize=65536)
def _normalised(text: str) -> tuple[str, ...]:
    return tuple(token.word for token in tokens(text))
