"""Pronunciation lexicons: words, each with one or several weighted pronunciations."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from factored_asr.errors import FormatError, MissingError
from factored_asr.lexicon.dictionary import (
    Entries,
    Pronunciation,
    distinct,
    find_line,
    read_dictionary,
    strip_stress,
)


@dataclass(frozen=True, eq=False)
class Lexicon(Mapping[str, tuple[Pronunciation, ...]]):
    """Words and their pronunciations, in the order of the file.

    Look-ups of the mapping are exact; `find` also tries the word in lower case, and its error names
    the word.

    >>> lexicon = Lexicon({"tea": (Pronunciation(("T", "IY")),)})
    >>> lexicon.find("Tea")
    (Pronunciation(phones=('T', 'IY'), probability=1.0),)
    >>> lexicon.phones
    ('IY', 'T')
    """

    entries: Entries
    fillers: Entries = field(default_factory=dict)
    """Words for silence and noise, from a noisedict."""
    sources: tuple[str | Path, ...] = ()
    """The files it came from, used to name a line in errors."""

    @classmethod
    def read(
        cls, path: str | Path, *, fillers: str | Path | None = None,
        probabilities: bool | None = None,
    ) -> Lexicon:
        """Read a dictionary in one of the formats of `factored_asr.lexicon.dictionary`.

        `fillers` is a noisedict, in the same format: ``<s> SIL``, ``[NOISE] +NSN+``.
        `probabilities` says whether the second field is one; None: decide by the first entry.
        Raises MissingError if there is no such file; FormatError, with file and line, for other
        text than UTF-8, a word without phones, a variant number that is no number from 1, a
        probability outside (0, 1], no entry at all.
        """
        entries = read_dictionary(path, probabilities)
        if not entries:
            raise FormatError("a dictionary without a single entry", path)
        if fillers is None:
            return cls(entries, {}, (path,))
        return cls(entries, dict(read_dictionary(fillers, False)), (path, fillers))

    def __getitem__(self, word: str) -> tuple[Pronunciation, ...]:
        return self.entries[word]

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def find(self, word: str) -> tuple[Pronunciation, ...]:
        """Return the pronunciations of a word as written, else in lower case; else MissingError."""
        found = self.entries.get(word) or self.entries.get(word.lower())
        if not found:
            names = ", ".join(map(str, self.sources)) or "the lexicon"
            raise MissingError(f"word {word!r} has no pronunciation in {names}")
        return found

    def missing(self, words: Iterable[str]) -> tuple[str, ...]:
        """Return the words that `find` does not find, each once, in their order."""
        has = self.entries
        return tuple(w for w in dict.fromkeys(words) if w not in has and w.lower() not in has)

    @property
    def phones(self) -> tuple[str, ...]:
        """All phones of words and fillers, sorted."""
        both = (*self.entries.values(), *self.fillers.values())
        return tuple(sorted({phone for prons in both for p in prons for phone in p.phones}))

    def extend(self, other: Lexicon) -> Lexicon:
        """Merge two lexicons: a word of both has the pronunciations of both, its own first."""
        return Lexicon(
            _union(self.entries, other.entries), _union(self.fillers, other.fillers),
            (*self.sources, *other.sources),
        )

    def replace(self, other: Lexicon) -> Lexicon:
        """Merge two lexicons: a word of both has the pronunciations of `other` alone."""
        fillers = {**self.fillers, **other.fillers}
        entries = _over(self.entries, other.entries)
        return Lexicon(entries, fillers, (*self.sources, *other.sources))

    def restrict(self, words: Iterable[str]) -> Lexicon:
        """Return a lexicon of these words, looked up like `find` and kept as written; fillers stay.

        Words without a pronunciation are left out: `missing` names them.
        """
        get = self.entries.get
        found = {word: get(word) or get(word.lower()) for word in words}
        return replace(self, entries={word: prons for word, prons in found.items() if prons})

    def strip_stress(self) -> Lexicon:
        """Remove stress digits (AH0 → AH); pronunciations that become equal count once."""
        return replace(self, entries=_unstressed(self.entries), fillers=_unstressed(self.fillers))

    def check_phones(self, phones: Collection[str]) -> None:
        """Raise MissingError, with word, file and line, if a phone is not among `phones`."""
        known = set(phones)
        for word, prons in (*self.entries.items(), *self.fillers.items()):
            for p in prons:
                for lacking in () if known.issuperset(p.phones) else p.phones:
                    if lacking not in known:
                        what = f"phone {lacking!r} of word {word!r} ({' '.join(p.phones)})"
                        where = self._where(word, p)
                        raise MissingError(f"{where}{what} is not in the acoustic model")

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

    def _where(self, word: str, sought: Pronunciation) -> str:
        """Return file and line of a pronunciation, for an error, or an empty text."""
        for path in self.sources:
            if (line := find_line(path, word, sought.phones)) is not None:
                return f"{path}:{line}: "
        return ""


def _over(below: Entries, above: Entries) -> Entries:
    """Merge mappings without parsing their entries; `above` wins."""
    return ChainMap(above, below)  # type: ignore[arg-type]


def _union(ours: Entries, theirs: Entries) -> Entries:
    both = ours.keys() & theirs.keys()
    return _over(_over(ours, theirs), {w: distinct((*ours[w], *theirs[w])) for w in both})


def _unstressed(entries: Entries) -> dict[str, tuple[Pronunciation, ...]]:
    phones = {phone for prons in entries.values() for p in prons for phone in p.phones}
    plain = {phone: strip_stress(phone) for phone in phones}
    return {
        word: distinct(p._replace(phones=tuple(plain[x] for x in p.phones)) for p in prons)
        for word, prons in entries.items()
    }
