"""Pronunciation lexicons, and the files they come from: UTF-8, one pronunciation a line.

* CMUdict: ``WORD PH PH …``, further pronunciations as ``WORD(2) PH …``; lines that begin with
  ``;;``, ``##`` or ``# `` are comments, and so is what follows a ``#`` at the start of a field;
* Kaldi's ``lexicon.txt``: the same without numbers, a word simply comes on several lines;
* Kaldi's ``lexiconp.txt``: ``WORD PROBABILITY PH PH …``, the probability in (0, 1];
* dictionaries of the Montreal Forced Aligner: the same, with up to three more numbers about
  silence, which are not used;
* dictionaries of HTK and Julius: ``WORD [OUTPUT] PH PH …``, the output symbol is not used.

A file has probabilities if the second field of its first entry is a number; then that of every line
must be. In all of them a number in brackets at the end of a word is that of a variant. Typographic
apostrophes and hyphens of words are read as plain ones.
"""

from __future__ import annotations

import re
import warnings
from collections import ChainMap
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

from factored_asr.errors import FormatError, MissingError
from factored_asr.language.written import tidy
from factored_asr.storage.reading import read_text, whole_number

_COMMENT = re.compile(r"^(;;|##|# |#$).*|\s#.*")
_OUTPUT = re.compile(r"\[\S*\]\s+(?=\S)")
_OTHER_TABLE = re.compile(r".+[,:;=]|[^|]+\|.*|[^,]*[^,\d],\D.*|<[^>]*|\".+\"")
"""Words of files with commas, of JSON, YAML or XML; a word may begin with a sign of punctuation."""
_VARIANT = re.compile(r"(.+)\(([^()]*)\)")
MAX_NUMBERS = 4
"""Numbers before the phones: a probability, and three of silence around the word."""


class LexiconWarning(UserWarning):
    """A dictionary is read in another way than it is written.

    Examples
    --------
    >>> issubclass(LexiconWarning, UserWarning)  # warnings.simplefilter("error", LexiconWarning)
    True
    """


class Pronunciation(NamedTuple):
    """One pronunciation of a word: its phones and its probability, in (0, 1].

    As in Kaldi the probabilities of a word need not sum to one: the commonest often has 1. Files
    without probabilities give 1 to each.

    Examples
    --------
    >>> Pronunciation(("Y", "EH", "S"), 0.8).phones
    ('Y', 'EH', 'S')
    """

    phones: tuple[str, ...]
    """In order."""
    probability: float = 1.0
    """Of this pronunciation, (0, 1]."""


Entries = Mapping[str, tuple[Pronunciation, ...]]


