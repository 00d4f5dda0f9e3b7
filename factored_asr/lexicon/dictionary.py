"""Dictionary files: words and their phones as text. All UTF-8, one pronunciation a line.

* CMUdict: ``WORD PH PH …``, further pronunciations as ``WORD(2) PH …``; lines that begin with
  ``;;``, ``##`` or ``# `` are comments, and so is what follows a ``#`` at the start of a field;
* Kaldi's ``lexicon.txt``: the same without numbers, a word simply comes on several lines;
* Kaldi's ``lexiconp.txt``: ``WORD PROBABILITY PH PH …``, the probability in (0, 1].

A file is a ``lexiconp.txt`` if the second field of its first entry is a number; then that of every
line must be. In all of them a number in brackets at the end of a word is that of a variant.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from factored_asr.errors import FormatError
from factored_asr.storage.reading import read_text, whole_number

_COMMENT = re.compile(r"^(;;|##|# |#$).*|\s#.*")
_VARIANT = re.compile(r"(.+)\(([^()]*)\)")


class Pronunciation(NamedTuple):
    """One pronunciation of a word: its phones and its probability, in (0, 1].

    As in Kaldi the probabilities of a word need not sum to one: the commonest often has 1. Files
    without probabilities give 1 to each.
    """

    phones: tuple[str, ...]
    probability: float = 1.0


Entries = Mapping[str, tuple[Pronunciation, ...]]


class Dictionary(Mapping[str, tuple[Pronunciation, ...]]):
    """The entries of a file, kept as text and parsed on access.

    Most users need few words: this loads three times as fast, in a third of the memory.
    """

    def __init__(self, texts: dict[str, str], weighted: bool) -> None:
        self._texts, self._weighted = texts, weighted

    def __getitem__(self, word: str) -> tuple[Pronunciation, ...]:
        lines = [text.split() for text in self._texts[word].split("\n")]
        if self._weighted:
            return distinct(Pronunciation(tuple(x[1:]), float(x[0])) for x in lines)
        return distinct(Pronunciation(tuple(x)) for x in lines)

    def __contains__(self, word: object) -> bool:
        return word in self._texts

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


def read_dictionary(path: str | Path, probabilities: bool | None = None) -> Dictionary:
    """Read a dictionary file; arguments and errors as of `Lexicon.read`."""
    texts: dict[str, str] = {}
    for line, text in enumerate(read_text(path).split("\n"), start=1):
        fields = text.split(None, 1)
        if "#" in text or text.startswith(";;"):
            fields = _COMMENT.sub("", text).split(None, 1)
        if not fields:
            continue
        word = fields[0]
        if word[-1] == ")" and "(" in word:
            word = _without_variant(word, path, line)
        if probabilities is None:
            probabilities = len(fields) > 1 and _number(fields[1].split()[0]) is not None
        if probabilities:
            _check_probability(word, fields[1:], path, line)
        if len(fields) < 2 or (probabilities and len(fields[1].split(None, 1)) < 2):
            raise FormatError(f"word {word!r} needs at least one phone, got none", path, line)
        before = texts.get(word)
        texts[word] = fields[1] if before is None else f"{before}\n{fields[1]}"
    return Dictionary(texts, bool(probabilities))


def find_line(path: str | Path, word: str, phones: tuple[str, ...]) -> int | None:
    """Return the line that gives a word these phones, with or without stress digits; None: none."""
    for line, text in enumerate(read_text(path).split("\n"), start=1):
        fields = _COMMENT.sub("", text).split()
        if not fields or _without_variant(fields[0], path, line) not in (word, word.lower()):
            continue
        found = tuple(fields[-len(phones) :])
        if phones in (found, tuple(map(strip_stress, found))):
            return line
    return None


def distinct(pronunciations: Iterable[Pronunciation]) -> tuple[Pronunciation, ...]:
    """Return each sequence of phones once, with its highest probability, in the given order."""
    best: dict[tuple[str, ...], float] = {}
    for phones, probability in pronunciations:
        best[phones] = max(probability, best.get(phones, 0.0))
    return tuple(Pronunciation(*item) for item in best.items())


def strip_stress(phone: str) -> str:
    """Return a phone without CMUdict's stress digit: AH0 → AH."""
    return phone[:-1] if phone[-1] in "012" and len(phone) > 1 else phone


def _without_variant(word: str, path: str | Path, line: int) -> str:
    match = _VARIANT.fullmatch(word)
    if match and not whole_number(match[2]):
        law = "a variant is written WORD(2), with a number from 1"
        raise FormatError(f"{law}, not {word!r}", path, line)
    return match[1] if match else word


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _check_probability(word: str, rest: list[str], path: str | Path, line: int) -> None:
    text = rest[0].split()[0] if rest else ""
    value = _number(text)
    if value is None or not 0 < value <= 1:
        law = f"word {word!r} needs a probability in (0, 1] before its phones"
        raise FormatError(f"{law}, got {text!r}", path, line)
