"""Values of a list from texts: the entries of an address book, the titles of songs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sized
from itertools import islice
from pathlib import Path
from typing import TypeAlias

from factored_asr.errors import FormatError, OptionError
from factored_asr.language.grammar.normalisation import normalise_text
from factored_asr.language.grammar.templates import Value, ValueList
from factored_asr.language.written import Known
from factored_asr.storage.reading import read_text

MOST_ENTRIES = 100_000
MAX_CHARACTERS = 1_000
ListEntries: TypeAlias = Iterable[str] | Mapping[str, object]
"""Texts, each of which fills the slot as it is written; a mapping gives each what it fills in."""


def value_list(name: str, entries: ListEntries, known: Known | None = None) -> ValueList:
    """Return the values of a list that may be replaced.

    Spellings that are `known` are kept whole, see `normalise_text`. Raises OptionError, with the
    entry, for one without letters or digits, one of more than 1,000 characters, or more than
    100,000 entries.

    >>> values = value_list("contact", {"Anna Miller": 17}).values
    >>> values[0].forms, values[0].out
    ((('anna', 'miller'),), 17)
    """
    if isinstance(entries, str | bytes) or not isinstance(entries, Iterable):
        raise OptionError(f"the entries of list {name!r} must be texts, got {entries!r:.60}")
    pairs = entries.items() if isinstance(entries, Mapping) else ((text, text) for text in entries)
    values: dict[tuple[str, ...], Value] = {}
    for n, (text, out) in enumerate(islice(pairs, MOST_ENTRIES + 1)):
        if n == MOST_ENTRIES:
            size = f"{len(entries):,}" if isinstance(entries, Sized) else f"over {n:,}"
            raise OptionError(f"list {name!r} may have {MOST_ENTRIES:,} entries, got {size}: "
                              "leave out what is hardly said")
        if not isinstance(text, str):
            raise OptionError(f"an entry of list {name!r} must be text, got {text!r:.60}")
        if len(text) > MAX_CHARACTERS:
            raise OptionError(f"an entry of list {name!r} may have {MAX_CHARACTERS:,} characters, "
                              f"got {len(text):,}: {text[:40]!r}…")
        if not (form := normalise_text(text, known)):
            raise OptionError(f"entry {text!r} of list {name!r} has no letters")
        values.setdefault(form, Value((form,), out))
    return ValueList(name, tuple(values.values()), replaceable=True)


def check_names(lists: Iterable[str], there: Iterable[str]) -> None:
    """Raise OptionError for a list that is not among those that may be replaced."""
    names = sorted(set(there))
    for name in lists:
        if name not in names:
            known = ", ".join(map(repr, names)) or "none"
            raise OptionError(f"list {name!r} cannot be replaced: those that can are {known}; a "
                              "list of a grammar says so by 'replaceable: true', a language model "
                              "by a word {name}")


def read_list(path: str | Path) -> dict[str, str]:
    """Read the entries of a list: a line each, after a tab what fills the slot in its place.

    Raises MissingError if there is no such file, FormatError if it is no text.
    """
    entries = dict[str, str]()
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        text, _, out = line.partition("\t")
        if text.strip():
            entries[text.strip()] = out.strip() or text.strip()
        elif out.strip():
            raise FormatError("an entry needs a text before the tab", path, number)
    return entries