@dataclass(frozen=True, eq=False)
class Lexicon(Mapping[str, tuple[Pronunciation, ...]]):
    """Words and their pronunciations, in the order of the file.

    Look-ups of the mapping are exact; `find` also tries the word in lower case, then in any case,
    and its error names the word.

    >>> lexicon = Lexicon({"tea": (Pronunciation(("T", "IY")),)})
    >>> lexicon.find("Tea")
    (Pronunciation(phones=('T', 'IY'), probability=1.0),)
    >>> lexicon.phones
    ('IY', 'T')
    """

    entries: Entries
    """Pronunciations of each word."""
    fillers: Entries = field(default_factory=dict)
    """Words for silence and noise, from a noisedict."""
    sources: tuple[str | Path, ...] = ()
    """The files it came from, used to name a line in errors."""

    @classmethod
    def read(
        cls, path: str | Path, *, fillers: str | Path | None = None,
        probabilities: bool | None = None,
    ) -> Lexicon:
        """Read a dictionary in one of the formats of this module.

        `fillers` is a noisedict, in the same format: ``<s> SIL``, ``[NOISE] +NSN+``.
        `probabilities` says whether the second field is one; None: decide by the first entry.
        Raises MissingError if there is no such file. FormatError, with file and line, for other
        text than UTF-8, a word without phones, or a variant number that is no number from 1. It is
        raised as well for a probability outside (0, 1], or no entry at all.
        """
        entries = _read_dictionary(path, probabilities)
        if not entries:
            raise FormatError("a dictionary without a single entry", path)
        if fillers is None:
            return cls(entries, {}, (path,))
        return cls(entries, dict(_read_dictionary(fillers, False)), (path, fillers))

    def __getitem__(self, word: str) -> tuple[Pronunciation, ...]:
        return self.entries[word]

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def find(self, word: str) -> tuple[Pronunciation, ...]:
        """Return the pronunciations of a word as written, else in lower case, else in any case.

        Raises MissingError if there is none.
        """
        found = self._any(word)
        if not found:
            names = ", ".join(map(str, self.sources)) or "the lexicon"
            raise MissingError(f"word {word!r} has no pronunciation in {names}")
        return found

    def knows(self, word: str) -> bool:
        """Return whether `find` finds a word.

        >>> Lexicon({"TEA": (Pronunciation(("T", "IY")),)}).knows("tea")
        True
        """
        return bool(self._any(word))

    def missing(self, words: Iterable[str]) -> tuple[str, ...]:
        """Return the words that `find` does not find, each once, in their order."""
        return tuple(word for word in dict.fromkeys(words) if not self.knows(word))

    def _any(self, word: str) -> tuple[Pronunciation, ...] | None:
        get = self.entries.get
        found = get(word) or get(word.lower())
        if found or not self._with_capitals:
            return found
        return get(self._with_capitals.get(word.lower(), word))

    @cached_property
    def _with_capitals(self) -> dict[str, str]:
        """Words that are not in lower case, by their spelling in lower case; the first counts."""
        found: dict[str, str] = {}
        for word in self.entries:
            if not word.islower() and (small := word.lower()) != word:
                found.setdefault(small, word)
        return found

    @property
    def phones(self) -> tuple[str, ...]:
        """All phones of words and fillers, sorted."""
        both = (*self.entries.values(), *self.fillers.values())
        return tuple(sorted({phone for prons in both for p in prons for phone in p.phones}))

    def extend(self, other: Lexicon) -> Lexicon:
        """Merge two lexicons: a word of both has the pronunciations of both, its own first."""
        if not (other.entries or other.fillers):
            return self  # with the tables that it has already made
        entries, fillers = _union(self.entries, other.entries), _union(self.fillers, other.fillers)
        return Lexicon(entries, fillers, (*self.sources, *other.sources))

    def replace(self, other: Lexicon) -> Lexicon:
        """Merge two lexicons: a word of both has the pronunciations of `other` alone."""
        fillers = {**self.fillers, **other.fillers}
        entries = _over(self.entries, other.entries)
        return Lexicon(entries, fillers, (*self.sources, *other.sources))

    def restrict(self, words: Iterable[str]) -> Lexicon:
        """Return a lexicon of these words, looked up like `find` and kept as written; fillers stay.

        Words without a pronunciation are left out: `missing` names them.
        """
        found = {word: self._any(word) for word in words}
        return replace(self, entries={word: prons for word, prons in found.items() if prons})

    def strip_stress(self) -> Lexicon:
        """Remove stress digits (AH0 → AH); pronunciations that become equal count once."""
        return replace(self, entries=_unstressed(self.entries), fillers=_unstressed(self.fillers))

    def fitted(self, phones: Collection[str]) -> Lexicon:
        """Return the lexicon without stress digits if the phones of the model have none.

        Only phones that the model lacks change, and a warning tells so, once.

        >>> lexicon = Lexicon({"tea": (Pronunciation(("T", "IY1")),)})
        >>> with warnings.catch_warnings(action="ignore"):
        ...     lexicon.fitted(["T", "IY"]).phones
        ('IY', 'T')
        """
        known = set(phones)
        both = (*self.entries.values(), *self.fillers.values())
        used = {phone for prons in both for p in prons for phone in p.phones}
        stressed = {phone for phone in used - known if strip_stress(phone) in known}
        if not stressed:
            return self
        first = next((word, p.phones) for word, prons in (*self.items(), *self.fillers.items())
                     for p in prons if not stressed.isdisjoint(p.phones))
        shown = ", ".join(sorted(stressed)[:5]) + (", …" if len(stressed) > 5 else "")
        told = f"the phones of the model have no stress: the digits of {shown} are ignored"
        warnings.warn(f"{self._where(*first)}{told}", LexiconWarning, stacklevel=2)
        return replace(self, entries=_unstressed(self.entries, stressed),
                       fillers=_unstressed(self.fillers, stressed))

    def check_phones(self, phones: Collection[str]) -> None:
        """Raise MissingError, with word, file and line, if a phone is not among `phones`."""
        known = set(phones)
        for word, prons in (*self.entries.items(), *self.fillers.items()):
            for p in prons:
                for lacking in () if known.issuperset(p.phones) else p.phones:
                    if lacking not in known:
                        what = f"phone {lacking!r} of word {word!r} ({' '.join(p.phones)})"
                        where = self._where(word, p.phones)
                        law = "is not in the acoustic model"
                        same = [each for each in known if each.lower() == lacking.lower()]
                        law += f", which writes it {same[0]!r}" if same else ""
                        raise MissingError(f"{where}{what} {law}")

    def write(self, path: str | Path) -> None:
        """Write the words, without the fillers: as CMUdict, or, if any probability is below 1, as
        ``lexiconp.txt``."""
        weighted = any(p.probability != 1 for prons in self.values() for p in prons)
        with open(path, "w", encoding="utf-8") as file:
            for word, prons in self.items():
                for n, p in enumerate(prons, start=1):
                    name = word if weighted or n == 1 else f"{word}({n})"
                    weight = f"{p.probability:.6g} " if weighted else ""
                    file.write(f"{name} {weight}{' '.join(p.phones)}\n")

    def _where(self, word: str, phones: tuple[str, ...]) -> str:
        """Return file and line of a pronunciation, its stress digits ignored; none: empty text."""
        for path in self.sources:
            for line, text in enumerate(read_text(path).split("\n"), start=1):
                fields = _COMMENT.sub("", text).split()
                if not fields:
                    continue
                if _without_variant(tidy(fields[0]), path, line).lower() == word.lower():
                    found = tuple(fields[-len(phones) :])
                    if phones in (found, tuple(map(strip_stress, found))):
                        return f"{path}:{line}: "
        return ""


def read_once(path: str | Path) -> Lexicon:
    """Return the dictionary of a file, which is read again only where the file has changed.

    Errors are those of `Lexicon.read`.
    """
    try:
        stat = Path(path).stat()
    except OSError:
        return Lexicon.read(path)
    return _read_at(Path(path), stat.st_ino, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=2)
def _read_at(path: Path, inode: int, n_bytes: int, changed: int) -> Lexicon:
    return Lexicon.read(path)


def _over(below: Entries, above: Entries) -> Entries:
    """Merge mappings without parsing their entries; `above` wins. Empty ones cost no look-up."""
    parts = [part for each in (above, below)
             for part in (each.maps if isinstance(each, ChainMap) else [each]) if part]
    return parts[0] if len(parts) == 1 else ChainMap(*parts)  # type: ignore[arg-type]


def _union(ours: Entries, theirs: Entries) -> Entries:
    both = ours.keys() & theirs.keys()
    return _over(_over(ours, theirs), {w: _distinct((*ours[w], *theirs[w])) for w in both})


def _unstressed(
    entries: Entries, stressed: Collection[str] | None = None
) -> dict[str, tuple[Pronunciation, ...]]:
    """Remove the digits of these phones; None: of all."""
    phones = {phone for prons in entries.values() for p in prons for phone in p.phones}
    plain = {
        phone: strip_stress(phone) if stressed is None or phone in stressed else phone
        for phone in phones
    }
    return {
        word: _distinct(p._replace(phones=tuple(plain[x] for x in p.phones)) for p in prons)
        for word, prons in entries.items()
    }


class _Dictionary(Mapping[str, tuple[Pronunciation, ...]]):
    """The entries of a file, kept as text and parsed on access.

    Most users need few words: this loads three times as fast, in a third of the memory.
    """

    def __init__(self, texts: dict[str, str], n_numbers: int) -> None:
        self._texts, self._n_numbers = texts, n_numbers

    def __getitem__(self, word: str) -> tuple[Pronunciation, ...]:
        lines = [text.split() for text in self._texts[word].split("\n")]
        if self._n_numbers:
            return _distinct(
                Pronunciation(tuple(x[_n_numbers(x, self._n_numbers) :]), float(x[0]))
                for x in lines
            )
        return _distinct(Pronunciation(tuple(x)) for x in lines)

    def __contains__(self, word: object) -> bool:
        return word in self._texts

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


def _read_dictionary(path: str | Path, probabilities: bool | None = None) -> _Dictionary:
    """Read a dictionary file; arguments and errors as of `Lexicon.read`."""
    texts: dict[str, str] = {}
    n_numbers: int | None = None if probabilities is None else int(probabilities)
    for line, text in enumerate(read_text(path).split("\n"), start=1):
        fields = text.split(None, 1)
        if "#" in text or text.startswith(";;"):
            fields = _COMMENT.sub("", text).split(None, 1)
        if not fields:
            continue
        word = fields[0] if fields[0].isascii() else tidy(fields[0]) or fields[0]
        if not word.isalnum() and _OTHER_TABLE.fullmatch(word):
            law = "a line is WORD PH PH …, parted by white space, without quotes and commas"
            raise FormatError(f"{law}, got the word {word!r}", path, line)
        if len(fields) > 1 and fields[1][0] == "[":
            fields[1] = _OUTPUT.sub("", fields[1], 1)
        if word[-1] == ")" and "(" in word:
            word = _without_variant(word, path, line)
        if n_numbers is None or probabilities and not texts:
            found = fields[1].split() if len(fields) > 1 else []
            n_numbers = max(_n_numbers(found, MAX_NUMBERS), int(bool(probabilities)))
        if n_numbers:
            found = (fields[1].split() if len(fields) > 1 else []) or [""]
            if not 0 < (_number(found[0]) or 0) <= 1:
                law = f"word {word!r} needs a probability in (0, 1] before its phones"
                raise FormatError(f"{law}, got {found[0]!r}", path, line)
        if len(fields) < 2 or (n_numbers and len(found) < 2):
            raise FormatError(f"word {word!r} needs at least one phone, got none", path, line)
        before = texts.get(word)
        texts[word] = fields[1] if before is None else f"{before}\n{fields[1]}"
    return _Dictionary(texts, n_numbers or 0)


def _n_numbers(fields: Sequence[str], most: int) -> int:
    """Return how many fields in front are numbers; only the first, if all are."""
    first = fields[:most]
    n = next((i for i, text in enumerate(first) if _number(text) is None), len(first))
    return n if n < len(fields) else min(n, 1)


def _distinct(pronunciations: Iterable[Pronunciation]) -> tuple[Pronunciation, ...]:
    """Return each sequence of phones once, with its highest probability, in the given order."""
    best: dict[tuple[str, ...], float] = {}
    for phones, probability in pronunciations:
        best[phones] = max(probability, best.get(phones, 0.0))
    return tuple(Pronunciation(*item) for item in best.items())


def strip_stress(phone: str) -> str:
    """Return a phone without CMUdict's stress digit: AH0 → AH.

    Examples
    --------
    >>> strip_stress("AH0"), strip_stress("N")
    ('AH', 'N')
    """
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
